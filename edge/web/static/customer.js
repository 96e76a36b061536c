// The customer's display: draws what the till says and remembers nothing.

import { offerComfort, say } from "./comfort.js";
import { $, make, row, show } from "./dom.js";
import { follow } from "./live.js";
import { asOf, cash, fillLines, lapsingOf, newsOf, offersOf, pointWord, sureOf } from "./sale.js";
import { count, language, learn, points, t, use } from "./tongue.js";

const BLANK_MS = 18000; // after the till fell silent

const fixed = new URLSearchParams(location.search).has("lang");
let drawnLines = 0, blankTimer, last = null;

function drawLines(screen) {
  drawnLines = fillLines($("lines"), screen, drawnLines, (text) => show("more", text));
}

function drawFigures(screen) {
  const done = screen.phase === "done", totals = screen.totals;
  row("row-total", t(done ? "customer.paid" : "customer.total"), totals ? cash(totals.to_pay_minor, screen) : "");
  row("row-gross", t("customer.gross"), totals && totals.gross_minor !== totals.to_pay_minor ? cash(totals.gross_minor, screen) : "");
  row("row-discount", t(done ? "customer.saved" : "customer.discount"), totals?.discount_minor ? cash(totals.discount_minor, screen) : "");
  row("row-points", t("customer.points"), totals?.paid_with_points_minor ? cash(totals.paid_with_points_minor, screen) : "");
  const stored = totals ? totals.net_minor - totals.to_pay_minor : 0;
  row("row-stored", t("customer.stored"), stored ? cash(stored, screen) : "");
  $("thanks").textContent = t(done ? "customer.thanks" : "customer.hello");
  $("points").hidden = !screen.has_card;
  const earned = totals ? totals.points_earned : 0;
  $("earned").textContent = `+${count(earned)}`;
  $("earned").parentElement.hidden = !earned;
  $("earned-word").textContent = t(done ? "customer.earned" : "customer.earning", { p: pointWord(earned), n: earned });
  const known = screen.balance_points !== null;
  show("balance", known ? t("customer.balance", { p: points(screen.balance_points) }) : t("customer.unknown"));
  show("as-of", known ? asOf(screen) : "");
  drawSpend(screen);
  show("join", screen.would_earn ? t("customer.wouldEarn", { p: points(screen.would_earn) }) : "");
  const mine = screen.phase === "member" ? [...offersOf(screen), lapsingOf(screen)].filter(Boolean) : [];
  $("news").replaceChildren(...[...mine, ...newsOf(screen)].map((text) => make("li", {}, text)));
  $("messages").replaceChildren(...screen.messages.map((text) => make("li", { class: screen.missed.includes(text) ? "missed" : null }, text)));
  dropWhatDoesNotFit();
}

// How many may be spent, and how sure that is: asked of head office, set aside here, or up to what a till may promise.
function drawSpend(screen) {
  const may = screen.may_spend_points, spent = screen.totals?.points_spent ?? 0;
  show("spend", may ? t("customer.spend", { p: points(may), m: cash(screen.may_spend_minor, screen) }) : spent ? t("customer.spent", { p: points(spent) }) : "");
  const sure = sureOf(screen);
  if ((may || spent) && sure) $("spend").append(make("small", {}, sure));
}

// From the end, one of each kept as long as there is room: the first ones matter most.
function dropWhatDoesNotFit() {
  const panel = $("messages").parentElement;
  const overflows = () => panel.scrollHeight > panel.clientHeight + 1;
  for (const least of [1, 0]) {
    for (const list of [$("messages"), $("news")]) {
      while (list.children.length > least && overflows()) list.lastElementChild.remove();
    }
  }
  if (overflows()) $("join").hidden = true;
}

function draw(screen) {
  last = screen;
  if (screen.language !== language() && !fixed) use(screen.language);
  document.body.dataset.phase = screen.phase;
  show("offline", screen.offline ? t("common.offline") : "");
  show("training", screen.training ? t("common.training") : "");
  show("card", screen.member ? t("common.card", { c: screen.member }) : "");
  if (screen.phase === "idle") { drawnLines = 0; $("lines").replaceChildren(); }
  drawFigures(screen);
  if (screen.phase === "sale") drawLines(screen);
  say(spokenOf(screen));
  window.drawn = screen.no; // for whoever watches the display from outside
}

function spokenOf(screen) {
  const lastLine = screen.lines.at(-1), parts = [];
  if (screen.phase === "sale" && lastLine) parts.push(`${lastLine.name}, ${cash(lastLine.amount_minor - lastLine.discount_minor, screen)}`);
  if (screen.totals) parts.push(`${t("customer.total")} ${cash(screen.totals.to_pay_minor, screen)}`);
  if (screen.phase === "done") parts.push(t("customer.thanks"), points(screen.totals?.points_earned ?? 0));
  if (screen.phase === "member" && screen.balance_points !== null) parts.push($("balance").textContent, ...offersOf(screen));
  if (screen.may_spend_points) parts.push($("spend").textContent);
  parts.push(...newsOf(screen), ...screen.messages);
  return parts.filter(Boolean).join(". ");
}

function stand(line) {
  clearTimeout(blankTimer);
  document.body.classList.toggle("waiting", line === "silent");
  show("full", line === "asking" ? t("common.many") : "");
  if (line !== "silent") {
    // A machine that slept hears a beat next, and no state: the last one stands.
    if (last) draw(last);
    return;
  }
  show("offline", t("common.wait"));
  // What a customer has on the screen does not stay there for whoever comes next.
  blankTimer = setTimeout(() => { document.body.dataset.phase = "idle"; show("card", ""); }, BLANK_MS);
}

await learn();
use(document.documentElement.lang);
offerComfort(() => { if (last) draw(last); });
addEventListener("resize", () => { if (last) draw(last); });
follow({ onScreen: draw, onLine: stand });
window.ready = true; // for whoever watches the page from outside: from here on it hears keys, touch and scans
