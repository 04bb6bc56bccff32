/** The flags that say what the columns of the user's own files are. */
import { UsageError } from "../cli/arguments.js";
import type { OwnColumns } from "../data/own.js";

export const columnArgs = {
  "prompt-column": { type: "string", description: "Columns of your own files: the prompt", valueHint: "NAME" },
  "intent-column": { type: "string", description: "… the intent", valueHint: "NAME" },
  "label-column": { type: "string", description: "… the label", valueHint: "NAME" },
  "id-column": { type: "string", description: "… the id", valueHint: "NAME" },
  "harmful-values": { type: "string", description: "Labels that mean harmful, with commas between", valueHint: "LABEL,…" },
  "safe-values": { type: "string", description: "Labels that mean safe, with commas between", valueHint: "LABEL,…" },
} as const;

/** What the flags say; nothing for those that are not given. @throws UsageError if only one of the two lists of labels is given */
export function columnFlags(args: { readonly [flag in keyof typeof columnArgs]?: string | undefined }): OwnColumns {
  const { "prompt-column": prompt, "intent-column": intent, "label-column": label, "id-column": id } = args;
  const [harmfulValues, safeValues] = [args["harmful-values"], args["safe-values"]].map((values) => values?.split(","));
  if ((harmfulValues === undefined) !== (safeValues === undefined)) {
    throw new UsageError("--harmful-values and --safe-values go together: every label must be one or the other");
  }
  return {
    ...(prompt !== undefined && { prompt }),
    ...(intent !== undefined && { intent }),
    ...(label !== undefined && { label }),
    ...(id !== undefined && { id }),
    ...(harmfulValues !== undefined && { harmfulValues }),
    ...(safeValues !== undefined && { safeValues }),
  };
}
