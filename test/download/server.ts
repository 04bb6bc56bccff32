/** A local HTTP server that plays the hub: serves a body with Range and If-Range, and misbehaves on request. */
import { createServer } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Patience } from "../../src/download/request.js";

/** Waits that keep tests fast; the logic is the same. */
export const hasty: Patience = { stallMs: 400, pausesMs: [1, 1, 1, 1], longestWaitMs: 1500 };

export interface TestServer {
  readonly url: string;
  readonly requests: { path: string; headers: IncomingHttpHeaders }[];
  close(): Promise<void>;
}

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

export async function startServer(handler: Handler): Promise<TestServer> {
  const requests: TestServer["requests"] = [];
  const server = createServer((request, response) => {
    requests.push({ path: request.url ?? "", headers: request.headers });
    // A client that goes away in the middle is what these tests are about.
    response.on("error", () => undefined);
    handler(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

export interface ServeOptions {
  readonly etag?: string;
  readonly type?: string;
  /** Cut the connection after so many bytes of this response. */
  readonly cutAfter?: number;
  /** Send so many bytes of this response and then nothing more. */
  readonly stallAfter?: number;
  readonly ignoreRange?: boolean;
  readonly ignoreIfRange?: boolean;
}

/** Serves `body` as a well-behaved server would, less what the options ask for. */
export function serve(request: IncomingMessage, response: ServerResponse, body: Buffer, options: ServeOptions = {}): void {
  const etag = options.etag ?? '"one"';
  const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? "");
  const ifRange = request.headers["if-range"];
  const fits = ifRange === undefined || ifRange === etag || options.ignoreIfRange === true;
  const start = range !== null && fits && options.ignoreRange !== true ? Number(range[1]) : 0;
  const rest = body.subarray(start);
  const headers = { etag, "content-type": options.type ?? "application/octet-stream", "content-length": rest.length };
  if (start > 0) response.writeHead(206, { ...headers, "content-range": `bytes ${start}-${body.length - 1}/${body.length}` });
  else response.writeHead(200, headers);
  const limit = options.cutAfter ?? options.stallAfter;
  if (limit === undefined || limit >= rest.length) {
    response.end(rest);
    return;
  }
  response.write(rest.subarray(0, limit), () => {
    // A moment later, so that the client has read what was sent: an error throws away what it had only buffered.
    if (options.cutAfter !== undefined) setTimeout(() => response.destroy(), 15);
  });
  if (limit === 0) response.flushHeaders();
}

/** Bytes that no two offsets share by chance: a seeded xorshift. */
export function noise(length: number, seed = 1): Buffer {
  const out = Buffer.alloc(length);
  let state = seed >>> 0 || 1;
  for (let index = 0; index < length; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    out[index] = state & 0xff;
  }
  return out;
}
