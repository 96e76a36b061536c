// What customer display, self-checkout and cashier panel draw alike of a state of the sale.

import { make } from "./dom.js";
import { count, day, money, moment, number, points, t } from "./tongue.js";

export const cash = (minor, screen) => money(minor, screen.currency, screen.exponent);

// Whether a basket is another one than the state before had, by the id that the POS gave each; "" is no id.
export function isOther(next, before) {
  const [was, is] = [before, next].map((one) => (one?.phase === "sale" && one.beside?.quote_id) || "");
  return was !== "" && is !== "" && was !== is;
}

// The word for so many points, without their number.
export const pointWord = (n) => t("common.pointWord", { n });

export function lineOf(line, screen, isNew) {
  const item = make("li", { class: isNew ? "new" : null });
  const name = make("span", { class: "name" }, line.name);
  if (line.quantity !== "1") name.append(make("span", { class: "quantity" }, `  × ${number(line.quantity)}`));
  item.append(name, make("span", { class: "net" }, cash(line.amount_minor - line.discount_minor, screen)));
  if (line.discount_minor) {
    const saved = make("span", { class: "saved" }, `${t("customer.discount")} ${cash(line.discount_minor, screen)}`);
    saved.append(make("s", {}, cash(line.amount_minor, screen)));
    item.append(saved);
  }
  return item;
}

// Lines into a list that does not scroll: what does not fit goes from the top, the last one is the one looked at.
export function fillLines(list, screen, known, tellMore) {
  list.replaceChildren(...screen.lines.map((line, i) => lineOf(line, screen, screen.hidden_lines + i >= known)));
  let gone = screen.hidden_lines;
  const overflows = () => list.lastElementChild.offsetTop + list.lastElementChild.offsetHeight > list.clientHeight;
  while (list.children.length > 1 && overflows()) {
    list.firstElementChild.remove();
    gone += 1;
    tellMore(t("customer.more", { n: gone }));
  }
  tellMore(gone ? t("customer.more", { n: gone }) : "");
  return screen.hidden_lines + screen.lines.length;
}

// What comes with the basket, what is the member's, and what is near.
export function newsOf(screen) {
  const gifts = screen.gifts.map((one) => t("customer.gift", { g: one.units > 1 ? `${count(one.units)} × ${one.name}` : one.name }));
  const coupons = screen.coupons.map((name) => t("customer.coupon", { c: name }));
  return [...gifts, ...coupons, ...tierOf(screen)];
}

export function offersOf(screen) {
  return screen.offers.map((one) => t(one.through ? "customer.offerUntil" : "customer.offer", { c: one.name, d: one.through ? day(one.through) : "" }));
}

export function lapsingOf(screen) {
  return screen.lapsing_on ? t("customer.lapsing", { p: points(screen.lapsing_points), d: day(screen.lapsing_on) }) : "";
}

export function tierOf(screen) {
  const tier = screen.next_tier;
  if (!tier) return [];
  const name = !tier.short_of ? "customer.reached" : tier.measure === "spend" ? "customer.spendMore" : "customer.visitMore";
  return [t(name, { t: tier.name, n: tier.short_of, m: cash(tier.short_of, screen) })];
}

export const asOf = (screen) => (screen.as_of ? t("customer.asOf", { t: moment(screen.as_of, screen.now) }) : "");

// How sure it is that points may be spent.
export const sureOf = (screen) => t(`tier.${screen.to_ask ? "asked" : screen.authority}`);
