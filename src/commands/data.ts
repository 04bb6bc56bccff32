/** `true-intents data list|get|check`: the data sets that are known by name, the copies on this machine, and what is in them. */
import { defineCommand } from "citty";
import { UsageError } from "../cli/arguments.js";
import { SETS } from "../data/catalogue.js";
import { checkSets, type CheckReport } from "../data/check.js";
import { locateSet } from "../data/locate.js";
import { getSet } from "../data/sets.js";
import { visibleText } from "../report/text.js";
import { jsonText, say } from "../terminal.js";
import { columnArgs, columnFlags } from "./columns.js";
import { markdownTable, printable } from "../evaluate/table.js";
import { interruptible } from "./interruptible.js";

const print = (text: string): void => void process.stdout.write(`${visibleText(text)}\n`);
const json = { type: "boolean", description: "Print JSON" } as const;

const list = defineCommand({
  meta: { name: "list", description: "Data sets known by name: what they are, where they are, licence" },
  args: { json },
  run: ({ args }) => {
    const sets = SETS.map((entry) => {
      const located = locateSet(entry);
      const { name, what, licence, page, gated, published, hub } = entry;
      const paths = located?.files.map((file) => file.path) ?? [];
      return {
        name,
        what,
        where: located?.where ?? null,
        part: located?.part ?? false,
        published,
        licence,
        gated,
        page,
        hub,
        paths,
      };
    });
    if (args.json) {
      print(jsonText({ sets }, 2));
      return;
    }
    const rows = sets.map((set) => [
      set.name,
      set.where === null ? "not here" : set.part ? `${set.where} (part)` : set.where,
      set.published === null ? "–" : String(set.published.rows),
      set.gated ? "gated" : set.hub === null && set.where !== "repository" ? "own copy only" : "open",
      set.licence,
      set.what,
    ]);
    print(markdownTable(["name", "where", "rows published", "access", "licence", "what"], rows, [0, 1, 3, 4, 5]));
    print("\nGet one: true-intents data get NAME. A gated one needs its terms accepted on its page and HF_TOKEN.");
  },
});

const get = defineCommand({
  meta: { name: "get", description: "Download data sets (those already here are left alone) and print their paths" },
  args: { name: { type: "positional", required: false, description: "Names of data sets" }, json },
  run: async ({ args }) => {
    if (args._.length === 0) throw new UsageError("data get needs a name; true-intents data list shows them");
    const loaded = [];
    for (const name of args._) {
      const { files, notes, rows } = await interruptible((signal) => getSet(name, { signal, log: say }));
      loaded.push({ name, rows: rows.length, files, notes });
      if (!args.json) for (const file of files) print(file.path);
      say(`${name}: ${rows.length} rows`);
      for (const note of notes) say(`  ${note}`);
    }
    if (args.json) print(jsonText({ sets: loaded }, 2));
  },
});

const check = defineCommand({
  meta: { name: "check", description: "Counts of sets against the published ones, prompts that they share, and near-duplicates" },
  args: {
    name: { type: "positional", required: false, description: "Names of data sets, or your own files; without any, all at hand" },
    threshold: { type: "string", description: "Share of words from which two prompts are near-duplicates", default: "0.7" },
    pairs: { type: "boolean", description: "List near-duplicates by id" },
    ...columnArgs,
    json,
  },
  run: async ({ args }) => {
    const threshold = Number(args.threshold);
    if (!(threshold > 0 && threshold <= 1))
      throw new UsageError(`--threshold is "${args.threshold}"; it must be above 0 and at most 1`);
    const names = args._.length > 0 ? args._ : SETS.filter((entry) => locateSet(entry) !== null).map((entry) => entry.name);
    const columns = columnFlags(args);
    const report = await interruptible((signal) => checkSets(names, { threshold, columns, signal }));
    print(args.json ? jsonText(report, 2) : reportText(report, args.pairs === true));
    if (report.sets.some((set) => set.problem !== null)) process.exitCode = 1;
  },
});

/** Exit codes beside the usual ones: 1 also for a set whose counts or files are not what they should be, 2 also for an unknown name. */
export default defineCommand({
  meta: { name: "data", description: "List, download and check data sets" },
  subCommands: { list, get, check },
});

function reportText(report: CheckReport, withPairs: boolean): string {
  const { sets, overlaps, near, threshold } = report;
  const number = (value: number | null | undefined): string => (value === null || value === undefined ? "–" : String(value));
  const head = ["set", "rows", "harmful", "safe", "published rows", "harmful", "safe", "in two splits", "state"];
  const body = sets.map(({ name, counts, published, acrossSplits, part, problem }) => [
    name,
    ...[counts?.rows, counts?.harmful, counts?.safe, published?.rows, published?.harmful, published?.safe].map(number),
    String(acrossSplits),
    counts === null ? "UNREADABLE" : problem !== null ? "NOT AS PUBLISHED" : part ? "part" : "ok",
  ]);
  const files = sets.flatMap(({ name, files }) => files.map(({ path, sha256 }) => [name, sha256, path]));
  const notes = sets.flatMap((set) =>
    [...(set.problem === null ? [] : [set.problem]), ...set.notes].map((note) => `- ${set.name}: ${printable(note)}`),
  );
  const matrix = overlaps.names.map((name, i) => [name, ...overlaps.shared[i].map(String)]);
  const nearBody = near.map(({ a, b, pairs }) => [
    a === b ? `${a}, within itself` : `${a}, ${b}`,
    String(pairs.length),
    pairs.length === 0 ? "–" : pairs[0].jaccard.toFixed(2),
  ]);
  const parts = [markdownTable(head, body)];
  if (files.length > 0) parts.push(markdownTable(["set", "sha256", "file"], files, [0, 1, 2]));
  if (notes.length > 0) parts.push(notes.join("\n"));
  if (matrix.length > 1) {
    const title = "Distinct prompts (diagonal) and those that two sets share, by normalised text:";
    parts.push(`${title}\n${markdownTable(["", ...overlaps.names], matrix)}`);
  }
  if (nearBody.length > 0) {
    const title = `Pairs of prompts that share at least ${threshold} of their words (Jaccard):`;
    parts.push(`${title}\n${markdownTable(["sets", "pairs", "most alike"], nearBody)}`);
  }
  const listed = near.flatMap(({ a, b, pairs }) =>
    pairs.map((pair) => [`${a} ${pair.a}`, `${b} ${pair.b}`, pair.jaccard.toFixed(2)]),
  );
  if (withPairs && listed.length > 0) parts.push(markdownTable(["near-duplicate", "of", "Jaccard"], listed));
  return parts.join("\n\n");
}
