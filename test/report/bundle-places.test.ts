import { homedir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { pageWithoutPlaces, placesHere, withoutPlaces, type Place } from "../../src/report/bundle-places.js";
import { repository } from "../kernel/client.js";

const places: readonly Place[] = [
  { path: "/home/ann/project", shown: "." },
  { path: "/home/ann", shown: "~" },
];

it("shows what is in a place from there, and leaves the rest", () => {
  const cases = [
    ["in /home/ann/project/results/x.json: no", "in ./results/x.json: no"],
    ["/home/ann/project", "."],
    ["file:///home/ann/notes.txt", "~/notes.txt"],
    ['"/home/ann"', '"~"'],
    ["at f (/home/ann/project/src/a.ts:3:4)", "at f (./src/a.ts:3:4)"],
    ["see /home/ann.", "see ~."],
    // Other folders that only begin or end the same.
    ["/home/anna/x", "/home/anna/x"],
    ["/home/ann-b", "/home/ann-b"],
    ["/srv/home/ann/x", "/srv/home/ann/x"],
    ["/home", "/home"],
  ];
  for (const [before, after] of cases) expect(withoutPlaces(before, places)).toBe(after);
  expect(withoutPlaces("/home/ann/x", [{ path: "/home/ann", shown: "$&" }])).toBe("$&/x");
});

it("leaves a page's scripts alone: their hashes are in its policy", () => {
  const page = '<p>/home/ann/x</p><script>"/home/ann"</script><script type="application/json">"/home/ann"</script>';
  expect(pageWithoutPlaces(page, places)).toBe(
    '<p>~/x</p><script>"/home/ann"</script><script type="application/json">"~"</script>',
  );
});

it("knows this machine's places: the project, home, and what variables name, the innermost first", () => {
  const here = placesHere({ TRUE_INTENTS_SFT: "/data/bob/runs/one/", TRUE_INTENTS_SEED: "22", OTHER: "/data" });
  expect(here.find(({ shown }) => shown === ".")!.path).toBe(repository.replace(/\/$/, ""));
  expect(here).toContainEqual({ path: "/data/bob/runs/one", shown: "…/one" });
  if (homedir().length > 3) expect(here).toContainEqual({ path: homedir(), shown: "~" });
  expect(here.map(({ path }) => path.length)).toEqual(here.map(({ path }) => path.length).toSorted((a, b) => b - a));
  expect(withoutPlaces("/data/bob/runs/one/summary.json", here)).toBe("…/one/summary.json");
});

it("shows models by the last part of their paths, also those of other machines and in other places", () => {
  const here = placesHere({}, ["/home/alice/models/m", join(homedir(), "mine"), `${repository}models/ours/`]);
  const text = `/home/alice/models/m SFT, local:/home/alice/models/m, ${homedir()}/mine, ${repository}models/ours`;
  expect(withoutPlaces(text, here)).toBe("m SFT, local:m, mine, ours");
  expect(withoutPlaces("/home/alice/models/m2", here)).toBe("/home/alice/models/m2");
});
