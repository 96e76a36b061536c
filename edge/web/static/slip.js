// What came of an act, to look at and to print: figures, differences, the slip's own text.

import { $, make, show } from "./dom.js";

// {title, facts: [[name, value]], list: [text], text}
export function showSlip({ title, facts = [], list = [], text = "" }) {
  $("s-title").textContent = title;
  $("slip-facts").replaceChildren(...facts.filter(([, value]) => value !== "" && value !== null && value !== undefined).map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
  $("slip-list").replaceChildren(...list.map((one) => make("li", {}, one)));
  show("slip-text", text);
  show("slip-problem", "");
  $("slip-print").hidden = !text;
  $("slip").showModal();
  $("slip").scrollTop = 0; // opening looks for what takes keys, which may lie beneath the figures
  $("slip-close").focus({ preventScroll: true });
}

if ($("slip")) {
  $("slip-close").addEventListener("click", () => $("slip").close());
  $("slip-print").addEventListener("click", () => print());
}
