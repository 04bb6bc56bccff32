/**
 * The project's one source of chance: a seeded, serialisable generator that is passed down, never global.
 * sfc32 (Chris Doty-Humphrey, PractRand): 128 bits of state, passes PractRand; 32-bit arithmetic, so the same on every machine.
 */
export interface Random {
  /** Next number in [0, 1), 32 bits of it random. */
  uniform(): number;
  /** Next integer in [0, n). */
  integer(n: number): number;
  /** Four unsigned 32-bit words; `randomFromState` goes on from exactly here. */
  state(): readonly [number, number, number, number];
}

/** A stream named by a seed and any further keys (epoch, prompt, sample, …): other keys give an independent stream. */
export function createRandom(seed: number, ...keys: readonly (number | string)[]): Random {
  const words = [seed, ...keys].flatMap((key) => {
    const numbers = typeof key === "number" ? [key, Math.floor(key / 2 ** 32)] : Array.from(key, (c) => c.codePointAt(0)!);
    // The length separates ("ab", "c") from ("a", "bc").
    return [numbers.length, ...numbers];
  });
  const hash = (start: number): number => words.reduce(mix, start) >>> 0;
  const random = randomFromState([hash(0x9e3779b9), hash(0x243f6a88), hash(0xb7e15162), 1]);
  for (let i = 0; i < 12; i++) random.uniform();
  return random;
}

export function randomFromState(state: readonly [number, number, number, number]): Random {
  let [a, b, c, counter] = state.map((word) => word >>> 0) as [number, number, number, number];
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  return {
    uniform: () => next() / 2 ** 32,
    integer: (n) => Math.floor((next() / 2 ** 32) * n),
    state: () => [a >>> 0, b >>> 0, c >>> 0, counter >>> 0],
  };
}

/** Fisher-Yates; returns a new array. */
export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = random.integer(i + 1);
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
}

/** One round of murmur3's mixing of a word into a hash. */
function mix(hash: number, word: number): number {
  let k = Math.imul(word | 0, 0xcc9e2d51);
  k = (k << 15) | (k >>> 17);
  let h = hash ^ Math.imul(k, 0x1b873593);
  h = (h << 13) | (h >>> 19);
  h = (Math.imul(h, 5) + 0xe6546b64) | 0;
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  return h >>> 0;
}
