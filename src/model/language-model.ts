/** A model ready to use: decoder and tokenizer opened together from one file or folder. */
import type { DecoderOps } from "../tensor/ops.js";
import { ModelConfigError, type DecoderConfig } from "./config.js";
import { loadDecoder, type Decoder } from "./decoder.js";
import { activateLora, loraFromPeft, type ActiveLora, type LoraAdapter } from "./lora.js";
import { readPeft } from "./peft.js";
import { tokenizerFor, TokenizerError, type Tokenizer } from "./tokenizer/index.js";
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
    const tokenizerSource = source.tokenizer;
    let tokenizer: Tokenizer | undefined;
    const readTokenizer = (): Tokenizer => (tokenizer ??= tokenizerFor(tokenizerSource));
    const config = withEndIds(source.config, readTokenizer);
    const decoder = loadDecoder(ops, { ...source, config }, options.onLayer);
    return {
      name: options.name ?? path,
      path,
      decoder,
      get tokenizer() {
        return readTokenizer();
      },
      free: () => decoder.free(),
    };
  } finally {
    source.close();
  }
}

/** Where the configuration names no id that ends a text, the tokenizer may; a folder of weights alone has none. */
function withEndIds(config: DecoderConfig, readTokenizer: () => Tokenizer): DecoderConfig {
  if (config.eosIds.length > 0) return config;
  try {
    return { ...config, eosIds: readTokenizer().eosIds.filter((id) => id < config.vocabSize) };
  } catch (error) {
    if (error instanceof TokenizerError) return config;
    throw error;
  }
}

/** The id that ends a text of the model. @throws ModelConfigError if neither its configuration nor its tokenizer names one */
export function endOfText({ decoder, path }: LanguageModel): number {
  const end = decoder.config.eosIds.at(0);
  if (end === undefined)
    throw new ModelConfigError(path, "eos_token_id", "is missing, in the tokenizer too; what the model writes would never end");
  return end;
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
