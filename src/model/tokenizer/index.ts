/** Text to ids and back, from a model folder or a GGUF file. */
export { TokenizerError } from "./errors.js";
export { tokenizerFor, type TokenizerSource } from "./load.js";
export type { DecodeOptions, DecodeStream, TextSegment, Tokenizer } from "./tokenizer.js";
