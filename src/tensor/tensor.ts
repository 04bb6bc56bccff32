/**
 * Tensors of the engine and who owns them.
 *
 * tfjs has no bfloat16 dtype and its tape keeps every intermediate alive, so the engine works on raw handles: a `Tensor` is a
 * handle of a {@link Device}, freed by hand. To keep that safe, every new tensor belongs to the innermost {@link scope}; when the
 * scope ends, by return or by throw, whatever it did not return is freed (the contract of `tf.tidy`, for raw handles).
 * Scopes are synchronous: never await inside one.
 */
export type DType = "float32" | "bfloat16" | "int32";

/** What a device knows how to free; its meaning is the device's own (a TensorFlow handle id, a tfjs tensor, …). */
export type RawHandle = unknown;

export interface TensorOwner {
  release(handle: RawHandle): void;
}

export const BYTES: Readonly<Record<DType, number>> = { float32: 4, bfloat16: 2, int32: 4 };

/** One array on a device: row-major, immutable unless an op says that it writes in place. */
export class Tensor {
  /** False once freed; using a freed tensor throws a {@link TensorError}. */
  #live = true;
  #counted = true;
  readonly #handle: RawHandle;

  constructor(
    private readonly owner: TensorOwner,
    handle: RawHandle,
    readonly dtype: DType,
    readonly shape: readonly number[],
  ) {
    this.#handle = handle;
    live.count++;
    live.bytes += this.byteLength;
    scopes.at(-1)?.add(this);
  }

  get size(): number {
    return this.shape.reduce((product, n) => product * n, 1);
  }

  get byteLength(): number {
    return this.size * BYTES[this.dtype];
  }

  get isLive(): boolean {
    return this.#live;
  }

  /** The device's handle. @throws TensorError if the tensor was freed. */
  get handle(): RawHandle {
    if (!this.#live) throw new TensorError(`a freed ${describe(this)} tensor was used`);
    return this.#handle;
  }

  /** Frees the handle; freeing twice is harmless. */
  free(): void {
    if (!this.#live) return;
    this.#live = false;
    if (this.#counted) this.#uncount();
    this.owner.release(this.#handle);
  }

  /** Leaves {@link liveTensors}' count: for the few constants that a process makes once and keeps. */
  exempt(): this {
    if (this.#live && this.#counted) this.#uncount();
    return this;
  }

  #uncount(): void {
    this.#counted = false;
    live.count--;
    live.bytes -= this.byteLength;
  }
}

/** A wrong shape, dtype or state of a tensor: a programming error, reported before the native code sees it. */
export class TensorError extends Error {
  override readonly name = "TensorError";
}

const live = { count: 0, bytes: 0 };
const scopes: Set<Tensor>[] = [];

/** Tensors alive now (constants of the process left out), and their bytes. Unchanged by a training step or a generation, whether it succeeds or throws. */
export function liveTensors(): { count: number; bytes: number } {
  return { ...live };
}

/** Anything a scope may return: a tensor, or plain arrays and objects that hold tensors at any depth. */
export function scope<T>(body: () => T): T {
  const mine = new Set<Tensor>();
  scopes.push(mine);
  let kept: Set<Tensor> | undefined;
  try {
    const result = body();
    kept = new Set(tensorsIn(result));
    return result;
  } finally {
    scopes.pop();
    const parent = scopes.at(-1);
    for (const tensor of mine) {
      if (!tensor.isLive) continue;
      if (kept?.has(tensor)) parent?.add(tensor);
      else tensor.free();
    }
  }
}

/** Takes a tensor out of every scope: from now on the caller frees it. Returns it. */
export function keep<T extends Tensor>(tensor: T): T {
  for (const open of scopes) open.delete(tensor);
  return tensor;
}

/** Frees tensors early, inside a scope, so that a long function does not hold everything until its end. Null is skipped. */
export function free(...tensors: (Tensor | null | undefined)[]): void {
  for (const tensor of tensors) tensor?.free();
}

/** All tensors inside a value: arrays, plain objects, maps and typed results, at any depth. */
export function* tensorsIn(value: unknown, seen = new Set<unknown>()): Generator<Tensor> {
  if (value instanceof Tensor) {
    yield value;
    return;
  }
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value) || seen.has(value)) return;
  seen.add(value);
  const children = value instanceof Map ? value.values() : Object.values(value);
  for (const child of children) yield* tensorsIn(child, seen);
}

export function describe(tensor: { dtype: DType; shape: readonly number[] }): string {
  return `${tensor.dtype}[${tensor.shape.join(", ")}]`;
}
