/** An OpenAI-compatible server on this machine that fails as it is told to, and counts what it was asked and what it answered. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export const FAULTS = [
  "429, Retry-After in seconds",
  "429, Retry-After as a date",
  "429, bad Retry-After",
  "500",
  "502 with HTML",
  "503",
  "reset before the reply",
  "reset inside the reply",
  "slow body",
  "no reply",
  "truncated JSON",
  "wrong schema",
  "empty choices",
  "HTML",
  "200 with an error body",
  "huge body",
] as const;
export type Fault = (typeof FAULTS)[number];

/** A request as the server saw it. */
export interface Seen {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: Readonly<Record<string, unknown>>;
  /** What was asked: prompt and seed. */
  readonly id: string;
  /** How often this was asked before. */
  readonly before: number;
}

/** A whole reply, or a fault; undefined: the answer to what was asked. */
export type Behaviour = (
  seen: Seen,
) => Fault | { readonly status: number; readonly body: unknown; readonly headers?: Record<string, string> } | undefined;

export interface FakeServer {
  readonly baseUrl: string;
  readonly seen: Seen[];
  /** id -> answers that were sent whole. */
  readonly answered: Map<string, number>;
  /** Most requests that were under way at a time. */
  readonly mostAtOnce: () => number;
  close(): Promise<void>;
}

/** What the server answers to a text: every question has an answer of its own. */
export function answerTo(id: string): string {
  return `answer to ${id}`;
}

export const idOf = (body: Readonly<Record<string, unknown>>): string =>
  JSON.stringify([body["messages"] ?? body["prompt"], body["seed"]]);

export async function startFakeServer(behave: Behaviour, latencyMs = 0): Promise<FakeServer> {
  const seen: Seen[] = [];
  const asked = new Map<string, number>();
  const answered = new Map<string, number>();
  let now = 0;
  let most = 0;
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    now++;
    most = Math.max(most, now);
    response.once("close", () => now--);
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const body = JSON.parse(Buffer.concat(pieces).toString("utf8")) as Record<string, unknown>;
    const id = idOf(body);
    const before = asked.get(id) ?? 0;
    asked.set(id, before + 1);
    const item: Seen = { path: request.url ?? "", authorization: request.headers.authorization, body, id, before };
    seen.push(item);
    if (latencyMs > 0) await new Promise((resolve) => setTimeout(resolve, latencyMs));
    const behaviour = behave(item);
    if (typeof behaviour === "string") fail(behaviour, request, response);
    else if (behaviour !== undefined) sendJson(response, behaviour.status, behaviour.body, behaviour.headers);
    else {
      response.once("finish", () => answered.set(id, (answered.get(id) ?? 0) + 1));
      sendJson(response, 200, reply(item.path, answerTo(id)));
    }
  };
  const server = createServer((request, response) => void handle(request, response).catch(() => response.destroy()));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    seen,
    answered,
    mostAtOnce: () => most,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** All replies have one id, as those of a server that draws from few. */
export function reply(path: string, text: string, finish = "stop"): Record<string, unknown> {
  const said = path.endsWith("/chat/completions") ? { message: { role: "assistant", content: text } } : { text };
  return {
    id: "chatcmpl-7",
    model: "fake",
    choices: [{ index: 0, ...said, finish_reason: finish }],
    usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
  };
}

function sendJson(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}

const BUSY = { error: { message: "busy", type: "rate_limit", code: null } };
const PAGE = "<!doctype html><title>Bad gateway</title>";

function fail(fault: Fault, request: IncomingMessage, response: ServerResponse): void {
  const whole = JSON.stringify(reply(request.url ?? "", "cut off"));
  switch (fault) {
    case "429, Retry-After in seconds":
      sendJson(response, 429, BUSY, { "retry-after": "0" });
      break;
    case "429, Retry-After as a date":
      sendJson(response, 429, BUSY, { "retry-after": new Date(Date.now() - 5000).toUTCString() });
      break;
    case "429, bad Retry-After":
      sendJson(response, 429, BUSY, { "retry-after": "after lunch, 2100" });
      break;
    case "500":
      sendJson(response, 500, { detail: [1, 2] });
      break;
    case "502 with HTML":
      response.writeHead(502, { "content-type": "text/html" }).end(PAGE);
      break;
    case "503":
      response.writeHead(503).end();
      break;
    case "reset before the reply":
      request.socket.resetAndDestroy();
      break;
    case "reset inside the reply":
      response.writeHead(200, { "content-type": "application/json", "content-length": String(whole.length) });
      response.write(whole.slice(0, 20), () => request.socket.resetAndDestroy());
      break;
    case "slow body": {
      response.writeHead(200, { "content-type": "application/json" });
      let at = 0;
      const timer = setInterval(() => response.write(whole[at++ % 10]), 50);
      response.once("close", () => clearInterval(timer));
      break;
    }
    case "no reply":
      break;
    case "truncated JSON":
      response.writeHead(200).end(whole.slice(0, -10));
      break;
    case "wrong schema":
      sendJson(response, 200, { choices: [{ message: { content: { parts: ["cut off"] } }, finish_reason: "stop" }] });
      break;
    case "empty choices":
      sendJson(response, 200, { choices: [], usage: null });
      break;
    case "HTML":
      response.writeHead(200, { "content-type": "text/html" }).end(PAGE);
      break;
    case "200 with an error body":
      sendJson(response, 200, { error: { message: "the model is loading" } });
      break;
    case "huge body":
      response.writeHead(200).end(JSON.stringify(reply(request.url ?? "", "x".repeat(300_000))));
  }
}
