/**
 * The ops as plain tfjs functions, with tfjs's own gradients: an independent reference for {@link runOps}, one sequence and one head at a
 * time. Known traps of tfjs are kept out: no einsum, no gatherND, no broadcast matMul.
 */
import type * as tfjs from "@tensorflow/tfjs";
import type { OpsCase, Results } from "./portable-cases.js";

/** Results of {@link runOps} under the same names, in float32. */
export function runAutograd(tf: typeof tfjs, c: OpsCase): Results {
  const { values: v, rows, hidden, half, vocabulary, layout } = c;
  const { heads, kvHeads, headDim, scale, window } = c.attention;
  const width = (heads + 2 * kvHeads) * headDim;
  const outputs = layout.outputs;
  const results: Results = {};
  const put = (name: string, x: tfjs.Tensor): void => void (results[name] = x.dataSync<"float32">().slice());
  const matrix = (x: Float32Array, columns: number): tfjs.Tensor => tf.tensor(x.slice(), [x.length / columns, columns]);
  /** Value and gradients of f for the gradient `dy` of its result. */
  const gradients = (f: (...xs: tfjs.Tensor[]) => tfjs.Tensor, dy: tfjs.Tensor, ...xs: tfjs.Tensor[]): tfjs.Tensor[] =>
    tf.grads((...ys) =>
      f(...ys)
        .mul(dy)
        .sum(),
    )(xs);

  const rms = (x: tfjs.Tensor): tfjs.Tensor => x.square().mean(-1, true).add(c.normEpsilon).rsqrt();

  tf.tidy(() => {
    const norm = tf.tensor(v.norm.slice());
    const residual = matrix(v.residual, hidden);
    const branch = matrix(v.branch, hidden);
    const sum = residual.add(branch);
    const normed = (x: tfjs.Tensor): tfjs.Tensor => x.mul(rms(x)).mul(norm);
    put("rmsNorm.sum", sum);
    put("rmsNorm.normed", normed(sum));
    put("rmsNorm.inverseRms", rms(sum));
    put("rmsNorm.normed of residual", normed(residual));
    put("rmsNorm.sum of branch", branch);
    const [dOwn] = gradients(normed, matrix(v.dNormed, hidden), sum);
    put("rmsNormGradient.residual", dOwn.add(matrix(v.dSum, hidden)));
    put("rmsNormGradient.branch", dOwn.add(matrix(v.dSum, hidden)));
    put("rmsNormGradient.residual alone", dOwn);
  });

  tf.tidy(() => {
    const angles = Array.from(c.positions, (position) => Array.from(v.frequencies, (frequency) => position * frequency));
    const cosine = tf.tensor2d(angles.map((row) => [...row, ...row].map(Math.cos)));
    const sine = tf.tensor2d(angles.map((row) => [...row, ...row].map(Math.sin)));
    const rope = (x: tfjs.Tensor): tfjs.Tensor => {
      const parts = Array.from({ length: heads + 2 * kvHeads }, (_, head) => {
        const own = x.slice([0, head * headDim], [rows, headDim]);
        if (head >= heads + kvHeads) return own;
        const weight = head < heads ? (c.queryNorm ? v.queryNorm : null) : c.keyNorm ? v.keyNorm : null;
        const ready = weight ? own.mul(rms(own)).mul(tf.tensor(weight.slice())) : own;
        const [left, right] = tf.split(ready, 2, 1);
        return ready.mul(cosine).add(tf.concat([right.neg(), left], 1).mul(sine));
      });
      return tf.concat(parts, 1);
    };
    const qkv = matrix(v.qkv, width);
    put("rope", rope(qkv));
    put("ropeGradient", gradients(rope, matrix(v.dRotated, width), qkv)[0]);
  });

  tf.tidy(() => {
    const logSumExp = new Float32Array(heads * rows);
    const attention = (x: tfjs.Tensor): tfjs.Tensor => {
      let output = tf.zeros([rows, heads * headDim]);
      for (let s = 0; s < c.segments.length; s += 4) {
        const [start, length, prefixStart, prefixLength] = c.segments.subarray(s, s + 4);
        const keyRows = [...range(prefixStart, prefixLength), ...range(start, length)];
        const sees = (i: number, j: number): boolean => j <= prefixLength + i && (window === 0 || j > prefixLength + i - window);
        const mask = tf.tensor2d(range(0, length).map((i) => keyRows.map((_, j) => (sees(i, j) ? 0 : -1e9))));
        const mixed = range(0, heads).map((head) => {
          const kv = Math.floor(head / (heads / kvHeads));
          const columns = (first: number): tfjs.Tensor2D => x.slice([0, first * headDim], [rows, headDim]) as tfjs.Tensor2D;
          const q = columns(head).slice([start, 0], [length, headDim]);
          const k = columns(heads + kv).gather(keyRows);
          const value = columns(heads + kvHeads + kv).gather(keyRows);
          const scores = tf.matMul(q, k, false, true).mul(scale).add(mask);
          logSumExp.set(scores.logSumExp(-1).dataSync(), head * rows + start);
          return tf.matMul(tf.softmax(scores), value);
        });
        output = output.add(
          tf.concat(mixed, 1).pad([
            [start, rows - start - length],
            [0, 0],
          ]),
        );
      }
      return output;
    };
    const qkv = matrix(v.qkv, width);
    put("attention.output", attention(qkv));
    results["attention.logSumExp"] = logSumExp;
    put("attentionGradient", gradients(attention, matrix(v.dAttended, heads * headDim), qkv)[0]);
  });

  tf.tidy(() => {
    const gated = (x: tfjs.Tensor): tfjs.Tensor => {
      const [gate, up] = tf.split(x, 2, 1);
      const cubic = gate.add(gate.pow(3).mul(0.044715)).mul(Math.sqrt(2 / Math.PI));
      const active = c.activation === "silu" ? gate.mul(gate.sigmoid()) : gate.mul(0.5).mul(cubic.tanh().add(1));
      return active.mul(up);
    };
    const gateUp = matrix(v.gateUp, 2 * half);
    put("gated", gated(gateUp));
    put("gatedGradient.dGateUp", gradients(gated, matrix(v.dGated, half), gateUp)[0]);
    put("gatedGradient.output", gated(gateUp));
  });

  tf.tidy(() => {
    const weight = matrix(v.weight, hidden);
    const project = (x: tfjs.Tensor): tfjs.Tensor => {
      const y = tf.matMul(x, weight, false, true);
      return c.bias ? y.add(tf.tensor(v.bias.slice())) : y;
    };
    const factorA = (parameters: tfjs.Tensor, part: (typeof layout.parts)[number]): tfjs.Tensor =>
      parameters.slice([part.offsetA], [part.rank * hidden]).reshape([part.rank, hidden]);
    const factorB = (parameters: tfjs.Tensor, part: (typeof layout.parts)[number]): tfjs.Tensor => {
      const rowsB = part.outputEnd - part.outputStart;
      return parameters.slice([part.offsetB], [part.rank * rowsB]).reshape([rowsB, part.rank]);
    };
    const linear = (x: tfjs.Tensor, parameters: tfjs.Tensor): tfjs.Tensor => {
      let y = project(x);
      for (const part of layout.parts) {
        const delta = tf.matMul(tf.matMul(x, factorA(parameters, part), false, true), factorB(parameters, part), false, true);
        const padding: [number, number][] = [
          [0, 0],
          [part.outputStart, outputs - part.outputEnd],
        ];
        y = y.add(delta.mul(part.scale).pad(padding));
      }
      return y;
    };
    const x = matrix(v.x, hidden);
    const dy = matrix(v.dy, outputs);
    const parameters = tf.tensor(v.parameters.slice());
    put("linear.y", linear(x, parameters));
    put("linear.y in float32", linear(x, parameters));
    put(
      "linear.projected",
      tf.concat(
        layout.parts.map((part) => tf.matMul(x, factorA(parameters, part), false, true)),
        1,
      ),
    );
    put("linear.y without lora", project(x));
    const [dx, dParameters] = gradients(linear, dy, x, parameters);
    put("linearGradient.dx", dx);
    put("linearGradient.dx without lora", gradients(project, dy, x)[0]);
    put("addLoraGradient twice", dParameters.mul(2));
    const dProjected = layout.parts.map((part) => {
      const own = dy.slice([0, part.outputStart], [rows, part.outputEnd - part.outputStart]);
      return tf.matMul(own, factorB(parameters, part)).mul(part.scale);
    });
    put("linearGradient.dProjected", tf.concat(dProjected, 1));

    const scored = tf.tensor1d(c.scored, "int32");
    put("gatherRows", x.gather(scored));
    put("scatterRows", gradients((y) => y.gather(scored), matrix(v.dScored, hidden), x)[0]);
    put("embed", matrix(v.table, hidden).gather(tf.tensor1d(c.ids, "int32")).mul(1.5));
  });

  tf.tidy(() => {
    const chosen = tf.oneHot(tf.tensor1d(c.targets, "int32"), vocabulary);
    const nll = (x: tfjs.Tensor): tfjs.Tensor => tf.logSoftmax(x.div(c.temperature)).mul(chosen).sum(-1).neg();
    const logits = matrix(v.logits, vocabulary);
    put("crossEntropy.nll", nll(logits));
    put("crossEntropy.logSumExp", logits.div(c.temperature).logSumExp(-1));
    put("crossEntropyGradient", gradients(nll, tf.tensor(v.weights.slice()), logits)[0]);
  });
  return results;
}

function range(start: number, length: number): number[] {
  return Array.from({ length }, (_, i) => start + i);
}
