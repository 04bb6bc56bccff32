/** Row-wise native ops: norms, rotary embedding, gates, gathered and scattered rows, casts (src/native/ops_rows.cc). */
import { activationInput, geometry } from "./native-arguments.js";
import { floatConstant, nothing } from "./native-constants.js";
import type { AttentionConfig, DecoderOps, Precision, RopeConfig } from "./ops.js";
import { scope, TensorError, type Tensor } from "./tensor.js";
import { attribute, type TensorflowDevice } from "./tensorflow.js";

type RowOps = Pick<
  DecoderOps,
  "rmsNorm" | "rmsNormGradient" | "rope" | "ropeGradient" | "gated" | "gatedGradient" | "gatherRows" | "scatterRows" | "cast"
>;

/** @internal Composed by `nativeOps`. */
export function nativeRows(device: TensorflowDevice, precision: Precision): RowOps {
  const asPrecision = [attribute.dtype("U", precision)];

  function ropeInputs(positions: Tensor, attention: AttentionConfig, rope: RopeConfig): Tensor[] {
    const epsilon = floatConstant(rope.queryNorm || rope.keyNorm ? rope.normEpsilon : 0);
    return [
      positions,
      rope.frequencies,
      rope.queryNorm ?? nothing("float32"),
      rope.keyNorm ?? nothing("float32"),
      epsilon,
      geometry(attention),
    ];
  }

  return {
    rmsNorm(residual, branch, weight, epsilon) {
      if (!residual && !branch) throw new TensorError("rmsNorm: residual and branch are both null");
      const inputs = [residual ?? nothing("float32"), branch ?? nothing(precision), weight, floatConstant(epsilon)];
      const [sum, normed, inverseRms] = device.execute("TrueIntentsRmsNorm", [], inputs, 3);
      return { sum, normed, inverseRms };
    },

    rmsNormGradient(sum, inverseRms, weight, dNormed, dSum) {
      const inputs = [sum, inverseRms, weight, dNormed, dSum ?? nothing("float32")];
      const [residual, branch] = device.execute("TrueIntentsRmsNormGradient", [], inputs, 2);
      return { residual, branch };
    },

    rope: (qkv, positions, attention, rope) =>
      device.execute("TrueIntentsRope", [], [qkv, ...ropeInputs(positions, attention, rope)], 1)[0],

    ropeGradient: (dRotated, qkv, positions, attention, rope) =>
      device.execute("TrueIntentsRopeGradient", [], [qkv, dRotated, ...ropeInputs(positions, attention, rope)], 1)[0],

    gated: (gateUp, activation) => device.execute("TrueIntentsGated", [], [gateUp, activationInput(activation)], 1)[0],

    gatedGradient(gateUp, dOutput, activation) {
      const inputs = [gateUp, dOutput, activationInput(activation)];
      const [dGateUp, output] = device.execute("TrueIntentsGatedGradient", [], inputs, 2);
      return { dGateUp, output };
    },

    gatherRows: (x, rows) => device.execute("TrueIntentsGatherRows", [], [x, rows], 1)[0],

    scatterRows: (dy, rows, rowCount) =>
      scope(() => device.execute("TrueIntentsScatterRows", [], [dy, rows, device.upload(Int32Array.of(rowCount), [1])], 1)[0]),

    cast: (x) => device.execute("TrueIntentsCast", asPrecision, [x], 1)[0],
  };
}
