// Acts about members and cards.

import { cardField, field, lead, minor, only, select, two, whole } from "./act.js";
import { get, post, release } from "./api.js";
import { drawAgreements } from "./consents.js";
import { make } from "./dom.js";
import { paperOf } from "./paper.js";
import { cash, sureOf } from "./sale.js";
import { cardOf, claimOf, refusalOf } from "./told.js";
import { day, language, moment, points, t } from "./tongue.js";

const pick = (name, value, words, checked) => make("label", { class: "pick plain" }, make("input", { type: "radio", name, value, checked }), make("span", {}, words));
const picks = (legend, ...rows) => make("fieldset", { class: "picks" }, make("legend", {}, legend), ...rows);

const MONTH_DAY = "(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])";
const TOKEN = /^[0-9a-f]{32}$/;

// The token of a card: of a scan it is one already, of a number that was typed the till says it.
async function tokenOf(text) {
  if (TOKEN.test(text)) return { token: text, card: "" };
  const said = await post("/v1/cards/identify", { card: text, keyed: true });
  if (said.outcome !== "card") throw new Error(t("refusal.card_not_ours"));
  return { token: said.card_token, card: said.member?.card ?? "" };
}

const findCard = {
  name: "card", key: "C",
  draw: (desk, values, step) => step === 0
    ? [cardField(desk, "card", { empty: true }), two(field("phone", { type: "tel" }), field("email", { type: "email" }))]
    : [picks(t("kiosk.chooseCard"), ...values.found.map((one, i) => pick("chosen", one.card_token, `…${one.last4}`, i === 0)))],
  async send(desk, values, step) {
    let chosen = step ? values.chosen : values.card;
    if (!chosen) {
      const sought = values.phone ? { phone: values.phone } : { email: values.email };
      if (!values.phone && !values.email) throw new Error(t("field.cardHint"));
      const { found } = await post("/v1/members/find", sought);
      if (!found.length) throw new Error(t("told.nobody"));
      values.found = found;
      if (found.length > 1) return "next";
      chosen = found[0].card_token;
    }
    const { token, card } = await tokenOf(chosen);
    await desk.choose({ card: token });
    return { say: t("say.cardAtHand", { c: card }) };
  },
};

const balance = {
  name: "balance", key: "B",
  draw: (desk) => [cardField(desk)],
  async send(desk, values) {
    const { token } = await tokenOf(values.card);
    const said = await get(desk.asked(`/v1/balance?card=${encodeURIComponent(token)}`));
    return { slip: { title: `${t("act.balance")} ${said.member.card}`, facts: factsOf(said, desk.screen), text: said.text } };
  },
};

function factsOf(said, screen) {
  const member = said.member, tier = said.tier, stored = said.stored.wallet_minor + said.stored.certificates_minor;
  return [
    [t("cashier.balance"), member.known ? points(member.balance_points) : t("customer.unknown")],
    [t("cashier.pending"), said.pending_points ? points(said.pending_points) : ""],
    [t("cashier.spendable"), said.spendable_now_points ? points(said.spendable_now_points) : ""],
    [t("cashier.authority"), said.spendable_now_points ? t(`tier.${said.authority}`) : ""],
    ...said.expiring.map((one) => [t("cashier.lapses"), t("cashier.lapsesOn", { p: points(one.points), d: day(one.on) })]),
    [t("customer.stored"), stored ? cash(stored, screen) : ""],
    [t("cashier.tier"), said.tier_name],
    [t("cashier.nextTier"), tier?.next_tier && tier.short_of ? `${said.next_tier_name}: ${tier.measure === "spend" ? cash(tier.short_of, screen) : tier.short_of}` : ""],
    [t("cashier.asOf"), said.as_of ? moment(said.as_of, screen.now) : t("cashier.never")],
  ];
}

