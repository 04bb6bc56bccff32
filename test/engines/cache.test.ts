/** The cache: what was answered is asked no second time, whatever happened to the process or to the file. */
import fc from "fast-check";
import { fstatSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { openAnswers } from "../../src/engines/answer-file.js";
import { cachedEngine } from "../../src/engines/cache.js";
import { describeCounts } from "../../src/engines/counts.js";
import type { Answer, CompletionRequest, Engine, Outcome } from "../../src/engines/engine.js";
import { wantedSamples } from "../../src/engines/samples.js";
import { serverEngine } from "../../src/engines/server.js";
import { FolderLockedError } from "../../src/folder-lock.js";
import { createRandom } from "../../src/random.js";
import { FAULTS, reply, startFakeServer } from "./fake-server.js";
import { ask, outcomes, places } from "./requests.js";

const disk = vi.hoisted(() => ({ fails: false, synced: -1 }));
vi.mock("node:fs", async (original) => {
  const fs = await original<typeof import("node:fs")>();
  const fsyncSync = (descriptor: number): void => {
    disk.synced = descriptor;
    if (disk.fails) throw new Error("EIO: i/o error, fsync");
    fs.fsyncSync(descriptor);
  };
  return { ...fs, fsyncSync };
});

let folder: string;
const file = (): string => join(folder, "answers.jsonl");
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "answers-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** Says what it was asked, counts it, and fails where told to. */
function scripted(identity: Record<string, string> = { model: "m" }, fails: (key: string) => boolean = () => false) {
  const asked: string[] = [];
  let closed = 0;
  const engine: Engine = {
    name: "scripted",
    identity,
    canConstrain: false,
    async *complete(requests) {
      await Promise.resolve();
      for (const [index, request] of requests.entries())
        for (const sample of wantedSamples(request)) {
          const key = JSON.stringify([request.input, request.seed, request.temperature, request.schema?.name, sample]);
          asked.push(key);
          yield {
            index,
            sample,
            result: fails(key)
              ? { kind: "failure", reason: "no", retryable: true }
              : { kind: "answer", text: `said ${key}`, finishReason: "stop", promptTokens: 10, completionTokens: 2 },
          };
        }
    },
    close() {
      closed++;
      return Promise.resolve();
    },
  };
  return { engine, asked, closed: () => closed };
}

/** Opens, asks, closes. */
async function session(engine: Engine, requests: readonly CompletionRequest[], log: (line: string) => void = () => undefined) {
  const cache = cachedEngine(engine, folder, { log, prices: { prompt: 1, completion: 10 } });
  const found = await outcomes(cache, requests);
  const counts = cache.counts();
  await cache.close();
  return { found, counts };
}

describe("cachedEngine", () => {
  it("tells what was kept from what was asked for", async () => {
    const { engine } = scripted();
    await session(engine, [ask("a")]);
    const cache = cachedEngine(engine, folder);
    const kept: [number, boolean][] = [];
    for await (const { index, cached = false } of cache.complete([ask("a"), ask("b")])) kept.push([index, cached]);
    await cache.close();
    expect(kept.sort()).toEqual([
      [0, true],
      [1, false],
    ]);
  });

  it("asks once, now and in a later process, and gives the same answers", async () => {
    const { engine, asked, closed } = scripted();
    const requests = [
      ask("a", { samples: 3 }),
      ask("b"),
      ask("a", { samples: 2 }),
      ask("b", { seed: 9 }),
      ask("a", { samples: 3 }),
    ];
    const first = await session(engine, requests);
    expect(first.found.map(({ index, sample }) => [index, sample])).toEqual(places(requests));
    expect(asked).toHaveLength(5);
    expect(first.counts).toEqual({ answered: 5, failed: 0, cached: 0, promptTokens: 50, completionTokens: 10, cost: 0.00015 });
    const second = await session(engine, requests);
    expect(second.found).toEqual(first.found);
    expect(asked).toHaveLength(5);
    expect(second.counts).toEqual({ answered: 0, failed: 0, cached: 10, promptTokens: 0, completionTokens: 0, cost: 0 });
    expect(closed()).toBe(2);
    expect(describeCounts({ ...first.counts, cached: 1200, failed: 3 })).toBe(
      "5 answered, 3 failed, 1,200 from the cache; 50 + 10 tokens; cost 0.00",
    );
  });

  it("asks for more samples of the same alone, and for skipped ones not at all", async () => {
    const { engine, asked } = scripted();
    await session(engine, [ask("a", { samples: 4, skip: [1] })]);
    expect(asked).toHaveLength(3);
    const { found } = await session(engine, [ask("a", { samples: 6 })]);
    expect(asked).toHaveLength(6);
    expect(new Set(asked).size).toBe(6);
    expect(found).toEqual(await outcomes(engine, [ask("a", { samples: 6 })]));
  });

  it("keeps no failure: asking again asks for the failed ones alone", async () => {
    let broken = true;
    const { engine, asked } = scripted({ model: "m" }, (key) => broken && key.endsWith("1]"));
    const requests = [ask("a", { samples: 3 }), ask("b", { samples: 3 })];
    const first = await session(engine, requests);
    expect(first.counts).toMatchObject({ answered: 4, failed: 2 });
    broken = false;
    asked.length = 0;
    const { found, counts } = await session(engine, requests);
    expect(asked).toHaveLength(2);
    expect(counts).toMatchObject({ answered: 2, failed: 0, cached: 4 });
    expect(found.every(({ result }) => result.kind === "answer")).toBe(true);
  });

  it("tells apart all that decides an answer", async () => {
    const schema = { name: "s", schema: { type: "object" } };
    const variants: CompletionRequest[] = [
      ask("a"),
      ask("b"),
      ask("a", { seed: 2 }),
      ask("a", { temperature: 0 }),
      ask("a", { topP: 1 }),
      ask("a", { maxNewTokens: 17 }),
      ask("a", { schema }),
      ask("a", { schema: { ...schema, schema: { type: "string" } } }),
      { ...ask(""), input: { text: "a" } },
      { ...ask(""), input: { messages: [{ role: "system", content: "a" }] } },
      {
        ...ask(""),
        input: {
          messages: [
            { role: "user", content: "a" },
            { role: "user", content: "" },
          ],
        },
      },
    ];
    const first = scripted();
    await session(first.engine, variants);
    expect(first.asked).toHaveLength(variants.length);
    const other = scripted({ model: "m", adapter: "x" });
    await session(other.engine, variants);
    expect(other.asked).toHaveLength(variants.length);
    // The order in which an identity is written does not count.
    const same = scripted({ adapter: "x", model: "m" });
    await session(same.engine, variants);
    expect(same.asked).toEqual([]);
  });

  it("is one process's at a time, and gives the folder back", async () => {
    const { engine } = scripted();
    const cache = cachedEngine(engine, folder);
    expect(() => cachedEngine(engine, folder)).toThrow(FolderLockedError);
    await cache.close();
    await cachedEngine(engine, folder).close();
  });

  it("says that the disk failed, and leaves nothing open all the same", async () => {
    const { engine, closed } = scripted();
    const cache = cachedEngine(engine, folder);
    disk.fails = true;
    await expect(cache.close())
      .rejects.toThrow("fsync")
      .finally(() => (disk.fails = false));
    expect(() => fstatSync(disk.synced)).toThrow("EBADF");
    expect(closed()).toBe(1);
    await cachedEngine(engine, folder).close();
  });

  it("writes an answer before it passes it on", async () => {
    const { engine } = scripted();
    const cache = cachedEngine(engine, folder);
    let seen = 0;
    for await (const { result } of cache.complete([ask("a", { samples: 5 })])) {
      seen++;
      expect(readFileSync(file(), "utf8").split("\n")).toHaveLength(seen + 1);
      expect(result.kind).toBe("answer");
      if (seen === 3) break;
    }
    await cache.close();
  });
});

describe("the file of answers", () => {
  const key = (i: number): string => i.toString(16).padStart(64, "0");
  const answer = (text: string): Answer => ({
    kind: "answer",
    text,
    finishReason: "length",
    promptTokens: null,
    completionTokens: 3,
  });

  it("loses at most the line that was being written, wherever a kill cut it", () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: "binary" }), { minLength: 1, maxLength: 6 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (texts, at) => {
          rmSync(file(), { force: true });
          const written = openAnswers(file());
          texts.forEach((text, i) => written.add(key(i), answer(text)));
          written.close();
          const bytes = readFileSync(file());
          const cut = Math.floor(at * bytes.length);
          truncateSync(file(), cut);
          const whole = bytes.subarray(0, cut).toString("latin1").split("\n").length - 1;
          const again = openAnswers(file());
          expect(again.damaged).toEqual([]);
          expect([...again.answers]).toEqual(texts.slice(0, whole).map((text, i) => [key(i), answer(text)]));
          texts.forEach((text, i) => again.add(key(i), answer(text)));
          again.close();
          expect(readFileSync(file()).equals(bytes)).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("passes over damaged lines, reports them and leaves them", async () => {
    const { engine, asked } = scripted();
    const requests = Array.from({ length: 6 }, (_, i) => ask(`${i}`));
    await session(engine, requests);
    const lines = readFileSync(file(), "utf8").split("\n");
    lines[1] = lines[1].slice(0, -4);
    lines[2] = "";
    lines[3] = '{"key":"short","text":"x"}';
    lines[4] = lines[4].replace('"stop"', '"whatever"');
    writeFileSync(file(), lines.join("\n"));
    asked.length = 0;
    const log = vi.fn();
    const { found } = await session(engine, requests, log);
    expect(log).toHaveBeenCalledExactlyOnceWith(expect.stringMatching(/4 damaged lines \(2, 3, 4, 5\)/));
    expect(asked).toHaveLength(4);
    expect(found).toEqual(await outcomes(engine, requests));
    expect(readFileSync(file(), "utf8").startsWith(lines.join("\n"))).toBe(true);
  });

  it("reads any bytes without a crash", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        writeFileSync(file(), bytes);
        const opened = openAnswers(file());
        expect(opened.answers.size).toBe(0);
        opened.close();
        expect(readFileSync(file()).length).toBe(Buffer.from(bytes).lastIndexOf(0x0a) + 1);
      }),
      { numRuns: 60 },
    );
  });

  it("reads a file that is longer than a piece, lines across pieces", () => {
    const written = openAnswers(file());
    const text = (i: number): string => "ü".repeat(400_000 + i);
    for (let i = 0; i < 5; i++) written.add(key(i), answer(text(i)));
    written.close();
    const again = openAnswers(file());
    for (let i = 0; i < 5; i++) expect(again.answers.get(key(i))?.text).toBe(text(i));
    again.close();
  });
});

