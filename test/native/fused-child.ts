/** Runs the fused cases in a process of its own: prints the kernels in use and the digests of all results, as one JSON line. */
import { nativeAddon } from "../../src/tensor/native-addon.js";
import { decodeBlockCase } from "./decode-block-case.js";
import { ALL_CASES, FusedCases } from "./fused-cases.js";

const count = Number(process.argv[2]);
const { kernels, threads } = nativeAddon();
const digest = (precision: "float32" | "bfloat16"): string =>
  new FusedCases(precision, 11).run([...ALL_CASES, decodeBlockCase], count);
console.log(JSON.stringify({ kernels, threads, digests: { float32: digest("float32"), bfloat16: digest("bfloat16") } }));
