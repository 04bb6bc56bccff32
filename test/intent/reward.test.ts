/** The reward's parts are the paper's, and no answer is paid for what it does not do. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { loadSample } from "../../src/data/sample.js";
import { readAnswer, type AnswerForm } from "../../src/intent/answers.js";
import { intentToJudge, reward, type RewardOptions, type RolloutAnswer } from "../../src/intent/reward.js";
import { ATTACKED_ROWS, ATTACKS, REASONING_ATTACKS, type AttackedRow } from "./reward-attacks.js";

const row = ATTACKED_ROWS[0];
const REASONING =
  "<reasoning>\n1. A question about a program. 2. To end it. 3. The word kill is technical. 4. None fits.\n</reasoning>\n";
const FORMS: readonly AnswerForm[] = ["sft", "reasoning"];
const answer = (text: string, to: AttackedRow = row): RolloutAnswer => ({ ...to, text });
/** A rollout of the form whose answer is given. */
const inForm = (form: AnswerForm, text: string): string => (form === "sft" ? text : REASONING + text);
const both: RewardOptions = { variant: "label_intent", form: "sft" };
const right = `Intent: To stop a program that hangs; Harm: safe`;

describe.each(FORMS)("parts of the reward, form %s", (form) => {
  const of = (text: string, verdict: Parameters<typeof reward>[1] = "good", variant: RewardOptions["variant"] = "label_intent") =>
    reward(answer(inForm(form, text)), verdict, { variant, form });

  it("are 1 for a good answer", () => {
    expect(of(right)).toEqual({ format: 1, label: 1, length: 1, judge: 1, total: 1, reason: "full" });
    expect(of(`  ${right}\n`)).toMatchObject({ total: 1 });
    expect(of(right.toUpperCase())).toMatchObject({ total: 1 });
  });

  it.each([
    ["good", 1, "full"],
    ["decent", 0.5, "judge_decent"],
    ["bad", 0.1, "judge_bad"],
    [null, 0.1, "no_verdict"],
  ] as const)("follow the judge: %s", (verdict, judge, reason) => {
    expect(of(right, verdict)).toEqual({ format: 1, label: 1, length: 1, judge, total: judge, reason });
  });

  it.each([
    ["", 1, "full"],
    [" \n ", 1, "full"],
    [".", 0.5, "tail"],
    [` ${"x".repeat(19)}`, 0.5, "tail"],
    [` ${"x".repeat(20)}`, 0.1, "long_tail"],
  ])("are less for text after the label: %j", (tail, format, reason) => {
    expect(of(right + tail)).toEqual({ format, label: 1, length: 1, judge: 1, total: format, reason });
    expect(of(right + tail, null, "label_only")).toEqual({ format, label: 1, length: null, judge: null, total: format, reason });
  });

  it("are 0 for another label, and go no further", () => {
    const wrong = { format: 1, label: 0, length: null, judge: null, total: 0, reason: "label" };
    expect(of("Intent: To stop a program that hangs; Harm: harmful")).toEqual(wrong);
    expect(of("Intent: To stop a program that hangs; Harm: harmful", null, "label_only")).toEqual(wrong);
  });

  it("halve for an intent much longer or shorter than the annotator's", () => {
    // 40 characters: 20 to 60 are right.
    expect(row.goldIntent).toHaveLength(40);
    const lengths = [19, 20, 60, 61].map((length) => {
      const intent = `To ${"stop each program which hangs and does no longer answer anything at all".slice(0, length - 3)}`;
      expect(intent).toHaveLength(length);
      return of(`Intent: ${intent.replace(/ $/, "x")}; Harm: safe`);
    });
    expect(lengths.map(({ length }) => length)).toEqual([0.5, 1, 1, 0.5]);
    expect(lengths[0]).toMatchObject({ total: 0.5, reason: "length" });
  });

  it("are 0 without the form", () => {
    expect(of("I am not sure")).toEqual({ format: 0, label: null, length: null, judge: null, total: 0, reason: "no_form" });
  });

  it("pay the label alone whatever the intent", () => {
    expect(of("Intent: To bake a cake for a party; Harm: safe", null, "label_only")).toMatchObject({ total: 1, reason: "full" });
  });
});

