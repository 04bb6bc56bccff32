/** A process of its own that downloads one file, for tests that kill it: url, destination, bytes, sha256. */
import { downloadFile } from "../../src/download/file.js";

const [url = "", destination = "", bytes = "0", hex = ""] = process.argv.slice(2);
await downloadFile({ url, destination, bytes: Number(bytes), digest: { algorithm: "sha256", hex } });
