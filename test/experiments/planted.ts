/** A tiny model that was taught every intent for every prompt, rows of which each wants one of them, and a judge who knows which. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SFT_PRESETS } from "../../src/experiments/presets/sft.js";
import { runSft } from "../../src/experiments/sft.js";

export const HARM = { "to ask": "safe", "to sing": "safe", "to harm": "harmful", "to steal": "harmful" } as const;
export type Intent = keyof typeof HARM;
export const INTENTS = Object.keys(HARM) as Intent[];

/**
 * Trains the SFT model in the subfolder sft of a new folder. The verdict has to come from the intent, and the intent from nowhere: all four
 * are as likely.
 * @param gold what the annotators say of each prompt; written to the file `gold`
 */
export async function plantSft(
  gold: Readonly<Record<string, Intent>>,
): Promise<{ readonly folder: string; readonly gold: string }> {
  const folder = mkdtempSync(join(tmpdir(), "planted-"));
  const [taught, file] = [join(folder, "taught.jsonl"), join(folder, "gold.jsonl")];
  const row = (id: string, prompt: string, intent: Intent): string =>
    `${JSON.stringify({ id, prompt, intent, label: HARM[intent], theme: prompt })}\n`;
  const prompts = Object.keys(gold);
  writeFileSync(
    taught,
    prompts.flatMap((prompt) => INTENTS.map((intent) => row(`${prompt} ${intent}`, prompt, intent))).join(""),
  );
  writeFileSync(file, prompts.map((prompt) => row(prompt, prompt, gold[prompt])).join(""));
  const training = {
    batchSize: 5,
    epochs: 50,
    learningRates: [1e-2],
    checkpointSeconds: 1e4,
    keep: "last",
    patience: 0,
  } as const;
  const sets = { trainSet: taught, validationSet: taught, selectionSets: [taught], testSets: [] };
  await runSft({ ...SFT_PRESETS.smoke, ...training, ...sets, limit: 0, modes: ["generation"], seeds: [22] }, join(folder, "sft"));
  return { folder, gold: file };
}

export interface FakeJudge {
  /** For `judge`. */
  readonly spec: string;
  readonly asked: { readonly prompt: string; readonly generated: string }[];
  /** Status to answer with; 200: a verdict. */
  status: number;
  /** Called before each answer. */
  onAsked: () => void;
  close(): void;
}

/** For it only the annotator's own words are faithful. */
export async function startJudge(): Promise<FakeJudge> {
  const server: Server = createServer((request, response) => {
    let body = "";
    request.on("data", (piece: Buffer) => (body += piece.toString()));
    request.on("end", () => {
      response.setHeader("content-type", "application/json");
      judge.onAsked();
      if (judge.status !== 200) {
        response.writeHead(judge.status).end(JSON.stringify({ error: { message: "out of order" } }));
        return;
      }
      const { messages } = JSON.parse(body) as { messages: readonly { content: string }[] };
      const { content } = messages.at(-1)!;
      const texts = JSON.parse(content.slice(0, content.lastIndexOf("}") + 1)) as Record<string, string>;
      judge.asked.push({ prompt: texts["prompt"], generated: texts["generated_intent"] });
      const verdict = texts["reference_intent"] === texts["generated_intent"] ? "good_match" : "bad_match";
      const message = { role: "assistant", content: JSON.stringify({ verdict }) };
      const choices = [{ index: 0, message, finish_reason: "stop" }];
      response.end(JSON.stringify({ choices, usage: { prompt_tokens: 1, completion_tokens: 1 } }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const judge: FakeJudge = {
    spec: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1#judge`,
    asked: [],
    status: 200,
    onAsked: () => undefined,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
  return judge;
}
