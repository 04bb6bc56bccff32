import { existsSync, readFileSync, readlinkSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeProject, type Project } from "./project.js";

const steps = ["npm packages", "TensorFlow library", "TensorFlow binding", "fused kernels", "models", "Jupyter"];
const tfjs = "node_modules/@tensorflow/tfjs-node-gpu";

let project: Project;
beforeEach(() => {
  project = makeProject();
});
afterEach(() => project.remove());

interface Report {
  readonly purpose: string;
  readonly steps: Record<string, { state: string; detail: string; todo?: string }>;
}
const report = (): Report => JSON.parse(project.read("build/setup.json")) as Report;
const downloads = (): string[] => project.calls().filter((call) => call.includes("pip download"));

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    if (tries > 200) throw new Error("waited 10 s in vain");
    await sleep(50);
  }
}

// The native library exists for Linux only; elsewhere set-up says so and these tests have nothing to look at.
describe.runIf(process.platform === "linux")("set-up", () => {
  it("does everything from nothing and says one line a step", async () => {
    const { code, output } = await project.setup();
    expect(output).not.toMatch(/^--/m);
    expect(code).toBe(0);
    for (const step of steps) expect(output).toMatch(new RegExp(`^ok ${step}: \\S`, "m"));
    expect(Object.entries(report().steps).map(([name, { state }]) => [name, state])).toEqual(
      steps.map((name) => [name, "ready"]),
    );
    expect(existsSync(join(project.root, tfjs, "deps", "lib", "libtensorflow_cc.so.2"))).toBe(true);
    expect(project.read(`${tfjs}/lib/napi-v8/tfjs_binding.node`)).toBe("compiled");
    expect(project.read(".venv/installed.txt")).toBe("nbconvert==7.17.2\njupyterlab==4.6.6\n");
    expect(project.calls()).toContain("npm ci --ignore-scripts --no-audit --no-fund");
    expect(downloads()).toHaveLength(1);
    // Nothing but what is used stays: no wheel, no half-made folder, no lock.
    expect(project.cached().map((path) => path.replace(/[0-9a-f]{12,16}/, "KEY"))).toEqual([
      "binding/KEY/tfjs_binding.node",
      `tensorflow/2.18.1-linux-${process.arch}-KEY/include/tensorflow/c/kernels.h`,
      `tensorflow/2.18.1-linux-${process.arch}-KEY/lib/libtensorflow_cc.so.2`,
      `tensorflow/2.18.1-linux-${process.arch}-KEY/lib/libtensorflow_framework.so.2`,
    ]);
    expect(existsSync(join(project.root, "build", "setup.lock"))).toBe(false);
  });

  it("does nothing the second time, in under 3 seconds", async () => {
    const first = await project.setup();
    project.forgetCalls();
    const { code, output, milliseconds } = await project.setup();
    expect(code).toBe(0);
    expect(output.split("\n").filter((line) => line.startsWith("ok "))).toEqual(
      first.output.split("\n").filter((line) => line.startsWith("ok ")),
    );
    expect(project.calls().filter((call) => /npm|pip|venv|-shared|-c /.test(call))).toEqual([]);
    expect(milliseconds).toBeLessThan(3000);
  });

  it("keeps the library and the binding outside node_modules, so that a new installation only links them", async () => {
    await project.setup("--for", "test");
    project.forgetCalls();
    project.write("package-lock.json", project.read("package-lock.json").replace("1.9.0", "1.9.1"));
    const { code, output } = await project.setup("--for", "test");
    expect(code).toBe(0);
    expect(output).toContain("node_modules differs from package-lock.json (node-api-headers)");
    expect(project.calls()).toContain("npm ci --ignore-scripts --no-audit --no-fund");
    expect(downloads()).toEqual([]);
    expect(readlinkSync(join(project.root, tfjs, "deps"))).toContain(project.cache);
    expect(report().steps["TensorFlow binding"]?.state).toBe("ready");
  });

  it("leaves JupyterLab out for tests, and leaves it alone where it is there", async () => {
    const installations = (): string[] => project.calls().filter((call) => call.includes("pip install"));
    expect((await project.setup("--for", "test")).output).toContain("ok Jupyter: nbconvert==7.17.2 in .venv");
    expect(report()).toMatchObject({ purpose: "test" });
    expect(project.read(".venv/installed.txt")).toBe("nbconvert==7.17.2\n");
    expect((await project.setup()).output).toContain("ok Jupyter: jupyterlab==4.6.6 in .venv");
    expect(installations()).toHaveLength(2);
    await project.setup("--for=test");
    expect(project.read(".venv/installed.txt")).toBe("nbconvert==7.17.2\njupyterlab==4.6.6\n");
    expect(installations()).toHaveLength(2);
  });

  it("describes the kernel to Jupyter, in this folder and for this Node", async () => {
    await project.setup("--for", "test");
    const path = ".venv/share/jupyter/kernels/tslab/kernel.json";
    const spec = JSON.parse(project.read(path)) as { argv: string[] };
    expect(spec).toMatchObject({ language: "typescript", interrupt_mode: "signal" });
    expect(spec.argv).toEqual([process.execPath, join(realpathSync(project.root), "src/kernel/start.mjs"), "{connection_file}"]);
  });

  it.each([[["--for"]], [["--for", "fun"]], [["start"]], [["--fast"]]])("refuses the arguments %j", async (args) => {
    const { code, output } = await project.setup(...args);
    expect(code).toBe(2);
    expect(output).toContain("Usage:");
    expect(project.calls()).toEqual([]);
  });
});

