// The page at /docs: choose a model, send it a request, look up what else the server can do.

import { showAnswer, showNoAnswer } from "./answer.js";
import { $, make, mark, tell } from "./dom.js";
import { compact, isJson, pretty } from "./json.js";
import { resolve, showOperations } from "./operations.js";
import { at, bearer, read } from "./server.js";

const LARGEST_SAMPLE = 200_000; // values; the editor gets slow above
const LONGEST_CURL = 4_000; // characters of a body that one would still paste into a shell
const RAW_ONLY = new Set(["FP16", "BF16"]);

const shown = { model: "", version: "", inputs: [], index: [], turn: 0 };

async function showServer() {
  const ready = (await fetch(at("v2/health/ready")).catch(() => null))?.ok;
  $("health").textContent = ready ? "ready" : "not ready";
  $("health").className = ready ? "pill good" : "pill bad";
  $("server-version").textContent = (await read("v2").catch(() => null))?.version ?? "";
}

// ---- The models

async function showModels() {
  try {
    const { models } = await read("v2/models");
    shown.index = await read("v2/repository/index", { method: "POST", body: "{}" }).catch(() => []);
    const names = [...new Set([...models, ...shown.index.map((entry) => entry.name)])].sort();
    $("models").replaceChildren(...names.map(modelItem));
    $("filter").hidden = names.length < 9;
    tell("models-problem", names.length ? "" : "There are no models yet.");
  } catch (error) {
    $("key-box").open ||= error.status === 401;
    tell("models-problem", error.message);
  }
}

function modelItem(name) {
  const states = shown.index.filter((entry) => entry.name === name).map((entry) => entry.state ?? "UNKNOWN");
  const unready = states.length && !states.includes("READY") ? [make("small", {}, states[0].toLowerCase())] : [];
  return make("li", {}, make("a", { href: address(name) }, make("span", {}, name), ...unready));
}

function filterModels() {
  const wanted = $("filter").value.toLowerCase();
  for (const item of $("models").children) item.hidden = !item.textContent.toLowerCase().includes(wanted);
}

function address(model, version = "") {
  return `#${new URLSearchParams(version ? { model, version } : { model })}`;
}

/** Show what the address names; with `run` in the address, send the sample at once. */
async function follow() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  if (!wanted.get("model")) return;
  if (!(await showModel(wanted.get("model"), wanted.get("version") ?? "")) || !wanted.has("run")) return;
  history.replaceState(null, "", address(shown.model, shown.version)); // a reload shall not send it again
  await send();
}

// ---- One model

/** Return whether the model is on the page now: it may be unknown, or another may have been chosen meanwhile. */
async function showModel(model, version) {
  const turn = ++shown.turn;
  mark($("models"), address(model));
  try {
    const metadata = await read(pathOf(model, version)); // of a version in the path it names that version only
    const { versions = [] } = version ? await read(pathOf(model)).catch(() => metadata) : metadata;
    if (turn === shown.turn) showMetadata(model, version, metadata, versions);
  } catch (error) {
    if (turn === shown.turn) showNoModel(error.message);
  }
  return turn === shown.turn && !$("model").hidden;
}

function pathOf(model, version = "") {
  const path = `v2/models/${encodeURIComponent(model)}`;
  return version ? `${path}/versions/${encodeURIComponent(version)}` : path;
}

function inferPath() {
  return `${pathOf(shown.model, shown.version)}/infer`;
}

function showNoModel(problem) {
  $("model").hidden = true;
  tell("model-problem", problem);
}

function showMetadata(model, version, metadata, versions) {
  const keep = shown.model === model && JSON.stringify(shown.inputs) === JSON.stringify(metadata.inputs);
  Object.assign(shown, { model, version, inputs: metadata.inputs });
  document.title = `${model} · Penstock`;
  $("model-name").textContent = model;
  $("platform").textContent = metadata.platform ?? "";
  $("path").textContent = `/${inferPath()}`;
  $("inputs").replaceChildren(...metadata.inputs.map(tensorRow));
  $("outputs").replaceChildren(...metadata.outputs.map(tensorRow));
  showVersions(versions);
  tell("model-problem");
  $("model").hidden = false;
  showNoAnswer();
  if (keep) showRequest(); // what was typed fits this version as well
  else resetRequest();
}

function tensorRow({ name, datatype, shape }) {
  const code = (text) => make("td", {}, make("code", {}, text));
  return make("tr", {}, make("th", { scope: "row" }, name), code(datatype), code(`[${shape.join(", ")}]`));
}

function showVersions(versions) {
  const chip = (version, text) => make("li", {}, make("a", { href: address(shown.model, version) }, text));
  const listed = new Set([...versions, shown.version].filter(Boolean)); // the address may name an alias
  $("versions").replaceChildren(chip("", "as routed"), ...[...listed].map((version) => chip(version, version)));
  mark($("versions"), address(shown.model, shown.version));
  const unready = shown.index.filter(({ name, state }) => name === shown.model && state && state !== "READY");
  $("unready").replaceChildren(...unready.map(unreadyItem));
}

