/**
 * Ctrl-C. A command that has something to bring into order asks for the signal and ends by itself; any other ends at once.
 * The second Ctrl-C always ends at once. Exit code 130 either way.
 */

/** Thrown by work that stopped because the user asked for it. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
  constructor() {
    super("interrupted");
  }
}

const controller = new AbortController();
let awaited = false;

/** Aborts (with {@link Interrupted}) on the first Ctrl-C. Whoever asks for it promises to end soon after. */
export function interruptSignal(): AbortSignal {
  awaited = true;
  return controller.signal;
}

/** Handles SIGINT and SIGTERM from now on; called once, by the command line. */
export function watchInterrupts(): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      const code = signal === "SIGINT" ? 130 : 143;
      if (!awaited || controller.signal.aborted) process.exit(code);
      process.stderr.write("\nstopping … (again: at once)\n");
      process.exitCode = code;
      controller.abort(new Interrupted());
    });
  }
}