describe.runIf(process.platform === "linux")("what is missing is named, with what still works", () => {
  const withLibrary = ["TensorFlow library", "TensorFlow binding", "fused kernels"];

  async function expectMissing(step: string, sentence: RegExp, others: readonly string[]): Promise<string> {
    const { code, output } = await project.setup();
    expect(code).toBe(0);
    const line = output.split("\n").find((text) => text.startsWith(`-- ${step}: `)) ?? "";
    expect(line).toMatch(sentence);
    const missing = Object.entries(report().steps).flatMap(([name, { state }]) => (state === "missing" ? name : []));
    expect(missing).toEqual(others);
    expect(project.cached().filter((path) => /partial|\.whl|\.lock/.test(path))).toEqual([]);
    return output;
  }

  it("no Python", async () => {
    project.removeTool("python3");
    await expectMissing("TensorFlow library", /Python 3\.9 or newer is missing.*WASM backend.*Install python3/, [
      ...withLibrary,
      "Jupyter",
    ]);
    project.addTool("python3");
    expect((await project.setup()).output).not.toMatch(/^--/m);
  });

  it("a Python that is too old", async () => {
    project.behave("python3", "old");
    await expectMissing("Jupyter", /Python 3\.9 or newer is missing; everything but the notebooks works/, [
      ...withLibrary,
      "Jupyter",
    ]);
  });

  it("no pip", async () => {
    project.behave("python3", "no-pip");
    await expectMissing("TensorFlow library", /python3 has no pip.*Install python3-pip/, [...withLibrary, "Jupyter"]);
  });

  it("no network", async () => {
    project.behave("python3", "fail");
    project.write("model.offline", "");
    const output = await expectMissing("TensorFlow library", /pip could not fetch fake 1\.0; .*Check the network/, [
      ...withLibrary,
      "models",
    ]);
    expect(output).toContain("Could not find a version");
    expect(output).toMatch(/-- models: .*models given by path work/);
  });

  it("no compiler: nothing is downloaded that could not be used", async () => {
    project.removeTool("g++");
    await expectMissing("TensorFlow library", /C\+\+ compiler is missing.*Install g\+\+/, withLibrary);
    expect(downloads()).toEqual([]);
  });

  it("a compiler that fails: its words are shown", async () => {
    project.behave("g++", "fail");
    const output = await expectMissing("TensorFlow binding", /could not compile it.*WASM backend/, withLibrary.slice(1));
    expect(output).toContain("error: no such thing");
    expect(project.cached().filter((path) => path.startsWith("binding"))).toEqual([]);
  });

  it("a library that does not load here", async () => {
    project.write("tfjs.js", `throw new Error("libstdc++.so.6: version GLIBCXX_3.4.29 not found");`);
    await expectMissing("TensorFlow binding", /does not load \(Error: libstdc\+\+.*GLIBCXX.*\).*WASM/, withLibrary.slice(1));
  });

  it("a library that crashes this processor", async () => {
    project.write("tfjs.js", `process.kill(process.pid, "SIGILL"); for (;;);`);
    await expectMissing("TensorFlow binding", /does not load \(ended by SIGILL\)/, withLibrary.slice(1));
  });

  it("room on the disk", async () => {
    const table = project.read("scripts/setup/wheels.json");
    project.write("scripts/setup/wheels.json", table.replaceAll(`"unpacked":1`, `"unpacked":1e12`));
    await expectMissing("TensorFlow library", /needs \d+ MB in .*cache.*TRUE_INTENTS_CACHE/, withLibrary);
    expect(downloads()).toEqual([]);
  });

  it("a cache folder that can be written to", async () => {
    project.write("../cache", "a file where the folder should be");
    const { code, output } = await project.setup("--for", "test");
    expect(code).toBe(0);
    expect(output).toMatch(/-- TensorFlow library: the cache folder cannot be made .*TRUE_INTENTS_CACHE/);
  });

  it("Jupyter's packages", async () => {
    project.behave("python3", "install-fails");
    await expectMissing("Jupyter", /pip could not install it.*everything but the notebooks works/, ["Jupyter"]);
    expect(existsSync(join(project.root, ".venv", "installed.txt"))).toBe(false);
    project.behave("python3", "normal");
    expect((await project.setup()).output).toContain("ok Jupyter");
  });

  it("npm packages: nothing works without them", async () => {
    project.behave("npm", "fail");
    const { code, output } = await project.setup();
    expect(code).toBe(1);
    expect(output).toContain("npm error code ENOTFOUND");
    expect(output).toMatch(/set-up: npm ci failed; .*Nothing works without the npm packages/);
    project.behave("npm", "normal");
    expect((await project.setup()).output).toContain("node_modules is incomplete: npm ci");
  });
});

