import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, open, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { explainWriteError, requireDiskSpace } from "../../src/download/disk.js";
import { DownloadError } from "../../src/download/errors.js";
import { downloadFile } from "../../src/download/file.js";
import type { FileRequest } from "../../src/download/file.js";
import { claimPart } from "../../src/download/part.js";
import { retryAfter } from "../../src/download/retry.js";
import { hasty, noise, serve, startServer } from "./server.js";
import type { Handler, TestServer } from "./server.js";

const body = noise(300_000);
const sha256 = (data: Buffer): string => createHash("sha256").update(data).digest("hex");

let folder: string;
let server: TestServer | null = null;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "download-"));
});
afterEach(async () => {
  await server?.close();
  server = null;
  await rm(folder, { recursive: true, force: true });
});

async function start(handler: Handler, over: Partial<FileRequest> = {}): Promise<FileRequest> {
  server = await startServer(handler);
  return {
    url: `${server.url}/file`,
    destination: join(folder, "weights.bin"),
    bytes: body.length,
    digest: { algorithm: "sha256", hex: sha256(body) },
    patience: hasty,
    ...over,
  };
}

async function failure(request: FileRequest): Promise<DownloadError> {
  const error: unknown = await downloadFile(request).then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(DownloadError);
  return error as DownloadError;
}

/** True if the file holds exactly `content`; comparing megabytes with toEqual takes seconds. */
async function holds(path: string, content: Buffer = body): Promise<boolean> {
  return (await readFile(path)).equals(content);
}

const files = (): Promise<string[]> => readdir(folder);

describe("a download that goes well", () => {
  test("gives the file and leaves nothing beside it", async () => {
    const request = await start((q, r) => serve(q, r, body));
    const seen: number[] = [];
    await downloadFile({ ...request, onProgress: (bytes) => seen.push(bytes) });
    expect(await holds(request.destination)).toBe(true);
    expect(await files()).toEqual(["weights.bin"]);
    expect(seen.at(-1)).toBe(body.length);
  });

  test("an empty file, and a git blob id as checksum", async () => {
    const text = Buffer.from("hello\n");
    const request = await start((q, r) => serve(q, r, q.url === "/empty" ? Buffer.alloc(0) : text));
    // `printf 'hello\n' | git hash-object --stdin`, and git's well-known id of the empty blob.
    await downloadFile({
      ...request,
      bytes: 6,
      digest: { algorithm: "git-blob", hex: "ce013625030ba8dba906f756967f9e9ca394464a" },
    });
    expect(await readFile(request.destination, "utf8")).toBe("hello\n");
    const empty = join(folder, "empty");
    const digest = { algorithm: "git-blob", hex: "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391" } as const;
    await downloadFile({ ...request, url: request.url.replace("file", "empty"), destination: empty, bytes: 0, digest });
    expect(await readFile(empty, "utf8")).toBe("");
  });

  test("two calls in one process share one request", async () => {
    const request = await start((q, r) => serve(q, r, body));
    await Promise.all([downloadFile(request), downloadFile(request)]);
    expect(server!.requests).toHaveLength(1);
  });
});

