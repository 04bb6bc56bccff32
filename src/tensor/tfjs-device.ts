/**
 * Plain tfjs as a device, for machines where the native TensorFlow library is missing: the WASM backend (SIMD where the CPU has it;
 * one thread, as tfjs has no threads in Node), and the JavaScript backend where even that does not start. float32 only.
 *
 * tfjs is loaded on first use, so that a process with the native library never pays for it. tfjs has one current backend a
 * process; a call here makes its own current first and leaves it so, since each switch costs about 0.3 ms.
 */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type * as tfjs from "@tensorflow/tfjs";
import type * as tfjsWasm from "@tensorflow/tfjs-backend-wasm";
import type { Device } from "./device.js";
import { describe, Tensor, TensorError, type DType } from "./tensor.js";

export type TfjsPlacement = "wasm" | "javascript";

export interface TfjsDevice extends Device {
  readonly kind: "tfjs";
  readonly placement: TfjsPlacement;
  readonly tf: typeof tfjs;
  /** Runs tfjs code on this backend, frees its intermediates and owns its result. */
  wrap(body: () => tfjs.Tensor): Tensor;
  /** @throws TensorError if the tensor was freed or is of another device. */
  unwrap(tensor: Tensor): tfjs.Tensor;
}

/** The tfjs backend does not start here; `cause` holds its error. */
export class BackendStartError extends Error {
  override readonly name = "BackendStartError";
}

const BACKEND: Readonly<Record<TfjsPlacement, string>> = { wasm: "wasm", javascript: "cpu" };
const started = new Map<TfjsPlacement, Promise<TfjsDevice>>();

/** The one device of each kind of this process. @throws BackendStartError if tfjs or the backend does not load. */
export function tfjsDevice(placement: TfjsPlacement): Promise<TfjsDevice> {
  const device = started.get(placement) ?? start(placement);
  started.set(placement, device);
  return device;
}

async function start(placement: TfjsPlacement): Promise<TfjsDevice> {
  const require = createRequire(import.meta.url);
  try {
    const tf = require("@tensorflow/tfjs") as typeof tfjs;
    tf.enableProdMode();
    if (placement === "wasm") {
      const wasm = require("@tensorflow/tfjs-backend-wasm") as typeof tfjsWasm;
      const main = require.resolve("@tensorflow/tfjs-backend-wasm");
      wasm.setWasmPaths(join(dirname(main), "/"));
    }
    if (!(await tf.setBackend(BACKEND[placement]))) throw new Error(`tf.setBackend("${BACKEND[placement]}") failed`);
    return deviceOver(tf, placement);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new BackendStartError(`the ${placement} backend of tfjs does not start: ${reason}. Run "npm ci"`, { cause: error });
  }
}

function deviceOver(tf: typeof tfjs, placement: TfjsPlacement): TfjsDevice {
  const backend = BACKEND[placement];
  const release = (handle: unknown): void => (handle as tfjs.Tensor).dispose();

  /** Both backends have started, so the switch happens before setBackend returns its promise. */
  function makeCurrent(): void {
    if (tf.getBackend() !== backend) void tf.setBackend(backend);
  }

  function wrap(body: () => tfjs.Tensor): Tensor {
    makeCurrent();
    const result = tf.tidy(() => tf.keep(body()));
    return new Tensor({ release }, result, dtypeOf(result), result.shape);
  }

  function unwrap(tensor: Tensor): tfjs.Tensor {
    const { handle } = tensor;
    if (handle instanceof tf.Tensor) return handle as tfjs.Tensor;
    throw new TensorError(`a ${describe(tensor)} tensor of another device was given to the ${placement} backend`);
  }

  return {
    kind: "tfjs",
    placement,
    tf,
    release,
    wrap,
    unwrap,
    upload(data, shape, dtype = data instanceof Float32Array ? "float32" : "int32") {
      const own = data instanceof Float32Array ? "float32" : "int32";
      if (dtype !== own) throw new TensorError(`the ${placement} backend stores ${own} data as ${own}, not as ${dtype}`);
      const size = shape.reduce((product, n) => product * n, 1);
      if (size !== data.length || !shape.every((n) => Number.isSafeInteger(n) && n >= 0)) {
        throw new TensorError(`${data.length} values do not fill shape [${shape.join(", ")}]`);
      }
      // The JavaScript backend keeps the array that it is given.
      return wrap(() => tf.tensor(data.slice(), [...shape], own));
    },
    download(tensor) {
      makeCurrent();
      return unwrap(tensor).dataSync<"float32" | "int32">().slice();
    },
  };
}

function dtypeOf(tensor: tfjs.Tensor): DType {
  if (tensor.dtype === "float32" || tensor.dtype === "int32") return tensor.dtype;
  tensor.dispose();
  throw new TensorError(`tfjs gave a ${tensor.dtype} tensor, which this engine does not use`);
}
