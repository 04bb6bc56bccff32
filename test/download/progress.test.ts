import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { formatBytes, showProgress } from "../../src/download/progress.js";

const terminal = Object.getOwnPropertyDescriptor(process.stderr, "isTTY");
beforeEach(() => {
  Object.defineProperty(process.stderr, "isTTY", { value: false, configurable: true });
  vi.useFakeTimers();
});
afterEach(() => {
  if (terminal) Object.defineProperty(process.stderr, "isTTY", terminal);
  else Reflect.deleteProperty(process.stderr, "isTTY");
  vi.useRealTimers();
});

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "1.00 kB"],
  [98_362_432, "98.4 MB"],
  [999_960_000, "1.00 GB"],
  [16_070_000_000, "16.1 GB"],
  [5e15, "5000.0 TB"],
])("%i bytes are %s", (bytes, words) => {
  expect(formatBytes(bytes)).toBe(words);
});

test("without a terminal, a line at each tenth, not in a flood, and always at the end", () => {
  const lines: string[] = [];
  const progress = showProgress("model", 1000, (line) => lines.push(line));
  for (let bytes = 0; bytes <= 1000; bytes += 50) {
    progress.update(bytes);
    vi.advanceTimersByTime(700);
  }
  progress.stop();
  expect(lines.length).toBeGreaterThanOrEqual(5);
  expect(lines.length).toBeLessThanOrEqual(8);
  expect(lines[0]).toMatch(/^model: \d0% \(\d+ B of 1\.00 kB\)$/);
  expect(lines.at(-1)).toBe("model: 100% (1.00 kB of 1.00 kB)");
});
