/** Control tokens that end a turn in the families that we run; files do not always list them among their ends. */
export const END_OF_TURN: ReadonlySet<string> = new Set(["<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>"]);