describe("a server behind the cache", () => {
  afterEach(() => void vi.unstubAllEnvs());

  it("aborted half-way and gone on with, it is asked only for the rest", { timeout: 60_000 }, async () => {
    const server = await startFakeServer(({ id, before }) => {
      const random = createRandom(3, id, before);
      return random.uniform() < 0.2 ? FAULTS[random.integer(6)] : undefined;
    }, 5);
    const open = () => {
      const backOff = { tries: 5, baseMs: 1, longestMs: 5 };
      return cachedEngine(serverEngine({ baseUrl: server.baseUrl, model: "m", backOff }), folder);
    };
    try {
      const requests = Array.from({ length: 150 }, (_, i) => ask(`${i % 140}`, { samples: 2 }));
      const controller = new AbortController();
      const cut = open();
      const first: Outcome[] = [];
      await expect(
        (async () => {
          for await (const outcome of cut.complete(requests, { signal: controller.signal })) {
            first.push(outcome);
            if (first.length === 100) controller.abort(new Error("stopped"));
          }
        })(),
      ).rejects.toThrow("stopped");
      await cut.close();
      const kept = new Set(first.filter(({ result }) => result.kind === "answer").map(({ result }) => (result as Answer).text));
      const asked = server.seen.length;

      const rest = open();
      const all = await outcomes(rest, requests);
      await rest.close();
      expect(all.map(({ index, sample }) => [index, sample])).toEqual(places(requests));
      for (const outcome of first) expect(all).toContainEqual(outcome);
      for (const { id } of server.seen.slice(asked)) expect(kept).not.toContain(`answer to ${id}`);
      // What was answered twice was under way when the signal came.
      const twice = [...server.answered.values()].filter((times) => times > 1);
      expect(twice.length).toBeLessThanOrEqual(8);
      expect(server.answered.size).toBeGreaterThan(270);
    } finally {
      await server.close();
    }
  });

  it("holds no key, even where the server says it as the answer", async () => {
    const secret = 'sk-"very\\secret"-key';
    vi.stubEnv("TRUE_INTENTS_TEST_KEY", secret);
    const server = await startFakeServer(({ path, authorization }) => ({
      status: 200,
      body: reply(path, `you said ${authorization!}`),
    }));
    try {
      const engine = serverEngine({ baseUrl: server.baseUrl, model: "m", keyVariable: "TRUE_INTENTS_TEST_KEY" });
      const { found } = await session(engine, [ask("a")]);
      expect(found[0].result).toMatchObject({ text: "you said Bearer [key]" });
      const content = readFileSync(file(), "utf8");
      expect(content).not.toContain("very");
      expect(content).toContain("[key]");
    } finally {
      await server.close();
    }
  });
});
