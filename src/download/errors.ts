/** Why a download failed, in a form that the caller can act on. */

export type DownloadFailure =
  | "not-found"
  | "no-access"
  | "unreachable"
  | "rate-limited"
  | "server"
  | "stalled"
  | "cut"
  | "mismatch"
  | "disk-full"
  | "hostile"
  | "missing-tool";

/** A download that did not give the file. The message says what, from where, and what to do about it. */
export class DownloadError extends Error {
  override readonly name = "DownloadError";
  constructor(
    readonly reason: DownloadFailure,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** A failure that another try may mend; `waitMs` is how long the server asked us to wait, if it did. */
export class PassingError extends DownloadError {
  constructor(
    reason: DownloadFailure,
    message: string,
    readonly waitMs: number | null = null,
    options?: ErrorOptions,
  ) {
    super(reason, message, options);
  }
}

/** The `code` of a Node.js system error, looked for along the chain of causes (fetch wraps the socket's error). */
export function systemErrorCode(error: unknown): string | null {
  for (let current = error; current instanceof Error; current = current.cause) {
    if ("code" in current && typeof current.code === "string") return current.code;
  }
  return null;
}