const spend = {
  name: "spend", key: "P",
  onlyShows: (step, values, desk) => !desk.screen.most_points,
  draw(desk, values) {
    if (!desk.screen.most_points) return [lead(t(desk.card() ? "say.nothingToSpend" : "cashier.noMemberLead"))];
    const most = desk.screen.most_points, step = desk.screen.step_points;
    return [lead(t("cashier.maySpend", { p: points(most), m: cash(desk.screen.most_minor, desk.screen) })), lead(sureOf(desk.screen)),
      field("points", { form: "count", value: values.points ?? String(most || ""), hint: t("field.pointsHint", { p: points(most), s: step }), required: true })];
  },
  async send(desk, values, step, { id, call }) {
    desk.practise();
    const n = whole(values.points);
    if (n < 1) throw new Error(t("field.pointsHint", { p: points(desk.screen.most_points), s: desk.screen.step_points }));
    const { cashier, ...training } = desk.stamp(), { sale } = await get("/v1/at-hand");
    if (sale?.hold_id && sale.hold_id !== id) {
      // What was set aside for this sale before is not needed any more, and may be part of what is wanted now.
      await release(sale.hold_id, training.training);
      await desk.choose({ points_to_spend: 0 });
    }
    const held = await call("POST", "/v1/holds", { hold_id: id, card: desk.card(), points: n, ...training });
    await desk.choose({ points_to_spend: held.points, hold_id: id });
    const undo = async () => {
      await release(id, training.training);
      await desk.choose({ points_to_spend: 0 });
      desk.note(t("say.released"));
    };
    return { say: t("say.held", { p: points(held.points), t: moment(held.until, held.until) }), undo };
  },
};

// What a welcome slip has of an answer that gives a card.
const welcomeOf = ({ card_number, last4, record, offline }) => ({ card_number, last4, record, offline });

const enrol = {
  name: "enrol", key: "N",
  async draw(desk, values) {
    const asked = values.asked ??= await get(`/v1/enrolment?language=${language()}`);
    const terms = asked.consents.filter((one) => one.purpose === "terms");
    return [
      asked.say ? make("p", { class: "notice" }, t("told.noNumbers")) : null,
      field("card", { label: "field.newCard", scan: "newCard", hint: t("field.newCardHint") }),
      ...(asked.may_seal ? [two(field("name"), field("phone", { type: "tel" })), two(field("email", { type: "email" }), field("birthday", { hint: t("kiosk.birthdayHint"), pattern: MONTH_DAY })), lead(t("kiosk.sealed"))] : [make("p", { class: "notice" }, t("kiosk.noSeal"))]),
      ...terms.map((one, i) => make("label", { class: "check", for: `f-terms${i}` }, make("input", { type: "checkbox", id: `f-terms${i}`, name: `terms${i}` }), make("span", { lang: one.language }, one.text), make("span", { class: "hint" }, t("field.terms")))),
      lead(t("field.marketingElsewhere")),
    ].filter(Boolean);
  },
  async send(desk, values, step, { id, call }) {
    const person = {};
    for (const name of ["name", "phone", "email", "birthday"]) if (values[name]) person[name] = values[name];
    const terms = values.asked.consents.filter((one) => one.purpose === "terms").filter((_, i) => values[`terms${i}`]);
    const said = await call("POST", "/v1/members", {
      enrol_id: id, card: values.card || null, language: language(), asked_on: "cashier", ...desk.stamp(),
      ...(Object.keys(person).length ? { person } : {}),
      consents: terms.map(({ purpose, channel, version }) => ({ purpose, channel, version, given: true })),
    });
    if (!desk.isAside()) await desk.choose({ card: said.card_token });
    const confirming = said.consents.filter((one) => one.confirm_code);
    const paper = await paperOf("welcome", desk, { ...welcomeOf(said), number: said.enrol_id, confirm_code: confirming[0]?.confirm_code ?? "", confirm_url: confirming[0]?.confirm_url ?? "" });
    return { say: t("say.enrolled", { c: `…${said.last4}` }), slip: { title: t("act.enrol"), facts: [[t("kiosk.number"), said.card_number || `…${said.last4}`], ...confirming.map((one) => [t("kiosk.confirmCode"), one.confirm_code])], list: [t("told.welcome"), ...paper.list], text: paper.text } };
  },
};

