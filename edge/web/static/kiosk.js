// The self-checkout: card, offers, points, joining, thanks. It shows the sale; the POS owns it, and is told what was chosen.

import { get, newId, post, release } from "./api.js";
import { forgetComfort, offerComfort, say } from "./comfort.js";
import { $, icon, make, show } from "./dom.js";
import { askConsents, drawAgreements, ticked } from "./consents.js";
import { follow } from "./live.js";
import { keepPatience } from "./patience.js";
import { drawSale } from "./kiosk_sale.js";
import { asOf, cash, isOther, lapsingOf, newsOf, offersOf, sureOf } from "./sale.js";
import { has, language, learn, points, t, use } from "./tongue.js";
import { onScan } from "./scanning.js";

const first = document.documentElement.lang;
const BACK = { card: "start", key: "card", which: "key", member: "card", join: "card", spend: "sale", mine: "member" };
const ON_THE_WAY = { card: 0, key: 0, member: 0, join: 0, joined: 0, mine: 0, sale: 1, spend: 1, done: 2 };
const TOAST_MS = 7000;
const codes = new Map(); // what confirms a consent that was given here

let step = "start", screen = null, token = "", hold = null, chosen = "", keying = "number", toastTimer, enrolment = null, visit = 0;

// Where the page is

function go(next, { quietly = false } = {}) {
  if (step === "done") { // who comes after the thanks is somebody else
    forgetComfort();
    if (!chosen) speak(first);
  }
  step = next;
  document.body.dataset.step = next;
  $("back").hidden = !(next in BACK);
  [...$("way").children].forEach((one, i) => one.classList.toggle("on", ON_THE_WAY[next] === i));
  hide("keyed-problem", "spend-problem", "join-problem", "mine-problem");
  const heading = document.querySelector(`main [data-step="${next}"] h2`);
  heading?.focus({ preventScroll: true });
  document.querySelector("main").scrollTop = 0;
  if (!quietly && heading) say([wayOf(next), heading.textContent].filter(Boolean).join(". "));
  if (next === "sale" && screen) drawSale(screen, token);
}

function wayOf(next) {
  if (!(next in ON_THE_WAY)) return "";
  const at = ON_THE_WAY[next];
  return t("kiosk.step", { a: at + 1, b: 3, s: t(["kiosk.stepCard", "kiosk.stepGoods", "kiosk.stepPay"][at]) });
}

function hide(...ids) { for (const id of ids) $(id).hidden = true; }

function toast(text) {
  clearTimeout(toastTimer);
  show("toast", text);
  say(text, { now: true });
  toastTimer = setTimeout(() => hide("toast"), TOAST_MS);
}

// Whoever was here has gone: points set aside go back, and card and language leave the sale and the screens. What the till does
// not hear now it forgets by itself: the card after three minutes, the points when their time is over.
function leave() {
  const unheard = () => {};
  if (hold) release(hold, screen?.training).catch(unheard);
  const without_card = Boolean(["member", "done"].includes(screen?.phase) || screen?.has_card || token), without_language = Boolean(chosen);
  if (without_card || without_language) post("/v1/choices", { choice_id: newId("choice"), without_card, without_language }).catch(unheard);
}

function startOver() {
  leave();
  forgetAll();
  hide("card");
  go("start");
}

function forgetAll() {
  forget();
  forgetComfort();
  speak(first);
  $("help-dialog").close();
}

// What was typed, ticked and found here is not there for whoever comes next.
function forget() {
  visit += 1; // an answer that is still under way is nobody's any more
  token = ""; hold = null; chosen = ""; enrolment = null;
  codes.clear();
  for (const form of document.querySelectorAll("form")) form.reset();
  for (const id of ["keyed", "new-number"]) { $(id).value = ""; $(id).textContent = ""; }
  $("found").replaceChildren(); $("j-checks").replaceChildren(); $("agreements").replaceChildren(); $("confirm-codes").replaceChildren();
}

