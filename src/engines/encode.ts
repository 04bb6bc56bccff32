/** From a request to the ids that a model on this machine reads. */
import { encodeMessages, THINKING_OFF } from "../model/chat-input.js";
import { ChatTemplateError } from "../model/chat-template.js";
import { encodeInput } from "../model/language-model.js";
import { TokenizerError, type Tokenizer } from "../model/tokenizer/index.js";
import type { CompletionRequest, Failure } from "./engine.js";

export const refused = (reason: string): Failure => ({ kind: "failure", reason, retryable: false });

/**
 * Ids of a request's input, or why it has none. Nothing that a text or message says becomes a control token. An input that leaves no
 * room for the new tokens loses its end, as in classification: raw text the end of its ids, a conversation the end of its last
 * message, so that the template around it stays whole. A model that can think before it answers is asked not to, as in classification.
 * @param maxPositions tokens that the model holds, old and new together
 */
export function encodeRequest(
  tokenizer: Tokenizer,
  maxPositions: number,
  { input, maxNewTokens }: Pick<CompletionRequest, "input" | "maxNewTokens">,
): Int32Array | Failure {
  const limit = maxPositions - maxNewTokens;
  if (!(limit >= 1)) return refused(`${maxNewTokens} new tokens leave no room for an input: the model holds ${maxPositions}`);
  try {
    const ids =
      "text" in input
        ? encodeInput(tokenizer, input.text).subarray(0, limit)
        : encodeMessages(tokenizer, input.messages, limit, THINKING_OFF);
    return ids.length === 0 ? refused("the input is empty") : ids;
  } catch (error) {
    if (error instanceof ChatTemplateError || error instanceof TokenizerError) return refused(error.message);
    throw error;
  }
}