describe("a download that is interrupted", () => {
  test("goes on where it was cut, at any points", async () => {
    let goneOn = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 120_000 }), { maxLength: 4 }), async (cuts) => {
        let round = 0;
        const request = await start((q, r) => {
          const cutAfter = cuts[round++];
          serve(q, r, body, cutAfter === undefined ? {} : { cutAfter });
        });
        await downloadFile(request);
        expect(await holds(request.destination)).toBe(true);
        expect(await files()).toEqual(["weights.bin"]);
        const resumed = server!.requests.filter((seen) => seen.headers.range !== undefined);
        for (const seen of resumed) expect(seen.headers["if-range"]).toBe('"one"');
        goneOn += resumed.length;
        await server!.close();
        await rm(request.destination);
      }),
      { numRuns: 25, seed: 7 },
    );
    expect(goneOn).toBeGreaterThan(20);
  });

  test("by the user leaves the part, and the next run asks for the rest only", async () => {
    const controller = new AbortController();
    let first = true;
    const request = await start((q, r) => {
      serve(q, r, body, first ? { stallAfter: 200_000 } : {});
      first = false;
    });
    const stopped = downloadFile({
      ...request,
      signal: controller.signal,
      onProgress: (bytes) => bytes >= 100_000 && controller.abort(new Error("Ctrl-C")),
    });
    await expect(stopped).rejects.toThrow("Ctrl-C");
    expect(existsSync(request.destination)).toBe(false);
    await downloadFile(request);
    expect(await holds(request.destination)).toBe(true);
    expect(server!.requests[1].headers.range).toMatch(/^bytes=[1-9]\d{4,}-$/);
  });

  test("a silent server is given up after the stall time and asked again", async () => {
    let first = true;
    const request = await start((q, r) => {
      serve(q, r, body, first ? { stallAfter: 1000 } : {});
      first = false;
    });
    const lines: string[] = [];
    await downloadFile({ ...request, log: (line) => lines.push(line) });
    expect(await holds(request.destination)).toBe(true);
    expect(lines.join()).toContain("sent nothing for 0.4 s");
  });

  test("a server that never answers ends in an error", async () => {
    const request = await start(() => undefined, { patience: { ...hasty, stallMs: 50 } });
    expect((await failure(request)).reason).toBe("stalled");
  });

  test("a server that cuts every time at the same place is not asked for ever", async () => {
    const request = await start((q, r) => serve(q, r, body, { cutAfter: 1000, ignoreRange: true }));
    expect((await failure(request)).reason).toBe("cut");
    expect(server!.requests.length).toBeLessThanOrEqual(7);
    expect(existsSync(request.destination)).toBe(false);
  });

  test("Range ignored: the whole file is taken again from its start", async () => {
    let round = 0;
    const request = await start((q, r) => serve(q, r, body, { ignoreRange: true, ...(round++ === 0 && { cutAfter: 50_000 }) }));
    await downloadFile(request);
    expect(await holds(request.destination)).toBe(true);
  });

  test.each([
    ["the server heeds If-Range", false],
    ["the server does not", true],
  ])("another version meanwhile is not glued to the old part: %s", async (_name, ignoreIfRange) => {
    const old = noise(body.length, 99);
    let round = 0;
    const request = await start((q, r) =>
      round++ === 0
        ? serve(q, r, old, { etag: '"old"', cutAfter: 100_000 })
        : serve(q, r, body, { etag: '"new"', ignoreIfRange }),
    );
    await downloadFile(request);
    expect(await holds(request.destination)).toBe(true);
  });

  test("a part of another version without a tag to tell is thrown away once its checksum fails", async () => {
    const request = await start((q, r) => serve(q, r, body, { ignoreIfRange: true }));
    await writeFile(await claimPart(request.destination), noise(1000, 5));
    await downloadFile(request);
    expect(await holds(request.destination)).toBe(true);
    expect(server!.requests).toHaveLength(2);
  });

  test.each([body.length, body.length + 10])("a part of %i bytes, as long as the file or longer", async (length) => {
    const request = await start((q, r) => serve(q, r, body));
    await writeFile(await claimPart(request.destination), noise(length, 3));
    await downloadFile(request);
    expect(await holds(request.destination)).toBe(true);
  });

  test("a wrong Content-Range is not written at the wrong place", async () => {
    let round = 0;
    const request = await start((q, r) => {
      if (round++ === 0) {
        serve(q, r, body, { cutAfter: 1000 });
        return;
      }
      if (round === 2) {
        r.writeHead(206, { etag: '"one"', "content-range": `bytes 5-${body.length - 1}/${body.length}` });
        return void r.end(body.subarray(5));
      }
      serve(q, r, body);
    });
    await downloadFile(request);
    expect(await holds(request.destination)).toBe(true);
  });

  test("another process's part is left alone, a dead process's part is taken over", async () => {
    const target = join(folder, "weights.bin");
    const mine = await claimPart(target);
    const alive = mine.replace(`.${process.pid}.part`, `.${process.ppid}.part`);
    await writeFile(alive, "busy");
    expect(await claimPart(target)).toBe(mine);
    expect(existsSync(alive)).toBe(true);
    // Above the largest process id that Linux gives out.
    await writeFile(mine.replace(`.${process.pid}.part`, ".4999999.part"), body.subarray(0, 1234));
    expect(await claimPart(target)).toBe(mine);
    expect(await holds(mine, body.subarray(0, 1234))).toBe(true);
  });
});

