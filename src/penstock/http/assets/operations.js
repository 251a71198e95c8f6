// The list of all operations, drawn from the OpenAPI document.

import { $, make, prose } from "./dom.js";
import { coloured, pretty } from "./json.js";

/** Show every operation of the document under the heading of its tag. */
export function showOperations(description) {
  $("about").replaceChildren(...prose(description.info.description));
  $("operations").replaceChildren(...description.tags.map((tag) => group(description, tag)));
}

/** Return the parameter, response or header that a reference of the document stands for. */
export function resolve(description, part) {
  if (!part.$ref) return part;
  return part.$ref.slice(2).split("/").reduce((place, key) => place[key], description);
}

function group(description, tag) {
  const rows = Object.entries(description.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, operation]) => operation.tags.includes(tag.name))
      .map(([method, operation]) => row(description, method, path, operation)),
  );
  return make("section", {}, make("h3", {}, tag.name), make("p", { class: "soft" }, ...prose(tag.description)), ...rows);
}

function row(description, method, path, operation) {
  const badge = make("span", { class: `method ${method}` }, method.toUpperCase());
  const title = make("summary", {}, badge, make("code", {}, path), make("span", { class: "soft" }, operation.summary));
  const details = make("details", { class: "operation" }, title);
  details.addEventListener("toggle", () => details.append(inside(description, operation)), { once: true });
  return details;
}

function inside(description, operation) {
  const responses = Object.entries(operation.responses).map(([status, part]) => [status, resolve(description, part)]);
  const headers = Object.entries(operation.responses["200"].headers);
  return make(
    "div",
    {},
    make("p", {}, ...prose(operation.description)),
    ...terms("Parameters", operation.parameters.map((part) => said(resolve(description, part)))),
    ...bodies("Request", operation.requestBody),
    ...bodies("Answer", operation.responses["200"]),
    ...terms("Headers of the answer", headers.map(([name, part]) => said({ name, ...resolve(description, part) }))),
    ...terms("Statuses", responses.map(([name, part]) => said({ name, ...part }))),
  );
}

function said({ name, description }) {
  return [make("dt", {}, make("code", {}, name)), make("dd", {}, ...prose(description))];
}

function terms(title, rows) {
  return rows.length ? [make("h4", {}, title), make("dl", {}, ...rows.flat())] : [];
}

function bodies(title, part) {
  return Object.entries(part?.content ?? {}).flatMap(([type, { schema, example }]) => [
    make("h4", {}, `${title}: `, make("code", {}, type)),
    example ? make("pre", { tabindex: "0" }, ...coloured(pretty(JSON.stringify(example)))) : make("p", {}, schema.description),
  ]);
}
