/**
 * Downloads one file over HTTP so that it is either there, whole and verified, or not there at all: bytes go to a part
 * file, resumed with Range after any interruption, and the part gets the final name only after its checksum agreed.
 */
import type { Hash } from "node:crypto";
import { mkdir, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { digestInto, startDigest } from "./digest.js";
import type { Digest } from "./digest.js";
import { explainWriteError, requireDiskSpace } from "./disk.js";
import { DownloadError, PassingError } from "./errors.js";
import { claimPart } from "./part.js";
import type { Log } from "./progress.js";
import { get, usualPatience } from "./request.js";
import type { OpenResponse, Patience } from "./request.js";
import { retryAfter, withRetries } from "./retry.js";

export interface FileRequest {
  readonly url: string;
  readonly destination: string;
  /** Exact length; a body of any other length is refused. */
  readonly bytes: number;
  readonly digest: Digest;
  /** Sent to the URL's own host, not to where it redirects. */
  readonly token?: string | null;
  readonly signal?: AbortSignal;
  readonly onProgress?: (bytes: number) => void;
  readonly log?: Log;
  readonly patience?: Patience;
  /** Words for a status that no further try mends (404, 401, …); default: the status itself. */
  readonly refusal?: (status: number, headers: Headers) => DownloadError | null;
}

/** What is written to the part so far: `hash` has seen exactly its first `bytes`. */
interface Part {
  readonly path: string;
  readonly file: FileHandle;
  bytes: number;
  hash: Hash;
  /** Entity tag of the version that the part belongs to; null before the first response. */
  etag: string | null;
}

const underWay = new Map<string, Promise<void>>();

/**
 * Downloads `request.url` to `request.destination`. Within one process, a second call for the same destination waits for
 * the first. An interruption (also by `signal`) leaves the part, and the next call goes on from there.
 * Throws DownloadError, or the signal's reason.
 */
export function downloadFile(request: FileRequest): Promise<void> {
  const running = underWay.get(request.destination);
  if (running !== undefined) return running;
  const work = download(request).finally(() => underWay.delete(request.destination));
  underWay.set(request.destination, work);
  return work;
}

async function download(request: FileRequest): Promise<void> {
  const folder = dirname(request.destination);
  await mkdir(folder, { recursive: true });
  const part = await openPart(request);
  try {
    await requireDiskSpace(folder, request.bytes - part.bytes, basename(request.destination));
    const resumed = part.bytes > 0;
    await fill(part, request);
    if (part.hash.copy().digest("hex") !== request.digest.hex && resumed) {
      request.log?.(`${basename(request.destination)}: the part kept from an earlier run does not fit; starting over`);
      await startOver(part, request);
      await fill(part, request);
    }
    await part.file.sync();
  } catch (error) {
    await part.file.close();
    if (part.bytes === 0) await rm(part.path, { force: true });
    throw explainWriteError(error, part.path);
  }
  await part.file.close();
  const hex = part.hash.digest("hex");
  if (hex !== request.digest.hex) {
    await rm(part.path, { force: true });
    await rm(etagPath(part.path), { force: true });
    throw new DownloadError(
      "mismatch",
      `${basename(request.destination)} from ${new URL(request.url).host} has the ${request.digest.algorithm} ${hex}, expected ` +
        `${request.digest.hex}. It was deleted: the server's file was changed or damaged on its way.`,
    );
  }
  await rename(part.path, request.destination);
  await rm(etagPath(part.path), { force: true });
}

async function openPart(request: FileRequest): Promise<Part> {
  const path = await claimPart(request.destination);
  const file = await open(path, "a+").then(async (created) => {
    // "a+" made sure that it exists; positions are ours from here on.
    await created.close();
    return open(path, "r+");
  });
  const part: Part = { path, file, bytes: 0, hash: startDigest(request.digest.algorithm, request.bytes), etag: null };
  const { size } = await file.stat();
  if (size > 0 && size <= request.bytes) {
    part.etag = await readFile(etagPath(path), "utf8").catch(() => null);
    await digestInto(part.hash, path, { end: size, ...(request.signal && { signal: request.signal }) });
    part.bytes = size;
    request.log?.(
      `${basename(request.destination)}: going on after ${Math.floor((100 * size) / request.bytes)}% from an earlier run`,
    );
  } else if (size > 0) {
    await startOver(part, request);
  }
  return part;
}

async function startOver(part: Part, request: FileRequest): Promise<void> {
  await part.file.truncate(0);
  part.bytes = 0;
  part.hash = startDigest(request.digest.algorithm, request.bytes);
  part.etag = null;
}

async function fill(part: Part, request: FileRequest): Promise<void> {
  const patience = request.patience ?? usualPatience;
  request.onProgress?.(part.bytes);
  await withRetries(() => fillOnce(part, request, patience), {
    patience,
    ...(request.signal && { signal: request.signal }),
    progress: () => part.bytes,
    onRetry: (error, pause) =>
      request.log?.(`${basename(request.destination)}: ${error.message}; trying again in ${Math.ceil(pause / 1000)} s`),
  });
}

async function fillOnce(part: Part, request: FileRequest, patience: Patience): Promise<void> {
  if (part.bytes === request.bytes) return;
  const headers: Record<string, string> = {};
  if (part.bytes > 0) {
    headers["range"] = `bytes=${part.bytes}-`;
    // A weak tag may not stand in If-Range; then the checksum alone decides.
    if (part.etag !== null && !part.etag.startsWith("W/")) headers["if-range"] = part.etag;
  }
  const { token, signal } = request;
  const response = await get(request.url, {
    headers,
    token: token ?? null,
    ...(signal && { signal }),
    stallMs: patience.stallMs,
  });
  try {
    await takeHeaders(part, request, response);
    for await (const piece of response.body) {
      if (part.bytes + piece.length > request.bytes) {
        throw new DownloadError("mismatch", `${request.url} sends more than the ${request.bytes} bytes that the file has`);
      }
      await writeAll(part.file, piece, part.bytes);
      part.hash.update(piece);
      part.bytes += piece.length;
      request.onProgress?.(part.bytes);
    }
  } finally {
    response.close();
  }
  if (part.bytes < request.bytes) {
    throw new PassingError("cut", `${new URL(request.url).host} ended after ${part.bytes} of ${request.bytes} bytes`);
  }
}

/** Checks status and headers, and sets the part back to its start where the server sends the whole file again. */
async function takeHeaders(part: Part, request: FileRequest, response: OpenResponse): Promise<void> {
  const { status, headers } = response;
  const etag = headers.get("etag");
  if (status === 416 || (status === 206 && !continues(part, request, headers))) {
    await startOver(part, request);
    throw new PassingError("cut", `${new URL(request.url).host} has another version of the file than the part`, 0);
  }
  if (status !== 200 && status !== 206) throw statusError(request, status, headers);
  if (status === 200) {
    if (part.bytes > 0) await startOver(part, request);
    const type = headers.get("content-type") ?? "";
    if (type.startsWith("text/html") && !request.destination.endsWith(".html")) {
      throw new DownloadError(
        "hostile",
        `${request.url} gave a web page instead of the file: a proxy's or sign-in page stands in between`,
      );
    }
    const length = headers.get("content-length");
    if (length !== null && Number(length) !== request.bytes) {
      throw new DownloadError("mismatch", `${request.url} offers ${length} bytes; the file has ${request.bytes}`);
    }
  }
  if (status === 206 || etag === part.etag) return;
  part.etag = etag;
  if (etag === null) await rm(etagPath(part.path), { force: true });
  else await writeFile(etagPath(part.path), etag);
}

function continues(part: Part, request: FileRequest, headers: Headers): boolean {
  const etag = headers.get("etag");
  if (part.etag !== null && etag !== null && part.etag !== etag) return false;
  const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(headers.get("content-range") ?? "");
  return range !== null && Number(range[1]) === part.bytes && (range[3] === "*" || Number(range[3]) === request.bytes);
}

function statusError(request: FileRequest, status: number, headers: Headers): DownloadError {
  return failedStatus(request.url, status, headers) ?? request.refusal?.(status, headers) ?? refused(request.url, status);
}

/** The error of a status that another try may mend (408, 429, 5xx); null for others. */
export function failedStatus(url: string, status: number, headers: Headers): PassingError | null {
  const host = new URL(url).host;
  if (status === 429)
    return new PassingError("rate-limited", `${host} asks for fewer requests (status 429)`, retryAfter(headers));
  if (status === 408 || status >= 500)
    return new PassingError("server", `${host} failed with status ${status}`, retryAfter(headers));
  return null;
}

function refused(url: string, status: number): DownloadError {
  const reason = status === 404 || status === 410 ? "not-found" : status === 401 || status === 403 ? "no-access" : "server";
  return new DownloadError(reason, `${url} answered with status ${status}`);
}

async function writeAll(file: FileHandle, piece: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < piece.length;) {
    const { bytesWritten } = await file.write(piece, done, piece.length - done, position + done);
    done += bytesWritten;
  }
}

function etagPath(part: string): string {
  return `${part}.etag`;
}
