/** A bounded number of tasks at a time, results as they come. */
import { setMaxListeners } from "node:events";

/**
 * Runs `work` on every task, at most `limit` at a time, and yields results in the order in which they come. When the signal aborts, what
 * is running is awaited, what succeeded all the same is yielded, and the signal's reason is thrown. Whoever stops listening aborts what
 * is running through the signal that `work` is given.
 * @throws the first error of `work`, after all that runs has ended
 */
export async function* concurrently<T, R>(
  tasks: readonly T[],
  limit: number,
  work: (task: T, signal: AbortSignal) => Promise<R>,
  signal?: AbortSignal,
): AsyncGenerator<R> {
  type Settled = { readonly self: Promise<Settled>; readonly result: PromiseSettledResult<R> };
  const controller = new AbortController();
  // Every task listens; that is no leak.
  setMaxListeners(0, controller.signal);
  const abort = (): void => controller.abort(signal?.reason);
  signal?.addEventListener("abort", abort);
  const running = new Set<Promise<Settled>>();
  const start = (task: T): void => {
    const self: Promise<Settled> = work(task, controller.signal).then(
      (value) => ({ self, result: { status: "fulfilled", value } }),
      (reason: unknown) => ({ self, result: { status: "rejected", reason } }),
    );
    running.add(self);
  };
  let failed: { readonly reason: unknown } | null = null;
  try {
    signal?.throwIfAborted();
    let next = 0;
    for (;;) {
      while (running.size < limit && next < tasks.length && failed === null && !controller.signal.aborted) start(tasks[next++]);
      if (running.size === 0) break;
      const { self, result } = await Promise.race(running);
      running.delete(self);
      if (result.status === "fulfilled") yield result.value;
      else {
        failed ??= result;
        controller.abort(result.reason);
      }
    }
    signal?.throwIfAborted();
    if (failed !== null) throw failed.reason;
  } finally {
    signal?.removeEventListener("abort", abort);
    controller.abort();
    await Promise.all(running);
  }
}
