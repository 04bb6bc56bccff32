/**
 * A model's weights, whatever file they come from: one config, Hugging Face's tensor names, float32 values read on demand.
 *
 * Opening checks everything that can be checked without reading the values: that every tensor the config asks for is there with the
 * right shape, and that the layers hold nothing this engine would silently leave out.
 */
import { statSync } from "node:fs";
import { basename, dirname } from "node:path";
import type { DecoderConfig } from "../config.js";
import type { TokenizerSource } from "../tokenizer/index.js";
import { quoted, WeightFileError } from "./errors.js";
import { openFolder } from "./folder-source.js";
import { openGgufSource } from "./gguf-source.js";
import { decoderTensors } from "./tensor-names.js";

export interface WeightSource {
  /** The path that was opened. */
  readonly path: string;
  readonly config: DecoderConfig;
  /** A `config.json` for the model: the folder's own (its text part), or made from a GGUF file's metadata. */
  readonly huggingFaceConfig: Readonly<Record<string, unknown>>;
  /** Hugging Face's names, in layer order. */
  readonly names: readonly string[];
  has(name: string): boolean;
  /** PyTorch's shape. @throws WeightFileError if there is no such tensor */
  shape(name: string): readonly number[];
  /** Row-major values. @throws WeightFileError if there is no such tensor or its bytes cannot be read */
  read(name: string): Float32Array;
  /** What a tokenizer can be built from. */
  readonly tokenizer: TokenizerSource;
  close(): void;
}

/** What a format's reader supplies; names and shapes are Hugging Face's, and may include tensors the decoder does not use. */
export interface OpenedWeights {
  readonly config: DecoderConfig;
  readonly huggingFaceConfig: Readonly<Record<string, unknown>>;
  readonly stored: ReadonlyMap<string, readonly number[]>;
  readonly tokenizer: TokenizerSource;
  read(name: string): Float32Array;
  close(): void;
}

/**
 * Opens a `.gguf` file, a folder with `config.json` and safetensors, or one `.safetensors` file beside its `config.json`.
 * Files are opened read-only and stay open until `close`.
 * @throws WeightFileError or ModelConfigError; everything opened is closed again
 */
export function openWeights(path: string): WeightSource {
  const opened = openByKind(path);
  try {
    return checked(path, opened);
  } catch (error) {
    opened.close();
    throw error;
  }
}

function openByKind(path: string): OpenedWeights {
  const status = statSync(path, { throwIfNoEntry: false });
  if (status === undefined) throw new WeightFileError(path, "file", "does not exist");
  if (status.isDirectory()) return openFolder(path, null);
  if (path.endsWith(".safetensors")) return openFolder(dirname(path), basename(path));
  return openGgufSource(path);
}

function checked(path: string, opened: OpenedWeights): WeightSource {
  const expected = decoderTensors(opened.config);
  for (const [name, shape] of expected) {
    const found = opened.stored.get(name);
    if (found === undefined) throw new WeightFileError(path, `tensor ${name}`, "is missing; the config asks for it");
    if (found.join() !== shape.join()) {
      throw new WeightFileError(
        path,
        `tensor ${name}`,
        `has the shape [${found.join(", ")}]; the config asks for [${shape.join(", ")}]`,
      );
    }
  }
  for (const name of opened.stored.keys()) {
    // rotary_emb.inv_freq is a buffer that old checkpoints saved; the config says the same.
    if (name.startsWith("model.layers.") && !expected.has(name) && !name.endsWith(".rotary_emb.inv_freq")) {
      throw new WeightFileError(
        path,
        `tensor ${quoted(name)}`,
        `is no part of ${opened.config.architecture} as this engine computes it`,
      );
    }
  }
  const shapeOf = (name: string): readonly number[] => {
    const shape = expected.get(name);
    if (shape === undefined) throw new WeightFileError(path, `tensor ${quoted(name)}`, "is no part of this model");
    return shape;
  };
  return {
    path,
    config: opened.config,
    huggingFaceConfig: opened.huggingFaceConfig,
    names: [...expected.keys()],
    has: (name) => expected.has(name),
    shape: shapeOf,
    read(name) {
      shapeOf(name);
      return opened.read(name);
    },
    tokenizer: opened.tokenizer,
    close: () => opened.close(),
  };
}
