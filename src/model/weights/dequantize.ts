/**
 * GGUF tensor bytes -> float32: one loop a type, over typed arrays.
 *
 * Layouts and arithmetic are those of ggml (`ggml-quants.c`) and its Python package (`gguf.quants`), to the bit: scale times integer
 * is exact in float64 for every type here, so each value is rounded to float32 once, where ggml rounds it.
 */
import { halfTable, widenBfloat16, widenHalf } from "./half.js";

/** Writes `blocks` (whole blocks of one type) as float32 to `out` from `start`. */
export type Dequantize = (blocks: Uint8Array, out: Float32Array, start: number) => void;

/** By the names of `READABLE_TYPES`. */
export const DEQUANTIZE: ReadonlyMap<string, Dequantize> = new Map<string, Dequantize>([
  ["F32", float32],
  ["F16", widenHalf],
  ["BF16", widenBfloat16],
  ["Q4_0", q4_0],
  ["Q4_1", q4_1],
  ["Q5_0", q5_0],
  ["Q5_1", q5_1],
  ["Q8_0", q8_0],
  ["Q4_K", q4_k],
  ["Q5_K", q5_k],
  ["Q6_K", q6_k],
]);

function float32(bytes: Uint8Array, out: Float32Array, start: number): void {
  new Uint8Array(out.buffer, out.byteOffset + start * 4, bytes.length).set(bytes);
}

/** 32 values: scale d, 16 bytes of nibbles (low ones first), value d (q - 8). */
function q4_0(b: Uint8Array, out: Float32Array, start: number): void {
  const half = halfTable();
  for (let p = 0, o = start; p < b.length; p += 18, o += 32) {
    const d = half[b[p] | (b[p + 1] << 8)];
    for (let j = 0; j < 16; j++) {
      const byte = b[p + 2 + j];
      out[o + j] = d * ((byte & 15) - 8);
      out[o + 16 + j] = d * ((byte >> 4) - 8);
    }
  }
}

/** 32 values: scale d, minimum m, nibbles, value d q + m. */
function q4_1(b: Uint8Array, out: Float32Array, start: number): void {
  const half = halfTable();
  for (let p = 0, o = start; p < b.length; p += 20, o += 32) {
    const d = half[b[p] | (b[p + 1] << 8)];
    const m = half[b[p + 2] | (b[p + 3] << 8)];
    for (let j = 0; j < 16; j++) {
      const byte = b[p + 4 + j];
      out[o + j] = d * (byte & 15) + m;
      out[o + 16 + j] = d * (byte >> 4) + m;
    }
  }
}

/** 32 values: scale d, one high bit each in 4 bytes, nibbles, value d (q - 16). */
function q5_0(b: Uint8Array, out: Float32Array, start: number): void {
  const half = halfTable();
  for (let p = 0, o = start; p < b.length; p += 22, o += 32) {
    const d = half[b[p] | (b[p + 1] << 8)];
    const high = b[p + 2] | (b[p + 3] << 8) | (b[p + 4] << 16) | (b[p + 5] << 24);
    for (let j = 0; j < 16; j++) {
      const byte = b[p + 6 + j];
      out[o + j] = d * (((byte & 15) | (((high >>> j) & 1) << 4)) - 16);
      out[o + 16 + j] = d * (((byte >> 4) | (((high >>> (j + 16)) & 1) << 4)) - 16);
    }
  }
}

/** 32 values: scale d, minimum m, one high bit each, nibbles, value d q + m. */
function q5_1(b: Uint8Array, out: Float32Array, start: number): void {
  const half = halfTable();
  for (let p = 0, o = start; p < b.length; p += 24, o += 32) {
    const d = half[b[p] | (b[p + 1] << 8)];
    const m = half[b[p + 2] | (b[p + 3] << 8)];
    const high = b[p + 4] | (b[p + 5] << 8) | (b[p + 6] << 16) | (b[p + 7] << 24);
    for (let j = 0; j < 16; j++) {
      const byte = b[p + 8 + j];
      out[o + j] = d * ((byte & 15) | (((high >>> j) & 1) << 4)) + m;
      out[o + 16 + j] = d * ((byte >> 4) | (((high >>> (j + 16)) & 1) << 4)) + m;
    }
  }
}

/** 32 values: scale d, 32 signed bytes. */
function q8_0(b: Uint8Array, out: Float32Array, start: number): void {
  const half = halfTable();
  for (let p = 0, o = start; p < b.length; p += 34, o += 32) {
    const d = half[b[p] | (b[p + 1] << 8)];
    for (let j = 0; j < 32; j++) out[o + j] = d * ((b[p + 2 + j] << 24) >> 24);
  }
}

