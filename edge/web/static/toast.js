// Short sentences above everything else, each with one act at most.

import { $, make } from "./dom.js";
import { refusalOf } from "./told.js";
import { t } from "./tongue.js";

const STAYS_MS = 12000;
const MOST_LETTERS = 60;

let last = "";

// `key` keeps the same thing from being said twice in a row; `whole` keeps the end of a refusal, where the next step is;
// what `stays`, because it can be undone, waits for whoever is slow. It gives way to no advice, which has a key, and neither
// does a `call`, such as that of a customer for help.
export function toast({ text, act = "", doing = null, key = "", whole = false, stays = false, call = false }) {
  if (key && (key === last || $("toasts").querySelector("[data-stays], [data-call]"))) return;
  last = key;
  const short = !whole && text.length > MOST_LETTERS ? `${text.slice(0, MOST_LETTERS - 1).trimEnd()}…` : text;
  const gone = () => box.remove();
  const box = make("div", { class: "toast", "data-stays": stays, "data-call": call, title: short === text ? null : text }, make("span", {}, short),
    make("button", { type: "button", class: act ? "button bright" : "button quiet dismiss", onclick: () => { gone(); follow(doing); } }, act || t("cashier.dismiss")));
  $("toasts").replaceChildren(box);
  if (!stays) setTimeout(gone, STAYS_MS);
}

// An act that follows from a sentence; what it is refused is the next sentence.
async function follow(doing) {
  try {
    await doing?.();
  } catch (problem) {
    toast({ text: refusalOf(problem), whole: true });
  }
}

// What could be undone goes with its sale: touched later, it would change the next one.
export const dropUndo = () => $("toasts").querySelector("[data-stays]")?.remove();

export function clearToasts() {
  last = "";
  $("toasts").replaceChildren();
}
