// One act of the cashier: a dialog, a request under one id through all its retries, a supervisor where one is wanted.

import { ask, newId } from "./api.js";
import { $, make, show } from "./dom.js";
import { showSlip } from "./slip.js";
import { behind, refusalOf } from "./told.js";
import { t } from "./tongue.js";
import { toast } from "./toast.js";

let at = null; // {act, desk, id, step}

export const isOpen = () => Boolean(document.querySelector("dialog[open]"));

// Begin an act. `preset` fills fields.
export async function open(act, desk, preset = {}) {
  if (isOpen()) return;
  at = { act, desk, id: newId(act.name), step: 0, values: { ...preset } };
  $("act-title").textContent = t(`act.${act.name}`);
  tell(null);
  show("act-again", "");
  busy(false);
  $("act-send").className = `button ${act.isFinal ? "bad" : "main"}`;
  $("act-send").hidden = false;
  $("act-body").replaceChildren();
  $("act").showModal();
  $("act").focus(); // not the button that leaves: whoever is quick with Enter means the act
  await draw();
}

// A step that cannot be drawn leaves the one before it, to be sent again.
async function draw(step = at.step) {
  const now = at;
  busy(true);
  try {
    const parts = await now.act.draw(now.desk, now.values, step, again);
    if (at !== now) return;
    now.step = step;
    $("act-body").replaceChildren(...parts);
    $("act-send").hidden = Boolean(now.act.onlyShows?.(now.step, now.values, now.desk));
    $("act-close").textContent = t($("act-send").hidden ? "common.close" : "common.cancel");
    busy(false);
    focusFirst();
  } catch (problem) { if (at === now) { busy(false); fail(problem); } }
}

// The first field; without one Enter does what is asked, unless nothing undoes it.
function focusFirst() {
  const field = document.querySelector("#act-body :is(input, select, button):not([type=hidden])");
  (field ?? ($("act-send").hidden || at.act.isFinal ? $("act-close") : $("act-send"))).focus();
}

const again = () => draw();

function close() {
  at = null;
  $("act").close();
}

// Fields of the form by name; boxes by whether they are ticked.
function read() {
  const values = {};
  for (const one of $("act-body").querySelectorAll("[name]")) {
    if (one.type === "radio") { if (one.checked) values[one.name] = one.value; }
    else values[one.name] = one.type === "checkbox" ? one.checked : isCard(one) ? one.dataset.token : one.value.trim();
  }
  return values;
}

// A field that is empty and may not be, or is not of its form: {input, say}.
function firstWrong() {
  const inputs = [...$("act-body").querySelectorAll("input")];
  for (const one of inputs) one.setCustomValidity(misread(one));
  const input = inputs.find((one) => one.offsetParent && !one.checkValidity());
  if (!input) return null;
  const name = input.labels[0].textContent, { valueMissing, customError } = input.validity;
  if (valueMissing) return { input, say: t("field.missing", { f: name }) };
  const form = customError ? input.validationMessage : document.getElementById(input.getAttribute("aria-describedby"))?.textContent;
  return { input, say: [t("field.wrong", { f: name }), form].filter(Boolean).join(" ") };
}

// Why what stands in a field is no amount or no whole number, where it is to be one.
function misread({ value, dataset: { form } }) {
  if (!form || !value.trim()) return "";
  try {
    if (form === "money") minor(value, at.desk.screen.exponent);
    else whole(value);
    return "";
  } catch (problem) { return problem.message; }
}

async function send(event) {
  event.preventDefault();
  if (!at || $("act-send").disabled) return;
  const now = at, wrong = firstWrong();
  tell(null);
  if (wrong) { fail(new Error(wrong.say)); wrong.input.focus(); return; }
  Object.assign(now.values, read());
  busy(true);
  try {
    const next = await now.act.send(now.desk, now.values, now.step, { id: now.id, call: (method, path, body) => call(now, method, path, body), isResent: (path) => Boolean(now.resent?.has(path)) });
    if (next !== "next") finish(now, next ?? {});
    else if (at === now) await draw(now.step + 1);
  } catch (problem) { fail(problem, now); } finally { if (at === now) { busy(false); show("act-again", ""); } }
}

function busy(on) {
  $("act-send").disabled = on;
  if (at) $("act-send").textContent = t(on ? "cashier.sending" : at.act.sends?.(at.step, at.desk) ?? `do.${at.act.name}`);
}

