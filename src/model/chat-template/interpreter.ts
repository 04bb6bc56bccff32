import { Interpreter, isList, isMapping, isString, StringValue, type Node, type Scope, type Value } from "./library.js";
import { joined, OriginString, strip, unmark, type ChatSegment, type Marks } from "./origin.js";

/** A template did more than a template of a conversation has reason to. */
export class TemplateLimitError extends Error {
  override readonly name = "TemplateLimitError";
}

const MAX_STEPS = 2_000_000;
const ITEM = 16;

/** Nodes whose text is printed text, in which message text stands between marks. */
const BLOCKS: ReadonlySet<string> = new Set(["Program", "If", "For", "CallStatement", "FilterStatement"]);

interface Operation extends Node {
  readonly operator: { readonly value: string };
  readonly left: Node;
  readonly right: Node;
}
interface Filter extends Node {
  readonly operand: Node;
  readonly filter: Node & { readonly value?: unknown };
}
interface Call extends Node {
  readonly callee: Node & {
    readonly object: Node;
    readonly property: Node & { readonly value?: unknown };
    readonly computed: boolean;
  };
  readonly args: readonly Node[];
}
interface SetBlock extends Node {
  readonly value: Node | null;
  readonly assignee: Node & { readonly value: string };
}
interface Given extends Node {
  readonly value: Value;
}

const STRIPS: ReadonlyMap<unknown, "both" | "left" | "right"> = new Map([
  ["strip", "both"],
  ["lstrip", "left"],
  ["rstrip", "right"],
]);

const given = (value: Value): Given => ({ type: "Given", value });

/**
 * Hugging Face's interpreter, which also keeps track of what came from messages. Text joined of both keeps its parts apart; anything
 * else that is computed from message text (a slice, a replacement, JSON) counts as message text as a whole. So a control token in the
 * output is the template's only if every character of it is the template's own. Tests and comparisons see plain text.
 */
export class OriginInterpreter extends Interpreter {
  /** Values whose origin is settled: of strings that are no OriginString, the template's. */
  private readonly settled = new WeakSet<Value>();
  /** Lists and mappings with message text in them. */
  private readonly holders = new WeakSet<Value>();
  private readonly builtins = new WeakSet<Value>();
  /** Whether message text was looked at since the node under evaluation began. */
  private touched = false;
  private steps = 0;
  private made = 0;

  constructor(
    private readonly scope: Scope,
    private readonly marks: Marks,
    /** Characters that may be made in all, an item of a list counting as 16: bounds memory, since text and lists can double at each step. */
    private readonly budget: number,
  ) {
    super(scope);
  }

  /** Gives the template a value of ours. */
  define(name: string, value: unknown): void {
    this.settle(this.scope.set(name, value));
  }

  /** Gives the template a function; what it returns for message text is message text. */
  defineFunction(name: string, run: (...args: unknown[]) => unknown): void {
    this.builtins.add(this.scope.set(name, run));
  }

  /** Gives the template what other people wrote. Of each mapping in the list, the keys named are ours. */
  defineForeign(name: string, value: unknown, ours: ReadonlySet<string>): void {
    this.scope.setVariable(name, this.foreign(this.scope.set(name, value), ours));
  }

  /** Runs a template. @throws TemplateLimitError; whatever the template's own errors are */
  render(program: Node): ChatSegment[] {
    return joined(this.segmentsOf(this.evaluate(program, this.scope)));
  }

  override evaluate(node: Node | undefined, scope: Scope): Value {
    if (node === undefined) return super.evaluate(node, scope);
    if (node.type === "Given") return (node as Given).value;
    if (++this.steps > MAX_STEPS) throw new TemplateLimitError(`took more than ${MAX_STEPS} steps`);
    const outer = this.touched;
    this.touched = false;
    try {
      const result = this.settleResult(node, this.compute(node, scope));
      // A method of message text is called by the node above this one.
      this.touched = outer || this.isForeign(result) || (this.touched && result.type === "FunctionValue");
      return result;
    } catch (error) {
      this.touched = outer;
      throw error;
    }
  }

  private compute(node: Node, scope: Scope): Value {
    if (node.type === "BinaryExpression") return this.operate(node as Operation, scope);
    if (node.type === "FilterExpression") {
      const { operand, filter } = node as Filter;
      const value = this.evaluate(operand, scope);
      if (filter.type === "Identifier" && filter.value === "trim" && isString(value)) return this.stripped(value, "both", null);
      return super.evaluate({ ...node, operand: given(value) } as Node, scope);
    }
    if (node.type === "CallExpression") return this.call(node as Call, scope);
    const result = super.evaluate(node, scope);
    if (node.type === "Set" && (node as SetBlock).value === null && (node as SetBlock).assignee.type === "Identifier") {
      const name = (node as SetBlock).assignee.value;
      scope.setVariable(name, this.printed(scope.lookupVariable(name)));
    }
    return result;
  }

