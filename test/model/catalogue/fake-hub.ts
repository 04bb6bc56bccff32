/** A hub with repositories in memory: listing and files as the real one serves them, and a cache folder of its own. */
import { createHash } from "node:crypto";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { vi } from "vitest";
import { serve, startServer } from "../../download/server.js";
import type { TestServer } from "../../download/server.js";

export type Repositories = Record<string, Record<string, Buffer>>;

export const commit = "0123456789abcdef0123456789abcdef01234567";

/** Starts the hub and points HF_ENDPOINT and TRUE_INTENTS_CACHE to it and to an empty folder. */
export async function fakeHub(repositories: Repositories): Promise<TestServer & { folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), "models-"));
  const server = await startServer((request, response) => {
    const path = decodeURIComponent((request.url ?? "").split("?")[0]);
    const listed = /^\/api\/models\/([^/]+\/[^/]+)\/revision\/(.+)$/.exec(path);
    if (listed !== null) {
      const files = repositories[listed[1]];
      if (files === undefined) return void response.writeHead(401, { "x-error-code": "RepoNotFound" }).end();
      return void response.end(
        JSON.stringify({ sha: commit, tags: ["license:mit"], siblings: Object.entries(files).map(sibling) }),
      );
    }
    const resolved = /^\/([^/]+\/[^/]+)\/resolve\/[^/]+\/(.+)$/.exec(path);
    const content = resolved === null ? undefined : repositories[resolved[1]]?.[resolved[2]];
    if (content === undefined) return void response.writeHead(404).end();
    serve(request, response, content);
  });
  vi.stubEnv("HF_ENDPOINT", server.url);
  vi.stubEnv("HF_TOKEN", undefined);
  vi.stubEnv("HF_HUB_OFFLINE", undefined);
  vi.stubEnv("TRUE_INTENTS_CACHE", folder);
  vi.stubEnv("TRUE_INTENTS_MODELS", undefined);
  return { ...server, folder };
}

function sibling([rfilename, content]: [string, Buffer]): object {
  const blobId = createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");
  const large = /\.(safetensors|gguf)$/.test(rfilename);
  const lfs = { sha256: createHash("sha256").update(content).digest("hex"), size: content.length };
  return { rfilename, size: content.length, blobId, ...(large && { lfs }) };
}
