import { execFile, spawn } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { defineCommand } from "citty";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkArguments, resolveCommand } from "../../src/cli/arguments.js";
import { closest, editDistance } from "../../src/closest.js";
import { commands } from "../../src/commands/index.js";

const bin = fileURLToPath(new URL("../../bin/true-intents.mjs", import.meta.url));
const interrupt = new URL("../../src/cli/interrupt.ts", import.meta.url).href;

function cli(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [bin, ...args], (_, stdout, stderr) =>
      resolve({ code: child.exitCode, stdout, stderr }),
    );
  });
}

describe("the command line", () => {
  it("lists every command, in one place and without loading any", async () => {
    const { code, stdout, stderr } = await cli("--help");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const [name, { summary }] of Object.entries(commands))
      expect(stdout).toMatch(new RegExp(`^  ${name} +${summary}$`, "m"));
  });

  it("exits with 2 and a suggestion for what it does not know", async () => {
    const cases = await Promise.all([
      cli("docter"),
      cli("doctor", "--jsno"),
      cli("doctor", "now"),
      cli("model", "lst"),
      cli("model"),
      cli("constructor"),
      cli(),
    ]);
    expect(cases.map(({ code }) => code)).toEqual(cases.map(() => 2));
    const said = cases.map(({ stderr }) => stderr);
    expect(said[0]).toBe('true-intents: unknown command "docter". Did you mean "doctor"? See: true-intents --help\n');
    expect(said[1]).toBe('true-intents: unknown option "--jsno". Did you mean "--json"? See: true-intents doctor --help\n');
    expect(said[2]).toContain('unexpected argument "now"');
    expect(said[3]).toMatch(/unknown: "lst"\. Did you mean "list"\?/);
    expect(said[4]).toContain("true-intents model list|get|verify");
    expect(said[5]).toContain('unknown command "constructor"');
  });

  it("shows the help of a command without colours in a pipe", async () => {
    const { code, stdout } = await cli("doctor", "--help");
    expect(code).toBe(0);
    expect(stdout).toContain("USAGE true-intents doctor [OPTIONS]");
    expect(stdout).not.toContain("\u001b");
  });

  it("says a known error in one line, and the whole story with --verbose", async () => {
    const plain = await cli("inspect", "--model", "/nowhere/at/all.gguf", "--text", "x", "--json");
    expect(plain.code).toBe(1);
    expect(plain.stderr).toMatch(/^true-intents: .*\/nowhere\/at\/all\.gguf/m);
    expect(plain.stderr).not.toMatch(/^ +at /m);
    const verbose = await cli("inspect", "--model", "/nowhere/at/all.gguf", "--text", "x", "--json", "--verbose");
    expect(verbose.stderr).toMatch(/^ +at /m);
  });

  it("says what to do when the packages are not installed", async () => {
    const folder = mkdtempSync(join(tmpdir(), "true-intents-cli-"));
    cpSync(bin, join(folder, "bin", "true-intents.mjs"));
    const result = await new Promise<string>((resolve) => {
      execFile(process.execPath, [join(folder, "bin", "true-intents.mjs"), "doctor"], (_, __, stderr) => resolve(stderr));
    });
    rmSync(folder, { recursive: true });
    expect(result).toBe("true-intents: the npm packages are not installed yet. Run: npm run setup\n");
  });
});

describe("Ctrl-C", () => {
  const script = (body: string): string =>
    `const { interruptSignal, watchInterrupts } = await import(${JSON.stringify(interrupt)}); watchInterrupts(); ${body} console.log("up");`;

  async function signalled(body: string): Promise<{ code: number | null; output: string }> {
    const loader = pathToFileURL(join(bin, "../../node_modules/tsx/dist/loader.mjs")).href;
    const child = spawn(process.execPath, ["--import", loader, "--input-type=module", "-e", script(body)]);
    let output = "";
    child.stdout.on("data", (piece: Buffer) => {
      const up = output.includes("up");
      output += piece.toString();
      // Once: a second Ctrl-C would end it at once.
      if (!up && output.includes("up")) child.kill("SIGINT");
    });
    return new Promise((resolve) => {
      child.on("close", (code) => resolve({ code, output }));
    });
  }

  it("ends a command at once that has nothing to bring into order", async () => {
    expect(await signalled("setInterval(() => {}, 1000);")).toEqual({ code: 130, output: "up\n" });
  });

  it("lets a command finish that asked for the signal, and still exits with 130", async () => {
    const body = `const timer = setInterval(() => {}, 1000);
      interruptSignal().addEventListener("abort", () => setTimeout(() => { console.log("saved"); clearInterval(timer); }, 50));`;
    expect(await signalled(body)).toEqual({ code: 130, output: "up\nsaved\n" });
  });
});

describe("arguments", () => {
  const command = defineCommand({
    args: {
      json: { type: "boolean" },
      learningRate: { type: "string", alias: "l" },
      text: { type: "positional", required: false },
    },
  });

  it.each([
    [[]],
    [["--json", "--learningRate", "1"]],
    [["--learning-rate=1", "one", "two"]],
    [["-l", "1", "--no-json"]],
    [["--", "--not-an-option"]],
  ])("accepts %j", async (args) => {
    await expect(checkArguments(command, "x", args)).resolves.toBeUndefined();
  });

  it.each([
    [["--learnin-rate", "1"], 'unknown option "--learnin-rate". Did you mean "--learning-rate"?'],
    [["-x"], 'unknown option "--x"'],
    [["--learning-rate"], "argument missing"],
    [["--json=1"], "does not take an argument"],
  ])("refuses %j", async (args, message) => {
    await expect(checkArguments(command, "x", args)).rejects.toThrow(message);
  });

  it("finds the subcommand that will run", async () => {
    const parent = defineCommand({ subCommands: { get: command } });
    const found = await resolveCommand(parent, "model", ["get", "--json"]);
    expect(found).toEqual({ leaf: command, path: ["model", "get"], leafArguments: ["--json"] });
  });
});

describe("the closest word", () => {
  it("has the distance of a metric", () => {
    const word = fc.string({ maxLength: 8 });
    fc.assert(
      fc.property(word, word, word, (a, b, c) => {
        expect(editDistance(a, a)).toBe(0);
        expect(editDistance(a, b)).toBe(editDistance(b, a));
        expect(editDistance(a, c)).toBeLessThanOrEqual(editDistance(a, b) + editDistance(b, c));
        expect(editDistance(a, b)).toBeGreaterThanOrEqual(Math.abs(a.length - b.length));
      }),
    );
    expect(editDistance("kitten", "sitting")).toBe(3);
  });

  it("is none for a word that is like nothing", () => {
    expect(closest("xyzzyxyzzy", ["doctor", "model"])).toBeNull();
    expect(closest("mod", ["doctor", "model"])).toBe("model");
  });
});