  /** Joins text with its parts kept apart. */
  private operate(node: Operation, scope: Scope): Value {
    const operator = node.operator.value;
    if (operator !== "+" && operator !== "~") return super.evaluate(node, scope);
    const left = this.evaluate(node.left, scope);
    const right = this.evaluate(node.right, scope);
    const result = super.evaluate({ ...node, left: given(left), right: given(right) } as Node, scope);
    if (!isString(result) || !(this.isForeign(left) || this.isForeign(right))) return result;
    const segments = joined([...this.segmentsOf(left), ...this.segmentsOf(right)]);
    const whole = segments.map((segment) => segment.text).join("") === result.value;
    return this.origin(whole ? segments : [{ text: result.value, trusted: false }]);
  }

  /** `strip` and its kin, which the library knows only without arguments; any other call. */
  private call(node: Call, scope: Scope): Value {
    const { callee, args } = node;
    const side = callee.type === "MemberExpression" && !callee.computed ? STRIPS.get(callee.property.value) : undefined;
    if (side !== undefined && args.length <= 1) {
      const value = this.evaluate(callee.object, scope);
      const characters = args.length === 0 ? null : this.evaluate(args[0], scope);
      if (isString(value) && (characters === null || isString(characters)))
        return this.stripped(value, side, characters?.value ?? null);
      const again = { ...callee, object: given(value) } as Node;
      return super.evaluate({ ...node, callee: again, args: characters === null ? [] : [given(characters)] } as Node, scope);
    }
    const result = super.evaluate(node, scope);
    // A macro's text is printed text.
    const macro = callee.type === "Identifier" && !this.builtins.has(super.evaluate(callee, scope));
    return macro ? this.printed(result) : result;
  }

  private stripped(value: Value & { readonly value: string }, side: "both" | "left" | "right", characters: string | null): Value {
    const segments = strip(this.segmentsOf(value), side, characters);
    if (this.isForeign(value)) return this.origin(segments);
    return this.own(new StringValue(segments.map((segment) => segment.text).join("")));
  }

  /** Settles where a result comes from, and counts it if it is new. */
  private settleResult(node: Node, result: Value): Value {
    if (this.settled.has(result)) return result;
    // What the library binds to a name by itself (keys of a mapping in a loop, `loop`) is nobody's word that it is ours.
    const foreign = this.touched || node.type === "Identifier";
    if (isString(result)) {
      this.count(result.value.length);
      if (BLOCKS.has(node.type)) return this.printed(result);
      return foreign ? this.foreignText(result.value) : this.own(result);
    }
    if (isList(result)) this.count(result.value.length * ITEM);
    else if (isMapping(result)) this.count(result.value.size * ITEM);
    else return result;
    if (foreign || result.type === "NamespaceValue") return this.foreign(result, new Set());
    return this.own(result);
  }

  private count(size: number): void {
    this.made += size;
    if (this.made > this.budget) throw new TemplateLimitError("made more text than a conversation has");
  }

  /** Text with marks in it, read back into its parts. */
  private printed(value: Value): Value {
    if (!isString(value) || this.settled.has(value)) return value;
    const segments = unmark(value.value, this.marks);
    return segments.some((segment) => !segment.trusted) ? this.origin(segments) : this.own(value);
  }

  private segmentsOf(value: Value): readonly ChatSegment[] {
    if (value instanceof OriginString) return value.segments;
    if (isString(value)) return [{ text: value.value, trusted: true }];
    // As the library joins them: numbers and booleans in JavaScript's spelling, lists and mappings in whatever it makes of them.
    return [{ text: String(value.value), trusted: !this.isForeign(value) }];
  }

  private isForeign(value: Value): boolean {
    return value instanceof OriginString || this.holders.has(value);
  }

  private origin(segments: readonly ChatSegment[]): Value {
    return this.own(new OriginString(segments, this.marks));
  }

  private foreignText(text: string): Value {
    return this.origin([{ text, trusted: false }]);
  }

  private own<T extends Value>(value: T): T {
    this.settled.add(value);
    return value;
  }

  private settle(value: Value): void {
    this.settled.add(value);
    if (isList(value)) for (const item of value.value) this.settle(item);
    else if (isMapping(value)) for (const item of value.value.values()) this.settle(item);
  }

  /** Makes message text of every string within that is not settled, in place, so that `value` remains the same list or mapping. */
  private foreign(value: Value, ours: ReadonlySet<string>): Value {
    if (this.settled.has(value)) return value;
    if (isString(value)) return this.foreignText(value.value);
    if (!isList(value) && !isMapping(value)) return value;
    this.own(value);
    this.holders.add(value);
    if (isList(value)) {
      value.value.forEach((item, i) => {
        value.value[i] = this.foreign(item, ours);
      });
    } else {
      for (const [key, item] of value.value) {
        if (ours.has(key)) this.settle(item);
        else value.value.set(key, this.foreign(item, ours));
      }
    }
    const plain = value.toString.bind(value);
    value.toString = () => this.foreignText(plain()).toString();
    return value;
  }
}
