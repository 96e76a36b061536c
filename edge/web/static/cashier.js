// The cashier panel: follows the sale at hand, shows the member, and opens an act by mouse, key or scan.

import { ask, newId, post, drop } from "./api.js";
import { offerComfort, say } from "./comfort.js";
import { $, icon, make, row, show } from "./dom.js";
import { follow } from "./live.js";
import { ACTS } from "./acts.js";
import { open, isOpen, takeScan } from "./act.js";
import { cash, fillLines, isOther, newsOf, offersOf, sureOf } from "./sale.js";
import { noticeOf, refusalOf, replacedOf } from "./told.js";
import { count, day, learn, moment, points, t, use } from "./tongue.js";
import { onScan } from "./scanning.js";
import { toast, clearToasts, dropUndo } from "./toast.js";

const MOST_LATEST = 20;
const PRACTISING = "tallypoint practising"; // in the tab, so that a page that is loaded anew practises on; who it was
const body = document.body;

// What every act works with.
export const desk = {
  who: body.dataset.who, screen: null, training: sessionStorage.getItem(PRACTISING) === body.dataset.who, drawnLines: 0,
  card: () => desk.screen?.beside?.card_token || "",
  // Who and when, as every body that writes has it.
  stamp: () => ({ cashier: desk.who, ...(desk.training || desk.screen?.training ? { training: true } : {}) }),
  // What is asked for without a body is told in the query that it is practised.
  asked: (path) => (desk.stamp().training ? `${path}${path.includes("?") ? "&" : "?"}training=true` : path),
  // Whether a real sale is at hand while the panel practises: what is practised is laid against no such sale.
  isAside: () => desk.training && desk.screen?.phase === "sale" && !desk.screen.training,
  practise: () => { if (desk.isAside()) throw new Error(t("refusal.receipt_training")); },
  choose: async (more) => {
    const { training } = desk.stamp(), said = await post("/v1/choices", { choice_id: newId("choice"), ...(training ? { training } : {}), ...more });
    // A card that takes the place of another is worth a word to the customer.
    if (said.quote?.card_replaced) note(replacedOf(said.quote.card_replaced));
    return said;
  },
  note, show: (name, preset) => open(ACTS.find((act) => act.name === name), desk, preset), train,
};

function note(text, view) {
  const item = make("li", {}, make("span", {}, text));
  if (view) item.append(make("button", { type: "button", class: "button quiet small", onclick: view }, t("cashier.view")));
  $("latest").prepend(item);
  while ($("latest").children.length > MOST_LATEST) $("latest").lastElementChild.remove();
  $("nothing").hidden = true;
}

function train(on) {
  desk.training = on;
  if (on) sessionStorage.setItem(PRACTISING, desk.who);
  else sessionStorage.removeItem(PRACTISING);
  body.classList.toggle("training", on || Boolean(desk.screen?.training));
  show("training", on || desk.screen?.training ? t("common.training") : "");
  document.querySelector('[data-act="training"]').setAttribute("aria-pressed", String(on));
}

// The state of the sale

function take(screen) {
  const before = desk.screen;
  desk.screen = screen;
  body.dataset.phase = screen.phase;
  if (screen.phase === "done" && screen.no !== before?.no) clearToasts();
  else if (before?.phase === "sale" && (screen.phase !== "sale" || isOther(screen, before))) dropUndo();
  draw();
  if (before && screen.no !== before.no) advise(screen);
  window.drawn = screen.no;
}

function draw() {
  const screen = desk.screen;
  if (!screen) return;
  show("offline", standing(screen));
  train(desk.training);
  show("card", screen.member ? t("common.card", { c: screen.member }) : "");
  drawSale(screen);
  drawNoSale(screen);
  drawMember(screen);
}

function drawSale(screen) {
  const totals = screen.totals;
  row("row-total", t(screen.phase === "done" ? "customer.paid" : "customer.total"), totals ? cash(totals.to_pay_minor, screen) : "");
  row("row-gross", t("customer.gross"), totals && totals.gross_minor !== totals.to_pay_minor ? cash(totals.gross_minor, screen) : "");
  row("row-discount", t("customer.saved"), totals?.discount_minor ? cash(totals.discount_minor, screen) : "");
  row("row-points", t("customer.points"), totals?.paid_with_points_minor ? cash(totals.paid_with_points_minor, screen) : "");
  const stored = totals ? totals.net_minor - totals.to_pay_minor : 0;
  row("row-stored", t("customer.stored"), stored ? cash(stored, screen) : "");
  if (screen.phase !== "sale") { desk.drawnLines = 0; $("lines").replaceChildren(); show("more", ""); }
  else desk.drawnLines = fillLines($("lines"), screen, desk.drawnLines, (text) => show("more", text));
}

// Where no lines are: before a sale, and once it is paid.
function drawNoSale(screen) {
  const [title, lead] = $("nosale").querySelectorAll("b, span"), paid = screen.phase === "done";
  title.textContent = t(paid ? "customer.paid" : "cashier.noSale");
  lead.textContent = !paid ? t("cashier.noSaleLead") : screen.record ? t("cashier.record", { r: screen.record }) : "";
}

