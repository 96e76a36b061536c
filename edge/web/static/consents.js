// Consent, asked properly: one by one, unticked, in the words of the programme; withdrawn as easily as given.

import { newId, post } from "./api.js";
import { make } from "./dom.js";
import { day, language, t } from "./tongue.js";

// Boxes to tick, one for each; all of them start empty.
export function askConsents(place, consents) {
  place.replaceChildren(...consents.map((one, i) => make("label", { class: "check", for: `consent-${i}`, lang: one.language },
    make("input", { type: "checkbox", id: `consent-${i}`, "data-purpose": one.purpose, "data-channel": one.channel, "data-version": one.version }),
    make("span", {}, one.text))));
}

// What was ticked, as the till wants it. What was not ticked was not asked for, and is not sent.
export function ticked(place) {
  return [...place.querySelectorAll("input:checked")].map((one) => ({ purpose: one.dataset.purpose, channel: one.dataset.channel, version: one.dataset.version, given: true }));
}

// Each consent with how it stands and the one button that changes it. `place` is where it is asked: kiosk or cashier;
// `stamp` says who asks, and whether it is practised; `codes` keeps what confirms those that were given here.
export function drawAgreements(list, { asked, stands, card, place, stamp, codes = new Map(), again, fail }) {
  const found = (one) => stands.find((other) => other.purpose === one.purpose && other.channel === one.channel);
  const rows = asked.map((one) => rowOf(one, found(one), { card, place, stamp, codes, again, fail }));
  list.replaceChildren(...(rows.length ? rows : [make("li", {}, make("p", {}, t("kiosk.noConsents")))]));
}

function rowOf(one, stand, { card, place, stamp, codes, again, fail }) {
  const state = stand?.state ?? "", on = state === "given" || state === "to_confirm", name = `${card}:${one.purpose}:${one.channel}`;
  const told = state === "given" ? t("kiosk.given", { d: stand.since ? day(stand.since) : "" }) : state === "to_confirm" ? t("kiosk.toConfirm") : t("kiosk.notAsked");
  const change = async () => {
    try {
      const { consent } = await post("/v1/consents", { consent_id: newId("consent"), card, purpose: one.purpose, channel: one.channel, version: one.version, given: !on, asked_on: place, language: language(), ...stamp });
      codes.set(name, consent.confirm_code);
      await again();
    } catch (problem) { fail(problem); }
  };
  // A cashier may withdraw for a customer, never agree for one.
  const button = on || place !== "cashier" ? make("button", { type: "button", class: on ? "button" : "button main", onclick: change }, t(on ? "kiosk.withdraw" : "kiosk.agree")) : null;
  const code = state === "to_confirm" && codes.get(name);
  const row = make("li", {}, make("div", {}, make("p", { lang: one.language }, one.text), make("small", {}, told),
    code ? make("p", {}, `${t("kiosk.confirmCode")}: `, make("b", {}, code)) : null), button);
  if (state === "to_confirm" && place !== "cashier") row.append(confirmForm(one, { place, stamp, again, fail }));
  return row;
}

function confirmForm(one, { place, stamp, again, fail }) {
  const id = `confirm-${one.purpose}-${one.channel}`;
  const input = make("input", { id, autocomplete: "off", spellcheck: "false", maxlength: "40" });
  return make("form", { onsubmit: async (event) => {
    event.preventDefault();
    try { await post("/v1/consents/confirm", { confirm_id: newId("confirm"), code: input.value, asked_on: place, ...stamp }); await again(); } catch (problem) { fail(problem); }
  } }, make("div", { class: "field" }, make("label", { for: id }, t("kiosk.confirmCode")), input), make("button", { class: "button main" }, t("kiosk.find")));
}
