/** Takes out of a report what says on whose machine, and where on it, it was made. */
import { homedir, tmpdir } from "node:os";
import { basename, isAbsolute } from "node:path";
import { fileURLToPath } from "node:url";

/** A folder of this machine, and what a reader elsewhere is shown instead. */
export interface Place {
  readonly path: string;
  readonly shown: string;
}

/**
 * The project's folder, the home folder, the one for temporary files, those that TRUE_INTENTS_ variables name, and folders of models.
 * @param models paths of models, wherever they were: each is shown by its last part
 */
export function placesHere(environment: NodeJS.ProcessEnv = process.env, models: readonly string[] = []): Place[] {
  const named = Object.entries(environment).flatMap(([name, value]) =>
    name.startsWith("TRUE_INTENTS_") && value !== undefined && isAbsolute(value)
      ? [{ path: value.replace(/\/+$/, ""), shown: `…/${basename(value)}` }]
      : [],
  );
  const project = { path: fileURLToPath(new URL("../..", import.meta.url)).replace(/[\\/]+$/, ""), shown: "." };
  const ofModels = models.map((path) => ({ path: path.replace(/\/+$/, ""), shown: basename(path) }));
  const places = [...ofModels, ...named, project, { path: homedir(), shown: "~" }, { path: tmpdir(), shown: "…" }];
  // Of a folder in another the inner one comes first. A home folder "/" would take every slash.
  return places.filter(({ path }) => path.length > 3).sort((a, b) => b.path.length - a.path.length);
}

/** The text with each place's path replaced where it stands for itself or for what is in it: not `/homely` for `/home`. */
export function withoutPlaces(text: string, places: readonly Place[] = placesHere()): string {
  let result = text;
  for (const { path, shown } of places) {
    const exact = path.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    result = result.replace(new RegExp(`(?<![\\w.~-])(?:file://)?${exact}(?![\\w.-]*[\\w-])`, "g"), () => shown);
  }
  return result;
}

/** The same for a page: its scripts, which its security policy knows by their hashes, stay as they are. */
export function pageWithoutPlaces(html: string, places: readonly Place[] = placesHere()): string {
  const parts = html.split(/(<script>[\s\S]*?<\/script>)/);
  return parts.map((part, i) => (i % 2 === 1 ? part : withoutPlaces(part, places))).join("");
}
