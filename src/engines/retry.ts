/** Asks again what a passing fault stopped: exponential back-off with seeded jitter, and the server's own wish where it has one. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "../random.js";

/** Why one request to a server gave no answer. */
export class RequestFault extends Error {
  override readonly name = "RequestFault";
  constructor(
    message: string,
    /**
     * "passing": another try may help. "unreachable": too, but if it does not, no other request will fare better. "refused": this
     * request will not be answered. "hopeless": no request will (a wrong key, an empty account).
     */
    readonly kind: "passing" | "unreachable" | "refused" | "hopeless",
    /** How long the server asked to wait; null if it did not. */
    readonly waitMs: number | null = null,
  ) {
    super(message);
  }
}

export interface BackOff {
  /** Requests sent at most. */
  readonly tries: number;
  /** Pause after the first try; it doubles after each. */
  readonly baseMs: number;
  /** The longest pause, whatever the server asks for. */
  readonly longestMs: number;
}

/** Five tries in some 15 seconds, unless the server asks for longer pauses. */
export const USUAL_BACK_OFF: BackOff = { tries: 5, baseMs: 1000, longestMs: 60_000 };

/**
 * Pause after try number `tried` (from 1): half of base · 2^(tried - 1) at least and all of it at most, evenly drawn, so that requests that
 * failed together do not come back together; never less than what the server asked for, never more than `longestMs`.
 */
export function pauseAfter(tried: number, waitMs: number | null, { baseMs, longestMs }: BackOff, random: Random): number {
  const own = baseMs * 2 ** (tried - 1) * (0.5 + 0.5 * random.uniform());
  return Math.min(Math.max(own, waitMs ?? 0), longestMs);
}

/**
 * Runs `action` until it succeeds, throws what another try cannot mend, or has failed `tries` times.
 * @throws what `action` threw last (a fault that was tried again says how often), or the signal's reason
 */
export async function withBackOff<T>(
  action: () => Promise<T>,
  backOff: BackOff,
  random: Random,
  signal?: AbortSignal,
): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      return await action();
    } catch (error) {
      if (!(error instanceof RequestFault) || error.kind === "refused" || error.kind === "hopeless") throw error;
      if (tried >= backOff.tries)
        throw tried === 1 ? error : new RequestFault(`${error.message} (asked ${tried} times)`, error.kind);
      await sleep(pauseAfter(tried, error.waitMs, backOff, random), undefined, signal ? { signal } : {}).catch(() => undefined);
      signal?.throwIfAborted();
    }
  }
}
