/** 16-bit floats: IEEE half by table, bfloat16 by shifting. Little-endian bytes, as in every weight file. */

/** All 65,536 half-precision values as float32 (256 KiB, made on first use). */
export function halfTable(): Float32Array {
  if (table === null) {
    table = new Float32Array(65_536);
    for (let bits = 0; bits < 65_536; bits++) table[bits] = halfToNumber(bits);
  }
  return table;
}

let table: Float32Array | null = null;

function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** float16 bytes -> out, from `outOffset`. */
export function widenHalf(bytes: Uint8Array, out: Float32Array, outOffset: number): void {
  const table = halfTable();
  const halves = as16Bits(bytes);
  for (let i = 0; i < halves.length; i++) out[outOffset + i] = table[halves[i]];
}

/** bfloat16 bytes -> out, from `outOffset`. Exact: a bfloat16 is the upper half of a float32. */
export function widenBfloat16(bytes: Uint8Array, out: Float32Array, outOffset: number): void {
  const words = new Uint32Array(out.buffer, out.byteOffset + outOffset * 4, bytes.length / 2);
  const halves = as16Bits(bytes);
  for (let i = 0; i < halves.length; i++) words[i] = halves[i] << 16;
}

/** The same bytes as 16-bit words; copied where they do not start at an even address. */
function as16Bits(bytes: Uint8Array): Uint16Array {
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : Uint8Array.from(bytes);
  return new Uint16Array(aligned.buffer, aligned.byteOffset, bytes.length / 2);
}

/** float32 -> bfloat16 bytes, rounded to nearest even; NaN stays NaN. */
export function narrowBfloat16(values: Float32Array): Uint8Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < words.length; i++) {
    const bits = words[i];
    const isNaN = (bits & 0x7fffffff) > 0x7f800000;
    halves[i] = isNaN ? (bits >>> 16) | 0x40 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
  }
  return new Uint8Array(halves.buffer);
}
