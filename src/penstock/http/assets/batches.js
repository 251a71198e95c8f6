// The page of the latest batches: asks for the token, then shows what the address answers to programs.

import { $, make, tell } from "./dom.js";
import { read } from "./server.js";

const EVERY_MS = 2000;
const COLUMNS = [
  ["When", (batch) => new Date(batch.at * 1000).toISOString().slice(11, 23)],
  ["Reason", (batch) => batch.reason],
  ["Lane", (batch) => `${batch.device} ${batch.lane}`],
  ["Rows", (batch) => batch.rows, true],
  ["Padding", (batch) => batch.padding, true],
  ["Requests", (batch) => batch.requests, true],
  ["Waited, ms", (batch) => figure(batch.waited_ms, 3), true],
  ["Predicted, ms", (batch) => figure(batch.predicted_ms, 3), true],
  ["Real, ms", (batch) => figure(batch.real_ms, 3), true],
  ["Error, %", (batch) => figure(batch.error_percent, 1), true],
  ["Where", (batch) => (batch.inline ? "inline" : "thread")],
  ["End", (batch) => (batch.failed ? "failed" : "ok")],
];

let turn = 0;

/** Take the token out of the address, where a link may carry it, so that it stays in no history. */
function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!given) return;
  $("key").value = given;
  history.replaceState(null, "", location.pathname + location.search);
}

async function show() {
  const mine = ++turn;
  try {
    const model = await read(`batches${location.search}`);
    if (mine === turn) showModel(model);
  } catch (error) {
    if (mine !== turn) return;
    $("key-box").hidden = error.status !== 401;
    $("versions").replaceChildren();
    tell("problem", error.status === 401 && !$("key").value ? "" : error.message);
  }
}

function showModel(model) {
  tell("problem", model.versions.length ? "" : "No version of this model is ready.");
  $("key-box").hidden = true;
  $("model-name").textContent = model.name;
  document.title = `Batches of ${model.name}`;
  $("versions").replaceChildren(...model.versions.map(versionCard));
}

function versionCard({ version, summary, batches }) {
  const title = make("h2", {}, `Version ${version}`);
  if (!batches.length) return make("section", { class: "card version" }, title, make("p", { class: "soft" }, "Nothing has run yet."));
  return make("section", { class: "card version" }, title, facts(summary), shares(summary.share), table(batches));
}

function facts({ batches, failed, mean_rows, error_percent }) {
  const rows = { batches, failed, "mean rows": figure(mean_rows, 2), "median |error|": `${figure(error_percent, 1)} %` };
  const items = Object.entries(rows).map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, String(value))));
  return make("dl", { class: "facts" }, ...items);
}

function shares(share) {
  const cells = Object.entries(share).flatMap(([reason, part]) => [
    make("span", {}, reason),
    make("meter", { value: part, min: 0, max: 1, "aria-label": reason }),
    make("span", { class: "soft" }, `${(100 * part).toFixed(1)} %`),
  ]);
  return make("div", { class: "shares" }, ...cells);
}

function table(batches) {
  const heads = COLUMNS.map(([name, , right]) => make("th", { scope: "col", class: right ? "figure" : "" }, name));
  const body = make("tbody", {}, ...batches.map(row));
  return make("div", { class: "scroll", tabindex: 0 }, make("table", {}, make("thead", {}, make("tr", {}, ...heads)), body));
}

function row(batch) {
  const cells = COLUMNS.map(([, value, right]) => make("td", { class: right ? "figure" : "" }, String(value(batch))));
  return make("tr", { class: batch.failed ? "failed" : "" }, ...cells);
}

function figure(value, digits) {
  return value === null ? "–" : value.toFixed(digits);
}

takeToken();
$("key").addEventListener("change", show);
$("refresh").addEventListener("click", show);
setInterval(() => $("again").checked && show(), EVERY_MS);
show();