// Whether there is anything to be forgotten; a basket without a card is the POS's alone.
const isWatched = () => Boolean(chosen) || step !== "start" && !(step === "sale" && screen?.phase === "sale" && !token);

function speak(next) {
  use(next);
  for (const one of document.querySelectorAll("[data-language]")) one.setAttribute("aria-pressed", String(one.dataset.language === language()));
  redraw();
}

// The language that the customer chose is the sale's too, down to its receipt; before the first line there is none to tell.
function choose(next) {
  const isAnew = next !== language();
  chosen = next;
  speak(next);
  if (screen?.phase === "sale") tellLanguage();
  // A consent is kept with the language it was read in: it is asked again in this one.
  if (isAnew && step === "join") startJoining();
  if (isAnew && step === "mine") showMine();
}

const tellLanguage = () => post("/v1/choices", { choice_id: newId("choice"), language: chosen }).catch((problem) => toast(refusal(problem)));

// While the POS practises, so does what is done here.
const practised = () => (screen?.training ? { training: true } : {});

// What the till refuses, in the customer's language; a refusal without words of its own sends for help.
function refusal(problem) {
  const name = `problem.${problem.code.replaceAll(".", "_")}`;
  return t(has(name) ? name : "problem.other");
}

// Cards

async function showCard(text, at = "") {
  const of = visit;
  try {
    const said = await post("/v1/cards/identify", { card: text, ...(at ? { keyed: true } : {}) });
    if (of !== visit) return; // whoever showed it has gone
    if (said.outcome !== "card") return at ? complain(t("kiosk.notCard"), at) : await passOn(said.text);
    await chooseCard(said.card_token);
  } catch (problem) { complain(refusal(problem), at); }
}

// Goods and coupons that were scanned into this page are the POS's to ring up.
const passOn = (code) => post("/v1/choices", { choice_id: newId("code"), code });

async function chooseCard(card) {
  const changed = token && token !== card;
  await post("/v1/choices", { choice_id: newId("choice"), card });
  token = card;
  if (changed) { hold = null; toast(t("kiosk.replaced")); }
  $("found").replaceChildren();
  $("keyed").value = "";
  // The stream may have shown the member already, and the customer gone on from there, before this answer came.
  if (changed || !["member", "mine", "sale", "spend"].includes(step)) go(screen?.phase === "sale" ? "sale" : "member");
}

function complain(text, at) {
  if (!at) return toast(text);
  show(at, text);
}

function startKeying(what) {
  keying = what;
  $("keyed").value = "";
  $("found").replaceChildren();
  labelKeying();
  go("key");
  $("keyed").focus();
}

function labelKeying() {
  $("h-key").textContent = t(keying === "phone" ? "kiosk.usePhone" : "kiosk.typeNumber");
  $("keyed-label").textContent = t(keying === "phone" ? "kiosk.phone" : "kiosk.number");
  $("keyed-hint").textContent = keying === "phone" ? t("kiosk.phoneHint") : "";
}

async function keyed(event) {
  event.preventDefault();
  hide("keyed-problem");
  const text = $("keyed").value.trim();
  if (!text) return $("keyed").focus();
  if (keying === "number") return showCard(text, "keyed-problem");
  const of = visit;
  try {
    const { found } = await post("/v1/members/find", { phone: text });
    if (of !== visit) return;
    if (!found.length) return complain(t("kiosk.notFound"), "keyed-problem");
    if (found.length === 1) return await chooseCard(found[0].card_token);
    $("found").replaceChildren(make("h3", {}, t("kiosk.chooseCard")), ...found.map((one) =>
      make("button", { type: "button", class: "button", onclick: () => chooseCard(one.card_token).catch((problem) => complain(refusal(problem), "keyed-problem")) }, icon("card"), `…${one.last4}`)));
  } catch (problem) { complain(refusal(problem), "keyed-problem"); }
}

