/** A model that cannot be named, found or had. */

/** The message says which model, what was tried with what result, and what to do. */
export class ModelError extends Error {
  override readonly name: string = "ModelError";
}

/** No model answers to what the user wrote; the message suggests what they may have meant. */
export class UnknownModelError extends ModelError {
  override readonly name = "UnknownModelError";
}
