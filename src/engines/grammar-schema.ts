/** Which JSON schemas node-llama-cpp's grammars hold a model to. The library leaves out what it does not know without a word. */

/** Keywords that say nothing about what is allowed. */
const WORDS = new Set(["title", "description", "$schema"]);
/** Enforced as they stand. Of `required`: the grammar asks for every property. */
const PLAIN = new Set([
  "type",
  "enum",
  "const",
  "required",
  "minLength",
  "maxLength",
  "minItems",
  "maxItems",
  "minProperties",
  "maxProperties",
]);
/** A schema, or true or false. */
const ONE = new Set(["items", "additionalProperties"]);
const LISTS = new Set(["oneOf", "prefixItems"]);

/**
 * Checks that a schema says nothing that a grammar would not enforce. A grammar may ask for more: all properties of an object are
 * required, and others are not allowed unless the schema says so.
 * @param path names the schema in messages
 * @throws TypeError naming the first keyword that is not enforced
 */
export function checkGrammarSchema(schema: unknown, path: string): void {
  if (typeof schema !== "object" || schema === null || Array.isArray(schema)) throw new TypeError(`${path} is not an object`);
  for (const [key, value] of Object.entries(schema as Record<string, unknown>)) {
    const here = `${path}.${key}`;
    if (WORDS.has(key) || PLAIN.has(key)) continue;
    if (key === "properties") for (const [name, part] of entriesOf(value, here)) checkGrammarSchema(part, `${here}.${name}`);
    else if (LISTS.has(key)) for (const [i, part] of entriesOf(value, here)) checkGrammarSchema(part, `${here}.${i}`);
    else if (!ONE.has(key)) throw new TypeError(`${here} is not enforced`);
    else if (typeof value !== "boolean") checkGrammarSchema(value, here);
  }
}

function entriesOf(value: unknown, path: string): [string, unknown][] {
  if (typeof value !== "object" || value === null) throw new TypeError(`${path} is not an object or a list`);
  return Object.entries(value as Record<string, unknown>);
}
