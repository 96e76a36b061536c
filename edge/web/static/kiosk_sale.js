// The basket at the self-checkout, and what can be done about it.

import { $, icon, make, row, show } from "./dom.js";
import { asOf, cash, fillLines, newsOf, pointWord } from "./sale.js";
import { say } from "./comfort.js";
import { count, points, t } from "./tongue.js";

let drawnLines = 0, spokenNo = -1;

export function drawSale(screen, token) {
  const totals = screen.totals;
  row("row-total", t("customer.total"), totals ? cash(totals.to_pay_minor, screen) : cash(0, screen));
  row("row-gross", t("customer.gross"), totals && totals.gross_minor !== totals.to_pay_minor ? cash(totals.gross_minor, screen) : "");
  row("row-discount", t("customer.discount"), totals?.discount_minor ? cash(totals.discount_minor, screen) : "");
  row("row-points", t("customer.points"), totals?.paid_with_points_minor ? cash(totals.paid_with_points_minor, screen) : "");
  const stored = totals ? totals.net_minor - totals.to_pay_minor : 0;
  row("row-stored", t("customer.stored"), stored ? cash(stored, screen) : "");
  const earned = totals?.points_earned ?? 0, known = screen.balance_points !== null;
  $("points").hidden = !screen.has_card;
  $("earned").textContent = `+${count(earned)}`;
  $("earned").parentElement.hidden = !earned;
  $("earned-word").textContent = t("customer.earning", { p: pointWord(earned), n: earned });
  show("balance", known ? t("customer.balance", { p: points(screen.balance_points) }) : t("customer.unknown"));
  show("as-of", known ? asOf(screen) : "");
  show("join", screen.would_earn ? t("customer.wouldEarn", { p: points(screen.would_earn) }) : "");
  $("to-card").hidden = screen.has_card;
  const may = screen.has_card && screen.most_points > 0, spent = totals?.points_spent ?? 0;
  $("to-spend").hidden = !may;
  $("to-spend").replaceChildren(icon("spend"), spent ? t("kiosk.changePoints") : t("customer.spend", { p: points(screen.most_points), m: cash(screen.most_minor, screen) }));
  $("news").replaceChildren(...newsOf(screen).map((text) => make("li", {}, text)));
  const said = screen.kiosk.length ? screen.kiosk : screen.messages;
  $("messages").replaceChildren(...said.map((text) => make("li", { class: screen.missed.includes(text) ? "missed" : null }, text)));
  dropWhatDoesNotFit();
  // Last, for on a narrow page what it comes to takes room from the goods.
  if (screen.phase === "sale") drawnLines = fillLines($("lines"), screen, drawnLines, (text) => show("more", text));
  else { drawnLines = 0; $("lines").replaceChildren(); show("more", ""); }
  speak(screen);
}

function dropWhatDoesNotFit() {
  const panel = $("messages").parentElement, hint = panel.querySelector(".payhint");
  hint.hidden = false;
  const overflows = () => panel.scrollHeight > panel.clientHeight + 1;
  for (const list of [$("news"), $("messages")]) while (list.children.length && overflows()) list.lastElementChild.remove();
  // The buttons stay whole.
  for (const one of [hint, $("as-of"), $("row-gross"), $("balance"), $("row-discount"), $("points")]) if (overflows()) one.hidden = true;
}

function speak(screen) {
  if (screen.no === spokenNo || screen.phase !== "sale") return;
  spokenNo = screen.no;
  const last = screen.lines.at(-1);
  say([last ? `${last.name}, ${cash(last.amount_minor - last.discount_minor, screen)}` : "", `${t("customer.total")} ${cash(screen.totals.to_pay_minor, screen)}`, ...screen.messages].filter(Boolean).join(". "));
}
