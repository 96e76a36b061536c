// Asking the till. An id is made once for an act and kept through every retry, so that nothing is done twice.

import { has } from "./tongue.js";

const WAITS_MS = [700, 1500, 3000];
const LATE_MS = 15000;

export class Problem extends Error {
  constructor({ code, detail, status, figures }) {
    super(detail || code);
    Object.assign(this, { code, detail: detail || "", status, figures: figures ?? {} });
  }
}

// Neither i, l, o nor u (Crockford's base 32): what is printed is typed again when it is undone.
const SIGNS = "0123456789abcdefghjkmnpqrstvwxyz";

// An id of our own, unlike any other of this till: ten signs of five bits, short enough for a slip.
export function newId(kind) {
  const bytes = crypto.getRandomValues(new Uint8Array(10));
  return `${kind}-${[...bytes].map((byte) => SIGNS[byte & 31]).join("")}`;
}

// The answer as an object. A till that does not answer, or is in trouble itself (5xx), is asked again with the same body;
// where it says in words of its own that head office or a printer is wanted, it would say so again.
// `onAgain` is told before each retry. Throws Problem: what the till refuses, or "page.no_answer" in the end.
export async function ask(method, path, body, { onAgain = () => {} } = {}) {
  for (let tries = 0; ; tries += 1) {
    let problem;
    try {
      const answer = await fetch(path, {
        method,
        headers: body === undefined ? {} : { "Content-Type": "application/json" },
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: AbortSignal.timeout(LATE_MS),
      });
      const told = answer.headers.get("Content-Type")?.includes("json") ? await answer.json() : {};
      if (answer.ok) return told;
      if (answer.status === 401) location.reload(); // the session is over, while the stream goes on: sign in again
      problem = new Problem({ ...told, status: answer.status, code: told.code ?? "page.no_answer" });
      if (answer.status < 500 || isSaid(told.code)) throw problem;
    } catch (error) {
      if (error instanceof Problem && (error.status < 500 || isSaid(error.code))) throw error;
      problem ??= new Problem({ code: "page.no_answer", status: 0 });
    }
    if (tries >= WAITS_MS.length) throw problem;
    onAgain(tries + 1);
    await new Promise((done) => setTimeout(done, WAITS_MS[tries]));
  }
}

const isSaid = (code) => Boolean(code) && code !== "page.no_answer" && has(`refusal.${code.replaceAll(".", "_")}`);

export const get = (path) => ask("GET", path);
export const post = (path, body, more) => ask("POST", path, body, more);
export const drop = (path) => ask("DELETE", path);
// Points that were set aside go back; practised ones lie apart.
export const release = (hold, training) => drop(`/v1/holds/${encodeURIComponent(hold)}${training ? "?training=true" : ""}`);
