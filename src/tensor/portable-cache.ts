/**
 * Keys and values for decoding as immutable tensors: groups of slots that were written together, each group one tensor.
 *
 * Appending a token makes a group's tensors anew, which copies what the step reads anyway. Slots that step together stay one group,
 * so a step takes the same few ops however many slots there are. Slots that stay behind get a group of their own, once.
 */
import type { LayerCache } from "./ops.js";
import { keep, type Tensor } from "./tensor.js";

/** Slots written together. Lane i of the tensors is slots[i]; of its tokens the first lengths[i] count. */
export interface Lanes {
  readonly slots: readonly number[];
  readonly lengths: readonly number[];
  /** T [lanes, kvHeads, tokens, headDim]. */
  readonly keys: Tensor;
  readonly values: Tensor;
}

export class PortableCache implements LayerCache {
  /** Which lanes hold a slot, and which of them. */
  readonly #places = new Map<number, { lanes: Lanes; lane: number }>();
  readonly #groups = new Set<Lanes>();

  constructor(
    readonly slots: number,
    readonly capacity: number,
    readonly heads: number,
    readonly headDim: number,
  ) {}

  /** Where a slot's tokens stand; undefined if it was never written. */
  find(slot: number): { lanes: Lanes; lane: number } | undefined {
    return this.#places.get(slot);
  }

  /** Tokens written to a slot. */
  length(slot: number): number {
    const place = this.#places.get(slot);
    return place ? place.lanes.lengths[place.lane] : 0;
  }

  /** Puts groups in the place of what their slots held; `split` copies the given lanes of a group out of it. */
  write(groups: readonly Lanes[], split: (lanes: Lanes, kept: readonly number[]) => Lanes): void {
    const written = new Set(groups.flatMap(({ slots }) => slots));
    const outdated = [...this.#groups].filter(({ slots }) => slots.some((slot) => written.has(slot)));
    // A group lives as long as any slot of it: without this, each slot that stays behind would keep a whole group alive.
    const rests = outdated.flatMap((lanes) => {
      const kept = lanes.slots.flatMap((slot, lane) => (written.has(slot) ? [] : [lane]));
      return kept.length > 0 ? [split(lanes, kept)] : [];
    });
    for (const lanes of outdated) this.#drop(lanes);
    for (const lanes of [...rests, ...groups]) {
      keep(lanes.keys);
      keep(lanes.values);
      this.#groups.add(lanes);
      for (const [lane, slot] of lanes.slots.entries()) this.#places.set(slot, { lanes, lane });
    }
  }

  free(): void {
    this.#places.clear();
    for (const lanes of this.#groups) this.#drop(lanes);
  }

  #drop(lanes: Lanes): void {
    this.#groups.delete(lanes);
    lanes.keys.free();
    lanes.values.free();
  }
}
