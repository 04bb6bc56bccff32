/** Our fused CPU kernels (src/native), compiled against the TensorFlow library. */
import { buildNative } from "../build-native.mjs";
import { firstLine, missing } from "./report.mjs";

/**
 * @param {import("./report.mjs").Context} context
 * @param {Readonly<Record<string, import("./report.mjs").StepResult>>} results of the earlier steps
 * @returns {Promise<import("./report.mjs").StepResult>}
 */
export async function nativeKernels({ log }, results) {
  if (results["TensorFlow binding"]?.state !== "ready") return missing("they need the native library.", "");
  try {
    const { file } = await buildNative({ log: (line) => log(`   ${line}`) });
    return { state: "ready", detail: "compiled for this machine", facts: { file } };
  } catch (error) {
    if (error instanceof Error && error.name === "NativeBuildError") log(error.message);
    return missing(
      `not compiled: ${firstLine(error)}; the suite runs on TensorFlow's own ops (several times slower).`,
      "Install g++ (or set CXX) and run the set-up again.",
    );
  }
}
