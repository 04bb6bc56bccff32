/** A model that cannot be named, found or had. */

/** The message says which model, what was tried with what result, and what to do. */
export class ModelError extends Error {
  override readonly name = "ModelError";
}
