/**
 * TensorFlow's C library as a device, through the binding of tfjs-node.
 *
 * The binding runs any TensorFlow op on raw handles, so bfloat16 and the ops of `src/native` work although tfjs knows neither.
 * The native library is loaded on first use: a machine without it can import this module and is told why it cannot use it.
 */
import { createRequire } from "node:module";
import type { Device } from "./device.js";
import { describe, Tensor, TensorError, type DType } from "./tensor.js";

/** An op attribute as the binding takes it. The same array may be passed to many calls. */
export interface OpAttribute {
  readonly name: string;
  readonly type: number;
  readonly value: boolean | number | string | readonly number[];
}

/** What a failed op reports, other than a wrong argument (that is a {@link TensorError}). */
export class TensorflowError extends Error {
  override readonly name = "TensorflowError";
}

/** The native library cannot be loaded here; `reason` says why and `cause` holds the loader's error. */
export class NativeUnavailableError extends Error {
  override readonly name = "NativeUnavailableError";
  constructor(
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(`the native TensorFlow library is not available: ${reason}. Run "npm run setup", or use the portable backend`, options);
  }
}

export interface TensorflowDevice extends Device {
  readonly kind: "tensorflow";
  readonly placement: "cpu" | "gpu";
  /** TensorFlow's version. */
  readonly version: string;
  /**
   * Runs one op eagerly and owns its outputs. Inputs are not freed.
   * @throws TensorError if TensorFlow or a kernel rejects the inputs (its message names the op), {@link TensorflowError} otherwise.
   *   Nothing is left allocated after a failure.
   */
  execute(name: string, attributes: readonly OpAttribute[], inputs: readonly Tensor[], outputs: number): Tensor[];
  /**
   * {@link Device.upload} without the copy where the library can share the array's memory: for arrays that nobody writes to
   * while the tensor lives.
   */
  uploadShared(data: Float32Array | Int32Array, shape: readonly number[]): Tensor;
  /** Handles alive in the binding: tensors of this device and of tfjs together. */
  handleCount(): number;
}

interface Binding {
  readonly TF_Version: string;
  createTensor(shape: readonly number[], dtype: number, data: Float32Array | Int32Array): number;
  deleteTensor(id: number): void;
  tensorDataSync(id: number): Float32Array | Int32Array;
  executeOp(
    name: string,
    attributes: readonly OpAttribute[],
    inputs: readonly number[],
    outputs: number,
  ): { id: number; shape: number[]; dtype: number }[];
  getNumOfTensors(): number;
  isUsingGpuDevice(): boolean;
}

interface Tfjs {
  enableProdMode(): void;
  backend(): { binding?: Binding };
}

/** TensorFlow's numbers of the dtypes (tensorflow/c/tf_datatype.h). */
const TF_DTYPE: Readonly<Record<DType, number>> = { float32: 1, int32: 3, bfloat16: 14 };
const DTYPE_OF = new Map(Object.entries(TF_DTYPE).map(([name, number]) => [number, name as DType]));

/** Builders of op attributes; the numbers are TF_ATTR_* of tensorflow/c/tf_attrtype.h, as the binding exports them. */
export const attribute = {
  dtype: (name: string, value: DType): OpAttribute => ({ name, type: 4, value: TF_DTYPE[value] }),
  bool: (name: string, value: boolean): OpAttribute => ({ name, type: 3, value }),
  int: (name: string, value: number): OpAttribute => ({ name, type: 1, value }),
  float: (name: string, value: number): OpAttribute => ({ name, type: 2, value }),
  string: (name: string, value: string): OpAttribute => ({ name, type: 0, value }),
  shape: (name: string, value: readonly number[]): OpAttribute => ({ name, type: 5, value }),
};

let device: TensorflowDevice | undefined;
let unavailable: NativeUnavailableError | undefined;

/** The one TensorFlow device of this process. @throws NativeUnavailableError if the native library does not load. */
export function tensorflowDevice(): TensorflowDevice {
  if (unavailable) throw unavailable;
  try {
    return (device ??= deviceOver(loadBinding()));
  } catch (error) {
    unavailable =
      error instanceof NativeUnavailableError ? error : new NativeUnavailableError(firstLine(error), { cause: error });
    throw unavailable;
  }
}

