// Acts about sales: undone, brought back, exchanged, laid aside, printed again.

import { cardField, field, lead, minor, plain, two } from "./act.js";
import { get, newId, post } from "./api.js";
import { pick, picks } from "./acts_cards.js";
import { make } from "./dom.js";
import { money, number, points, t, typed } from "./tongue.js";

const receiptField = (desk, values, more = {}) => field("receipt", { value: values.receipt ?? "", scan: "number", hint: t("field.receiptHint"), ...more });
const cashOf = (desk, amount) => money(amount, desk.screen.currency, desk.screen.exponent);

// First the receipt, then its lines: the last button says what it does.
const whenLines = (words) => (step) => (step ? words : "cashier.next");
const allBack = (step, { left }) => step === 1 && Boolean(left?.lines.every((line) => Number(line.left) <= 0));

// What can be undone whole, and where; an exchange leaves one sum, whichever way it goes.
const UNDONE = { receipt: ["field.voidReceipt", "receipts"], return: ["field.voidReturn", "returns"], exchange: ["field.voidExchange", "exchanges"] };

const toldHere = new Set(); // voids by their path, once this page has told them with their money

const voided = {
  name: "void", key: "V", isFinal: true,
  draw: (desk, values) => [
    field("receipt", { label: "field.slipNumber", value: values.receipt ?? "", scan: "number", required: true }),
    picks(t("act.void"), ...Object.entries(UNDONE).map(([what, [words]]) => pick("what", what, t(words), what === (values.what || "receipt")))),
  ],
  async send(desk, values, step, { call, isResent }) {
    const what = values.what || "receipt", path = `/v1/${UNDONE[what][1]}/${encodeURIComponent(values.receipt)}/void`;
    const stamp = desk.stamp(), said = await call("POST", path, stamp);
    // What was undone before was paid then. Of an answer that was lost nobody was told yet, unless by another try here.
    const wasPaid = toldHere.has(path) || (said.replayed && !isResent(path));
    if (!stamp.training) toldHere.add(path);
    const say = wasPaid ? t("say.wasVoid", { r: values.receipt }) : undone(desk, what, values.receipt, said);
    return { say, slip: { quiet: true, title: t("act.void"), text: said.text } };
  },
};

function undone(desk, what, number, said) {
  const told = (words, amount) => t(words, { r: number, m: cashOf(desk, amount) });
  if (what === "receipt") return told("say.voided", said.to_hand_out_minor);
  if (what === "return") return told("say.returnVoided", said.to_take_in_minor);
  if (said.to_hand_out_minor) return told("say.exchangeVoidedOut", said.to_hand_out_minor);
  return said.to_take_in_minor ? told("say.exchangeVoidedPay", said.to_take_in_minor) : told("say.exchangeVoidedEven", 0);
}

// Lines of a receipt to tick, with how many come back and what is handed out for them.
async function linesToReturn(desk, values) {
  if (!values.receipt) return [lead(t("field.withoutReceipt")), two(field("sku", { required: true }), field("quantity", { value: "1", mode: "decimal" })), two(field("amount", { form: "money", hint: t("field.money"), required: true }), cardField(desk, "card", { required: false }))];
  values.left = await get(desk.asked(`/v1/returnable?of=${encodeURIComponent(values.receipt)}`));
  if (values.left.is_void) throw new Error(t("say.isVoid"));
  const rows = values.left.lines.filter((line) => Number(line.left) > 0).map((line) => rowOf(desk, line));
  const head = make("div", { class: "pick head", "aria-hidden": "true" }, make("span", {}), make("span", {}), make("span", {}, t("field.quantity")), make("span", {}, t("field.worth")));
  return [rows.length ? picks(t("field.lines"), head, ...rows) : lead(t("say.nothingLeft"))];
}

// A quantity as it may be typed, with a comma too.
const pointed = (text) => text.replace(",", ".");
const exact = (text) => {
  if (!/^\d{1,9}([.,]\d{1,3})?$/.test(text) || !Number(pointed(text))) throw new Error(t("refusal.quantity_malformed"));
  return Number(pointed(text)).toFixed(3);
};