function fail(problem, now = at) {
  if (problem === "left") return; // the supervisor was not asked after all
  if (at !== now) {
    now.desk.note(`${t(`act.${now.act.name}`)}: ${refusalOf(problem)}`); // what is open now may hide the toast until it is gone
    toast({ text: refusalOf(problem), whole: true });
    return;
  }
  // What was not taken, or may have been, is tried again as something else.
  if (at && (problem.code?.endsWith("id_reused") || problem.code === "parked.no_line")) at.id = newId(at.act.name);
  tell(problem);
}

// What was refused, and beneath it the till's own words where they say more; nothing takes both away.
function tell(problem) {
  show("act-problem", problem ? refusalOf(problem) : "");
  show("act-behind", problem ? behind(problem) : "");
  if (problem && !$("act-body").contains(document.activeElement)) focusFirst();
}

// What an act came to: a sentence, a slip to look at, something to undo. Who left it meanwhile has not undone it, and is
// told all the same; the slip is a touch away then, and covers nothing that was begun since.
function finish(now, { say = "", slip = null, undo = null }) {
  const isLeft = at !== now;
  if (!isLeft) close();
  if (say) {
    now.desk.note(say, slip ? () => showSlip(slip) : null);
    toast({ text: say, stays: Boolean(undo), act: undo ? t("cashier.undo") : slip?.text ? t("cashier.view") : "", doing: undo ?? (slip ? () => showSlip(slip) : null), whole: true });
  }
  if (slip && !slip.quiet && !isLeft) showSlip(slip);
}

async function call(now, method, path, body) {
  const onAgain = () => { (now.resent ??= new Set()).add(path); if (at === now) show("act-again", t("cashier.resent")); };
  for (let override = null; ; ) {
    try {
      return await ask(method, path, override ? { ...body, override } : body, { onAgain });
    } catch (problem) {
      if (!["override.wanted", "override.wrong", "override.locked"].includes(problem.code)) throw problem;
      if (at !== now) throw problem; // nobody is there to approve it any more
      override = await approval(problem);
    }
  }
}

// A supervisor's number, code and reason; throws "left" when nobody approves.
function approval(problem) {
  const dialog = $("override"), wrong = problem.code !== "override.wanted";
  if (!wrong) { $("o-why").textContent = refusalOf(problem); $("o-who").value = $("o-reason").value = ""; }
  show("o-problem", wrong ? refusalOf(problem) : "");
  $("o-code").value = "";
  dialog.showModal();
  (wrong ? $("o-code") : $("o-who")).focus();
  return new Promise((done, left) => {
    $("override-form").onsubmit = (event) => {
      event.preventDefault();
      if (!$("o-who").value.trim()) return $("o-who").focus();
      if (!$("o-code").value && document.activeElement === $("o-who")) return $("o-code").focus(); // a try without it is one of five
      const told = { supervisor: $("o-who").value.trim(), reason: $("o-reason").value.trim(), ...($("o-code").value ? { code: $("o-code").value } : {}) };
      $("o-code").value = "";
      dialog.onclose = null;
      dialog.close();
      done(told);
    };
    dialog.onclose = () => left("left");
    $("o-close").onclick = () => dialog.close();
  });
}

// A scan while a dialog is open goes into the act's field for what it is. Where there is none it is said so. Whether the
// scan is done with.
export function takeScan(text) {
  if ($("override")?.open) { $("o-code").value = text; return true; }
  if (!isOpen()) return false;
  const fields = [...$("act-body").querySelectorAll("[data-scan]")].filter((one) => one.offsetParent);
  if (!$("act").open) show("slip-problem", t("say.scanNotTaken"));
  else if (fields.length) fill(fields, text);
  else tell(new Error(t("say.scanNotTaken")));
  return true;
}

// What fields take: the member's card as a token, a card that is handed over, the number of a receipt, a certificate.
const OF_A_CARD = ["card", "newCard", "certificate"], OF_A_CODE = ["number", "certificate"];

