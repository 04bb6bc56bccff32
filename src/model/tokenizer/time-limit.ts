import vm from "node:vm";

/** Thrown by `withTimeLimit` when the work was stopped. */
export class TimeLimitError extends Error {
  override readonly name = "TimeLimitError";

  constructor(readonly milliseconds: number) {
    super(`stopped after ${milliseconds} ms`);
  }
}

let stopwatch: { context: vm.Context; script: vm.Script } | null = null;

/**
 * Runs work that a stranger's file decides (a regular expression, a template) and stops it when it takes too long, inside a regular
 * expression too: the one thing in Node that can stop synchronous code is the watchdog of `vm`. Costs about 0.1 ms a call.
 *
 * @throws TimeLimitError when stopped; whatever `work` throws
 */
export function withTimeLimit<T>(milliseconds: number, work: () => T): T {
  stopwatch ??= { context: vm.createContext(Object.create(null) as object), script: new vm.Script("work()") };
  const { context, script } = stopwatch;
  const outer: unknown = context["work"];
  let result: { value: T } | null = null;
  context["work"] = () => {
    result = { value: work() };
  };
  try {
    script.runInContext(context, { timeout: milliseconds });
  } catch (error) {
    // The error is of the other context, so no instance of our Error.
    if (typeof error === "object" && error !== null && "code" in error && error.code === "ERR_SCRIPT_EXECUTION_TIMEOUT")
      throw new TimeLimitError(milliseconds);
    throw error;
  } finally {
    context["work"] = outer;
  }
  return result!.value;
}
