import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { noise, serve, startServer } from "./server.js";
import type { TestServer } from "./server.js";

const body = noise(4_000_000);
const sha256 = createHash("sha256").update(body).digest("hex");
const child = fileURLToPath(new URL("./download-child.ts", import.meta.url));

let server: TestServer;
let folder: string;
let slowly = true;

beforeAll(async () => {
  server = await startServer((request, response) => {
    if (!slowly) {
      serve(request, response, body);
      return;
    }
    const start = Number(/\d+/.exec(request.headers.range ?? "0")?.[0] ?? 0);
    const total = `bytes ${start}-${body.length - 1}/${body.length}`;
    response.writeHead(start > 0 ? 206 : 200, { etag: '"one"', ...(start > 0 && { "content-range": total }) });
    const send = async (): Promise<void> => {
      for (let at = start; at < body.length && !response.destroyed; at += 20_000) {
        response.write(body.subarray(at, at + 20_000));
        await sleep(6);
      }
      response.end();
    };
    void send();
  });
});
afterAll(() => server.close());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "processes-"));
  server.requests.length = 0;
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function start(destination: string): ChildProcess {
  const args = ["--import", "tsx", child, `${server.url}/file`, destination, String(body.length), sha256];
  return spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
}

const ended = (process: ChildProcess): Promise<number | null> =>
  new Promise((resolve) => process.once("close", (code) => resolve(code)));

test("killed at any moment, a process leaves no file under the final name; the last one finishes the same download", async () => {
  slowly = true;
  const destination = join(folder, "weights.bin");
  let killed = 0;
  for (const afterRequest of [5, 60, 150, 250, 150]) {
    const before = server.requests.length;
    const process = start(destination);
    const exit = ended(process);
    while (server.requests.length === before) await sleep(5);
    await sleep(afterRequest);
    process.kill("SIGKILL");
    if ((await exit) === null) killed++;
    const names = await readdir(folder);
    if (existsSync(destination)) expect((await readFile(destination)).equals(body)).toBe(true);
    else expect(names.filter((name) => name.endsWith(".part"))).toHaveLength(1);
  }
  expect(killed).toBeGreaterThanOrEqual(4);
  slowly = false;
  expect(await ended(start(destination))).toBe(0);
  expect((await readFile(destination)).equals(body)).toBe(true);
  expect(await readdir(folder)).toEqual(["weights.bin"]);
  // It was one download all along: each process asked for what the one before had left.
  const starts = server.requests.map((seen) => Number(/\d+/.exec(seen.headers.range ?? "0")?.[0] ?? 0));
  expect(Math.max(...starts)).toBeGreaterThan(100_000);
  expect([...starts].sort((a, b) => a - b)).toEqual(starts);
});

test("two processes at once both succeed and do not spoil each other's file", async () => {
  slowly = true;
  const destination = join(folder, "weights.bin");
  expect(await Promise.all([ended(start(destination)), ended(start(destination))])).toEqual([0, 0]);
  expect((await readFile(destination)).equals(body)).toBe(true);
  expect(await readdir(folder)).toEqual(["weights.bin"]);
});
