/** The pretrained default model, where it is on this machine; tests that need it say so when it is not. */
import { resolveModel } from "../../src/model/catalogue/resolve.js";

/** The path of smollm2-135m-instruct, or null: nothing is downloaded by a test. */
export const defaultModelPath: string | null = await resolveModel("smollm2-135m-instruct", { download: false }).then(
  (model) => model.path,
  () => null,
);
