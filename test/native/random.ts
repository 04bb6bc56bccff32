/** Seeded numbers for the native tests. */

/** mulberry32: uniform in [0, 1). */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export function pick<T>(random: () => number, values: readonly T[]): T {
  return values[Math.floor(random() * values.length)];
}

/** Values in [-1, 1). */
export function values(random: () => number, count: number): Float32Array {
  return Float32Array.from({ length: count }, () => 2 * random() - 1);
}

/** The nearest bfloat16, ties to even. */
export function toBfloat16(x: number): number {
  const float = Float32Array.of(x);
  const bits = new Uint32Array(float.buffer);
  bits[0] = (bits[0] + 0x7fff + ((bits[0] >>> 16) & 1)) & 0xffff0000;
  return float[0];
}