function makeKeypad() {
  const press = (sign) => () => { $("keyed").value = sign === "⌫" ? $("keyed").value.slice(0, -1) : $("keyed").value + sign; };
  $("keypad").replaceChildren(...["1", "2", "3", "4", "5", "6", "7", "8", "9", "+", "0", "⌫"].map((sign) =>
    make("button", { type: "button", class: "button", "data-sign": sign, onclick: press(sign) }, sign === "⌫" ? icon("erase") : sign)));
}

function labelKeypad() {
  for (const key of $("keypad").children) key.setAttribute("aria-label", key.dataset.sign === "⌫" ? t("kiosk.delete") : t("kiosk.digit", { n: key.dataset.sign }));
}

// Points

function startSpending() {
  const range = $("spend-range"), spent = screen.totals?.points_spent ?? 0;
  range.max = Math.max(screen.most_points, spent);
  range.step = screen.step_points;
  range.value = spent || range.max;
  drawSpending();
  go("spend");
}

function drawSpending() {
  const n = Number($("spend-range").value), worth = worthOf(n);
  $("spend-points").textContent = points(n);
  $("spend-worth").textContent = [t("kiosk.worth", { m: cash(worth, screen) }), screen.totals ? t("kiosk.leaves", { m: cash(Math.max(0, beforePoints() - worth), screen) }) : ""].filter(Boolean).join(" · ");
  $("spend-sure").textContent = sureOf(screen);
  $("spend-range").setAttribute("aria-valuetext", `${points(n)}, ${t("kiosk.worth", { m: cash(worth, screen) })}`);
  $("spend-now").textContent = n ? t("kiosk.use", { p: points(n) }) : t("kiosk.useNone");
}

const beforePoints = () => screen.totals.to_pay_minor + screen.totals.paid_with_points_minor;
const worthOf = (n) => (screen.most_points ? Math.floor((screen.most_minor * n) / screen.most_points) : 0);

function step_(by) {
  return () => { const range = $("spend-range"); range.value = Number(range.value) + by * Number(range.step); drawSpending(); };
}

async function spend() {
  const n = Number($("spend-range").value), card = screen.beside?.card_token || token;
  $("spend-now").disabled = true;
  try {
    if (hold) {
      await release(hold, screen.training);
      hold = null;
      await post("/v1/choices", { choice_id: newId("choice"), points_to_spend: 0 });
    }
    if (n) {
      const wanted = newId("hold");
      await post("/v1/holds", { hold_id: wanted, card, points: n, ...practised() });
      hold = wanted;
    }
    await post("/v1/choices", { choice_id: newId("choice"), points_to_spend: n, ...(hold ? { hold_id: hold } : {}) });
    go("sale");
  } catch (problem) { show("spend-problem", refusal(problem)); } finally { $("spend-now").disabled = false; }
}

// Joining, and what was agreed to

async function startJoining() {
  const read = language(), of = visit, id = enrolment?.id ?? newId("enrol"); // one for all that one customer tries
  enrolment = null;
  $("j-checks").replaceChildren();
  go("join");
  try {
    const asked = await get(`/v1/enrolment?language=${read}`);
    if (of !== visit || read !== language()) return; // asked again meanwhile, in another
    enrolment = { id, asked };
    $("person").hidden = !enrolment.asked.may_seal;
    show("join-notice", enrolment.asked.may_seal ? "" : t("kiosk.noSeal"));
    if (!enrolment.asked.may_enrol) show("join-problem", t("problem.other"));
    askConsents($("j-checks"), enrolment.asked.consents);
    $("j-consents").hidden = !enrolment.asked.consents.length;
  } catch (problem) { if (of === visit) show("join-problem", refusal(problem)); }
}

