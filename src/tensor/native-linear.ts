/** Linear layers with LoRA on the native ops: packed weights, one op for y = x Wᵀ + b + scale (x Aᵀ) Bᵀ, one for its gradient. */
import { constant, floatConstant, nothing, renew } from "./native-constants.js";
import type { DecoderOps, GradientVector, LinearWeight, LoraLayout, LoraWeight, Precision } from "./ops.js";
import { keep, scope, TensorError, type Tensor } from "./tensor.js";
import { attribute, type TensorflowDevice } from "./tensorflow.js";

type LinearOps = Pick<
  DecoderOps,
  "linearWeight" | "prepareBackward" | "embed" | "loraWeight" | "linear" | "linearGradient" | "gradientVector" | "addLoraGradient"
>;

/** What {@link LoraWeight.tensors} holds here, in this order; the last two are empty unless it was made for training. */
type LoraTensors = readonly [first: Tensor, second: Tensor, backwardFirst: Tensor, backwardSecond: Tensor];

/** The flat gradient, added to in place. */
class NativeGradientVector implements GradientVector {
  #tensor: Tensor | null;
  constructor(
    tensor: Tensor,
    readonly size: number,
  ) {
    this.#tensor = tensor;
  }
  get tensor(): Tensor {
    if (!this.#tensor) throw new TensorError("this gradient vector was already taken or freed");
    return this.#tensor;
  }
  take(): Tensor {
    const tensor = this.tensor;
    this.#tensor = null;
    return tensor;
  }
  free(): void {
    this.#tensor?.free();
    this.#tensor = null;
  }
}

/** @internal Composed by `nativeOps`. */
export function nativeLinear(device: TensorflowDevice, precision: Precision): LinearOps {
  const asPrecision = [attribute.dtype("U", precision)];
  const asFloat = [attribute.dtype("U", "float32")];
  const execute = device.execute.bind(device);

  function product(
    op: string,
    x: Tensor,
    packed: Tensor,
    bias: Tensor | null,
    sizes: Tensor,
    factors: readonly Tensor[],
    float: boolean,
  ) {
    const inputs = [x, ...layerInputs(packed, bias, sizes, factors)];
    const [result, projected] = execute(op, float ? asFloat : asPrecision, inputs, 2);
    if (factors.length > 0) return { result, projected };
    projected.free();
    return { result, projected: null };
  }

  return {
    linearWeight(inputs, parts) {
      const outputs = parts.map((part, index) => outputsOf(part, index, inputs));
      const total = outputs.reduce((sum, n) => sum + n, 0);
      return scope(() => {
        const joined = parts.length === 1 ? parts[0].weight : concat(parts.map((part) => part.weight));
        const [forward] = execute("TrueIntentsPackWeight", asPrecision, [device.uploadShared(joined, [total, inputs])], 1);
        const biases = parts.map((part, index) => part.bias ?? new Float32Array(outputs[index]));
        const bias = parts.some((part) => part.bias) ? device.upload(concat(biases), [total]) : null;
        return { inputs, outputs: total, forward, backward: null, bias };
      });
    },

    prepareBackward(weight) {
      if (weight.backward) return;
      const sizes = constant(weight.inputs, weight.outputs);
      [weight.backward] = execute("TrueIntentsPackBackwardWeight", [], [weight.forward, sizes], 1);
    },

    embed(table, ids, scale) {
      const sizes = constant(table.inputs, table.outputs);
      return execute("TrueIntentsEmbed", [], [table.forward, sizes, ids, floatConstant(scale)], 1)[0];
    },

    loraWeight(parameters, layout, training) {
      const inputs = [parameters, layoutTensor(layout), scalesTensor(layout), constant(training ? 1 : 0)];
      return { layout, tensors: execute("TrueIntentsPackLora", asPrecision, inputs, 4) };
    },

    linear(x, weight, lora, output) {
      const { sizes, factors } = forwardOf(weight, lora);
      const float = output === "float32" || precision === "float32";
      const { result, projected } = product("TrueIntentsLinear", x, weight.forward, weight.bias, sizes, factors, float);
      return { y: result, projected };
    },

    linearGradient(dy, weight, lora) {
      const sizes = checkedSizes(weight, lora);
      if (!weight.backward) throw new TensorError("linearGradient: the weight has not been prepared (call prepareBackward)");
      const factors = lora ? loraTensors(lora).slice(2) : [];
      if (lora && factors.some((factor) => factor.size === 0)) {
        throw new TensorError("linearGradient: the LoRA weight was not made for training");
      }
      const { result, projected } = product(
        "TrueIntentsLinearGradient",
        dy,
        weight.backward,
        null,
        sizes,
        factors,
        precision === "float32",
      );
      return { dx: result, dProjected: projected };
    },

    gradientVector(size) {
      return new NativeGradientVector(keep(device.uploadShared(new Float32Array(size), [size])), size);
    },

    addLoraGradient(vector, layout, x, projected, dy, dProjected) {
      if (!(vector instanceof NativeGradientVector))
        throw new TensorError("addLoraGradient: the vector belongs to another op set");
      const inputs = [vector.tensor, layoutTensor(layout), scalesTensor(layout), x, projected, dy, dProjected];
      execute("TrueIntentsAddLoraGradient", [], inputs, 1)[0].free();
    },
  };
}

/** A linear layer of the forward pass as an op takes it: what src/native/linear_inputs.h reads. @internal */
export function linearInputs(weight: LinearWeight, lora: LoraWeight | null): Tensor[] {
  const { sizes, factors } = forwardOf(weight, lora);
  return layerInputs(weight.forward, weight.bias, sizes, factors);
}

function layerInputs(packed: Tensor, bias: Tensor | null, sizes: Tensor, factors: readonly Tensor[]): Tensor[] {
  const none = nothing(packed.dtype);
  const [first = none, second = none] = factors;
  return [packed, bias ?? nothing("float32"), sizes, first, second];
}

function forwardOf(weight: LinearWeight, lora: LoraWeight | null): { sizes: Tensor; factors: readonly Tensor[] } {
  return { sizes: checkedSizes(weight, lora), factors: lora ? loraTensors(lora).slice(0, 2) : [] };
}

function outputsOf(part: { weight: Float32Array; bias?: Float32Array | null }, index: number, inputs: number): number {
  const outputs = part.weight.length / inputs;
  if (!Number.isInteger(outputs) || outputs === 0) {
    throw new TensorError(`linearWeight: part ${index} has ${part.weight.length} values, not rows of ${inputs}`);
  }
  if (part.bias && part.bias.length !== outputs) {
    throw new TensorError(`linearWeight: part ${index} has ${part.bias.length} biases for ${outputs} outputs`);
  }
  return outputs;
}

function concat(arrays: readonly Float32Array[]): Float32Array {
  const joined = new Float32Array(arrays.reduce((sum, array) => sum + array.length, 0));
  let offset = 0;
  for (const array of arrays) {
    joined.set(array, offset);
    offset += array.length;
  }
  return joined;
}

/** The constants of layouts met before: a decode step asks for those of every layer. */
const layoutTensors = new WeakMap<LoraLayout, Tensor>();

/** inputs, outputs, then five numbers a part: what `read_layout` of src/native/lora_plan.cc reads. */
function layoutTensor(layout: LoraLayout): Tensor {
  const known = layoutTensors.get(layout);
  if (known && renew(known)) return known;
  const { inputs, outputs, parts } = layout;
  const fields = parts.flatMap((part) => [part.rank, part.offsetA, part.offsetB, part.outputStart, part.outputEnd]);
  const tensor = constant(inputs, outputs, ...fields);
  layoutTensors.set(layout, tensor);
  return tensor;
}

function scalesTensor(layout: LoraLayout): Tensor {
  return floatConstant(...layout.parts.map((part) => part.scale));
}

function checkedSizes(weight: LinearWeight, lora: LoraWeight | null): Tensor {
  if (!lora) return constant(weight.inputs, weight.outputs);
  const { inputs, outputs } = lora.layout;
  if (inputs !== weight.inputs || outputs !== weight.outputs) {
    throw new TensorError(`LoRA for ${inputs} -> ${outputs} was given to a layer of ${weight.inputs} -> ${weight.outputs}`);
  }
  return layoutTensor(lora.layout);
}

function loraTensors(lora: LoraWeight): LoraTensors {
  if (lora.tensors.length !== 4) throw new TensorError("this LoRA weight belongs to another op set");
  return lora.tensors as unknown as LoraTensors;
}
