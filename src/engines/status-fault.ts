/** What a status other than success says of the request, and of those after it. */
import { retryAfter } from "../download/retry.js";
import type { Reply } from "./post.js";
import { RequestFault } from "./retry.js";

/**
 * "passing", with the pause that the server asks for, for 408, 425, 429, 5xx but 501, and an error sent with 200; "hopeless" for 401, 402
 * and a redirect; else "refused".
 * @param said what the server says, for the message
 */
export function statusFault({ status, headers }: Pick<Reply, "status" | "headers">, said: string): RequestFault {
  if (status >= 300 && status < 400)
    return new RequestFault(`${said} (moved); use its new address, a redirect is not followed`, "hopeless");
  if (status === 402) return new RequestFault(`${said} (the quota is used up)`, "hopeless");
  if (status === 401) return new RequestFault(`${said} (the key is missing or wrong)`, "hopeless");
  if (status === 200 || status === 408 || status === 425 || status === 429 || (status >= 500 && status !== 501))
    return new RequestFault(said, "passing", retryAfter(headers));
  return new RequestFault(said, "refused");
}
