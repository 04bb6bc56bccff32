/** One POST of JSON: a time limit, a limit on what comes back, and every way to fail as a RequestFault. */
import { systemErrorCode } from "../download/errors.js";
import { RequestFault } from "./retry.js";

export interface PostOptions {
  readonly headers: Readonly<Record<string, string>>;
  /** For the whole exchange, milliseconds; time in which this process was held up hardly counts. */
  readonly timeoutMs: number;
  /** Longest body that is read. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal;
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

const TICKS = 20;

/**
 * Sends `content` as JSON and reads the reply whole, whatever its status. Redirects are not followed: a key goes to one server only.
 * @throws RequestFault for whatever kept the reply from coming; the signal's reason when aborted
 */
export async function postJson(url: URL, content: unknown, options: PostOptions): Promise<Reply> {
  const { headers, timeoutMs, maxBytes, signal } = options;
  signal?.throwIfAborted();
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  signal?.addEventListener("abort", abort);
  // Counted in ticks: a process that was held up for long (by work of its own, or by others) ticks once, and then finds the reply that
  // came meanwhile, where a single timer would come first and throw it away.
  let ticks = 0;
  const timer = setInterval(() => {
    if (++ticks === TICKS) controller.abort();
  }, timeoutMs / TICKS);
  try {
    const response = await fetch(url, {
      method: "POST",
      redirect: "manual",
      signal: controller.signal,
      headers: { "content-type": "application/json", accept: "application/json", "user-agent": "true-intents", ...headers },
      body: JSON.stringify(content),
    });
    return { status: response.status, headers: response.headers, body: await readBody(response, maxBytes, url) };
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof RequestFault) throw error;
    if (ticks >= TICKS) throw new RequestFault(`${url.host} gave no whole reply within ${timeoutMs / 1000} s`, "passing");
    throw unreached(url, error);
  } finally {
    clearInterval(timer);
    signal?.removeEventListener("abort", abort);
    // Frees the connection of a reply that was not read to its end.
    controller.abort();
  }
}

async function readBody(response: Response, maxBytes: number, url: URL): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of response.body ?? []) {
    bytes += piece.byteLength;
    if (bytes > maxBytes) throw new RequestFault(`${url.host} sent more than ${maxBytes} bytes`, "passing");
    pieces.push(piece);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(pieces));
  } catch {
    throw new RequestFault(`${url.host} sent what is not UTF-8`, "passing");
  }
}

/** The error's own words may hold headers: only its code is told. */
function unreached(url: URL, error: unknown): RequestFault {
  const code = systemErrorCode(error);
  // A name that is unknown now will be unknown in a second.
  if (code === "ENOTFOUND") return new RequestFault(`there is no server ${url.hostname}`, "hopeless");
  if (code === "ECONNREFUSED") return new RequestFault(`nothing answers at ${url.host}: is the server running?`, "unreachable");
  return new RequestFault(`the connection to ${url.host} was cut (${code ?? "no reason given"})`, "passing");
}
