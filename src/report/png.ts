/** SVG figures as PNG, the same on every machine: drawn by resvg with a font of our own, none of the system's. */
import { createRequire } from "node:module";

const font = (name: string): string => createRequire(import.meta.url).resolve(`dejavu-fonts-ttf/ttf/${name}.ttf`);

/** Its letters are as wide as plotly.ts takes them for; it has the arrows and the signs of our axes. */
const FAMILY = "DejaVu Sans Condensed";

/**
 * Draws an SVG on white. Nothing outside of it is read.
 * @param scale pixels a CSS pixel; 3 is 300 a printed inch where 96 CSS pixels are one, rounded down
 * @throws Error if the text is no SVG
 */
export async function svgToPng(svg: string, scale = 3): Promise<Buffer> {
  const { Resvg } = await import("@resvg/resvg-js");
  const drawn = new Resvg(svg, {
    background: "#ffffff",
    fitTo: { mode: "zoom", value: scale },
    font: {
      loadSystemFonts: false,
      fontFiles: [font("DejaVuSansCondensed"), font("DejaVuSansCondensed-Bold")],
      defaultFontFamily: FAMILY,
      sansSerifFamily: FAMILY,
    },
  });
  return drawn.render().asPng();
}
