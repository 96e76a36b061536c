// Making elements: text is set as text, never as markup.

export const $ = (id) => document.getElementById(id);

// make("li", { class: "new" }, "text", element…); attributes that are null or false are left out.
export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "value") made.value = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

export function show(id, text) {
  $(id).hidden = !text;
  $(id).textContent = text || "";
}

// A row of a list of figures; without a value it is not there.
export function row(id, label, value) {
  const [dt, dd] = $(id).children;
  $(id).hidden = !value;
  dt.textContent = label;
  dd.textContent = value || "";
}

const DRAWINGS = "/static/icons.svg";

// A drawing of the shared sheet; it says nothing to a screen reader, the words beside it do.
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "line");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${DRAWINGS}#${name}`);
  svg.append(use);
  return svg;
}
