// Words, plurals, figures and moments of the language a page speaks. The words are files beside this one.

export const LANGUAGES = ["en", "pt-BR", "ru", "pl"];
const AGAIN_MS = 2000;

// Dates and times of day as receipts print them: 27 Nov 2026 07:38.
const WRITTEN = { en: "en-GB" };

let words = {}, lang = "en", plural = new Intl.PluralRules("en");
const all = {};

// Fetch every language at once, so that a page can change it while the till starts again.
export async function learn() {
  await Promise.all(LANGUAGES.map(async (one) => { all[one] = await fetched(`/static/words/${one}.json`); }));
}

async function fetched(path) {
  for (;;) {
    try {
      const answer = await fetch(path);
      if (answer.ok) return await answer.json();
    } catch {
      // the till is starting: its words will be there when it is
    }
    await new Promise((done) => setTimeout(done, AGAIN_MS));
  }
}

export function use(language) {
  lang = all[language] ? language : "en";
  words = all[lang];
  plural = new Intl.PluralRules(lang);
  document.documentElement.lang = lang;
  for (const place of document.querySelectorAll("[data-w]")) place.textContent = t(place.dataset.w);
  for (const place of document.querySelectorAll("[data-w-label]")) place.setAttribute("aria-label", t(place.dataset.wLabel));
}

export const language = () => lang;

// The words under a dotted name; {braces} are filled, and a word with plural forms looks at `n`.
export function t(name, figures = {}) {
  let found = words;
  for (const part of name.split(".")) found = found?.[part];
  if (found === undefined) throw new Error(`no words for ${name}`);
  if (typeof found === "object") found = found[plural.select(Math.abs(figures.n ?? 0))] ?? found.other;
  return found.replace(/\{(\w+)\}/g, (_, key) => (typeof figures[key] === "number" ? count(figures[key]) : figures[key]));
}

// Whether there are words under a name: codes of the till are looked up this way.
export function has(name) {
  let found = words;
  for (const part of name.split(".")) found = found?.[part];
  return found !== undefined;
}

export const count = (n) => new Intl.NumberFormat(lang).format(n);
export const points = (n) => t("common.points", { n });
export const number = (text) => new Intl.NumberFormat(lang, { maximumFractionDigits: 3 }).format(Number(text));

// A figure as a field shows it, with the decimal sign of the language.
export const typed = (text) => text.replace(".", new Intl.NumberFormat(lang).formatToParts(0.5).find((one) => one.type === "decimal").value);

export function money(minor, currency, exponent = 2) {
  if (!currency) return "";
  const digits = { minimumFractionDigits: exponent, maximumFractionDigits: exponent };
  return new Intl.NumberFormat(lang, { style: "currency", currency, ...digits }).format(minor / 10 ** exponent);
}

// Instants come in store time; the clock and zone of this machine are not asked.
export function moment(text, now) {
  const at = new Date(`${text.slice(0, 19)}Z`), today = text.slice(0, 10) === (now || "").slice(0, 10);
  const parts = today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" };
  return new Intl.DateTimeFormat(WRITTEN[lang] ?? lang, { ...parts, timeZone: "UTC" }).format(at);
}

export function day(text) {
  return new Intl.DateTimeFormat(WRITTEN[lang] ?? lang, { dateStyle: "long", timeZone: "UTC" }).format(new Date(`${text.slice(0, 10)}T00:00:00Z`));
}