// Of the fields that take such a scan the one with the caret, else the first that is empty, else the first: two cards in a
// row are an old one and a new one. The till looks at it before it stands anywhere, for it may be a payment card.
async function fill(fields, text) {
  const caret = fields.find((one) => one === document.activeElement);
  try {
    const said = await looked(text, fields[0].dataset.scan === "certificate");
    const takes = said?.outcome === "code" ? OF_A_CODE : OF_A_CARD;
    const field = [caret, ...fields.filter((one) => !one.value), ...fields].find((one) => one && takes.includes(one.dataset.scan));
    if (!field) throw new Error(t((caret ?? fields[0]).dataset.scan === "number" ? "refusal.receipt_id_reserved" : "refusal.card_not_ours"));
    if (field.dataset.scan === "card") standCard(field, said.card_token, said.member?.card);
    else field.value = field.dataset.scan === "number" ? said.text : text;
    fields.find((one) => !one.value)?.focus(); // for the next scan, or key
    tell(null);
  } catch (problem) { fail(problem); }
}

// A card stands in a field by its end, and counts as long as that stands there.
function standCard(input, token, end) {
  input.value = end || "…";
  Object.assign(input.dataset, { token, end: input.value });
}

const isCard = (input) => Boolean(input.dataset.token) && input.value === input.dataset.end;

// What the till says of a scan. A certificate may look like a card that the till would not serve; a payment card is none.
async function looked(text, isCertificate) {
  try {
    return await ask("POST", "/v1/cards/identify", { card: text });
  } catch (problem) {
    if (isCertificate && problem.code.startsWith("card.") && problem.code !== "card.payment_card") return null;
    throw problem;
  }
}

// Fields. What is of the form "money" or "count" is read as such before anything is sent.

const MODES = { money: "decimal", count: "numeric" };

export function field(name, { label = `field.${name}`, value = "", hint = "", type = "text", mode = null, scan = null, required = false, pattern = null, form = null } = {}) {
  const id = `f-${name}`;
  const input = make("input", { id, name, type, value, autocomplete: "off", spellcheck: "false", inputmode: mode ?? MODES[form], "data-form": form, "data-scan": scan, required, pattern, "aria-describedby": hint ? `${id}-hint` : null });
  if (scan) input.addEventListener("focus", () => input.select());
  // What is typed takes the place of a card that stood there by its end, wherever the caret is.
  input.addEventListener("beforeinput", (event) => { if (isCard(input) && event.inputType !== "insertLineBreak") input.value = ""; });
  return make("div", { class: "field" }, make("label", { for: id }, t(label)), input, hint ? make("p", { class: "hint", id: `${id}-hint` }, hint) : null);
}

export function cardField(desk, name = "card", more = {}) {
  const box = field(name, { label: "field.card", hint: t("field.cardHint"), scan: "card", required: !more.empty, ...more });
  if (desk.card() && !more.empty) standCard(box.querySelector("input"), desk.card(), desk.screen.member);
  return box;
}

export function select(name, options, { label = `field.${name}`, value = "" } = {}) {
  const id = `f-${name}`;
  return make("div", { class: "field" }, make("label", { for: id }, t(label)),
    make("select", { id, name }, ...options.map(([one, words]) => make("option", { value: one, selected: one === value }, words))));
}

// Fields that only some answers to a choice ask for: [[field, answers]].
export function only(choice, ...asked) {
  const input = choice.querySelector("select");
  const look = () => asked.forEach(([box, answers]) => { box.hidden = !answers.includes(input.value); });
  input.addEventListener("change", look);
  look();
  return choice;
}

export const two = (...parts) => make("div", { class: "two" }, ...parts);
export const lead = (text) => make("p", { class: "lead" }, text);

// "12.50" or "12,5" as minor units; throws a sentence where it is no amount.
export function minor(text, exponent) {
  const found = /^(\d{1,9})(?:[.,](\d+))?$/.exec(text.trim());
  if (!found || (found[2] ?? "").length > exponent) throw new Error(t("field.money"));
  return Number(found[1] + (found[2] ?? "").padEnd(exponent, "0"));
}

// "1340", or with its thousands parted as it is printed, as a number; throws a sentence where it is none.
export function whole(text) {
  const digits = text.trim();
  if (!/^(\d{1,12}|\d{1,3}([ \u00a0\u202f.,]\d{3})+)$/.test(digits)) throw new Error(t("field.count"));
  return Number(digits.replace(/\D/g, ""));
}

export const plain = (amount, exponent) => {
  const digits = String(amount).padStart(exponent + 1, "0");
  return exponent ? `${digits.slice(0, -exponent)}.${digits.slice(-exponent)}` : digits;
};

if ($("act-form")) {
  $("act-form").addEventListener("submit", send);
  $("act-close").addEventListener("click", close);
  $("act").addEventListener("close", () => { at = null; });
}
