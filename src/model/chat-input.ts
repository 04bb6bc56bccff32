/** From a conversation to the ids that a model reads before it answers. */
import type { SharedPrefix } from "./batch.js";
import { ChatTemplateError, encodeChat, type ChatMessage, type ChatOptions } from "./chat-template.js";
import { endOfText, type LanguageModel } from "./language-model.js";
import type { Tokenizer } from "./tokenizer/index.js";

/** For models that think before they answer (Qwen3): they should not. Other templates do not look at it. */
export const THINKING_OFF: Pick<ChatOptions, "extra"> = { extra: { enable_thinking: false } };

/**
 * Ids of a conversation in the model's own chat template, the assistant's turn opened. Nothing that a message says becomes a control
 * token. A conversation that is too long loses the end of its last message, so that the template around it stays whole.
 * @param limit tokens that the ids may have
 * @throws ChatTemplateError if the model has no chat template, the template fails, or nothing of the last message fits; TokenizerError
 */
export function encodeMessages(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  limit: number,
  options: ChatOptions = {},
): Int32Array {
  const template = tokenizer.chatTemplate;
  if (template === null)
    throw new ChatTemplateError("the model has no chat template; give it raw text, or use an instruct model");
  const render = (said: readonly ChatMessage[]): Int32Array =>
    encodeChat(tokenizer, template, said, { ...options, addGenerationPrompt: true });
  let ids = render(messages);
  if (ids.length <= limit) return ids;
  const last = messages.at(-1) ?? { role: "user", content: "" };
  const content = tokenizer.encode(last.content);
  for (let keep = content.length; ids.length > limit;) {
    if (keep === 0)
      throw new ChatTemplateError(`the conversation does not fit into ${limit} tokens, even with its last message left out`);
    keep = Math.max(0, keep - (ids.length - limit));
    // A token may end inside a character.
    const shorter = tokenizer.decode(content.subarray(0, keep)).replace(/\uFFFD+$/, "");
    ids = render([...messages.slice(0, -1), { ...last, content: shorter }]);
  }
  return ids;
}

/**
 * What conversations of one kind begin with, whatever is said in them: a system prompt and the headers around it. A message that changes
 * how the template's own text before it is cut into tokens has another beginning; who shares a prefix looks at each row.
 * @param conversation makes one of the kind
 */
export function sharedStart(
  tokenizer: Tokenizer,
  conversation: (content: string) => readonly ChatMessage[],
  options: ChatOptions = {},
): SharedPrefix {
  const [first, second] = ["a", "7"].map((content) => encodeMessages(tokenizer, conversation(content), Infinity, options));
  let length = 0;
  while (length < first.length && first[length] === second[length]) length++;
  return first.subarray(0, length);
}

/**
 * The id that ends the assistant's turn in the model's chat template; where generation does not end there, the model's end-of-text id.
 * @throws ModelConfigError if the model has none; ChatTemplateError
 */
export function endOfTurn(model: LanguageModel): number {
  const { tokenizer, decoder } = model;
  const { chatTemplate } = tokenizer;
  const end = endOfText(model);
  if (chatTemplate === null) return end;
  const said = [
    { role: "user", content: "a" },
    { role: "assistant", content: "a" },
  ];
  return encodeChat(tokenizer, chatTemplate, said).findLast((id) => decoder.config.eosIds.includes(id)) ?? end;
}
