// Showing what the server answered to a prediction.

import { $, make, tell } from "./dom.js";
import { coloured, pretty } from "./json.js";
import { reason } from "./server.js";

const LONGEST = 100_000; // characters
const FACTS = {
  version: "penstock-model-version",
  arm: "penstock-arm",
  "request id": "x-request-id",
  "retry after": "retry-after",
};

/** Show that there is no answer, and why. */
export function showNoAnswer(status = "", problem = "") {
  $("status").replaceChildren(make("span", { class: "soft" }, status));
  $("timing").replaceChildren();
  $("facts").replaceChildren();
  $("answer").replaceChildren();
  tell("answer-problem", problem);
}

/** Show the answer; tensors that follow its JSON as bytes are counted only. */
export function showAnswer(response, bytes, elapsedMs) {
  const jsonBytes = Number(response.headers.get("inference-header-content-length") ?? bytes.byteLength);
  const text = new TextDecoder().decode(bytes.slice(0, jsonBytes));
  showStatus(response, elapsedMs);
  showTiming(response.headers.get("server-timing") ?? "");
  showFacts(response.headers);
  showBody(response, text, bytes.byteLength - jsonBytes);
  tell("answer-problem", response.ok ? "" : reason(response.status, text));
}

function showStatus({ ok, status, statusText }, elapsedMs) {
  const pill = make("span", { class: ok ? "pill good" : "pill bad" }, `${status} ${statusText}`.trim());
  $("status").replaceChildren(pill, make("span", { class: "soft" }, ` in ${elapsedMs.toFixed(1)} ms`));
}

/** Show each stage as its part of a bar, and in figures. */
function showTiming(header) {
  const stages = Object.fromEntries([...header.matchAll(/([\w-]+);dur=([\d.]+)/g)].map(([, name, ms]) => [name, Number(ms)]));
  const { total = 0, ...parts } = stages;
  const bar = make("div", { class: "stages", "aria-hidden": "true" }, ...Object.entries(parts).map(([name, ms]) => part(name, ms, total)));
  const figures = Object.entries(stages).map(([name, ms]) => make("span", { class: name }, `${name} ${ms} ms`));
  $("timing").replaceChildren(...(total ? [bar] : []), ...figures);
}

function part(name, ms, total) {
  const element = make("span", { class: name });
  element.style.width = `${Math.min(100, (100 * ms) / total)}%`;
  return element;
}

function showFacts(headers) {
  const rows = Object.entries(FACTS).filter(([, name]) => headers.has(name));
  $("facts").replaceChildren(...rows.map(([title, name]) => make("div", {}, make("dt", {}, title), make("dd", {}, headers.get(name)))));
}

function showBody({ headers }, text, bytesAfter) {
  const json = /json|octet-stream/.test(headers.get("content-type") ?? "");
  const body = json ? pretty(text) : text;
  const cut = body.length > LONGEST ? [`\n… and ${body.length - LONGEST} characters more`] : [];
  const after = bytesAfter ? [`\n… and ${bytesAfter} bytes of tensors`] : [];
  $("answer").replaceChildren(...(json ? coloured(body.slice(0, LONGEST)) : [body.slice(0, LONGEST)]), ...cut, ...after);
}