// What so much of a line is worth, as the till shares it out: by cumulative floor, so that parts make the whole.
function worthOf(line, quantity) {
  const milli = (text) => Math.round(Number(text) * 1000), sold = milli(line.quantity), before = sold - milli(line.left);
  const upTo = (n) => Math.floor((line.net_minor * Math.min(n, sold)) / sold);
  return upTo(before + milli(quantity)) - upTo(before);
}

// The worth is to be read: what is paid out for goods with a receipt is not the cashier's to say.
function rowOf(desk, line) {
  const share = (quantity) => typed(plain(worthOf(line, quantity), desk.screen.exponent));
  const amount = make("input", { name: `amount${line.line}`, value: share(line.left), readonly: true, tabindex: "-1", "aria-label": `${t("field.worth")}: ${line.name}` });
  const quantity = make("input", { name: `quantity${line.line}`, value: typed(String(Number(line.left))), inputmode: "decimal", "aria-label": `${t("field.quantity")}: ${line.name}`, oninput: (event) => { if (Number(pointed(event.target.value)) > 0) amount.value = share(pointed(event.target.value)); } });
  const id = `f-line${line.line}`;
  return make("div", { class: "pick" }, make("input", { type: "checkbox", id, name: `line${line.line}` }), make("label", { for: id }, line.name, make("small", {}, `${number(line.quantity)} · ${cashOf(desk, line.net_minor)}`)), quantity, amount);
}

function linesOf(desk, values) {
  if (!values.receipt) {
    const amount = values.amount ? minor(values.amount, desk.screen.exponent) : 0;
    return [{ line: 1, sku: values.sku, quantity: exact(values.quantity), amount_minor: amount }];
  }
  const lines = values.left.lines.filter((line) => values[`line${line.line}`]).map((line) => ({ line: line.line, quantity: exact(values[`quantity${line.line}`]), amount_minor: minor(values[`amount${line.line}`], desk.screen.exponent) }));
  if (!lines.length) throw new Error(t("say.noLines"));
  return lines;
}

const returned = {
  name: "return", key: "R", sends: whenLines("do.return"), onlyShows: allBack,
  draw: (desk, values, step) => (step === 0 ? [receiptField(desk, values)] : linesToReturn(desk, values)),
  async send(desk, values, step, { id, call }) {
    if (step === 0) return "next";
    const said = await call("POST", "/v1/returns", { return_id: id, of: values.receipt || null, lines: linesOf(desk, values), ...desk.stamp(), ...(values.receipt ? {} : { currency: desk.screen.currency, ...(values.card ? { card: values.card } : {}) }) });
    const out = cashOf(desk, said.paid_out_minor);
    return { say: said.points_reversed ? t("say.returnedPoints", { m: out, p: points(said.points_reversed) }) : t("say.returned", { m: out }), slip: { title: t("act.return"), text: said.text } };
  },
};

const exchanged = {
  name: "exchange", key: "X", sends: whenLines("do.exchange"), onlyShows: allBack,
  async draw(desk, values, step) {
    if (step === 0) return [lead(t("say.ringUpFirst")), receiptField(desk, values, { hint: t("field.receiptScan"), required: true })];
    return linesToReturn(desk, values);
  },
  async send(desk, values, step, { id, call }) {
    desk.practise();
    const { sale, quote } = values.atHand ??= await get("/v1/at-hand");
    if (!sale) { values.atHand = null; throw new Error(`${t("cashier.noSale")}. ${t("say.ringUpFirst")}`); }
    if (step === 0) { values.atHand = null; return "next"; } // more may be rung up while the lines are chosen
    const { sold_at, business_date, cashier, store_id, till_id, channel, language, training, override, cards, ...goods } = sale;
    const said = await call("POST", "/v1/exchanges", {
      exchange_id: id, business_date, channel, language, ...desk.stamp(),
      return: { return_id: `${id}-back`, of: values.receipt, lines: linesOf(desk, values) },
      receipt: { ...goods, receipt_id: `${id}-sale`, programme_version: quote.programme_version, digest: quote.digest },
    }).catch((problem) => {
      forget(problem, values);
      throw problem;
    });
    const say = said.to_pay_minor ? t("say.exchangedPay", { m: cashOf(desk, said.to_pay_minor) }) : said.to_hand_out_minor ? t("say.exchangedOut", { m: cashOf(desk, said.to_hand_out_minor) }) : t("say.exchangedEven");
    return { say, slip: { title: t("act.exchange"), list: [say], text: said.text } };
  },
};

