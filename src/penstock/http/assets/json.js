// JSON as text. It is laid out token by token and never parsed into numbers: a parser would round 64-bit integers and
// refuse the bare NaN and Infinity that the protocol allows in tensors.

import { make } from "./dom.js";

const TOKEN = /"(?:[^"\\]|\\.)*"|[[\]{}:,]|[^\s[\]{}:,"]+/g;
const COLOURED = /("(?:[^"\\]|\\.)*")(:?)|(-?\b[\d.]+(?:[eE][+-]?\d+)?|\b(?:true|false|null|NaN)\b|-?\bInfinity\b)/g;
const WIDTH = 76;
const LONGEST_COLOURED = 20_000; // characters: a span for each number of a large tensor would stall the page

/** Tell whether the text is strict JSON. */
export function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Return the JSON without blanks between its tokens. */
export function compact(text) {
  return text.match(TOKEN).join("");
}

/** Return the JSON with one member per line; what is short, and a plain list of any length, stays on its line. */
export function pretty(text) {
  const tokens = (text.match(TOKEN) ?? [])[Symbol.iterator]();
  return layout(tokens, tokens.next().value ?? "", "");
}

function layout(tokens, token, indent) {
  if (token !== "{" && token !== "[") return token;
  const close = token === "{" ? "}" : "]";
  const items = members(tokens, close, `${indent}  `);
  const line = token + items.join(", ") + close;
  if (fitsOneLine(items, line, token)) return line;
  return `${token}\n${items.map((item) => `${indent}  ${item}`).join(",\n")}\n${indent}${close}`;
}

function members(tokens, close, indent) {
  const items = [];
  let item = "";
  for (let token = tokens.next().value; token !== undefined && token !== close; token = tokens.next().value) {
    if (token === ",") items.push(item);
    item = token === "," ? "" : token === ":" ? `${item}: ` : item + layout(tokens, token, indent);
  }
  return item ? [...items, item] : items;
}

function fitsOneLine(items, line, open) {
  if (line.includes("\n")) return false;
  const plain = open === "[" && !items.some((item) => /^[[{]/.test(item));
  return plain || line.length <= (open === "[" ? WIDTH : WIDTH / 2);
}

/** Return the children that show the JSON in colours. */
export function coloured(text) {
  if (text.length > LONGEST_COLOURED) return [text];
  const children = [];
  let end = 0;
  for (const match of text.matchAll(COLOURED)) {
    const [whole, string, colon] = match;
    const kind = string ? (colon ? "key" : "string") : "number";
    children.push(text.slice(end, match.index), make("span", { class: kind }, string ?? whole), colon ?? "");
    end = match.index + whole.length;
  }
  return [...children, text.slice(end)];
}
