import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { messageOf, TokenizerError } from "./errors.js";
import { specFromGguf } from "./from-gguf.js";
import { specFromJson } from "./from-json.js";
import { tokenizerOf, type Tokenizer } from "./tokenizer.js";

/** Where a tokenizer comes from: a model folder, or the metadata of a GGUF file (`file`: its name for messages). */
export type TokenizerSource =
  | { readonly kind: "folder"; readonly path: string }
  | { readonly kind: "gguf"; readonly metadata: ReadonlyMap<string, unknown>; readonly file?: string };

/** The largest published tokenizer.json are some 35 MB. */
const MAX_BYTES = 128 * 2 ** 20;

/**
 * The tokenizer of a model, of a folder (tokenizer.json, and tokenizer_config.json, generation_config.json and chat_template.jinja
 * where they are) or of a GGUF file.
 *
 * @throws TokenizerError naming the file and field that cannot be used
 */
export function tokenizerFor(source: TokenizerSource): Tokenizer {
  if (source.kind === "gguf") return tokenizerOf(specFromGguf(source.metadata, source.file ?? "GGUF metadata"));
  const json = (name: string): unknown => {
    const text = readText(source.path, name);
    return text === null ? undefined : parse(text, join(source.path, name));
  };
  const tokenizer = json("tokenizer.json");
  if (tokenizer === undefined) {
    throw new TokenizerError(
      source.path,
      "tokenizer.json",
      "there is no such file; use a folder saved with its tokenizer, or a GGUF file",
    );
  }
  const template = readText(source.path, "chat_template.jinja");
  return tokenizerOf(
    specFromJson({
      file: join(source.path, "tokenizer.json"),
      tokenizer,
      config: json("tokenizer_config.json"),
      generation: json("generation_config.json"),
      ...(template === null ? {} : { template }),
    }),
  );
}

function readText(folder: string, name: string): string | null {
  const path = join(folder, name);
  try {
    const { size } = statSync(path);
    if (size > MAX_BYTES) throw new TokenizerError(path, "size", `${size} bytes; at most ${MAX_BYTES} are read`);
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    if (error instanceof TokenizerError) throw error;
    throw new TokenizerError(path, "file", messageOf(error), { cause: error });
  }
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new TokenizerError(path, "JSON", `${messageOf(error)}; download the file again`, { cause: error });
  }
}
