/** The commands that a Markdown file shows. */

/** Those of its blocks alone: what a reader types in this order. */
export function blockCommandsIn(markdown: string): string[] {
  return typed([...markdown.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block]) => block.split("\n")));
}

/** Those of its code blocks and spans. */
export function commandsIn(markdown: string): string[] {
  const spans = [...markdown.replace(/```[\s\S]*?```/g, "").matchAll(/`([^`]+)`/g)].map(([, span]) => span);
  return [...blockCommandsIn(markdown), ...typed(spans)];
}

function typed(lines: readonly string[]): string[] {
  return lines.map((line) => line.replace(/ +# .*$/, "").trim()).filter((line) => /^(npx|npm) /.test(line));
}