describe.runIf(process.platform === "linux")("set-up and the machine's GPU", () => {
  it("takes the CUDA build where there is one", async () => {
    project.addTool("nvidia-smi");
    await project.setup("--for", "test");
    expect(downloads().map((call) => call.split(" ").at(-1))).toEqual(["fake==1.0", "fake-cuda==1.0"]);
    expect(report().steps["TensorFlow library"]?.detail).toContain("-cuda");
  });

  it("falls back to the CPU build, saying why", async () => {
    project.addTool("nvidia-smi");
    const table = project.read("scripts/setup/wheels.json");
    const sums = table.replace(/("package":"fake-cuda","version":"1.0","sha256":)"\w+"/, `$1"${"0".repeat(64)}"`);
    project.write("scripts/setup/wheels.json", sums);
    const { output } = await project.setup("--for", "test");
    expect(output).toMatch(/CUDA build: fake-cuda 1\.0 has sha256 .*; trying the CPU build/);
    expect(output).toMatch(/ok TensorFlow library: 2\.18\.1 \(linux-\w+\)/);
  });
});

describe.runIf(process.platform === "linux")("set-up survives", () => {
  it("a download with another checksum, which it throws away", async () => {
    project.behave("python3", "damaged");
    const { code, output } = await project.setup("--for", "test");
    expect(code).toBe(0);
    expect(output).toMatch(
      /-- TensorFlow library: fake 1\.0 has sha256 [0-9a-f]{64} instead of [0-9a-f]{64} and was thrown away/,
    );
    expect(project.cached()).toEqual([]);
    project.behave("python3", "normal");
    expect((await project.setup("--for", "test")).output).not.toMatch(/^--/m);
  });

  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGKILL", null],
  ] as const)("%s in the middle of a download", async (signal, expected) => {
    project.behave("python3", "hang");
    const { child, result } = project.start("--for", "test");
    await until(() => project.cached().some((path) => path.endsWith(".whl")));
    child.kill(signal);
    expect((await result).code).toBe(expected);
    if (signal !== "SIGKILL") expect(existsSync(join(project.root, "build", "setup.lock"))).toBe(false);
    expect(existsSync(join(project.root, tfjs, "deps"))).toBe(false);

    project.behave("python3", "normal");
    const again = await project.setup("--for", "test");
    expect(again.output).not.toMatch(/^--/m);
    expect(again.milliseconds).toBeLessThan(10_000);
    expect(project.cached().filter((path) => /partial|\.whl|\.lock/.test(path))).toEqual([]);
  });

  it("a second set-up at the same time: one downloads, the other waits", async () => {
    project.behave("python3", "slow");
    const both = await Promise.all([project.setup("--for", "test"), project.setup("--for", "test")]);
    for (const { code, output } of both) {
      expect(code).toBe(0);
      expect(output).not.toMatch(/^--/m);
    }
    expect(both.filter(({ output }) => output.includes("another set-up works on this project"))).toHaveLength(1);
    expect(downloads()).toHaveLength(1);
  });

  it("a lock left behind by a dead process", async () => {
    project.write("build/setup.lock", readFileSync("/proc/sys/kernel/hostname", "utf8").trim() + " 4194305");
    const { code, output } = await project.setup("--for", "test");
    expect(code).toBe(0);
    expect(output).not.toMatch(/^--/m);
  });

  it("a damaged report and a damaged environment", async () => {
    await project.setup();
    project.write("build/setup.json", "{ half");
    project.write(".venv/installed.txt", "jupyterlab==1.0\n");
    project.forgetCalls();
    const { code, output } = await project.setup();
    expect(code).toBe(0);
    expect(output).not.toMatch(/^--/m);
    expect(project.calls().some((call) => call.includes("pip install"))).toBe(true);
    expect(Object.keys(report().steps)).toEqual(steps);
  });
});
