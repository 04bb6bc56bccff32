/** A status says the same of every server. */
import { expect, it } from "vitest";
import { statusFault } from "../../src/engines/status-fault.js";

const fault = (status: number, headers: Record<string, string> = {}) =>
  statusFault({ status, headers: new Headers(headers) }, `the server says ${status}`);

it.each([
  ["passing", [200, 408, 425, 429, 500, 502, 503, 504, 529]],
  ["hopeless", [301, 302, 307, 308, 401, 402]],
  ["refused", [400, 403, 404, 405, 413, 422, 501]],
] as const)("%s: %j", (kind, statuses) => {
  for (const status of statuses) {
    expect(fault(status).kind).toBe(kind);
    expect(fault(status).message).toContain(`the server says ${status}`);
  }
});

it("tells how long the server asks to wait, where another try may help", () => {
  expect(fault(429, { "retry-after": "7" }).waitMs).toBe(7000);
  expect(fault(503).waitMs).toBeNull();
  expect(fault(503, { "retry-after": "soon" }).waitMs).toBeNull();
});
