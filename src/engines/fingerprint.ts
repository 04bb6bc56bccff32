/** Content hashes of models and adapters: the same files in another place are the same. */
import { createHash, type Hash } from "node:crypto";
import { closeSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { recordName } from "../model/catalogue/record.js";
import type { Decoder } from "../model/decoder.js";
import type { LoraAdapter } from "../model/lora.js";

/** Hashes of this process, by path, length and time of change. */
const known = new Map<string, string>();

/**
 * sha256 of a model: a GGUF file, or a folder's configuration, tokenizer, template and safetensors; the record of where they were
 * downloaded from is left out. Reads them all (1-2 s a GB) the first time, blocking.
 */
export function modelHash(path: string): string {
  const files = statSync(path).isDirectory()
    ? readdirSync(path)
        .filter((name) => /\.(json|jinja|safetensors)$/.test(name) && name !== recordName)
        .sort()
        .map((name) => join(path, name))
    : [path];
  const key = JSON.stringify(files.map((file) => [file, statSync(file).size, statSync(file).mtimeMs]));
  let hex = known.get(key);
  if (hex === undefined) {
    const hash = createHash("sha256");
    for (const file of files) {
      // Where one file ends and the next begins counts; a file alone has the checksum that people know it by.
      if (files.length > 1) hash.update(`${statSync(file).size}\n`);
      readInto(hash, file);
    }
    hex = hash.digest("hex");
    known.set(key, hex);
  }
  return hex;
}

function readInto(hash: Hash, file: string): void {
  const buffer = Buffer.allocUnsafe(1 << 20);
  const descriptor = openSync(file, "r");
  try {
    for (;;) {
      const count = readSync(descriptor, buffer);
      if (count === 0) return;
      hash.update(buffer.subarray(0, count));
    }
  } finally {
    closeSync(descriptor);
  }
}

/** sha256 of an adapter as it is in memory now: what it is made of, and its values. */
export function loadedAdapterHash(decoder: Decoder, adapter: LoraAdapter): string {
  const values = decoder.ops.device.download(adapter.parameters);
  const shape = JSON.stringify([adapter.options, adapter.factors]);
  return createHash("sha256")
    .update(shape)
    .update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    .digest("hex");
}