async function join(event) {
  event.preventDefault();
  if (!enrolment) return startJoining();
  hide("join-problem");
  if (!$("j-birthday").checkValidity()) {
    show("join-problem", `${t("kiosk.birthday")}: ${t("kiosk.birthdayHint")}`);
    return $("j-birthday").focus();
  }
  const of = visit, form = new FormData(event.target), person = {};
  for (const name of ["name", "phone", "email", "birthday"]) if (enrolment.asked.may_seal && form.get(name)) person[name] = form.get(name).trim();
  try {
    const said = await post("/v1/members", {
      enrol_id: enrolment.id, card: null, language: language(), asked_on: "kiosk", consents: ticked($("j-checks")), ...practised(),
      ...(Object.keys(person).length ? { person } : {}),
    });
    if (of !== visit) return;
    event.target.reset();
    enrolment = null;
    token = said.card_token;
    $("new-number").textContent = said.card_number.replace(/(\d{4})(?=\d)/g, "$1\u2009");
    $("confirm-codes").replaceChildren(...said.consents.filter((one) => one.confirm_code).map((one) => make("li", {}, `${t("kiosk.confirmCode")}: `, make("b", {}, one.confirm_code))));
    go("joined");
    // Whoever has joined sees the number, whatever becomes of this: else they would join once more.
    await post("/v1/choices", { choice_id: newId("choice"), card: said.card_token }).catch((problem) => toast(refusal(problem)));
  } catch (problem) {
    if (of !== visit) return;
    // The same id stands for the same body alone: what was corrected goes under a new one.
    if (enrolment && problem.status && problem.status < 500) enrolment.id = newId("enrol");
    show("join-problem", refusal(problem));
  }
}

async function showMine() {
  go("mine");
  const card = screen?.beside?.card_token || token, of = visit;
  const unlessGone = (doing) => (...told) => (of === visit ? doing(...told) : null);
  try {
    const [asked, stands] = await Promise.all([get(`/v1/enrolment?language=${language()}`), get(`/v1/consents?card=${encodeURIComponent(card)}${screen?.training ? "&training=true" : ""}`)]);
    if (of !== visit || step !== "mine") return; // whoever asked has gone on, or away
    show("mine-notice", stands.complete ? "" : t("kiosk.incomplete"));
    drawAgreements($("agreements"), { asked: asked.consents, stands: stands.consents, card, place: "kiosk", stamp: practised(), codes, again: unlessGone(showMine), fail: unlessGone((problem) => show("mine-problem", refusal(problem))) });
  } catch (problem) { if (of === visit) show("mine-problem", refusal(problem)); }
}

// The sale

function take(next) {
  const before = screen;
  // What the till forgets by itself stays for whoever may read it here: this page asks before it starts over.
  if (next.phase === "idle" && next.no === before?.no && before.phase !== "idle" && isWatched()) return;
  const isNext = isOther(next, before); // its customer is somebody else, whatever became of the basket before
  screen = next;
  document.body.dataset.phase = next.phase;
  if (isNext) forgetAll();
  if (next.beside?.card_token && next.phase !== "idle") token = next.beside.card_token;
  if (next.no !== before?.no) patience.touched();
  if (next.phase === "sale" && before?.phase !== "sale" && chosen && next.language !== chosen) tellLanguage();
  if (next.phase === "done" && step !== "done") { forget(); go("done"); }
  else if (next.phase === "sale" && (isNext || ["card", "member", "done", "off"].includes(step) || step === "start" && isRung(next, before))) go("sale");
  else if (next.phase === "member" && ["start", "card", "key", "done"].includes(step)) go("member");
  else if (next.phase === "idle" && ["sale", "spend", "done"].includes(step)) { token = ""; hold = null; startOver(); }
  redraw();
}

// Goods of a basket that was left behind begin no visit until more are rung up.
const isRung = (next, before) => before?.phase !== "sale" || next.totals.gross_minor !== before.totals.gross_minor;

