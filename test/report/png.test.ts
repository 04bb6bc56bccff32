/** Figures as files for papers. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inflateSync } from "node:zlib";
import { afterAll, expect, it } from "vitest";
import { FigureError, writeFigure } from "../../src/report/figure.js";
import { svgToPng } from "../../src/report/png.js";

const folder = mkdtempSync(join(tmpdir(), "true-intents-png-"));
afterAll(() => rmSync(folder, { recursive: true }));

interface Image {
  readonly width: number;
  readonly height: number;
  readonly colors: number;
  /** Shares of the pixels that are darker than half. */
  readonly ink: number;
}

/** Reads an 8-bit PNG as its specification has it. */
function decode(png: Buffer): Image {
  expect(png.subarray(0, 8)).toEqual(Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]));
  const data: Buffer[] = [];
  let [width, height, channels] = [0, 0, 0];
  for (let at = 8; at < png.length;) {
    const length = png.readUInt32BE(at);
    const type = png.toString("latin1", at + 4, at + 8);
    const body = png.subarray(at + 8, at + 8 + length);
    if (type === "IHDR") {
      [width, height] = [body.readUInt32BE(0), body.readUInt32BE(4)];
      expect(body[8]).toBe(8);
      channels = { 2: 3, 6: 4 }[body[9]]!;
    } else if (type === "IDAT") data.push(body);
    at += 12 + length;
  }
  const raw = inflateSync(Buffer.concat(data));
  const stride = width * channels;
  const rows: Buffer[] = [];
  let dark = 0;
  const seen = new Set<number>();
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (stride + 1)];
    const row = Buffer.from(raw.subarray(y * (stride + 1) + 1, (y + 1) * (stride + 1)));
    for (let x = 0; x < stride; x++) {
      const left = x >= channels ? row[x - channels] : 0;
      const up = y > 0 ? rows[y - 1][x] : 0;
      const corner = y > 0 && x >= channels ? rows[y - 1][x - channels] : 0;
      const guess = left + up - corner;
      const [a, b, c] = [left, up, corner].map((value) => Math.abs(guess - value));
      const paeth = a <= b && a <= c ? left : b <= c ? up : corner;
      row[x] += [0, left, up, (left + up) >> 1, paeth][filter];
    }
    rows.push(row);
    for (let x = 0; x < stride; x += channels) {
      seen.add((row[x] << 16) | (row[x + 1] << 8) | row[x + 2]);
      if (row[x] + row[x + 1] + row[x + 2] < 3 * 128) dark++;
    }
  }
  return { width, height, colors: seen.size, ink: dark / (width * height) };
}

const svg = (inside: string): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="60" height="40" viewBox="0 0 60 40">${inside}</svg>`;

it("draws on white, three pixels a CSS pixel, with the colours of the figure", async () => {
  const half = decode(await svgToPng(svg('<rect width="30" height="40" fill="#0072b2"/>')));
  expect(half).toMatchObject({ width: 180, height: 120, colors: 2 });
  expect(half.ink).toBeCloseTo(0.5);
  expect(decode(await svgToPng(svg(""), 1))).toEqual({ width: 60, height: 40, colors: 1, ink: 0 });
});

it("has a font of its own for every family and for the signs of our axes", async () => {
  const text = (family: string, words: string): string =>
    svg(`<text y="30" font-size="28" font-family="${family}">${words}</text>`);
  const letters = decode(await svgToPng(text("system-ui, Segoe UI, sans-serif", "Fig")));
  expect(letters.ink).toBeGreaterThan(0.05);
  expect(decode(await svgToPng(text("A font that is nowhere", "Fig"))).ink).toBeGreaterThan(0.05);
  // A missing sign would be drawn as the same box twice.
  expect(await svgToPng(text("sans-serif", "↓"))).not.toEqual(await svgToPng(text("sans-serif", "↑")));
  expect(await svgToPng(text("sans-serif", "≤"))).not.toEqual(await svgToPng(text("sans-serif", "±")));
});

it("reads nothing outside of the figure", async () => {
  const image = svg(
    `<image href="file:///etc/hostname" width="60" height="40"/><image href="/etc/hostname" width="60" height="40"/>`,
  );
  expect(decode(await svgToPng(image)).ink).toBe(0);
  await expect(svgToPng("no figure")).rejects.toThrow();
});

it("writes a figure as its path ends", async () => {
  const figure = { data: [{ type: "scatter", mode: "markers", x: [1, 2], y: [3, 5] }], layout: { width: 300, height: 200 } };
  const [asSvg, asPng] = [join(folder, "a.svg"), join(folder, "a.PNG")];
  await writeFigure(asSvg, figure);
  await writeFigure(asPng, figure);
  expect(readFileSync(asSvg, "utf8")).toMatch(/^<svg[^>]* width="300" height="200"/);
  expect(decode(readFileSync(asPng))).toMatchObject({ width: 900, height: 600 });
  await expect(writeFigure(join(folder, "a.pdf"), figure)).rejects.toThrow(FigureError);
});
