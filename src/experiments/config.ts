/** Settings of an experiment: read from "key=value", checked against a schema, compared by field. */
import { isDeepStrictEqual } from "node:util";
import { closest } from "../closest.js";
import { printable } from "../evaluate/table.js";

/** A setting that does not exist, or a value it cannot have. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  constructor(
    /** The key; null when the whole is meant. */
    readonly field: string | null,
    message: string,
  ) {
    super(message);
  }
}

export interface ConfigSchema<T> {
  readonly check: (value: unknown) => Checked<T>;
  /** For each key in words what it may be. */
  readonly allowed: Readonly<Record<string, string>>;
}

type Checked<T> =
  | { readonly success: true; readonly data: T }
  | { readonly success: false; readonly error: { readonly issues: readonly Issue[] } };

interface Issue {
  readonly code?: string;
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/**
 * A config with some of its settings replaced; what is text, number or list follows from the value that is there.
 * @throws ConfigError for an unknown key (with the nearest one), a key set twice, or a value that is not allowed
 */
export function applySettings<T extends object>(config: T, settings: readonly string[], schema: ConfigSchema<T>): T {
  const known = Object.keys(schema.allowed);
  const changed = new Map<string, { value: unknown; written: string }>();
  for (const setting of settings) {
    const at = setting.indexOf("=");
    const key = (at < 0 ? setting : setting.slice(0, at)).trim();
    if (!known.includes(key)) {
      const similar = closest(key, known);
      const hint = similar === null ? `known are ${known.join(", ")}` : `did you mean ${similar}?`;
      throw new ConfigError(key, `there is no setting "${quotable(key)}"; ${hint}`);
    }
    if (at < 0) throw new ConfigError(key, `${key} needs a value: ${key}=…, ${schema.allowed[key]}`);
    if (changed.has(key)) throw new ConfigError(key, `${key} is set twice`);
    const written = setting.slice(at + 1).trim();
    changed.set(key, { value: valueLike((config as Record<string, unknown>)[key], written), written });
  }
  const result = schema.check({ ...config, ...Object.fromEntries([...changed].map(([key, { value }]) => [key, value])) });
  if (result.success) return result.data;
  const [{ path, message }] = result.error.issues;
  const key = String(path[0] ?? "");
  const written = quotable(changed.get(key)?.written ?? "");
  throw new ConfigError(key, `${key} is "${written}"; it must be ${schema.allowed[key] ?? message}`);
}

/** Checks a config from a file. @throws ConfigError naming file and field */
export function checkConfig<T>(value: unknown, schema: ConfigSchema<T>, file: string): T {
  const result = schema.check(value);
  if (result.success) return result.data;
  const [{ path, message }] = result.error.issues;
  const key = path.length === 0 ? null : String(path[0]);
  const problem = key === null ? message : `${quotable(key)} must be ${schema.allowed[key] ?? message}`;
  throw new ConfigError(key, `${file}: ${problem}. Was it changed by hand? --fresh begins anew`);
}

/** The first field in which two configs differ, as words; null when they are the same. */
export function firstDifference(before: object, now: object): { readonly field: string; readonly words: string } | null {
  const [was, is] = [before, now] as [Record<string, unknown>, Record<string, unknown>];
  for (const field of new Set([...Object.keys(was), ...Object.keys(is)])) {
    if (isDeepStrictEqual(was[field], is[field])) continue;
    return { field, words: `${field} was ${shown(was[field])} and is ${shown(is[field])}` };
  }
  return null;
}

/** Whether a list is a longer one than `start` that begins with it. */
export function beginsWith(list: unknown, start: unknown): boolean {
  if (!Array.isArray(list) || !Array.isArray(start) || list.length <= start.length) return false;
  return isDeepStrictEqual(list.slice(0, start.length), start);
}

function shown(value: unknown): string {
  if (value === undefined) return "not set";
  if (Array.isArray(value)) return value.length === 0 ? "empty" : value.map(shown).join(",");
  return quotable(typeof value === "string" ? value : JSON.stringify(value));
}

function valueLike(present: unknown, written: string): unknown {
  if (Array.isArray(present)) {
    const items = written === "" ? [] : written.split(",").map((item) => item.trim());
    return typeof present[0] === "number" ? items.map(numberOf) : items;
  }
  return typeof present === "number" ? numberOf(written) : written;
}

/** Number("") is 0, and that is not what an empty value means. */
function numberOf(written: string): number {
  return written === "" ? NaN : Number(written);
}

/** What someone wrote, in a message: not all of it where it is long, and on one line. */
export function quotable(text: string): string {
  return printable(text.slice(0, 200));
}
