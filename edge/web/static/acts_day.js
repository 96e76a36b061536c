// Acts about the till's day: certificates, training, the close.

import { field, lead, minor, only, select, two, whole } from "./act.js";
import { drop, get } from "./api.js";
import { make } from "./dom.js";
import { paperOf } from "./paper.js";
import { certificateOf, differenceOf, noticeOf } from "./told.js";
import { count, day, money, t } from "./tongue.js";

const certificate = {
  name: "certificate", key: "G",
  draw() {
    const amount = field("amountOn", { form: "money", hint: t("field.money"), required: true }), reason = field("reason", { hint: t("field.optional") });
    const action = select("action", [["enquire", t("field.enquire")], ["activate", t("field.activate")], ["top_up", t("field.topUp")], ["block", t("field.block")]]);
    return [field("code", { scan: "certificate", required: true, pattern: ".{5,200}" }), two(only(action, [amount, ["activate", "top_up"]], [reason, ["block"]]), amount, reason)];
  },
  async send(desk, values, step, { id, call }) {
    const moves = ["activate", "top_up"].includes(values.action), { currency, exponent } = desk.screen;
    const amount = moves ? { amount_minor: minor(values.amountOn, exponent), currency } : {};
    const said = await call("POST", "/v1/certificates", {
      request_id: id, action: values.action, code: values.code, ...desk.stamp(), ...amount, ...(values.action === "block" ? { reason: values.reason } : {}),
    });
    const facts = said.state === "unknown" ? [] : [[t("cashier.balance"), money(said.balance_minor, currency, exponent)], [t("cashier.spendable"), money(said.may_pay_minor, currency, exponent)], [t("field.validThrough"), said.valid_through ? day(said.valid_through) : ""]];
    const say = certificateOf(said, desk.screen);
    const paper = moves || said.state === "active" ? await paperOf("certificate", desk, { ...slipOf(values, said), currency, ...amount }) : { text: "", list: [] };
    return { say, slip: { title: `${t("act.certificate")} ${said.certificate}`, facts, list: [say, ...paper.list], text: paper.text } };
  },
};

// The code stands on the slip of whoever buys the certificate, its end on any other.
function slipOf({ action, code }, { request_id, balance_minor, valid_through, certificate: end, offline }) {
  const what = { enquire: "asked", activate: "sold", top_up: "topped_up" }[action];
  return { what, number: request_id, left_minor: balance_minor, through: valid_through, offline, ...(what === "sold" ? { code } : { ending: end }) };
}

const training = {
  name: "training", key: "A", sends: (step, desk) => (desk.training ? "do.leave" : "do.training"),
  async draw(desk) {
    const kept = await get("/v1/training");
    return [make("p", { class: "notice" }, t(desk.training ? "cashier.trainingOn" : "say.trainingAsk")),
      lead(`${t("cashier.practised")}: ${[["receipts", "field.receipts"], ["returns", "field.returns"], ["voids", "field.voids"]].map(([name, words]) => `${t(words)} ${count(kept[name] ?? 0)}`).join(" · ")}`)];
  },
  async send(desk) {
    if (desk.training) await drop("/v1/training");
    desk.train(!desk.training);
    return { say: t(desk.training ? "say.trainingStarted" : "say.trainingEnded") };
  },
};

const FIGURES = [["receipts", "field.receipts", 0], ["voids", "field.voids", 0], ["returns", "field.returns", 0], ["net_minor", "field.net", 1], ["returned_minor", "field.returned", 1], ["points_earned", "field.pointsEarned", 0], ["points_spent", "field.pointsSpent", 0]];

const closed = {
  name: "close", key: "Z", isFinal: true,
  async draw() {
    const { now } = await get("/v1/screen?for=cashier"); // what the panel shows may be of yesterday
    return [field("businessDate", { type: "date", value: businessDay(now), required: true }), lead(t("field.posTotals")), ...pairs(FIGURES.map(([name, words, isMoney]) => field(name, { label: words, form: isMoney ? "money" : "count" })))];
  },
  async send(desk, values, step, { call }) {
    const totals = {};
    for (const [name, , isMoney] of FIGURES) if (values[name]) totals[name] = isMoney ? minor(values[name], desk.screen.exponent) : whole(values[name]);
    const said = await call("POST", "/v1/day-close", { business_date: values.businessDate, ...desk.stamp(), ...(Object.keys(totals).length ? { totals } : {}) });
    const differences = said.differences ?? [], warnings = (said.warnings ?? []).map(noticeOf);
    const facts = FIGURES.map(([name, words, isMoney]) => [t(words), isMoney ? money(said[name], desk.screen.currency, desk.screen.exponent) : count(said[name])]);
    const say = differences.length ? t("say.closedDiffers", { n: differences.length }) : t("say.closed");
    return { say, slip: { title: `${t("act.close")} · ${day(said.business_date)}`, facts, list: [...differences.map((one) => differenceOf(one, desk.screen)), ...warnings], text: said.text } };
  },
};

// A shop may be open until five hours past midnight: until then the day to close is mostly the one before.
const businessDay = (now) => new Date(Date.parse(`${now.slice(0, 19)}Z`) - 5 * 3_600_000).toISOString().slice(0, 10);

function pairs(fields) {
  const rows = [];
  for (let i = 0; i < fields.length; i += 2) rows.push(two(...fields.slice(i, i + 2)));
  return rows;
}

export const DAY_ACTS = [certificate, training, closed];
