import { defineCommand } from "citty";
import { UsageError } from "../cli/arguments.js";
import type { Decoder } from "../model/decoder.js";
import { forwardHidden, headLogits, uploadBatch } from "../model/forward.js";
import { packSequences } from "../model/batch.js";
import { generate } from "../model/generate.js";
import { encodeInput } from "../model/language-model.js";
import type { ActiveLora } from "../model/lora.js";
import { visibleText } from "../report/text.js";
import { scope } from "../tensor/tensor.js";
import { modelFlags, openAdapter, openNamedModel, parseCount } from "./open.js";

export default defineCommand({
  meta: { name: "inspect", description: "Token ids, the largest logits after a text, and its greedy continuation, in float32" },
  args: {
    model: modelFlags.model,
    text: {
      type: "string",
      description: "A text, read as the model expects (bos before it where it wants one); nothing in it becomes a special token",
    },
    ids: { type: "string", description: "Token ids instead of a text", valueHint: "1,2,…" },
    adapter: { type: "string", default: "none", description: "PEFT folder", valueHint: "DIR" },
    greedy: { type: "string", default: "0", description: "Tokens to continue with", valueHint: "N" },
    top: { type: "string", default: "20", description: "Logits to show", valueHint: "N" },
    json: { type: "boolean", default: false, description: "Print one JSON object" },
  },
  async run({ args }) {
    if ((args.text === undefined) === (args.ids === undefined)) throw new UsageError("give either --text or --ids");
    const top = parseCount("top", args.top, 1);
    const greedy = parseCount("greedy", args.greedy);
    const model = await openNamedModel(args.model, "float32", true);
    try {
      const adapter = openAdapter(model, args.adapter);
      try {
        const ids =
          args.ids === undefined
            ? encodeInput(model.tokenizer, args.text ?? "")
            : parseIds(args.ids, model.decoder.config.vocabSize);
        if (ids.length === 0) throw new UsageError("the text has no tokens");
        const result = await inspect(model.decoder, ids, adapter?.lora ?? null, top, greedy);
        if (args.json) console.log(JSON.stringify(result));
        else {
          // Ids can be inspected without a tokenizer.
          const show = (ids: readonly number[]): string =>
            args.text === undefined ? ids.join(",") : visibleText(JSON.stringify(model.tokenizer.decode(ids)));
          console.log(`ids        ${result.ids.join(",")}`);
          for (const [id, logit] of result.top)
            console.log(
              `${String(id).padStart(8)}  ${logit.toFixed(4).padStart(9)}  ${args.text === undefined ? "" : show([id])}`,
            );
          console.log(`logsumexp  ${result.logsumexp.toFixed(6)}`);
          if (greedy > 0) console.log(`greedy     ${show(result.greedy)}`);
        }
      } finally {
        adapter?.free();
      }
    } finally {
      model.free();
    }
  },
});

interface Inspection {
  readonly ids: number[];
  readonly top: [number, number][];
  readonly logsumexp: number;
  readonly greedy: number[];
}

/** The largest logits of the last position, logsumexp over all of them, and greedy ids, the end-of-text id included. */
export async function inspect(
  decoder: Decoder,
  ids: Int32Array,
  lora: ActiveLora | null,
  top: number,
  greedy: number,
): Promise<Inspection> {
  const logits = scope(() => {
    const packed = packSequences([{ ids, keepLast: true }]);
    const batch = uploadBatch(decoder, { ...packed, rows: Int32Array.of(ids.length - 1) });
    return decoder.ops.device.download(headLogits(decoder, forwardHidden(decoder, batch, lora, null).hidden)) as Float32Array;
  });
  const order = Array.from(logits.keys()).sort((a, b) => logits[b] - logits[a] || a - b);
  const largest = logits[order[0]];
  const continued = greedy === 0 ? null : await generate(decoder, [ids], { lora, maxNewTokens: greedy });
  return {
    ids: [...ids],
    top: order.slice(0, top).map((id) => [id, logits[id]]),
    logsumexp: largest + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0)),
    greedy: continued === null ? [] : [...continued[0][0].ids],
  };
}

function parseIds(text: string, vocabSize: number): Int32Array {
  return Int32Array.from(
    text.split(",").map((part) => {
      const id = part.trim() === "" ? NaN : Number(part);
      if (!Number.isInteger(id) || id < 0 || id >= vocabSize)
        throw new UsageError(`--ids has "${part}"; ids are whole numbers from 0 to ${vocabSize - 1}`);
      return id;
    }),
  );
}
