export class NativeBuildError extends Error {}
export interface BuildOptions {
  readonly sanitize?: boolean;
  readonly force?: boolean;
  readonly log?: (line: string) => void;
}
export function buildNative(options?: BuildOptions): Promise<{ file: string; built: boolean }>;
