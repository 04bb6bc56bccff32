/** From a request to the ids that a model on this machine reads. */
import { ChatTemplateError, encodeChat, type ChatMessage } from "../model/chat-template.js";
import { encodeInput } from "../model/language-model.js";
import { TokenizerError, type Tokenizer } from "../model/tokenizer/index.js";
import type { CompletionRequest, EngineInput, Failure } from "./engine.js";

export const refused = (reason: string): Failure => ({ kind: "failure", reason, retryable: false });

/**
 * Ids of a request's input, or why it has none. Nothing that a text or message says becomes a control token. An input that leaves no
 * room for the new tokens loses its end, as in classification: raw text the end of its ids, a conversation the end of its last
 * message, so that the template around it stays whole.
 * @param maxPositions tokens that the model holds, old and new together
 */
export function encodeRequest(
  tokenizer: Tokenizer,
  maxPositions: number,
  { input, maxNewTokens }: CompletionRequest,
): Int32Array | Failure {
  const limit = maxPositions - maxNewTokens;
  if (!(limit >= 1)) return refused(`${maxNewTokens} new tokens leave no room for an input: the model holds ${maxPositions}`);
  try {
    const ids = encodeWithin(tokenizer, input, limit);
    if (ids === null) return refused(`the conversation does not fit into ${limit} tokens, even with its last message left out`);
    return ids.length === 0 ? refused("the input is empty") : ids;
  } catch (error) {
    if (error instanceof ChatTemplateError || error instanceof TokenizerError) return refused(error.message);
    throw error;
  }
}

function encodeWithin(tokenizer: Tokenizer, input: EngineInput, limit: number): Int32Array | null {
  if ("text" in input) return encodeInput(tokenizer, input.text).subarray(0, limit);
  const template = tokenizer.chatTemplate;
  if (template === null)
    throw new ChatTemplateError("the model has no chat template; give it raw text, or use an instruct model");
  const render = (messages: readonly ChatMessage[]): Int32Array =>
    encodeChat(tokenizer, template, messages, { addGenerationPrompt: true });
  let ids = render(input.messages);
  const last = input.messages.at(-1);
  if (ids.length <= limit || last === undefined) return ids.length <= limit ? ids : null;
  const content = tokenizer.encode(last.content);
  for (let keep = content.length; ids.length > limit;) {
    if (keep === 0) return null;
    keep = Math.max(0, keep - (ids.length - limit));
    // A token may end inside a character.
    const shorter = tokenizer.decode(content.subarray(0, keep)).replace(/\uFFFD+$/, "");
    ids = render([...input.messages.slice(0, -1), { ...last, content: shorter }]);
  }
  return ids;
}
