/** Runs the linear cases in a process of its own: prints the kernels in use and the digests of all results, as one JSON line. */
import { nativeAddon } from "../../src/tensor/native-addon.js";
import { runLinearCases } from "./linear-cases.js";

const count = Number(process.argv[2]);
const { kernels, threads } = nativeAddon();
const digests = { float32: runLinearCases(1, count, "float32"), bfloat16: runLinearCases(2, count, "bfloat16") };
console.log(JSON.stringify({ kernels, threads, digests }));
