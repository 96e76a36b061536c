// What the till says in English, said in the language of the page: refusals by their code, results by their state.

import { count, has, money, points, t } from "./tongue.js";

const FIGURES = { receipts: "field.receipts", voids: "field.voids", returns: "field.returns", net_minor: "field.net", discount_minor: "told.discounts", returned_minor: "field.returned", points_earned: "field.pointsEarned", points_spent: "field.pointsSpent", points_reversed: "told.pointsBack" };
const TENDER = "tender:";
const QUANTITY = /^\d+\.\d{3}$/; // as the contract writes it; a person reads 0.5
// What head office refuses in the words in which this till would have.
const SAME_REASONS = ["claimed", "has_card", "voided", "returned", "receipt_unknown", "not_priceable", "not_offered"];

const wordOf = (code) => code.replaceAll(".", "_");

// Whose words a code has: its own, those of its kind (`id_reused`) or of its area (`request`); "" for nobody's.
function nameOf(code) {
  const [area, kind] = code.split(".");
  return [wordOf(code), kind, area].find((one) => has(`refusal.${one}`)) ?? "";
}

// What is refused, with the next step. What the page itself finds wrong is in its language already.
export function refusalOf(problem) {
  if (!problem.code) return String(problem.message);
  const figures = Object.entries(problem.figures ?? {}).map(([name, value]) => [name, QUANTITY.test(value) ? Number(value) : value]);
  return t(`refusal.${nameOf(problem.code) || (problem.status >= 500 ? "fault" : "other")}`, Object.fromEntries(figures));
}

// The till's own sentence, where the words are not of this code alone: for whoever is asked for help.
export function behind({ code = "", detail = "" }) {
  return !detail || nameOf(code) === wordOf(code) ? "" : `${detail} [${code}]`;
}

// A sentence that the till says unasked.
export function noticeOf({ code, say }) {
  const name = [`told.${wordOf(code)}`, `refusal.${wordOf(code)}`].find(has);
  return name ? t(name) : say;
}

export function claimOf({ state, points: n, reason }) {
  if (state === "granted") return t("told.claimGranted", { p: points(n) });
  if (state === "refused") return t(SAME_REASONS.includes(reason) ? `refusal.claim_${reason}` : "told.claimRefused");
  return n === null ? t("told.claimLater") : t("told.claimWaits", { p: points(n) });
}

export const cardOf = ({ what }) => t(`told.card_${what}`);

// A card that took the place of another; their ends, where they are at hand.
export function replacedOf({ was, now, hold_released }) {
  const said = t("told.card_replaced", { a: was || "…", b: now || "…" });
  return hold_released ? `${said} ${t("told.hold_released")}` : said;
}

// How a certificate stands, and what to do with it.
export function certificateOf(said, { currency, exponent }) {
  const left = money(said.balance_minor, currency, exponent), may = money(said.may_pay_minor, currency, exponent);
  if (["activate", "top_up"].includes(said.action)) return t("told.certificate_pays_later", { m: left });
  if (said.state !== "active") return t(`told.certificate_${said.state}`);
  if (said.may_pay_minor === said.balance_minor) return t("told.certificate_pays", { m: left });
  return said.may_pay_minor ? t("told.certificate_pays_part", { m: left, p: may }) : t("told.certificate_pays_not", { m: left });
}

// A figure of the close that differs, by how much, and what to look at.
export function differenceOf({ figure, till, pos, difference, receipts }, { currency, exponent }) {
  const isMoney = figure.endsWith("_minor") || figure.startsWith(TENDER);
  const shown = (amount) => (isMoney ? money(amount, currency, exponent) : count(amount));
  const name = figure.startsWith(TENDER) ? figure.slice(TENDER.length) : t(FIGURES[figure]);
  const sums = `${name}: ${t("field.till")} ${shown(till)}, ${t("field.pos")} ${shown(pos)} (${difference < 0 ? "−" : "+"}${shown(Math.abs(difference))}).`;
  return `${sums} ${receipts.length ? t("told.lookAt", { r: receipts.slice(0, 3).map((one) => one.receipt_id).join(", ") }) : t("told.compare")}`;
}
