/**
 * A headless Chromium over its DevTools pipe: JSON messages with NUL between them on file descriptors 3 and 4, so that no port is
 * opened and no package is needed. It reports everything that a page does beyond showing text.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import type { Readable, Writable } from "node:stream";

/** Path of a Chromium: TRUE_INTENTS_CHROMIUM, or the first in PATH; null if there is none. */
export function findChromium(environment: NodeJS.ProcessEnv = process.env): string | null {
  const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
  const folders = environment["PATH"]?.split(delimiter) ?? [];
  const named = environment["TRUE_INTENTS_CHROMIUM"];
  const candidates = named === undefined ? folders.flatMap((folder) => names.map((name) => join(folder, name))) : [named];
  return candidates.find(isExecutable) ?? null;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What a page did that a page of ours must not do. */
export interface Deeds {
  readonly dialogs: string[];
  /** Addresses that are neither the page itself nor `data:` or `blob:`. */
  readonly requests: string[];
  /** Uncaught exceptions, and everything on the console. */
  readonly errors: string[];
}

export interface OpenPage {
  readonly deeds: Deeds;
  /** The value of an expression in the page; promises are awaited. */
  evaluate(expression: string): Promise<unknown>;
  close(): Promise<void>;
}

export interface Chromium {
  /** Opens a page and waits until it is loaded. */
  open(url: string): Promise<OpenPage>;
  close(): Promise<void>;
}

interface Message {
  readonly id?: number;
  readonly sessionId?: string;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string };
}

const FLAGS = [
  "--headless=new",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
  "--no-default-browser-check",
  "--hide-scrollbars",
  "--remote-debugging-pipe",
];

export function startChromium(path: string): Chromium {
  const profile = mkdtempSync(join(tmpdir(), "true-intents-chromium-"));
  const child = spawn(path, [...FLAGS, `--user-data-dir=${profile}`, "about:blank"], {
    stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
  });
  const { send, on } = connect(child);
  return {
    async open(url) {
      const { targetId } = await send("Target.createTarget", { url: "about:blank" });
      const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
      const session = String(sessionId);
      const deeds: Deeds = { dialogs: [], requests: [], errors: [] };
      const loaded = new Promise<void>((resolve) => {
        on(session, (method, params) => {
          const text = JSON.stringify(params);
          if (method === "Page.loadEventFired") resolve();
          else if (method === "Page.javascriptDialogOpening") {
            deeds.dialogs.push(text);
            void send("Page.handleJavaScriptDialog", { accept: true }, session);
          } else if (method === "Network.requestWillBeSent") {
            const address = (params["request"] as { readonly url: string }).url;
            if (address !== url && !/^(data|blob):/.test(address)) deeds.requests.push(address);
          } else if (/^(Runtime\.(exceptionThrown|consoleAPICalled)|Log\.entryAdded)$/.test(method)) deeds.errors.push(text);
        });
      });
      for (const domain of ["Page", "Network", "Runtime", "Log"]) await send(`${domain}.enable`, {}, session);
      await send("Page.navigate", { url }, session);
      await loaded;
      return {
        deeds,
        async evaluate(expression) {
          const options = { expression, awaitPromise: true, returnByValue: true };
          const { result, exceptionDetails } = await send("Runtime.evaluate", options, session);
          if (exceptionDetails !== undefined) throw new Error(`in the page: ${JSON.stringify(exceptionDetails)}`);
          return (result as { readonly value?: unknown }).value;
        },
        async close() {
          await send("Target.closeTarget", { targetId });
        },
      };
    },
    async close() {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      if (child.exitCode === null) {
        void send("Browser.close").catch(() => undefined);
        const late = setTimeout(() => child.kill("SIGKILL"), 10_000);
        await ended;
        clearTimeout(late);
      }
      rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    },
  };
}

type Result = Readonly<Record<string, unknown>>;
type Listener = (method: string, params: Result) => void;

/** Calls and events of the protocol; everything that waits fails once the browser has ended. */
function connect(child: ChildProcess): {
  send: (method: string, params?: object, sessionId?: string) => Promise<Result>;
  on: (session: string, listener: Listener) => void;
} {
  const [input, output] = [child.stdio[3] as Writable, child.stdio[4] as Readable];
  const waiting = new Map<number, { resolve: (result: Result) => void; reject: (error: Error) => void }>();
  const listeners = new Map<string, Listener>();
  let [id, rest] = [0, ""];
  const fail = (why: string): void => {
    for (const { reject } of waiting.values()) reject(new Error(why));
    waiting.clear();
  };
  child.on("error", (error) => fail(`Chromium did not start: ${error.message}`));
  child.on("exit", (code) => fail(`Chromium ended with ${code}`));
  input.on("error", () => undefined);
  output.setEncoding("utf8").on("data", (text: string) => {
    const messages = (rest + text).split("\0");
    rest = messages.pop() ?? "";
    for (const message of messages) {
      const said = JSON.parse(message) as Message;
      if (said.id === undefined) listeners.get(said.sessionId ?? "")?.(said.method ?? "", said.params ?? {});
      else if (said.error !== undefined) waiting.get(said.id)?.reject(new Error(said.error.message));
      else waiting.get(said.id)?.resolve(said.result ?? {});
      if (said.id !== undefined) waiting.delete(said.id);
    }
  });
  return {
    send: (method, params = {}, sessionId) =>
      new Promise((resolve, reject) => {
        waiting.set(++id, { resolve, reject });
        input.write(`${JSON.stringify({ id, method, params, ...(sessionId !== undefined && { sessionId }) })}\0`);
      }),
    on: (session, listener) => void listeners.set(session, listener),
  };
}
