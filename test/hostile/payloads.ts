/**
 * Texts that act where they are read as something else than text: as markup, as a link, as a formula, as control of a terminal, as a
 * path. Each calls `hit` or asks for an address that does not exist, and no more.
 */
import { visibleText } from "../../src/report/text.js";

export interface Payload {
  readonly name: string;
  readonly text: string;
}

const SITE = "https://hostile.invalid";

export const PAYLOADS: readonly Payload[] = [
  // Markup.
  { name: "script", text: "<script>hit()</script>" },
  { name: "script in capitals", text: "<ScRiPt SRC=//hostile.invalid/x.js></sCrIpT>" },
  { name: "script split", text: "<scr<script>ipt>hit()</scr</script>ipt>" },
  { name: "image handler", text: "<img src=x onerror=hit()>" },
  { name: "image without an end", text: '<img src=x onerror="hit()" ' },
  { name: "svg handler", text: "<svg/onload=hit()>" },
  { name: "svg animation", text: "<svg><animate onbegin=hit() attributeName=x dur=1s>" },
  { name: "details handler", text: "<details open ontoggle=hit()>open</details>" },
  { name: "frame", text: '"><iframe src="javascript:parent.hit()"></iframe>' },
  { name: "frame with a document", text: "<iframe srcdoc='<script>parent.hit()</script>'>" },
  { name: "link element", text: `<link rel=stylesheet href=${SITE}/a.css>` },
  { name: "style element", text: `<style>@import "${SITE}/b.css"; * { display: none }</style>` },
  { name: "redirect", text: `<meta http-equiv=refresh content="0;url=${SITE}/">` },
  { name: "base", text: `<base href="${SITE}/">` },
  { name: "form", text: `<form action=${SITE}><button autofocus onfocus=hit()>go</button></form>` },
  { name: "object", text: `<object data=${SITE}/o></object><embed src=${SITE}/e>` },
  { name: "end of what it stands in", text: "</td></table></pre></textarea></title></style><b onclick=hit()>out" },
  { name: "end of a script", text: '</script><script>hit()</script>{"a":"' },
  { name: "comment", text: "--><!-- <img src=x onerror=hit()> --> <![CDATA[ x ]]>" },
  // Attributes, entities, links.
  { name: "double quote", text: '" onmouseover="hit()" autofocus onfocus="hit()' },
  { name: "single quote", text: "' onmouseover='hit()' x='" },
  { name: "backtick", text: "`onmouseover=hit()` ${hit()} `code`" },
  { name: "entity", text: "&lt;script&gt;hit()&lt;/script&gt; &#60;b&#62; &amp;amp; &colon;" },
  { name: "half an entity", text: "&#x3C;img src=x onerror=hit()&#x3E &NewLine &" },
  { name: "javascript link", text: "javascript:hit()//" },
  { name: "javascript link, disguised", text: `<a href="java&#9;script:hit()">link</a> data:text/html,<script>hit()</script>` },
  { name: "Markdown link", text: `[link](javascript:hit()) ![image](${SITE}/i.png) <${SITE}>` },
  { name: "Markdown structure", text: "# head\n\n| a | b |\n| - | - |\n```\nx\n```\n* item \\| **bold** ~~gone~~" },
  // Languages of templates, mathematics, figures.
  { name: "MathJax", text: "$$\\href{javascript:hit()}{x}$$ \\(\\unicode{x41}\\) $a$ \\[b\\]" },
  { name: "template", text: "{{ 7 * 7 }} {% include '/etc/passwd' %} ${7*7} <%= 7 %> #{7}" },
  { name: "plotly markup", text: `<b>b</b><br><sup>s</sup> <a href="${SITE}">l</a> <span style="color:red">r</span>` },
  { name: "plotly template", text: "%{x} %{customdata[0]} <extra></extra> %{meta[0]}" },
  { name: "progress bar template", text: "{bar} {value} {label} {note}" },
  { name: "format directives", text: "%s %d %o %j %c %%" },
  // What is not seen, or reorders what is.
  { name: "ANSI colours", text: "\u001b[31;1mred\u001b[0m" },
  { name: "ANSI that clears and moves", text: "\u001b[2J\u001b[H\u001b[1A\u001b[2Kover" },
  { name: "terminal title and link", text: `\u001b]0;title\u0007\u001b]8;;${SITE}\u001b\\link\u001b]8;;\u001b\\` },
  { name: "C1 controls", text: "\u009b31mred\u009d0;title\u009c\u0085next" },
  { name: "returns", text: "shown\rhidden\b\b\b\v\f\u007f" },
  { name: "null byte", text: "before\u0000after.json" },
  { name: "line separators", text: "one\u2028two\u2029three" },
  { name: "line breaks and tabs", text: "one\ntwo\r\nthree\tfour" },
  { name: "right-to-left override", text: "\u202egnp.exe\u202c \u2066isolated\u2069" },
  { name: "Arabic and Hebrew", text: "سلام שלום (1) abc" },
  { name: "marks without width", text: "z\u200be\u200dr\u2060o\ufeff \u0301\u0301\u0301" },
  { name: "tags that spell a word", text: "plain\u{e0069}\u{e0067}\u{e006e}\u{e006f}\u{e0072}\u{e0065}" },
  { name: "half a character", text: "\ud800 lone \udc00" },
  // Formulas, paths, names of objects.
  { name: "formula", text: `=HYPERLINK("${SITE}","x")` },
  { name: "formula with a command", text: "+cmd|' /C calc'!A0" },
  { name: "formula with an at sign", text: "@SUM(1+1)*-2" },
  { name: "CSV structure", text: '","injected"\n"next","row' },
  { name: "path upwards", text: "../../../../etc/passwd" },
  { name: "path of Windows", text: "..\\..\\windows\\system32\\con" },
  { name: "absolute path", text: "/etc/passwd%00.json" },
  { name: "prototype", text: "__proto__" },
  { name: "constructor", text: "constructor" },
  { name: "method of an object", text: "toString" },
  { name: "option", text: "--out=/tmp/elsewhere" },
  { name: "long", text: "long ".repeat(80).trim() },
];

export const TEXTS: readonly string[] = PAYLOADS.map(({ text }) => text);

/** What a reader sees of a text in HTML: what acts unseen as its code, and of half a character the replacement that UTF-8 has for it. */
export const shown = (text: string): string => visibleText(text).toWellFormed();

/** The same where white space runs together, as in SVG, in a browser's `innerText` and in a terminal's line. */
export const words = (text: string): string => text.replace(/\s+/g, " ").trim();

/** Nothing of this may come to a terminal: it moves the cursor, colours, reorders, or is a line break of another kind. */
export const CONTROLS = /(?!\n)[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069\u200b\u2060\ufeff\u{e0000}-\u{e007f}]/u;
