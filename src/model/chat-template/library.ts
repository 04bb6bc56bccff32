/**
 * What we use of @huggingface/jinja. Its declarations do not resolve under Node's module rules (0.5.11), so they are stated here.
 */
import * as library from "@huggingface/jinja";

/** A value while a template runs. `value` is a string, number, boolean, null, list of values, Map of values or function. */
export interface Value {
  readonly type: string;
  readonly value: unknown;
  toString(): string;
}

/** A node of a parsed template. */
export interface Node {
  readonly type: string;
}

export interface Scope {
  set(name: string, value: unknown): Value;
  setVariable(name: string, value: Value): Value;
  lookupVariable(name: string): Value;
}

export interface Interpreting {
  evaluate(node: Node | undefined, scope: Scope): Value;
}

export const { Environment, Interpreter, parse, tokenize } = library as unknown as {
  Environment: new () => Scope;
  Interpreter: new (scope: Scope) => Interpreting;
  parse: (tokens: unknown) => Node;
  tokenize: (source: string, options: { lstrip_blocks: boolean; trim_blocks: boolean }) => unknown;
};

/** The class of strings, which the library does not export. */
export const StringValue = new Environment().set("text", "").constructor as new (text: string) => {
  type: string;
  value: string;
  toString(): string;
};

export function isString(value: Value): value is Value & { readonly value: string } {
  return value.type === "StringValue";
}

export function isList(value: Value): value is Value & { readonly value: Value[] } {
  return value.type === "ArrayValue" || value.type === "TupleValue";
}

export function isMapping(value: Value): value is Value & { readonly value: Map<string, Value> } {
  return value.type === "ObjectValue" || value.type === "NamespaceValue" || value.type === "KeywordArgumentsValue";
}