function redraw() {
  labelKeying();
  labelKeypad();
  if (!screen) return;
  show("offline", screen.offline ? t("common.offline") : "");
  show("training", screen.training ? t("common.training") : "");
  show("card", screen.member ? t("common.card", { c: screen.member }) : "");
  drawMember();
  if (step === "sale") drawSale(screen, token);
  if (step === "spend") drawSpending();
  if (step === "done") drawDone();
  window.drawn = screen.no;
}

function drawMember() {
  $("h-member").textContent = screen.member ? t("kiosk.hello", { c: screen.member }) : t("kiosk.helloNew");
  $("m-balance").textContent = screen.balance_points === null ? t("customer.unknown") : t("customer.balance", { p: points(screen.balance_points) });
  $("m-asof").textContent = screen.balance_points === null ? "" : asOf(screen);
  show("m-lapsing", lapsingOf(screen));
  $("offers").replaceChildren(...[...offersOf(screen), ...screen.kiosk, ...newsOf(screen)].map((text) => make("li", {}, text)));
}

function drawDone() {
  const earned = screen.totals?.points_earned ?? 0;
  show("d-earned", earned ? t("kiosk.doneEarned", { p: `+${points(earned)}`, n: earned }) : "");
  show("d-balance", screen.balance_points === null ? "" : t("customer.balance", { p: points(screen.balance_points) }));
  $("d-news").replaceChildren(...newsOf(screen).map((text) => make("li", {}, text)));
}

function stand(line) {
  document.body.classList.toggle("waiting", line === "silent");
  show("full", line === "asking" ? t("common.many") : "");
  if (line === "silent") show("offline", t("common.wait"));
  else if (screen) show("offline", screen.offline ? t("common.offline") : "");
  if (line === "shut") location.reload(); // the till was started again, and knows this page no more
}

function back() {
  const to = BACK[step];
  if (!to) return;
  if (to === "card" && screen?.phase === "sale") go("sale");
  else go(to);
}

await learn();
makeKeypad();
speak(first);
offerComfort(redraw);
addEventListener("resize", redraw);
const patience = keepPatience({ isWatching: isWatched, startOver });
const on = (id, doing) => $(id).addEventListener("click", doing);
on("begin", () => go("card")); on("to-key", () => startKeying("number")); on("to-phone", () => startKeying("phone"));
on("to-join", startJoining); on("to-sale", () => go("sale")); on("shop", () => go("sale")); on("to-card", () => go("card"));
on("to-mine", showMine); on("mine-on", () => go(screen?.phase === "sale" ? "sale" : "member"));
on("joined-on", () => go(screen?.phase === "sale" ? "sale" : "member")); on("finish", startOver); on("back", back);
on("to-spend", startSpending); on("spend-now", spend); on("fewer", step_(-1)); on("more-points", step_(1));
on("spend-none", () => { $("spend-range").value = 0; drawSpending(); }); on("spend-all", () => { $("spend-range").value = $("spend-range").max; drawSpending(); });
on("help", () => { $("called").hidden = true; $("help-dialog").showModal(); }); on("help-close", () => $("help-dialog").close());
on("call", () => post("/v1/help", {}).then(() => show("called", t("kiosk.called"))).catch((problem) => show("called", refusal(problem))));
$("spend-range").addEventListener("input", drawSpending);
$("key-form").addEventListener("submit", keyed);
$("join-form").addEventListener("submit", join);
for (const one of document.querySelectorAll("[data-language]")) one.addEventListener("click", () => choose(one.dataset.language));
document.addEventListener("keydown", (event) => { if (event.key === "Escape" && !document.querySelector("dialog[open]")) back(); });
onScan((text) => { patience.touched(); showCard(text); });
follow({ place: "kiosk", onScreen: take, onNotice: ({ code }) => { if (code.startsWith("card.")) toast(refusal({ code })); }, onLine: stand });
window.ready = true; // for whoever watches the page from outside: from here on it hears keys, touch and scans