function loadBinding(): Binding {
  // Read once, when the OpenMP runtime and TensorFlow start. Waking a sleeping thread costs 0.1 ms and a training step forks
  // its team hundreds of times; a longer spin than this steals the core from TensorFlow's own threads.
  process.env.GOMP_SPINCOUNT ??= "50000";
  process.env.TF_CPP_MIN_LOG_LEVEL ??= "2";
  const require = createRequire(import.meta.url);
  (require("@tensorflow/tfjs") as Tfjs).enableProdMode();
  const { binding } = (require("@tensorflow/tfjs-node-gpu") as Tfjs).backend();
  if (!binding) throw new NativeUnavailableError("tfjs-node started without its native binding");
  return binding;
}

function deviceOver(binding: Binding): TensorflowDevice {
  const owner = { release: (handle: unknown) => binding.deleteTensor(handle as number) };
  const castTo = (to: DType): OpAttribute[] => [
    attribute.dtype("SrcT", to === "bfloat16" ? "float32" : "bfloat16"),
    attribute.dtype("DstT", to),
    attribute.bool("Truncate", false),
  ];
  const narrow = castTo("bfloat16");
  const widen = castTo("float32");

  function wrap(name: string, results: readonly { id: number; shape: number[]; dtype: number }[]): Tensor[] {
    const foreign = results.find((result) => !DTYPE_OF.has(result.dtype));
    if (foreign) {
      for (const result of results) binding.deleteTensor(result.id);
      throw new TensorflowError(`${name}: an output has TensorFlow dtype ${foreign.dtype}, which this engine does not use`);
    }
    return results.map(({ id, shape, dtype }) => new Tensor(owner, id, DTYPE_OF.get(dtype)!, shape));
  }

  function execute(name: string, attributes: readonly OpAttribute[], inputs: readonly Tensor[], outputs: number): Tensor[] {
    const ids = inputs.map((tensor) => tensor.handle as number);
    let results;
    try {
      results = binding.executeOp(name, attributes, ids, outputs);
    } catch (error) {
      throw opError(name, inputs, error);
    }
    return wrap(name, results);
  }

  function uploadShared(data: Float32Array | Int32Array, shape: readonly number[]): Tensor {
    const size = shape.reduce((product, n) => product * n, 1);
    if (size !== data.length || !shape.every((n) => Number.isSafeInteger(n) && n >= 0)) {
      throw new TensorError(`${data.length} values do not fill shape [${shape.join(", ")}]`);
    }
    const dtype = data instanceof Float32Array ? "float32" : "int32";
    return new Tensor(owner, binding.createTensor(shape, TF_DTYPE[dtype], data), dtype, [...shape]);
  }

  return {
    kind: "tensorflow",
    placement: binding.isUsingGpuDevice() ? "gpu" : "cpu",
    version: binding.TF_Version,
    release: owner.release,
    execute,
    uploadShared,
    upload(data, shape, dtype = data instanceof Float32Array ? "float32" : "int32") {
      const own = data instanceof Float32Array ? "float32" : "int32";
      if (dtype !== own && !(own === "float32" && dtype === "bfloat16")) {
        throw new TensorError(`${own} data cannot be uploaded as ${dtype}`);
      }
      // The binding may share the array's memory, and ops that write in place would then write into the caller's array.
      if (dtype === own) return uploadShared(data.slice(), shape);
      const wide = uploadShared(data, shape);
      try {
        return execute("Cast", narrow, [wide], 1)[0];
      } finally {
        wide.free();
      }
    },
    download(tensor) {
      if (tensor.dtype !== "bfloat16") return binding.tensorDataSync(tensor.handle as number);
      const [wide] = execute("Cast", widen, [tensor], 1);
      try {
        return binding.tensorDataSync(wide.handle as number);
      } finally {
        wide.free();
      }
    },
    handleCount: () => binding.getNumOfTensors(),
  };
}

/** The binding's message is "Invalid TF_Status: <code>\nMessage: <text>"; code 3 is InvalidArgument. */
function opError(name: string, inputs: readonly Tensor[], error: unknown): Error {
  const text = error instanceof Error ? error.message : String(error);
  const [, code, reason] = /TF_Status: (\d+)\s+Message: ([^]*)/.exec(text) ?? [undefined, "", text];
  const shapes = inputs.map(describe).join(", ");
  const message = `${name}: ${reason.trim()} (inputs: ${shapes || "none"})`;
  return code === "3" ? new TensorError(message, { cause: error }) : new TensorflowError(message, { cause: error });
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n", 1)[0];
}
