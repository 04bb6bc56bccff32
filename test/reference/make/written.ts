/**
 * Writes, into a new folder, what `written.py` then gives to transformers and PEFT: each reference adapter as this project writes it,
 * and each checkpoint with that adapter merged in.  npx tsx test/reference/make/written.ts <folder>
 */
import { join } from "node:path";
import { readPeft, writePeft } from "../../../src/model/peft.js";
import { mergeToSafetensors } from "../../../src/model/weights/merge.js";
import { openWeights } from "../../../src/model/weights/source.js";

const out = process.argv[2];
if (out === undefined) throw new Error("usage: written.ts <new folder>");

for (const name of ["llama", "llama-tied", "qwen2", "qwen3", "gemma3"]) {
  const checkpoint = join(import.meta.dirname, "..", "checkpoints", name);
  const adapter = readPeft(join(checkpoint, "adapter"));
  // The patterns are left for the writer to find out from the factors.
  writePeft(join(out, name, "adapter"), { ...adapter, rankPattern: {}, alphaPattern: {} });
  const source = openWeights(checkpoint);
  try {
    mergeToSafetensors(source, adapter, join(out, name, "merged"), { dtype: "float32" });
    mergeToSafetensors(source, adapter, join(out, name, "merged-bfloat16"), { dtype: "bfloat16", maxShardBytes: 100_000 });
  } finally {
    source.close();
  }
}