function drawMember(screen) {
  const known = screen.balance_points !== null, totals = screen.totals;
  $("m-title").textContent = screen.has_card ? `${t("cashier.member")} ${screen.member}`.trim() : t("cashier.noMember");
  show("m-lead", screen.has_card ? (known || screen.beside?.warnings.length ? "" : t("customer.unknown")) : screen.would_earn ? t("cashier.wouldEarn", { p: points(screen.would_earn) }) : t("cashier.noMemberLead"));
  $("m-big").hidden = !known;
  if (known) { $("m-points").textContent = count(screen.balance_points); $("m-points-word").textContent = t("cashier.balance"); }
  const facts = [
    [t(screen.phase === "done" ? "cashier.earned" : "cashier.earns"), totals?.points_earned ? `+${points(totals.points_earned)}` : ""],
    [t("cashier.spent"), totals?.points_spent ? `−${points(totals.points_spent)}` : ""],
    [t("cashier.spendable"), screen.most_points ? `${points(screen.most_points)} · ${cash(screen.most_minor, screen)}` : ""],
    [t("cashier.authority"), screen.authority === "none" ? "" : sureOf(screen)],
    [t("cashier.wallet"), screen.stored_minor ? cash(screen.stored_minor, screen) : ""],
    [t("cashier.tier"), screen.tier],
    [t("cashier.lapses"), screen.lapsing_on ? t("cashier.lapsesOn", { p: points(screen.lapsing_points), d: day(screen.lapsing_on) }) : ""],
    [t("cashier.asOf"), known && screen.phase !== "done" ? (screen.as_of ? moment(screen.as_of, screen.now) : t("cashier.never")) : ""],
  ];
  $("facts").replaceChildren(...facts.filter(([, value]) => value).map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
  const beside = screen.beside ?? { say: [], warnings: [] };
  $("offers").replaceChildren(...[...beside.warnings.map(noticeOf), ...beside.say].map((text) => make("li", { class: "say" }, text)), ...[...offersOf(screen), ...screen.missed, ...newsOf(screen)].map((text) => make("li", {}, text)));
}

// One thing to say at a time, with the one act that follows from it.
function advise(screen) {
  if (screen.phase !== "sale" || isOpen()) return;
  if (screen.beside?.say.length) toast({ key: screen.beside.say[0], text: screen.beside.say[0] });
  else if (!screen.has_card && screen.would_earn) toast({ key: "card", text: t("cashier.noMember"), act: t("act.card"), doing: () => desk.show("card") });
  else if (screen.may_spend_points) toast({ key: `spend ${screen.may_spend_points}`, text: t("cashier.maySpend", { p: points(screen.may_spend_points), m: cash(screen.may_spend_minor, screen) }), act: t("cashier.spendAction"), doing: () => desk.show("spend") });
  else if (screen.missed.length) toast({ key: screen.missed[0], text: screen.missed[0] });
}

async function scanned(text) {
  if (takeScan(text)) return;
  try {
    const said = await post("/v1/cards/identify", { card: text });
    if (said.outcome !== "card") return void (await post("/v1/choices", { choice_id: newId("code"), code: said.text }));
    await desk.choose({ card: said.card_token });
    toast({ text: t("say.cardAtHand", { c: said.member?.card ?? "" }) });
  } catch (problem) { toast({ text: refusalOf(problem), whole: true }); }
}

// What the till says unasked. A call for help is not over with its toast.
function noticed(said) {
  if (said.code === "kiosk.help") note(noticeOf(said));
  toast({ text: noticeOf(said), whole: true, call: true });
}

function standing(screen) {
  return screen.offline ? t(screen.untrusted ? "cashier.lineUntrusted" : "cashier.lineDown") : "";
}

function stand(line) {
  body.classList.toggle("waiting", line === "silent");
  show("full", line === "asking" ? t("common.many") : "");
  if (line === "silent") { show("offline", t("common.wait")); say(t("common.networkDown"), { now: true }); }
  else if (desk.screen) show("offline", standing(desk.screen));
  if (line === "shut") location.reload();
}

function drawActs() {
  $("acts").replaceChildren(...ACTS.map((act) => make("button", { type: "button", class: "act", "data-act": act.name, "aria-keyshortcuts": `Alt+${act.key}`, "aria-pressed": act.name === "training" ? "false" : null, onclick: () => open(act, desk) },
    icon(act.name), make("kbd", { "aria-hidden": "true" }, `Alt ${act.key}`), make("span", {}, t(`act.${act.name}`)))));
}

function keys(event) {
  if (!event.altKey || event.ctrlKey || event.metaKey || isOpen()) return;
  const act = ACTS.find((one) => event.code === `Key${one.key}`);
  if (!act) return;
  event.preventDefault();
  open(act, desk);
}

function signIn() {
  sessionStorage.removeItem(PRACTISING);
  const form = $("sign-in");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await ask("POST", "/session", { cashier: $("in-who").value.trim(), pin: $("in-pin")?.value ?? "" });
      location.reload();
    } catch (problem) {
      show("in-problem", refusalOf(problem));
      if (!$("in-pin")) $("in-who").value = ""; // it may be a card that was scanned
      ($("in-pin") ?? $("in-who")).select();
    }
  });
  // Until here nobody would have heard of an Enter.
  if ($("in-send")) $("in-send").disabled = false;
  $("in-who")?.focus();
}

await learn();
use(document.documentElement.lang);
offerComfort(draw);
addEventListener("resize", draw);
if (!desk.who) signIn();
else {
  drawActs();
  document.addEventListener("keydown", keys);
  $("sign-out").addEventListener("click", () => drop("/session").then(() => location.reload()).catch((problem) => toast({ text: refusalOf(problem), whole: true })));
  onScan(scanned);
  follow({ place: "cashier", onScreen: take, onNotice: noticed, onLine: stand });
}
window.ready = true; // for whoever watches the page from outside: from here on it hears keys, touch and scans