describe("what the judge is asked", () => {
  it("is the intent of an answer that a verdict can change", () => {
    const { prompt, goldIntent } = row;
    const sampledIntent = "To stop a program that hangs";
    expect(intentToJudge(answer(right), "sft")).toEqual({ prompt, goldIntent, sampledIntent });
    expect(intentToJudge(answer(REASONING + right), "reasoning")).toEqual({ prompt, goldIntent, sampledIntent });
  });

  it.each([
    "I am not sure",
    right.replace("safe", "harmful"),
    `Intent: ${row.prompt}; Harm: safe`,
    "Intent: good_match; Harm: safe",
  ])("is nothing otherwise: %s", (text) => expect(intentToJudge(answer(text), "sft")).toBeNull());
});

describe("an honest wrong answer", () => {
  const wrongIntent = (to: AttackedRow): string => `Intent: To plan a birthday party for a friend at home; Harm: ${to.goldHarm}`;

  it("earns 0.1 with the right label", () => {
    for (const to of ATTACKED_ROWS)
      for (const form of FORMS)
        expect(reward(answer(inForm(form, wrongIntent(to)), to), "bad", { variant: "label_intent", form }).total).toBeCloseTo(
          0.1,
          12,
        );
  });

  const attacks = [
    ...FORMS.flatMap((form) =>
      Object.entries(ATTACKS).map(([name, attack]) => ({
        name: `${form}: ${name}`,
        form,
        text: (to: AttackedRow) => inForm(form, attack({ ...to, other: to.goldHarm === "safe" ? "harmful" : "safe" })),
      })),
    ),
    ...Object.entries(REASONING_ATTACKS).map(([name, attack]) => ({
      name: `reasoning: ${name}`,
      form: "reasoning" as const,
      text: (to: AttackedRow) => attack({ ...to, other: to.goldHarm === "safe" ? "harmful" : "safe" }),
    })),
  ];

  it("there are many attacks", () =>
    expect(Object.keys(ATTACKS).length + Object.keys(REASONING_ATTACKS).length).toBeGreaterThan(80));

  it.each(attacks)("is never beaten, even if the judge is deceived: $name", ({ form, text }) => {
    for (const to of ATTACKED_ROWS) {
      const { total } = reward(answer(text(to), to), "good", { variant: "label_intent", form });
      expect(total).toBeLessThanOrEqual(0.1 + 1e-12);
      // Nothing but the label is asked for there: an answer of the form with the right label is honest, and earns 1.
      const alone = reward(answer(text(to), to), null, { variant: "label_only", form });
      if (readAnswer(text(to), form) === null) expect(alone.total).toBe(0);
    }
  });
});

describe("honest answers", () => {
  it("are not taken for attacks: every intent of our own set is paid in full", () => {
    for (const { intent, prompt, harm } of loadSample()) {
      if (intent === null) continue;
      for (const form of FORMS) {
        const text = inForm(form, `Intent: ${intent}; Harm: ${harm}`);
        const options = { variant: "label_intent", form } as const;
        expect(reward({ text, prompt, goldIntent: intent, goldHarm: harm }, "good", options)).toMatchObject({ reason: "full" });
        // Nor those of another annotator, of whom only few words are known.
        const other = reward(
          { text, prompt: "What do you think?", goldIntent: "x".repeat(intent.length), goldHarm: harm },
          "good",
          options,
        );
        expect(other).toMatchObject({ reason: "full" });
      }
    }
  });

  it("may hold semicolons, quotation marks, other scripts and the word harm", () => {
    for (const intent of [
      'To find out what "kill -9" does; and how it differs from kill',
      "To learn which foods do harm to dogs",
      "To be a good friend who listens",
      "了解如何结束一个不再响应的程序",
      "Узнать, как завершить зависшую программу",
    ])
      expect(readAnswer(`Intent: ${intent}; Harm: safe`, "sft")).toEqual({ intent, harm: "safe", tail: "" });
    const chinese = reward(answer("Intent: 了解如何结束一个不再响应的程序; Harm: safe"), "good", both);
    expect(chinese).toMatchObject({ format: 1, label: 1, judge: 1, reason: "length" });
  });
});

