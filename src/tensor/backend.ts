/**
 * Which op set this process computes with.
 *
 * In order of preference: TensorFlow on a GPU (portable ops), the compiled ops on the CPU (native), TensorFlow's own ops on the CPU
 * (portable), and where the native TensorFlow library is missing tfjs on WASM, then in JavaScript. The environment variables
 * TRUE_INTENTS_BACKEND and TRUE_INTENTS_PRECISION set what "auto" would choose.
 */
import { nativeAddon } from "./native-addon.js";
import { nativeOps } from "./native.js";
import type { DecoderOps, Precision } from "./ops.js";
import { portableOps } from "./portable.js";
import { NativeUnavailableError, tensorflowDevice, type TensorflowDevice } from "./tensorflow.js";
import { BackendStartError, tfjsDevice, type TfjsPlacement } from "./tfjs-device.js";

export type Backend = "native" | "portable" | "wasm" | "javascript";

export interface BackendOptions {
  /** Default "auto": bfloat16 on a GPU and on a CPU that multiplies bfloat16, else float32. */
  readonly precision?: Precision | "auto";
  /** Default "auto": the first of the order above that works here. "portable" is TensorFlow's own ops, on a GPU if there is one. */
  readonly backend?: Backend | "auto";
}

/** A backend or precision that does not exist, does not work here, or does not go together; the message says which and why. */
export class BackendError extends Error {
  override readonly name = "BackendError";
}

const BACKENDS: readonly string[] = ["auto", "native", "portable", "wasm", "javascript"];
const PRECISIONS: readonly string[] = ["auto", "float32", "bfloat16"];

const reasons = new WeakMap<DecoderOps, string>();

/** @throws BackendError if what is asked for cannot be had. "auto" always finds a backend, if need be a slow one. */
export async function openOps(options: BackendOptions = {}): Promise<DecoderOps> {
  const backend = chosen("backend", options.backend, "TRUE_INTENTS_BACKEND", BACKENDS) as Backend | "auto";
  const precision = chosen("precision", options.precision, "TRUE_INTENTS_PRECISION", PRECISIONS) as Precision | "auto";
  const { ops, reason } = backend === "auto" ? await firstWorking(precision) : await open(backend, precision);
  reasons.set(ops, reason);
  return ops;
}

/** One sentence: what the ops run on, in which precision, and why it is this backend. */
export function describeBackend(ops: DecoderOps): string {
  const places = {
    cpu: `${ops.name === "native" ? "compiled kernels" : "TensorFlow's own ops"} on the CPU`,
    gpu: "TensorFlow on the GPU",
    wasm: "tfjs on WebAssembly",
    javascript: "tfjs in plain JavaScript",
  };
  const reason = reasons.get(ops);
  return `${places[ops.device.placement]} in ${ops.precision}${reason ? `: ${reason}` : ""}`;
}

/** The option if given and not "auto", else the environment variable, else "auto". */
function chosen(name: string, option: string | undefined, variable: string, known: readonly string[]): string {
  const fromOption = option !== undefined && option !== "auto";
  const value = fromOption ? option : process.env[variable] || "auto";
  if (known.includes(value)) return value;
  throw new BackendError(`${fromOption ? name : variable} is "${value}"; it must be one of ${known.join(", ")}`);
}

interface Opened {
  readonly ops: DecoderOps;
  readonly reason: string;
}

/** Kernel sets whose bfloat16 products are faster than their float32 ones. */
const MULTIPLIES_BFLOAT16: readonly string[] = ["amx", "avx512bf16"];

async function firstWorking(precision: Precision | "auto"): Promise<Opened> {
  let device: TensorflowDevice;
  try {
    device = tensorflowDevice();
  } catch (error) {
    if (!(error instanceof NativeUnavailableError)) throw error;
    return withoutTensorflow(precision, error.reason);
  }
  if (device.placement === "gpu") return openPortable(device, precision);
  try {
    return openNative(precision);
  } catch (error) {
    if (!(error instanceof NativeUnavailableError)) throw error;
    return {
      ...openPortable(device, precision),
      reason: `${error.reason}; "npm run setup" compiles them where there is a C++ compiler`,
    };
  }
}

async function withoutTensorflow(precision: Precision | "auto", why: string): Promise<Opened> {
  if (precision === "bfloat16") {
    throw new BackendError(`bfloat16 needs the native TensorFlow library (${why}). Use float32, or run "npm run setup"`);
  }
  try {
    return {
      ops: await tfjsOps("wasm"),
      reason: `the native TensorFlow library is not there (${why}); "npm run setup" installs it`,
    };
  } catch (error) {
    if (!(error instanceof BackendStartError)) throw error;
    return {
      ops: await tfjsOps("javascript"),
      reason: `neither TensorFlow (${why}) nor WebAssembly works here (${error.message})`,
    };
  }
}

async function open(backend: Backend, precision: Precision | "auto"): Promise<Opened> {
  if (backend === "wasm" || backend === "javascript") {
    if (precision === "bfloat16") throw new BackendError(`the ${backend} backend computes in float32, bfloat16 was asked for`);
    return { ops: await tfjsOps(backend), reason: "it was asked for" };
  }
  try {
    const device = tensorflowDevice();
    if (backend === "portable") return { ...openPortable(device, precision), reason: "it was asked for" };
    if (device.placement === "cpu") return openNative(precision);
  } catch (error) {
    if (error instanceof NativeUnavailableError)
      throw new BackendError(`backend "${backend}": ${error.message}`, { cause: error });
    throw error;
  }
  throw new BackendError(
    `backend "native" runs on the CPU, and TensorFlow uses the GPU here. Set CUDA_VISIBLE_DEVICES= to hide it`,
  );
}

function openNative(precision: Precision | "auto"): Opened {
  const { kernels, threads } = nativeAddon();
  const best = MULTIPLIES_BFLOAT16.includes(kernels) ? "bfloat16" : "float32";
  const ops = nativeOps(precision === "auto" ? best : precision);
  return { ops, reason: `${kernels} kernels, ${threads} threads` };
}

function openPortable(device: TensorflowDevice, precision: Precision | "auto"): Opened {
  const best = device.placement === "gpu" ? "bfloat16" : "float32";
  return {
    ops: portableOps(device, precision === "auto" ? best : precision),
    reason: `TensorFlow ${device.version} found a GPU`,
  };
}

async function tfjsOps(placement: TfjsPlacement): Promise<DecoderOps> {
  return portableOps(await tfjsDevice(placement));
}
