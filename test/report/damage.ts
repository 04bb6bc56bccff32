/** Damages files of a run folder at random: a reader reads them, or says by a typed error what is wrong. */
import fc from "fast-check";
import { readFileSync, writeFileSync } from "node:fs";
import { DataFormatError } from "../../src/data/errors.js";
import { RunFolderError } from "../../src/experiments/run-folder.js";

/** One byte changed or the rest cut off, in one of the files at a time; afterwards they are whole again. */
export function readsOrRefuses(paths: readonly string[], read: () => unknown, numRuns = 150): void {
  const whole = paths.map((path) => readFileSync(path));
  const damage = fc.record({ file: fc.nat(paths.length - 1), at: fc.nat(), byte: fc.nat(255), cut: fc.boolean() });
  fc.assert(
    fc.property(damage, ({ file, at, byte, cut }) => {
      const content = Buffer.from(whole[file]);
      const place = at % content.length;
      content[place] = byte;
      writeFileSync(paths[file], cut ? content.subarray(0, place) : content);
      try {
        read();
      } catch (error) {
        if (!(error instanceof DataFormatError || error instanceof RunFolderError)) throw error;
      } finally {
        writeFileSync(paths[file], whole[file]);
      }
    }),
    { numRuns },
  );
}