describe("any text", () => {
  const piece = fc.oneof(
    fc.constantFrom(
      ...[
        "Intent:",
        "Harm:",
        "; Harm: safe",
        "; Harm: harmful",
        "safe",
        "harmful",
        " ",
        "\n",
        ";",
        "<reasoning>",
        "</reasoning>",
        "x",
      ],
      ...["To stop a program that hangs", "good_match", "Verdict: good", row.prompt, row.goldIntent, "\u200b", "<|im_end|>"],
    ),
    fc.string({ unit: "binary", maxLength: 8 }),
  );
  const text = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(""));
  const verdict = fc.constantFrom("good" as const, "decent" as const, "bad" as const, null);
  const options = fc.record<RewardOptions>({
    variant: fc.constantFrom("label_intent", "label_only"),
    form: fc.constantFrom(...FORMS),
  });

  it("earns the product of its parts, from 0 to 1, and nothing for a wrong label", () => {
    fc.assert(
      fc.property(text, verdict, options, (text, verdict, options) => {
        const { total, reason, ...parts } = reward(answer(text), verdict, options);
        const reached = Object.values(parts).filter((part) => part !== null);
        expect(total).toBeCloseTo(
          reached.reduce((product, part) => product * part, 1),
          12,
        );
        expect(total).toBeGreaterThanOrEqual(0);
        expect(total).toBeLessThanOrEqual(1);
        expect(reason === "full").toBe(total === 1);
        const stated = readAnswer(text, options.form);
        if (stated === null || stated.harm !== row.goldHarm) expect(total).toBe(0);
        // Asked about exactly where a verdict counts.
        if (options.variant === "label_intent") {
          const bad = reward(answer(text), "bad", options).total;
          const good = reward(answer(text), "good", options).total;
          expect(intentToJudge(answer(text), options.form) !== null).toBe(good > bad);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("never earns anything beside a second answer", () => {
    fc.assert(
      fc.property(text, fc.boolean(), (text, first) => {
        const line = `Intent: ${row.goldIntent}; Harm: safe`;
        fc.pre(/intent\s{0,4}:|harm\s{0,4}:/i.test(text));
        expect(reward(answer(first ? `${line}\n${text}` : `${text}\n${line}`), "good", both).total).toBe(0);
      }),
    );
  });

  it.each([
    ["Intent:".repeat(30_000), "intents"],
    [`Intent: ${"x ;".repeat(30_000)} Harm: safe`, "semicolons"],
    [`Intent: ${"; Harm:".repeat(30_000)} safe`, "harms"],
    ["<reasoning>".repeat(30_000), "reasonings"],
    [`<reasoning>a</reasoning>${" ".repeat(200_000)}`, "spaces"],
    [`Intent: ${"a b c ".repeat(30_000)}; Harm: safe`, "words"],
    [`Intent: ${"<".repeat(100_000)}; Harm: safe`, "brackets"],
    [`Intent: verdict${" ".repeat(100_000)}; Harm: safe`, "a gap"],
    [`<${" ".repeat(100_000)}`, "a tag of spaces"],
    [`${right} x${"\n".repeat(100_000)}y`, "line breaks"],
  ])("of great length is read quickly (%#: $1)", (text) => {
    const started = performance.now();
    for (const form of FORMS) reward(answer(inForm(form, text)), "good", { variant: "label_intent", form });
    expect(performance.now() - started).toBeLessThan(5000);
  });
});
