/** Argument checks of the portable ops: each throws a {@link TensorError} that names the op, the argument, what it needs and what it got. */
import type { Device } from "./device.js";
import type { AttentionConfig, LoraLayout, RopeConfig } from "./ops.js";
import { describe, TensorError, type DType, type Tensor } from "./tensor.js";

/** A dimension of an expected shape: its length, or a name for any positive length. */
type Dimension = number | string;

/** Checks dtype and shape, which must not be empty. Returns the shape. */
export function expectTensor(
  op: string,
  argument: string,
  tensor: Tensor,
  dtype: DType,
  shape: readonly Dimension[],
): readonly number[] {
  const fits =
    tensor.isLive &&
    tensor.dtype === dtype &&
    tensor.shape.length === shape.length &&
    shape.every((n, i) => (typeof n === "number" ? n === tensor.shape[i] : tensor.shape[i] > 0));
  if (fits) return tensor.shape;
  const got = `${tensor.isLive ? "" : "a freed "}${describe(tensor)}`;
  throw new TensorError(`${op}: ${argument} must be ${dtype}[${shape.join(", ")}], got ${got}`);
}

export function expect(condition: boolean, op: string, argument: string, needs: string, got: unknown): asserts condition {
  if (!condition) throw new TensorError(`${op}: ${argument} must be ${needs}, got ${String(got)}`);
}

export function expectInteger(op: string, argument: string, value: number, low: number, high = Number.MAX_SAFE_INTEGER): void {
  const limit = high === Number.MAX_SAFE_INTEGER ? `at least ${low}` : `in [${low}, ${high}]`;
  expect(Number.isInteger(value) && value >= low && value <= high, op, argument, `an integer ${limit}`, value);
}

export function expectPositive(op: string, argument: string, value: number): void {
  expect(Number.isFinite(value) && value > 0, op, argument, "a finite number above 0", value);
}

export function expectFinite(op: string, argument: string, value: number): void {
  expect(Number.isFinite(value), op, argument, "a finite number", value);
}

/** Host copies of int32 tensors (ids, positions, segments): the same tensor is read by every layer of a pass. */
const hostCopies = new WeakMap<Tensor, Int32Array>();

/** An int32 tensor's values; it is in host memory on every device, so this does not wait for an accelerator. */
export function hostValues(device: Device, tensor: Tensor): Int32Array {
  let values = hostCopies.get(tensor);
  if (!values) hostCopies.set(tensor, (values = device.download(tensor) as Int32Array));
  return values;
}

/** Checks an int32 [length] tensor of indices below `limit`. Returns its values. */
export function expectIndices(
  op: string,
  argument: string,
  device: Device,
  tensor: Tensor,
  length: Dimension,
  limit: number,
): Int32Array {
  expectTensor(op, argument, tensor, "int32", [length]);
  const values = hostValues(device, tensor);
  const bad = values.findIndex((index) => index < 0 || index >= limit);
  expect(bad < 0, op, `${argument}[${bad}]`, `in [0, ${limit})`, values[bad]);
  return values;
}

export function expectAttention(op: string, config: AttentionConfig): void {
  expectInteger(op, "attention.kvHeads", config.kvHeads, 1);
  expectInteger(op, "attention.heads", config.heads, 1);
  expect(config.heads % config.kvHeads === 0, op, "attention.heads", `a multiple of kvHeads ${config.kvHeads}`, config.heads);
  expectInteger(op, "attention.headDim", config.headDim, 1);
  expectPositive(op, "attention.scale", config.scale);
  expectInteger(op, "attention.window", config.window, 0);
}

export function expectRope(op: string, config: AttentionConfig, rope: RopeConfig): void {
  expectAttention(op, config);
  const { headDim } = config;
  expect(headDim % 2 === 0, op, "attention.headDim", "even", headDim);
  expectTensor(op, "rope.frequencies", rope.frequencies, "float32", [headDim / 2]);
  if (rope.queryNorm) expectTensor(op, "rope.queryNorm", rope.queryNorm, "float32", [headDim]);
  if (rope.keyNorm) expectTensor(op, "rope.keyNorm", rope.keyNorm, "float32", [headDim]);
  if (rope.queryNorm || rope.keyNorm) expectPositive(op, "rope.normEpsilon", rope.normEpsilon);
}

/** Columns of the joined projection: (heads + 2 kvHeads) headDim. */
export function qkvWidth(config: AttentionConfig): number {
  return (config.heads + 2 * config.kvHeads) * config.headDim;
}

/** Checks a layout whose factors stand in a vector of `size` values. */
export function expectLayout(op: string, layout: LoraLayout, size: number): void {
  expectInteger(op, "layout.inputs", layout.inputs, 1);
  expectInteger(op, "layout.outputs", layout.outputs, 1);
  expect(layout.parts.length > 0, op, "layout.parts", "at least one part", layout.parts.length);
  let end = 0;
  for (const [i, part] of layout.parts.entries()) {
    const name = `layout.parts[${i}]`;
    expectInteger(op, `${name}.rank`, part.rank, 1);
    expectInteger(op, `${name}.outputStart`, part.outputStart, end, layout.outputs);
    expectInteger(op, `${name}.outputEnd`, part.outputEnd, part.outputStart + 1, layout.outputs);
    end = part.outputEnd;
    expectInteger(op, `${name}.offsetA`, part.offsetA, 0, size - part.rank * layout.inputs);
    expectInteger(op, `${name}.offsetB`, part.offsetB, 0, size - part.rank * (part.outputEnd - part.outputStart));
    expectFinite(op, `${name}.scale`, part.scale);
  }
}
