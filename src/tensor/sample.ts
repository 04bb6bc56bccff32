/**
 * Drawing a token from logits on the host, by the rule of `src/native/kernels/sample.h`.
 *
 * Weights e^((logit - largest) / temperature) are rounded to float32, sums are float64. There the sum of all weights is taken in float32
 * over 256 of them at a time: a draw that falls between two sums that are rounded otherwise is another id. The nucleus is the fewest most likely ids
 * (ties: lowest first) whose weights reach topP of all; the draw runs through it in the order of ids and takes the first whose
 * running sum passes uniform · mass.
 */

/** One drawn token; logProb is of softmax(logits / temperature), of softmax(logits) when greedy. */
export interface Draw {
  readonly id: number;
  readonly logProb: number;
}

/** Buckets of equal leading bits (exponent, 5 bits of mantissa) of a float in [0, 1]: ordered as the floats are. */
const BUCKET_SHIFT = 18;
const BUCKETS = (0x3f800000 >> BUCKET_SHIFT) + 1;

/**
 * Draws from one row of logits. temperature 0: the largest logit, the lowest id on ties; topP and uniform are then unused.
 * Arguments are the caller's to check; returns null if the logits have no finite maximum.
 */
export function sampleRow(logits: Float32Array, temperature: number, topP: number, uniform: number): Draw | null {
  const top = maximum(logits);
  if (!Number.isFinite(top)) return null;
  const inverse = temperature === 0 ? 1 : Math.fround(1 / Math.fround(temperature));
  const weights = logits.map((x) => Math.exp(Math.fround(Math.fround(x - top) * inverse)));
  let mass = 0;
  for (const weight of weights) mass += weight;
  const id = temperature === 0 ? logits.indexOf(top) : draw(weights, mass, topP, uniform);
  return { id, logProb: (logits[id] - top) * inverse - Math.log(mass) };
}

/** The largest value, NaN if any is NaN. */
function maximum(x: Float32Array): number {
  let top = -Infinity;
  for (const value of x) {
    if (Number.isNaN(value)) return NaN;
    if (value > top) top = value;
  }
  return top;
}

function draw(weights: Float32Array, total: number, topP: number, uniform: number): number {
  const share = Math.fround(topP);
  const nucleus = share < 1 ? findNucleus(weights, share * total) : { weight: 0, last: -1, mass: total };
  const target = uniform * nucleus.mass;
  let passed = 0;
  // Rounding may leave the sum just short of the target at the end: then the last possible id.
  let chosen = 0;
  for (let id = 0; id < weights.length; id++) {
    const weight = weights[id];
    if (weight < nucleus.weight || weight === 0 || (weight === nucleus.weight && id > nucleus.last)) continue;
    chosen = id;
    passed += weight;
    if (passed > target) break;
  }
  return chosen;
}

/** All ids with a weight above `weight` and those of exactly `weight` up to id `last`; `mass` is their sum. */
interface Nucleus {
  readonly weight: number;
  readonly last: number;
  readonly mass: number;
}

/** No full sort: a histogram finds the bucket where the nucleus ends, and only that bucket is sorted. */
function findNucleus(weights: Float32Array, target: number): Nucleus {
  const bits = new Int32Array(weights.buffer, weights.byteOffset, weights.length);
  const bucketOf = (id: number): number => Math.min(bits[id] >> BUCKET_SHIFT, BUCKETS - 1);
  const masses = new Float64Array(BUCKETS);
  for (let id = 0; id < weights.length; id++) masses[bucketOf(id)] += weights[id];
  let bucket = BUCKETS - 1;
  let mass = 0;
  while (bucket > 0 && mass + masses[bucket] < target) mass += masses[bucket--];
  const edge: number[] = [];
  for (let id = 0; id < weights.length; id++) if (bucketOf(id) === bucket) edge.push(id);
  edge.sort((a, b) => weights[b] - weights[a] || a - b);
  let last = edge[0];
  for (const id of edge) {
    last = id;
    mass += weights[id];
    if (mass >= target) break;
  }
  return { weight: weights[last], last, mass };
}
