import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { DownloadError } from "../../src/download/errors.js";
import { downloadHubFile, listHubRepository } from "../../src/download/hub.js";
import { hasty, noise, serve, startServer } from "./server.js";
import type { Handler, TestServer } from "./server.js";

const commit = "0123456789abcdef0123456789abcdef01234567";
const blob = "ce013625030ba8dba906f756967f9e9ca394464a";
const weights = noise(50_000);
const sha256 = createHash("sha256").update(weights).digest("hex");
const lfs = { rfilename: "model.safetensors", size: 50_000, blobId: blob, lfs: { sha256, size: 50_000, pointerSize: 133 } };
const listing = {
  sha: commit,
  tags: ["license:apache-2.0"],
  siblings: [lfs, { rfilename: "config.json", size: 6, blobId: blob }],
};

let folder: string;
let server: TestServer;
const options = { patience: hasty };

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "hub-"));
  vi.stubEnv("HF_TOKEN", undefined);
  vi.stubEnv("HF_HUB_OFFLINE", undefined);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

async function hub(handler: Handler): Promise<void> {
  server = await startServer(handler);
  vi.stubEnv("HF_ENDPOINT", `${server.url}/`);
}

const json =
  (value: unknown): Handler =>
  (_request, response) =>
    void response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));

const refuse =
  (status: number, code?: string): Handler =>
  (_request, response) =>
    void response.writeHead(status, code === undefined ? {} : { "x-error-code": code }).end("{}");

async function failure(work: Promise<unknown>): Promise<DownloadError> {
  const error = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(DownloadError);
  return error as DownloadError;
}

describe("a repository", () => {
  test("lists its commit, licence, sizes and checksums", async () => {
    await hub(json(listing));
    const repository = await listHubRepository("org/name", "refs/pr/1", options);
    expect(repository).toEqual({
      repo: "org/name",
      commit,
      licence: "apache-2.0",
      files: [
        { path: "model.safetensors", bytes: 50_000, digest: { algorithm: "sha256", hex: sha256 } },
        { path: "config.json", bytes: 6, digest: { algorithm: "git-blob", hex: blob } },
      ],
    });
    expect(server.requests[0].path).toBe("/api/models/org/name/revision/refs%2Fpr%2F1?blobs=true");
  });

  test("gives its files at the revision, also from a folder, with the token", async () => {
    vi.stubEnv("HF_TOKEN", "secret");
    await hub((q, r) => serve(q, r, weights));
    const file = { path: "q4/a b#1.gguf", bytes: 50_000, digest: { algorithm: "sha256", hex: sha256 } } as const;
    await downloadHubFile("org/name", commit, file, folder, options);
    expect((await readFile(join(folder, "q4", "a b#1.gguf"))).equals(weights)).toBe(true);
    expect(server.requests[0].path).toBe(`/org/name/resolve/${commit}/q4/a%20b%231.gguf`);
    expect(server.requests[0].headers.authorization).toBe("Bearer secret");
  });

  test.each(["../evil", "/etc/passwd", "a/../../b", "C:\\windows", "a\\..\\b", "", "a//b", "./a", "a\0b", "C:evil"])(
    "that names the file %j is refused as a whole",
    async (rfilename) => {
      await hub(json({ ...listing, siblings: [lfs, { ...lfs, rfilename }] }));
      const error = await failure(listHubRepository("org/name", "main", options));
      expect(error.reason).toBe("hostile");
      const file = { path: rfilename, bytes: 50_000, digest: { algorithm: "sha256", hex: sha256 } } as const;
      await expect(downloadHubFile("org/name", commit, file, folder, options)).rejects.toThrow(DownloadError);
      expect(server.requests).toHaveLength(1);
      expect(await readdir(folder)).toEqual([]);
    },
  );

  test.each([
    ["a web page", "<!doctype html><title>Sign in</title>"],
    ["cut JSON", '{"sha": "012'],
    ["no commit", JSON.stringify({ ...listing, sha: "main" })],
    ["a size below zero", JSON.stringify({ ...listing, siblings: [{ ...lfs, size: -1 }] })],
    ["no sizes", JSON.stringify({ ...listing, siblings: [{ rfilename: "a" }] })],
    ["null", "null"],
  ])("whose listing is %s is refused", async (_name, text) => {
    await hub((_q, r) => void r.writeHead(200).end(text));
    expect((await failure(listHubRepository("org/name", "main", options))).reason).toBe("hostile");
  });

  test("whose listing does not end is refused", async () => {
    await hub((_q, r) => {
      r.writeHead(200);
      const more = (): void => {
        if (!r.destroyed) r.write(Buffer.alloc(1 << 20, 32), more);
      };
      more();
    });
    expect((await failure(listHubRepository("org/name", "main", options))).message).toContain("listing above");
  });
});

describe("a refusal says what to do", () => {
  test.each([
    [404, "RevisionNotFound", undefined, "not-found", /has no revision main/],
    [404, "RepoNotFound", undefined, "not-found", /is not there.*private/],
    [401, "RepoNotFound", undefined, "not-found", /is not there/],
    [401, "GatedRepo", undefined, "no-access", /org\/name is gated: accept its licence on that page.*set HF_TOKEN/],
    [403, "GatedRepo", "token", "no-access", /is gated: accept its licence on that page with the account that HF_TOKEN/],
    [401, undefined, undefined, "no-access", /needs an account, or does not exist.*HF_TOKEN/],
    [401, undefined, "token", "no-access", /HF_TOKEN is not accepted/],
  ])("status %i, code %s, token %s", async (status, code, token, reason, words) => {
    vi.stubEnv("HF_TOKEN", token);
    await hub(refuse(status, code));
    const error = await failure(listHubRepository("org/name", "main", options));
    expect(error.reason).toBe(reason);
    expect(error.message).toMatch(words);
    expect(error.message).toContain(`${server.url}/org/name`);
    expect(error.message).not.toContain("token,");
    expect(server.requests).toHaveLength(1);
  });

  test("a file that is not there is named", async () => {
    await hub(refuse(404, "EntryNotFound"));
    const file = { path: "model.gguf", bytes: 1, digest: { algorithm: "sha256", hex: sha256 } } as const;
    const error = await failure(downloadHubFile("org/name", "main", file, folder, options));
    expect(error.message).toContain("has no file model.gguf at revision main");
  });

  test("a passing fault of the listing is tried again", async () => {
    let round = 0;
    await hub((q, r) => (round++ === 0 ? refuse(503)(q, r) : json(listing)(q, r)));
    expect((await listHubRepository("org/name", "main", options)).commit).toBe(commit);
  });

  test("HF_HUB_OFFLINE forbids any request", async () => {
    await hub(json(listing));
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    const error = await failure(listHubRepository("org/name", "main", options));
    expect(error.message).toContain("HF_HUB_OFFLINE");
    expect(server.requests).toHaveLength(0);
  });
});