describe("a server that gives something else", () => {
  test("a wrong checksum deletes the part and says both", async () => {
    const other = noise(body.length, 2);
    const request = await start((q, r) => serve(q, r, other));
    const error = await failure(request);
    expect(error.reason).toBe("mismatch");
    expect(error.message).toContain(sha256(other));
    expect(error.message).toContain(sha256(body));
    expect(await files()).toEqual([]);
  });

  test.each([
    ["a web page", { "content-type": "text/html; charset=utf-8" }, "<!doctype html>Sign in", "hostile"],
    ["a shorter length", { "content-length": "10" }, "0123456789", "mismatch"],
    ["a longer body in pieces", { "transfer-encoding": "chunked" }, Buffer.concat([body, Buffer.from("x")]), "mismatch"],
    ["a shorter body in pieces", { "transfer-encoding": "chunked" }, body.subarray(0, 0), "cut"],
  ])("%s is refused", async (_name, headers, content, reason) => {
    const request = await start((_q, r) => {
      r.writeHead(200, headers);
      r.end(content);
    });
    expect((await failure(request)).reason).toBe(reason);
    expect(existsSync(request.destination)).toBe(false);
  });

  test("a length that the body does not keep counts as a cut, not as a file", async () => {
    const request = await start((q, r) => serve(q, r, body, { cutAfter: 0, ignoreRange: true }));
    expect((await failure(request)).reason).toBe("cut");
  });

  test.each([
    [404, "not-found"],
    [410, "not-found"],
    [401, "no-access"],
    [403, "no-access"],
    [418, "server"],
  ])("status %i is not tried again", async (status, reason) => {
    const request = await start((_q, r) => void r.writeHead(status).end());
    expect((await failure(request)).reason).toBe(reason);
    expect(server!.requests).toHaveLength(1);
    expect(await files()).toEqual([]);
  });

  test.each([429, 500, 503, 408])("status %i is tried again and then works", async (status) => {
    let round = 0;
    const request = await start((q, r) => (round++ < 2 ? void r.writeHead(status).end() : serve(q, r, body)));
    await downloadFile(request);
    expect(server!.requests).toHaveLength(3);
  });

  test.each([429, 500, 503])("status %i for ever ends in an error that says so", async (status) => {
    const request = await start((_q, r) => void r.writeHead(status).end());
    const error = await failure(request);
    expect(error.message).toContain(`status ${status}`);
    expect(error.message).toContain("tried 5 times");
    expect(server!.requests).toHaveLength(5);
  });

  test("Retry-After is waited for if it is short, and named if it is long", async () => {
    let round = 0;
    const wait = { "retry-after": "1" };
    const request = await start((q, r) => (round++ === 0 ? void r.writeHead(429, wait).end() : serve(q, r, body)));
    const before = Date.now();
    await downloadFile(request);
    expect(Date.now() - before).toBeGreaterThanOrEqual(990);
    await server!.close();
    const long = await start((_q, r) => void r.writeHead(503, { "retry-after": "3600" }).end(), {
      destination: join(folder, "b"),
    });
    expect((await failure(long)).message).toContain("come back in 3600 s");
    expect(server!.requests).toHaveLength(1);
  });

  test("Retry-After as a date, and nonsense", () => {
    const now = Date.parse("2026-01-01T00:00:00Z");
    expect(retryAfter(new Headers({ "retry-after": "Thu, 01 Jan 2026 00:00:30 GMT" }), now)).toBe(30_000);
    for (const bad of ["soon", "-5", "1.5", "in 2100", "Thu, 99 Foo 2026 00:00:30 GMT"])
      expect(retryAfter(new Headers({ "retry-after": bad }), now)).toBeNull();
    expect(retryAfter(new Headers(), now)).toBeNull();
  });
});

describe("redirects", () => {
  test("the token goes to the first host and not to another", async () => {
    const store = await startServer((q, r) => serve(q, r, body));
    try {
      const request = await start((q, r) => {
        if (q.url === "/file") r.writeHead(307, { location: "/moved" }).end();
        else r.writeHead(302, { location: `${store.url}/store?signature=1` }).end();
      });
      await downloadFile({ ...request, token: "secret" });
      expect(await holds(request.destination)).toBe(true);
      expect(server!.requests.map((seen) => seen.headers.authorization)).toEqual(["Bearer secret", "Bearer secret"]);
      expect(store.requests.map((seen) => seen.headers.authorization)).toEqual([undefined]);
    } finally {
      await store.close();
    }
  });

  test("Range survives a redirect", async () => {
    let round = 0;
    const request = await start((q, r) => {
      if (q.url === "/file") r.writeHead(302, { location: "/store" }).end();
      else serve(q, r, body, round++ === 0 ? { cutAfter: 10_000 } : {});
    });
    await downloadFile(request);
    expect(server!.requests.at(-1)!.headers.range).toMatch(/^bytes=\d+-$/);
  });

  test.each(["/file", "file:///etc/passwd", "ftp://127.0.0.1/x", "http://"])("to %s is refused", async (location) => {
    const request = await start((_q, r) => void r.writeHead(302, { location }).end());
    expect((await failure(request)).reason).toBe("hostile");
  });
});

describe("no way through", () => {
  test("a closed port is tried twice, an unknown host once", async () => {
    const request = await start(() => undefined);
    await server!.close();
    const refused = await failure(request);
    expect(refused.reason).toBe("unreachable");
    expect(refused.message).toContain("ECONNREFUSED");
    expect(refused.message).toContain("tried 2 times");
  });

  test("a disk that is too small is told before the first byte", async () => {
    await expect(requireDiskSpace(folder, 1e17, "model")).rejects.toThrow(/model needs 100000\.0 TB and .* free/);
    await expect(requireDiskSpace(folder, 1000, "model")).resolves.toBeUndefined();
    const request = await start((q, r) => serve(q, r, body), { bytes: 1e17 });
    expect((await failure(request)).reason).toBe("disk-full");
    expect(server!.requests).toHaveLength(0);
  });

  test.skipIf(!existsSync("/dev/full"))("a disk that fills up is told as such", async () => {
    const full = await open("/dev/full", "w");
    const error: unknown = await full.write("x").catch((reason: unknown) => reason);
    await full.close();
    const explained = explainWriteError(error, "weights.part");
    expect(explained).toBeInstanceOf(DownloadError);
    expect((explained as DownloadError).message).toContain("weights.part");
    const other = new Error("else");
    expect(explainWriteError(other, "x")).toBe(other);
  });
});