const claim = {
  name: "claim", key: "L",
  draw: (desk, values) => [cardField(desk), two(field("receipt", { value: values.receipt ?? "", scan: "number", required: true }), field("record")),
    make("details", {}, make("summary", {}, t("field.printed")), two(field("store"), field("tillName")), two(field("soldAt", { type: "datetime-local" }), field("total", { form: "money", hint: t("field.money") })))],
  async send(desk, values, step, { id, call }) {
    const { token } = await tokenOf(values.card);
    // Whatever is said of another till's paper: by its number alone it could be a receipt of this till.
    const printed = [values.store, values.tillName, values.soldAt, values.total].some(Boolean) && {
      store: values.store, till: values.tillName, receipt_id: values.receipt, sold_at: values.soldAt, record: values.record,
      total_minor: values.total ? minor(values.total, desk.screen.exponent) : null,
    };
    const body = printed ? { printed } : { receipt_id: values.receipt, ...(values.record ? { record: values.record } : {}) };
    const said = await call("POST", "/v1/claims", { claim_id: id, card: token, ...desk.stamp(), ...body });
    const paper = await paperOf("claim", desk, { number: said.claim_id, of_number: said.of_receipt || values.receipt, points: said.points, state: said.state, record: said.record, offline: said.offline });
    return { say: claimOf(said), slip: { quiet: true, title: t("act.claim"), facts: [[t("field.receipt"), said.of_receipt], [t("field.points"), said.points === null ? "" : points(said.points)]], list: [claimOf(said), ...paper.list], text: paper.text } };
  },
};

const trouble = {
  name: "replace", key: "T",
  draw(desk, values) {
    values.atHand = desk.card(); // a new card that is scanned meanwhile is shown in its place
    const card = field("newCard", { scan: "newCard", hint: t("field.newCardHint") }), reason = select("reason", [["lost", t("field.lost")], ["stolen", t("field.stolen")], ["damaged", t("field.damaged")]]);
    const what = select("what", [["replace", t("field.replaceIt")], ["block", t("field.blockIt")], ["issue", t("field.issueOne")]]);
    return [only(what, [card, ["replace", "issue"]], [reason, ["replace", "block"]]), cardField(desk, "card", { label: "field.membersCard" }), two(card, reason)];
  },
  async send(desk, values, step, { id, call }) {
    const card = values.newCard || null, { token } = await tokenOf(values.card);
    const bodies = { replace: { old_card: token, card, reason: values.reason }, block: { card: token, reason: values.reason }, issue: { member_card: token, card } };
    const isAtHand = [values.atHand, desk.card()].includes(token) && !desk.isAside(); // before the answer, which may come with another state
    const said = await call("POST", "/v1/cards", { card_id: id, what: values.what, ...desk.stamp(), ...bodies[values.what] });
    // A card that is good no more is taken from the sale; the new one earns in its place.
    if (isAtHand && values.what === "block") await takeOff(desk);
    if (isAtHand && values.what === "replace") await desk.choose({ card: said.card_token });
    const paper = values.what === "block" ? { text: "", list: [] } : await paperOf("welcome", desk, { ...welcomeOf(said), number: said.card_id });
    return { say: cardOf(said), slip: { quiet: !said.card_number, title: t("act.replace"), facts: [[t("kiosk.number"), said.card_number || (said.last4 ? `…${said.last4}` : "")]], list: [cardOf(said), ...paper.list], text: paper.text } };
  },
};

// No card is with the sale any more, and the points that were set aside with it go back.
async function takeOff(desk) {
  const { sale } = await get("/v1/at-hand");
  if (sale?.hold_id) await release(sale.hold_id, desk.stamp().training);
  await desk.choose({ without_card: true });
}

const consent = {
  name: "consent", key: "O", onlyShows: (step) => step === 1,
  async draw(desk, values, step, again) {
    if (step === 0) return [cardField(desk), lead(t("field.marketingElsewhere"))];
    const [asked, stands] = await Promise.all([get(`/v1/enrolment?language=${language()}`), get(desk.asked(`/v1/consents?card=${encodeURIComponent(values.token)}`))]);
    const list = make("ul", { class: "agreements" });
    drawAgreements(list, { asked: asked.consents, stands: stands.consents, card: values.token, place: "cashier", stamp: desk.stamp(), again, fail: (problem) => list.before(make("p", { class: "problem", role: "alert" }, refusalOf(problem))) });
    return [stands.complete ? null : make("p", { class: "notice" }, t("kiosk.incomplete")), list].filter(Boolean);
  },
  async send(desk, values, step) {
    if (step) return {};
    values.token = (await tokenOf(values.card)).token;
    return "next";
  },
};

export const CARD_ACTS = [findCard, balance, spend, enrol, claim, trouble, consent];
export { pick, picks };
