/** Counts a vitest JSON report: node summary.mjs <report> <exit status of the run>. Prints "N passed, N failed" and exits 1 on any failure. */
import { readFileSync } from "node:fs";

const [file, status] = process.argv.slice(2);

function count() {
  const { testResults } = JSON.parse(readFileSync(file, "utf8"));
  const tests = testResults.flatMap((result) => result.assertionResults);
  const failed = tests.filter((test) => test.status === "failed").length;
  // A file that could not be loaded has no tests to fail.
  const broken = testResults.filter(
    (result) => result.status === "failed" && !result.assertionResults.some((test) => test.status === "failed"),
  ).length;
  const passed = tests.filter((test) => test.status === "passed").length;
  return { passed, failed: failed + broken, skipped: tests.length - passed - failed };
}

let counts;
try {
  counts = count();
} catch (error) {
  console.log(`There is no report of the tests: ${error.message}`);
  counts = { passed: 0, failed: 0, skipped: 0 };
}
// A run that went wrong outside of any test (a crash, an unhandled rejection, the time limit) counts as one failure.
if (status !== "0" && counts.failed === 0) counts.failed = 1;
if (counts.skipped > 0) console.log(`${counts.skipped} skipped`);
console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0;
