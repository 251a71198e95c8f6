// Asking the server.

import { $ } from "./dom.js";

const ROOT = new URL(".", document.baseURI); // every path is relative to it, so the page also works behind a prefix

/** Return the full address of a path of the server. */
export function at(path) {
  return new URL(path, ROOT);
}

/** Return the header that carries the key, if one was typed. */
export function bearer() {
  return $("key").value ? { authorization: `Bearer ${$("key").value}` } : {};
}

/** Return the parsed answer, or throw the reason why there is none. */
export async function read(path, options = {}) {
  const response = await fetch(at(path), { headers: bearer(), ...options });
  const text = await response.text();
  if (!response.ok) throw Object.assign(new Error(reason(response.status, text)), { status: response.status });
  return JSON.parse(text);
}

/** Return what an error says; whoever stands in front of the server may answer with something that is not JSON. */
export function reason(status, text) {
  try {
    const { error, code } = JSON.parse(text);
    return code ? `${error} (${code})` : error;
  } catch {
    return `The server answered ${status}. ${text.slice(0, 200)}`;
  }
}
