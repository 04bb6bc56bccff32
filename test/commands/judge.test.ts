/** The command that measures a judge, against a server that answers as it is told to. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { run } from "./program.js";

let folder: string;
let server: Server;
let asked = 0;
let answer = "Good match";
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "judge-"));
  server = createServer((_, response) => {
    asked++;
    const message = { role: "assistant", content: JSON.stringify({ verdict: answer.split(" ")[0].toLowerCase() }) };
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ choices: [{ index: 0, finish_reason: "stop", message }], usage: {} }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

it("counts what a judge says of pairs of annotators, shuffled pairs and contrasts, and asks nothing twice", async () => {
  const engine = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1#judge`;
  const command = ["judge", "--engine", engine, "--pairs", "5", "--out", join(folder, "out"), "--json"];
  const first = await run(...command);
  expect(first.code).toBe(0);
  const found = JSON.parse(first.stdout) as { sample: Record<string, unknown> };
  // A judge that likes everything: all pairs accepted, nothing told apart.
  const all = { items: 5, good: 5, decent: 0, bad: 0, none: 0 };
  expect(found.sample).toMatchObject({ same: all, shuffled: all, contrasts: all, auroc: { estimate: 0.5 } });
  expect(JSON.parse(readFileSync(join(folder, "out", "judge.json"), "utf8"))).toEqual(found);
  const questions = asked;
  expect(questions).toBeGreaterThanOrEqual(15);

  answer = "Bad match";
  const again = await run(...command);
  expect(JSON.parse(again.stdout)).toEqual(found);
  expect(asked).toBe(questions);
});

it("says which engines there are when it does not know one", async () => {
  const { code, stderr } = await run("judge", "--engine", "oracle", "--out", join(folder, "none"));
  expect(code).not.toBe(0);
  expect(stderr).toMatch(/"oracle" names no engine/);
});
