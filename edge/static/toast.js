// Short sentences above everything else, each with one act at most.

import { $, make } from "./dom.js";
import { t } from "./tongue.js";

const STAYS_MS = 12000;
const MOST_LETTERS = 60;

let last = "";

// `key` keeps the same thing from being said twice in a row.
export function toast({ text, act = "", doing = null, key = "" }) {
  if (key && key === last) return;
  last = key;
  const short = text.length > MOST_LETTERS ? `${text.slice(0, MOST_LETTERS - 1).trimEnd()}…` : text;
  const gone = () => box.remove();
  const box = make("div", { class: "toast", title: short === text ? null : text }, make("span", {}, short),
    make("button", { type: "button", class: act ? "button bright" : "button quiet dismiss", onclick: () => { gone(); follow(doing); } }, act || t("cashier.dismiss")));
  $("toasts").replaceChildren(box);
  setTimeout(gone, STAYS_MS);
}

// An act that follows from a sentence; what it is refused is the next sentence.
async function follow(doing) {
  try {
    await doing?.();
  } catch (problem) {
    toast({ text: problem.detail || t("common.networkDown") });
  }
}

export function clearToasts() {
  last = "";
  $("toasts").replaceChildren();
}
