/**
 * Where completions come from: one interface for the local decoder with any adapter, for GGUF models by llama.cpp, and for any
 * OpenAI-compatible server. Those who ask (mining, judges, teachers, baselines) do not know which one answers.
 */
import type { ChatMessage } from "../model/chat-template.js";

/** Raw text is what the model reads as it stands; messages go through its chat template. Either may come from anyone. */
export type EngineInput = { readonly text: string } | { readonly messages: readonly ChatMessage[] };

/** One thing to complete. Everything here, with the engine's identity, decides the answer. */
export interface CompletionRequest {
  readonly input: EngineInput;
  readonly maxNewTokens: number;
  /** 0: greedy. */
  readonly temperature: number;
  readonly topP: number;
  /** Samples wanted; sample i of a seed is the same however many are asked for, where the engine can promise that. */
  readonly samples: number;
  readonly seed: number;
  /** Samples, of 0 .. samples - 1, that are not wanted: who asks has them already. Default: none. Decides nothing about the others. */
  readonly skip?: readonly number[];
  /** JSON schema that the answer must meet; engines that cannot hold a model to it say so in {@link Engine.canConstrain}. */
  readonly schema?: { readonly name: string; readonly schema: Readonly<Record<string, unknown>> };
}

export interface Answer {
  readonly kind: "answer";
  readonly text: string;
  /** "length": the answer was cut at maxNewTokens. */
  readonly finishReason: "stop" | "length";
  /** Null where the engine does not count. */
  readonly promptTokens: number | null;
  readonly completionTokens: number | null;
}

/** A sample that could not be had; it can be asked for again by itself. */
export interface Failure {
  readonly kind: "failure";
  /** What went wrong, for people; never holds a key. */
  readonly reason: string;
  /** Whether asking again later may help (a time-out, a busy server), or not (refused, over quota, bad request). */
  readonly retryable: boolean;
  /** True: no other request will fare better until somebody acts (a wrong key, a used-up quota). Default false. */
  readonly hopeless?: boolean;
}

export interface Outcome {
  /** Place of the request in the list given. */
  readonly index: number;
  /** 0 .. samples - 1. */
  readonly sample: number;
  readonly result: Answer | Failure;
  /** Kept from before: nothing was asked. Default false. */
  readonly cached?: true;
}

export interface Engine {
  /** For people: "smollm2-135m-instruct + results/runs/…", "qwen2.5-coder-1.5b-instruct (GGUF)". */
  readonly name: string;
  /** All that decides an answer beside the request: model and adapter hashes or server and model name. Part of a cache's key. */
  readonly identity: Readonly<Record<string, string>>;
  /** Whether `schema` is enforced while the answer is written. */
  readonly canConstrain: boolean;
  /**
   * Answers every request: exactly one outcome a request and sample (those of `skip` left out), in any order, as they come. What goes
   * wrong with one request is its outcome; only what makes all further work pointless (a missing key, an aborted signal) is thrown.
   */
  complete(requests: readonly CompletionRequest[], options?: { readonly signal?: AbortSignal }): AsyncGenerator<Outcome>;
  /** Frees what the engine holds. */
  close(): Promise<void>;
}
