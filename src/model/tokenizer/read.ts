import { TokenizerError } from "./errors.js";

/** A value of a file that nobody has checked yet, and where it stands. Reading it as something else throws TokenizerError. */
export interface Read {
  readonly value: unknown;
  readonly field: string;
  error(problem: string): TokenizerError;
  /** A member of an object; of anything but an object, undefined. Inherited members do not count. */
  get(key: string): Read;
  string(fallback?: string): string;
  boolean(fallback?: boolean): boolean;
  /** Item i of a list; undefined where there is none. */
  item(i: number): Read;
  /** A whole number in [0, limit). */
  index(limit: number): number;
  /** The items of a list of at most `limit`. */
  items(limit: number): Read[];
}

export function reader(file: string, value: unknown, field = ""): Read {
  const at = (key: string): string => (field === "" ? key : key.startsWith("[") ? field + key : `${field}.${key}`);
  const wrong = (expected: string): TokenizerError =>
    new TokenizerError(file, field, `expected ${expected}, found ${shown(value)}`);
  return {
    value,
    field,
    error: (problem) => new TokenizerError(file, field, problem),
    get: (key) =>
      reader(
        file,
        typeof value === "object" && value !== null && Object.hasOwn(value, key)
          ? (value as Record<string, unknown>)[key]
          : undefined,
        at(key),
      ),
    item: (i) => reader(file, Array.isArray(value) ? (value[i] as unknown) : undefined, at(`[${i}]`)),
    string(fallback) {
      if (value === undefined && fallback !== undefined) return fallback;
      if (typeof value !== "string") throw wrong("a string");
      return value;
    },
    boolean(fallback) {
      if ((value === undefined || value === null) && fallback !== undefined) return fallback;
      if (typeof value !== "boolean") throw wrong("true or false");
      return value;
    },
    index(limit) {
      const number = typeof value === "bigint" ? Number(value) : value;
      if (typeof number !== "number" || !Number.isInteger(number) || number < 0 || number >= limit) {
        throw wrong(`a whole number in [0, ${limit})`);
      }
      return number;
    },
    items(limit) {
      if (!Array.isArray(value)) throw wrong("a list");
      if (value.length > limit) throw wrong(`a list of at most ${limit}`);
      return Array.from(value, (item: unknown, i) => reader(file, item, at(`[${i}]`)));
    },
  };
}

function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "object" && value !== null) return "an object";
  const text = typeof value === "bigint" ? `${value}` : (JSON.stringify(value) ?? typeof value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
