// Building the page. Strings become text nodes, so nothing that a model or a server says can become markup.

/** Return the element of the page that has this id. */
export const $ = (id) => document.getElementById(id);

/** Return a new element with these attributes and children; strings among the children become text. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Return the children for a text in which backticks mark code. */
export function prose(text) {
  return text.split("`").map((part, at) => (at % 2 ? make("code", {}, part) : part));
}

/** Show a problem in its place, or clear the place if there is none. */
export function tell(id, problem = "") {
  $(id).textContent = problem;
  $(id).hidden = !problem;
}

/** Mark the one link of a list that leads to where we are. */
export function mark(list, href) {
  for (const link of list.querySelectorAll("a")) {
    if (link.getAttribute("href") === href) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}