// What was refused is tried again with what is rung up by then; where nobody knows, it stays the very same. Without the line
// it has another id by the next try, and the till withdraws what head office may have of the first.
function forget(problem, values) {
  if (problem.status && (problem.status < 500 || problem.code === "parked.no_line")) values.atHand = null;
}

const parked = {
  name: "park", key: "K",
  draw: () => [field("note", { hint: t("field.noteHint") }),
    make("label", { class: "check", for: "f-anywhere" }, make("input", { type: "checkbox", id: "f-anywhere", name: "anywhere" }), make("span", {}, t("field.anywhere")), make("span", { class: "hint" }, t("field.anywhereHint")))],
  async send(desk, values, step, { id, call }) {
    desk.practise();
    const { sale } = values.atHand ??= await get("/v1/at-hand");
    if (!sale) { values.atHand = null; throw new Error(t("cashier.noSale")); }
    await call("POST", "/v1/parked", { ...sale, ...desk.stamp(), park_id: id, note: values.note, anywhere: values.anywhere }).catch((problem) => {
      forget(problem, values);
      throw problem;
    });
    return { say: t(values.anywhere ? "say.parkedAnywhere" : "say.parked") };
  },
};

// A basket that may have been taken up and was not priced yet: {one, id, training}. No till lists it any more, so it stays
// in the list of this panel, to be taken up again under the same id.
let unpriced = null;

// Priced again, it is the sale at hand, where the POS finds it; where its card is refused, without. Answers whether a card is to be shown.
async function price(sale) {
  const basket = { ...sale, quote_id: sale.quote_id || newId("quote") };
  try { await post("/v1/quotes", basket); return false; } catch (problem) {
    if (!sale.card || !["card", "till"].includes(problem.code?.split(".")[0])) throw problem;
    await post("/v1/quotes", { ...basket, card: null, points_to_spend: 0 });
    return true;
  }
}

const resumed = {
  name: "resume", key: "U", onlyShows: (step, { all }) => !all?.length,
  async draw(desk, values) {
    const { parked, unheard, office_heard: heard } = await get(desk.asked("/v1/parked"));
    const waits = unpriced && unpriced.training === desk.stamp().training && !parked.some((one) => one.park_id === unpriced.one.park_id);
    const all = values.all = waits ? [unpriced.one, ...parked] : parked;
    const rows = all.map((one, i) => pick("chosen", String(i), make("span", {}, one.note || one.park_id, make("small", {}, `${t("field.parkedAt", { t: one.till, l: one.lines, m: money(one.amount_minor, one.currency, desk.screen.exponent) })}`)), i === 0));
    return [rows.length ? picks(t("act.resume"), ...rows) : lead(t("say.nothingParked")), unheard.length ? make("p", { class: "notice" }, t("say.unheard", { t: unheard.join(", ") })) : null, heard ? null : lead(t("say.officeUnheard"))].filter(Boolean);
  },
  async send(desk, values, step, { id, call }) {
    desk.practise();
    const one = values.all[Number(values.chosen)], { training } = desk.stamp();
    if (!one) return {};
    const before = unpriced?.one.park_id === one.park_id ? unpriced.id : id;
    unpriced = { one, id: before, training };
    const said = await call("POST", `/v1/parked/${encodeURIComponent(one.park_id)}/resume`, { resume_id: before, till_id: one.till_id, office: one.office, ...(training ? { training } : {}) }).catch((problem) => {
      if (problem.status && problem.status < 500) unpriced = null;
      throw problem;
    });
    const show = await price(said.sale);
    unpriced = null;
    const again = [said.show_card || show ? t("say.showCard") : "", said.scan_again ? t("say.scanAgain", { n: said.scan_again }) : ""].filter(Boolean);
    return { say: again.length ? again.join(" ") : t("say.resumed") };
  },
};

const copied = {
  name: "copy", key: "Y",
  draw: (desk, values) => [receiptField(desk, values, { hint: t("field.receiptScan"), required: true })],
  async send(desk, values) {
    const said = await get(desk.asked(`/v1/receipts/${encodeURIComponent(values.receipt)}`));
    return { slip: { title: values.receipt, text: said.text } };
  },
};

export const SALE_ACTS = [voided, returned, exchanged, parked, resumed, copied];
