/**
 * Which op set this process computes with.
 *
 * In order of preference: TensorFlow on a GPU (portable ops), the compiled ops on the CPU (native), TensorFlow's own ops on the CPU
 * (portable), and where the native TensorFlow library is missing tfjs on WASM, then in JavaScript. The environment variables
 * TRUE_INTENTS_BACKEND and TRUE_INTENTS_PRECISION set what "auto" would choose.
 */
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

async function firstWorking(precision: Precision | "auto"): Promise<Opened> {
  let why: string;
  try {
    return openTensorflow("portable", tensorflowDevice(), precision);
  } catch (error) {
    if (!(error instanceof NativeUnavailableError)) throw error;
    why = error.reason;
  }
  if (precision === "bfloat16") {
    throw new BackendError(
      `bfloat16 needs the native TensorFlow library, which is missing (${why}). Use float32 or run "npm run setup"`,
    );
  }
  try {
    return {
      ...(await openTfjs("wasm")),
      reason: `the native TensorFlow library is missing (${why}); "npm run setup" installs it`,
    };
  } catch (error) {
    if (!(error instanceof BackendStartError)) throw error;
    return {
      ...(await openTfjs("javascript")),
      reason: `neither TensorFlow (${why}) nor WebAssembly (${error.message}) works here`,
    };
  }
}

async function open(backend: Backend, precision: Precision | "auto"): Promise<Opened> {
  if (backend === "wasm" || backend === "javascript") {
    if (precision === "bfloat16")
      throw new BackendError(`the ${backend} backend computes in float32 only, bfloat16 was asked for`);
    return openTfjs(backend);
  }
  try {
    return openTensorflow(backend, tensorflowDevice(), precision);
  } catch (error) {
    if (error instanceof NativeUnavailableError)
      throw new BackendError(`backend "${backend}": ${error.message}`, { cause: error });
    throw error;
  }
}

function openTensorflow(backend: "native" | "portable", device: TensorflowDevice, precision: Precision | "auto"): Opened {
  if (backend === "native") throw new BackendError(`backend "native" is not here yet`);
  const onGpu = device.placement === "gpu";
  const ops = portableOps(device, precision === "auto" ? (onGpu ? "bfloat16" : "float32") : precision);
  return { ops, reason: onGpu ? "TensorFlow found a GPU" : "the compiled kernels are not in use" };
}

async function openTfjs(placement: TfjsPlacement): Promise<Opened> {
  return { ops: portableOps(await tfjsDevice(placement)), reason: "it was asked for" };
}
