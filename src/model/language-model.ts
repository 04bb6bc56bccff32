/** A model ready to use: decoder and tokenizer opened together from one file or folder. */
import type { DecoderOps } from "../tensor/ops.js";
import { loadDecoder, type Decoder } from "./decoder.js";
import { activateLora, loraFromPeft, type ActiveLora, type LoraAdapter } from "./lora.js";
import { readPeft } from "./peft.js";
import { tokenizerFor, type Tokenizer } from "./tokenizer/index.js";
import { openWeights } from "./weights/source.js";

export interface LanguageModel {
  /** As the user named it. */
  readonly name: string;
  readonly path: string;
  readonly decoder: Decoder;
  /** Read on first use: a folder of weights alone still computes on ids. @throws TokenizerError if there is none, or a broken one */
  readonly tokenizer: Tokenizer;
  /** Frees the weights. */
  free(): void;
}

/**
 * Opens a GGUF file, a .safetensors file or a Hugging Face folder.
 * @param path a local path (`resolveModel` finds or downloads one by name)
 * @param onLayer called after each layer with (done, total)
 */
export function openModel(
  ops: DecoderOps,
  path: string,
  options: { readonly name?: string; readonly onLayer?: (done: number, total: number) => void } = {},
): LanguageModel {
  const source = openWeights(path);
  try {
    const decoder = loadDecoder(ops, source, options.onLayer);
    const tokenizerSource = source.tokenizer;
    let tokenizer: Tokenizer | undefined;
    return {
      name: options.name ?? path,
      path,
      decoder,
      get tokenizer() {
        return (tokenizer ??= tokenizerFor(tokenizerSource));
      },
      free: () => decoder.free(),
    };
  } finally {
    source.close();
  }
}

/** A PEFT adapter loaded on a model, and ready for inference. */
export interface LoadedAdapter {
  readonly adapter: LoraAdapter;
  readonly lora: ActiveLora;
  free(): void;
}

/** Loads a PEFT folder. Several may be loaded on one model; each call of forward, generate or score names the one it uses. */
export function loadAdapter(model: LanguageModel, folder: string): LoadedAdapter {
  const adapter = loraFromPeft(model.decoder, readPeft(folder));
  try {
    const lora = activateLora(model.decoder, adapter, false);
    return {
      adapter,
      lora,
      free: () => {
        lora.free();
        adapter.free();
      },
    };
  } catch (error) {
    adapter.free();
    throw error;
  }
}

/**
 * Ids of a plain text as the model expects to read it: the begin-of-text id before it where the tokenizer asks for one (Llama 3, Gemma),
 * as Hugging Face tokenizers do by default. Nothing in the text becomes a special token.
 */
export function encodeInput(tokenizer: Tokenizer, text: string): Int32Array {
  return Int32Array.from([...tokenizer.around.before, ...tokenizer.encode(text)]);
}