function unreadyItem({ version, state, reason: why }) {
  return make("li", {}, make("strong", {}, `${version ?? ""} ${state.toLowerCase()}`), why ? `: ${why}` : "");
}

// ---- The request

function resetRequest() {
  const inputs = shown.inputs.map(sample);
  const large = inputs.filter((input) => !input.data).map(({ name }) => `${name} is too large for a sample here.`);
  const raw = inputs.filter(({ datatype }) => RAW_ONLY.has(datatype)).map(({ name, datatype }) => `${name}: ${datatype} travels only as bytes.`);
  $("body").value = pretty(JSON.stringify({ inputs }));
  $("note").textContent = [...large, ...raw].join(" ");
  showRequest();
}

/** Return an input that fits what the model declares; a dimension that may vary is 1. */
function sample({ name, datatype, shape }) {
  const sizes = shape.map((size) => (size < 0 ? 1 : size));
  const length = sizes.reduce((product, size) => product * size, 1);
  if (length > LARGEST_SAMPLE) return { name, datatype, shape: sizes };
  return { name, datatype, shape: sizes, data: Array.from({ length }, (_, at) => gentle(datatype, at)) };
}

/** Return a value that few models choke on. */
function gentle(datatype, at) {
  if (datatype === "BOOL") return true;
  if (datatype === "BYTES") return "text";
  return datatype.includes("F") ? ((at % 10) + 1) / 10 : 1;
}

/** Bring all that depends on the request up to date with it. */
function showRequest() {
  const body = $("body").value;
  tell("invalid", isJson(body) ? "" : "This is not strict JSON.");
  $("curl").textContent = curl(isJson(body) ? compact(body) : body);
}

function curl(body) {
  const headers = Object.entries(requestHeaders()).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`);
  const key = $("key").value ? ['-H "authorization: Bearer $PENSTOCK_KEY"'] : [];
  const data = body.length > LONGEST_CURL ? "--data-binary @request.json" : `-d ${quoted(body)}`;
  return [`curl ${quoted(at(inferPath()).href)}`, ...key, ...headers, data].join(" \\\n  ");
}

/** Return the text as one word of a POSIX shell. */
function quoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function requestHeaders() {
  const given = [...$("headers").querySelectorAll("[name]")].filter((field) => field.value);
  return Object.fromEntries([["content-type", "application/json"], ...given.map(({ name, value }) => [name, value])]);
}

/** Offer the request headers that the OpenAPI document names for a prediction. */
function showHeaders(description) {
  const { parameters } = description.paths["/v2/models/{model}/infer"].post;
  const parts = parameters.map((part) => resolve(description, part));
  const ours = parts.filter((part) => part.in === "header" && !part.name.startsWith("Inference-"));
  $("headers").replaceChildren(...ours.map(headerField));
}

function headerField({ name, description, schema, example }) {
  const choices = ["", ...(schema.enum ?? [])].map((choice) => make("option", {}, choice));
  const field = schema.enum ? make("select", { name }, ...choices) : make("input", { name, placeholder: example, autocomplete: "off" });
  return make("label", {}, make("code", {}, name), make("small", {}, description), field);
}

/** Send the request as it stands in the editor. */
async function send() {
  const { turn } = shown;
  const options = { method: "POST", body: $("body").value, headers: { ...bearer(), ...requestHeaders() } };
  const started = performance.now();
  $("send").disabled = true;
  showNoAnswer("Waiting…");
  try {
    const response = await fetch(at(inferPath()), options);
    const bytes = await response.arrayBuffer();
    if (turn === shown.turn) showAnswer(response, bytes, performance.now() - started);
  } catch (error) {
    if (turn === shown.turn) showNoAnswer("No answer", error.message);
  } finally {
    $("send").disabled = false;
  }
}

async function copy() {
  getSelection().selectAllChildren($("curl"));
  try {
    await navigator.clipboard.writeText($("curl").textContent);
  } catch {
    document.execCommand("copy"); // the clipboard of today wants https, except on this machine
  }
  $("copy").textContent = "Copied";
  setTimeout(() => ($("copy").textContent = "Copy"), 1500);
}

// ---- The page

/** Go to the model without a change of the address, which names the model. */
function skip(event) {
  event.preventDefault();
  $("main").focus();
}

function listen() {
  addEventListener("hashchange", follow);
  $("skip").addEventListener("click", skip);
  $("filter").addEventListener("input", filterModels);
  $("key").addEventListener("change", load);
  $("body").addEventListener("input", showRequest);
  $("body").addEventListener("keydown", (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && send());
  $("headers").addEventListener("input", showRequest);
  $("reset").addEventListener("click", resetRequest);
  $("send").addEventListener("click", send);
  $("copy").addEventListener("click", copy);
}

async function load() {
  await Promise.all([showServer(), showModels()]);
  const first = $("models").querySelector("a");
  if (first && !location.hash.includes("model=")) location.replace(first.hash);
  else await follow();
}

async function describe() {
  try {
    const description = await read("openapi.json");
    showOperations(description);
    showHeaders(description);
  } catch (error) {
    $("about").textContent = error.message;
  }
}

listen();
await Promise.all([load(), describe()]);