/** Sub-block `s` of 8: its 6-bit scale, packed in the 12 bytes at `p` with the upper two bits of the last four elsewhere. */
function scaleOf(b: Uint8Array, p: number, s: number): number {
  return s < 4 ? b[p + s] & 63 : (b[p + s + 4] & 15) | ((b[p + s - 4] >> 6) << 4);
}

/** Likewise its 6-bit minimum. */
function minimumOf(b: Uint8Array, p: number, s: number): number {
  return s < 4 ? b[p + s + 4] & 63 : (b[p + s + 4] >> 4) | ((b[p + s] >> 6) << 4);
}

/** 256 values in 8 sub-blocks: d, dmin, 8 scales and minima of 6 bits, nibbles; value d scale q - dmin minimum. */
function q4_k(b: Uint8Array, out: Float32Array, start: number): void {
  const half = halfTable();
  for (let p = 0, o = start; p < b.length; p += 144, o += 256) {
    const d = half[b[p] | (b[p + 1] << 8)];
    const dmin = half[b[p + 2] | (b[p + 3] << 8)];
    for (let s = 0; s < 8; s += 2) {
      const [d0, m0] = [d * scaleOf(b, p + 4, s), dmin * minimumOf(b, p + 4, s)];
      const [d1, m1] = [d * scaleOf(b, p + 4, s + 1), dmin * minimumOf(b, p + 4, s + 1)];
      const [quants, to] = [p + 16 + s * 16, o + s * 32];
      for (let j = 0; j < 32; j++) {
        const byte = b[quants + j];
        out[to + j] = d0 * (byte & 15) - m0;
        out[to + 32 + j] = d1 * (byte >> 4) - m1;
      }
    }
  }
}

/** As Q4_K with a fifth bit: bit s of the 32 bytes before the nibbles belongs to sub-block s. */
function q5_k(b: Uint8Array, out: Float32Array, start: number): void {
  const half = halfTable();
  for (let p = 0, o = start; p < b.length; p += 176, o += 256) {
    const d = half[b[p] | (b[p + 1] << 8)];
    const dmin = half[b[p + 2] | (b[p + 3] << 8)];
    for (let s = 0; s < 8; s += 2) {
      const [d0, m0] = [d * scaleOf(b, p + 4, s), dmin * minimumOf(b, p + 4, s)];
      const [d1, m1] = [d * scaleOf(b, p + 4, s + 1), dmin * minimumOf(b, p + 4, s + 1)];
      const [quants, to] = [p + 48 + s * 16, o + s * 32];
      for (let j = 0; j < 32; j++) {
        const byte = b[quants + j];
        const high = b[p + 16 + j] >> s;
        out[to + j] = d0 * ((byte & 15) | ((high & 1) << 4)) - m0;
        out[to + 32 + j] = d1 * ((byte >> 4) | ((high & 2) << 3)) - m1;
      }
    }
  }
}

/**
 * 256 values in 16 sub-blocks of 16: low nibbles, two high bits each, 16 signed scales, d last; value d scale (q - 32).
 * Each half of 128 has 64 bytes of nibbles and 32 of high bits; byte j holds bits of values j, j + 32, j + 64 and j + 96.
 */
function q6_k(b: Uint8Array, out: Float32Array, start: number): void {
  const half = halfTable();
  for (let p = 0, o = start; p < b.length; p += 210, o += 256) {
    const d = half[b[p + 208] | (b[p + 209] << 8)];
    for (let sub = 0; sub < 4; sub++) {
      const [upper, j0] = [sub >> 1, (sub & 1) * 16];
      const [low, high, to] = [p + upper * 64 + j0, p + 128 + upper * 32 + j0, o + upper * 128 + j0];
      const scales = p + 192 + upper * 8 + (sub & 1);
      const s0 = d * ((b[scales] << 24) >> 24);
      const s1 = d * ((b[scales + 2] << 24) >> 24);
      const s2 = d * ((b[scales + 4] << 24) >> 24);
      const s3 = d * ((b[scales + 6] << 24) >> 24);
      for (let j = 0; j < 16; j++) {
        const [first, second, bits] = [b[low + j], b[low + 32 + j], b[high + j]];
        out[to + j] = s0 * (((first & 15) | ((bits & 3) << 4)) - 32);
        out[to + 32 + j] = s1 * (((second & 15) | ((bits & 12) << 2)) - 32);
        out[to + 64 + j] = s2 * (((first >> 4) | (bits & 48)) - 32);
        out[to + 96 + j] = s3 * (((second >> 4) | ((bits & 192) >> 2)) - 32);
      }
    }
  }
}
