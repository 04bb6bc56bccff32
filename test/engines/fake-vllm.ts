/** A server that loads adapters as vLLM does, and answers with what it is told to. */
import { existsSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

export interface FakeVllm {
  readonly baseUrl: string;
  /** Loaded adapters: name -> path. */
  readonly loaded: Map<string, string>;
  /** What came, in order: "load NAME", "unload NAME", "complete NAME". */
  readonly seen: string[];
  /** Authorization headers. */
  readonly keys: Set<string | undefined>;
  /** Bodies of the completions asked for. */
  readonly asked: CompletionBody[];
  /** Whether it takes requests to unload and never answers them. */
  hang: boolean;
  close(): Promise<void>;
}

export interface CompletionBody {
  readonly model: string;
  readonly prompt: readonly number[];
  readonly n: number;
  readonly max_tokens: number;
  readonly temperature: number;
  readonly seed: number;
  readonly return_token_ids: boolean;
}

export interface Choice {
  readonly text: string;
  readonly token_ids?: readonly number[];
  readonly finish_reason: string;
  readonly stop_reason?: number | null;
}

type Reply = readonly Choice[] | number | "reset" | { readonly status: number; readonly retryAfter: string };

export interface FakeVllmOptions {
  /** The choices for a prompt; a number: that status, with a Retry-After header if it says so; "reset": the connection is cut. Default: one token each. */
  readonly answer?: (body: CompletionBody, server: FakeVllm) => Reply | Promise<Reply>;
  /** Started without VLLM_ALLOW_RUNTIME_LORA_UPDATING. */
  readonly fixed?: boolean;
}

export async function startFakeVllm({ answer, fixed = false }: FakeVllmOptions = {}): Promise<FakeVllm> {
  const seen: string[] = [];
  const keys = new Set<string | undefined>();
  const asked: CompletionBody[] = [];
  const loaded = new Map<string, string>();
  const error = (response: ServerResponse, status: number, message: string): void => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify({ error: { message, type: "BadRequestError", code: status } }));
  };
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    keys.add(request.headers.authorization);
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const body = JSON.parse(Buffer.concat(pieces).toString("utf8")) as Record<string, unknown>;
    const path = request.url ?? "";
    if (path === "/v1/completions") {
      const wanted = body as unknown as CompletionBody;
      seen.push(`complete ${wanted.model}`);
      if (!loaded.has(wanted.model)) {
        error(response, 404, `The model \`${wanted.model}\` does not exist.`);
        return;
      }
      asked.push(wanted);
      const choices = (await answer?.(wanted, fake)) ?? Array.from({ length: wanted.n }, () => ONE);
      if (choices === "reset") return void request.socket.resetAndDestroy();
      if (typeof choices === "number" || "status" in choices) {
        if (typeof choices === "object") response.setHeader("retry-after", choices.retryAfter);
        error(response, typeof choices === "object" ? choices.status : choices, "out of order");
        return;
      }
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ choices: choices.map((choice, index) => ({ index, ...choice })) }));
      return;
    }
    if (fixed) {
      response.writeHead(404, { "content-type": "application/json" }).end('{"detail":"Not Found"}');
      return;
    }
    const [name, adapter] = [String(body["lora_name"]), String(body["lora_path"])];
    if (path === "/v1/load_lora_adapter") {
      seen.push(`load ${name}`);
      if (loaded.has(name)) {
        error(response, 400, `The lora adapter '${name}' has already been loaded.`);
        return;
      }
      if (!existsSync(join(adapter, "adapter_config.json"))) {
        error(response, 404, `No adapter found for ${adapter}`);
        return;
      }
      loaded.set(name, adapter);
      response.writeHead(200).end(`Success: LoRA adapter '${name}' added successfully.`);
    } else if (path === "/v1/unload_lora_adapter") {
      seen.push(`unload ${name}`);
      if (fake.hang) return;
      if (!loaded.delete(name)) {
        error(response, 404, `The lora adapter '${name}' cannot be found.`);
        return;
      }
      response.writeHead(200).end(`Success: LoRA adapter '${name}' removed successfully.`);
    } else error(response, 404, "no such path");
  };
  const server: Server = createServer((request, response) => void handle(request, response).catch(() => response.destroy()));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const fake: FakeVllm = {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    loaded,
    seen,
    keys,
    asked,
    hang: false,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  return fake;
}

const ONE: Choice = { text: "a", token_ids: [65, 0], finish_reason: "stop", stop_reason: null };
