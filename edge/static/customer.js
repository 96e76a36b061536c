// The customer's display: draws what the till says and remembers nothing. Text is set as text, never as markup.

const WORDS = {
  "en": {
    welcome: "Good to see you", invite: "Scan your card before you pay and collect points.", basket: "Your basket",
    more: "Earlier items: {n}", hello: "Hello", thanks: "Thank you", gross: "Subtotal", discount: "You save",
    points: "Paid with points", total: "Total", saved: "You saved", paid: "Paid", unit: { one: "point", other: "points" },
    earned: "earned", earning: "on the way", balance: "Balance {n}", asOf: "as of {t}",
    spend: "You can use {n}, worth {m}", offline: "Offline. Your points are safe.", training: "Training",
    card: "Card {c}", unknown: "Your card is new here. Your points are kept for you.", wait: "One moment, please",
    stored: "Certificates and wallet", gift: "Your gift: {g}", coupon: "For your next visit: {c}",
    spendMore: "{m} more to {t}", visitMore: "Purchases to {t}: {n}", reached: "You have reached {t}",
  },
  "pt-BR": {
    welcome: "Que bom ver você", invite: "Passe seu cartão antes de pagar e junte pontos.", basket: "Suas compras",
    more: "Itens anteriores: {n}", hello: "Olá", thanks: "Obrigado", gross: "Subtotal", discount: "Você economiza",
    points: "Pago com pontos", total: "Total", saved: "Você economizou", paid: "Pago",
    unit: { one: "ponto", other: "pontos" }, earned: "ganhos", earning: "a caminho", balance: "Saldo {n}",
    asOf: "em {t}", spend: "Você pode usar {n}, que valem {m}", offline: "Sem conexão. Seus pontos estão seguros.",
    training: "Treinamento", card: "Cartão {c}", unknown: "Seu cartão é novo aqui. Seus pontos ficam guardados.",
    wait: "Um momento, por favor",
    stored: "Certificados e carteira", gift: "Seu presente: {g}", coupon: "Para a próxima visita: {c}",
    spendMore: "Faltam {m} para {t}", visitMore: "Compras até {t}: {n}", reached: "Você alcançou {t}",
  },
  "ru": {
    welcome: "Рады вас видеть", invite: "Приложите карту до оплаты и копите баллы.", basket: "Ваши покупки",
    more: "Ещё позиций выше: {n}", hello: "Здравствуйте", thanks: "Спасибо", gross: "Сумма", discount: "Ваша скидка",
    points: "Оплачено баллами", total: "Итого", saved: "Вы сэкономили", paid: "Оплачено",
    unit: { one: "балл", few: "балла", many: "баллов", other: "балла" }, earned: "начислено", earning: "будет начислено",
    balance: "На счёте {n}", asOf: "по данным на {t}", spend: "Можно списать {n}, это {m}",
    offline: "Нет связи. Ваши баллы сохранены.", training: "Обучение", card: "Карта {c}",
    unknown: "Карта здесь впервые. Баллы сохраним за вами.", wait: "Минуту, пожалуйста",
    stored: "Сертификаты и кошелёк", gift: "Ваш подарок: {g}", coupon: "На следующую покупку: {c}",
    spendMore: "До уровня {t} осталось {m}", visitMore: "Покупок до уровня {t}: {n}", reached: "Уровень {t} достигнут",
  },
  "pl": {
    welcome: "Miło Cię widzieć", invite: "Zeskanuj kartę przed zapłatą i zbieraj punkty.", basket: "Twoje zakupy",
    more: "Wcześniejsze pozycje: {n}", hello: "Dzień dobry", thanks: "Dziękujemy", gross: "Suma", discount: "Oszczędzasz",
    points: "Zapłacono punktami", total: "Razem", saved: "Oszczędność", paid: "Zapłacono",
    unit: { one: "punkt", few: "punkty", many: "punktów", other: "punktu" }, earned: "naliczono", earning: "do naliczenia",
    balance: "Saldo {n}", asOf: "stan na {t}", spend: "Możesz użyć {n}, to {m}",
    offline: "Bez łączności. Twoje punkty są bezpieczne.", training: "Szkolenie", card: "Karta {c}",
    unknown: "Nowa karta w tym sklepie. Punkty na Ciebie poczekają.", wait: "Chwileczkę",
    stored: "Bony i portfel", gift: "Twój prezent: {g}", coupon: "Na następne zakupy: {c}",
    spendMore: "Do poziomu {t} brakuje {m}", visitMore: "Zakupów do poziomu {t}: {n}", reached: "Osiągnięto poziom {t}",
  },
};

const THANKS_MS = 15000;     // a finished sale stays this long
const FORGOTTEN_MS = 180000; // an open basket that nobody touches
const SILENT_MS = 12000;     // heartbeats come every 3 s
const BLANK_MS = 30000;
const POLL_MS = 2000;
const AGAIN_MS = 10000;      // from polling back to the stream

const $ = (id) => document.getElementById(id);
let words, lang, plural, drawnNames = 0, restTimer, spokenTimer, lastHeard = Date.now();

function speak(language) {
  lang = WORDS[language] ? language : "en";
  words = WORDS[lang];
  plural = new Intl.PluralRules(lang);
  document.documentElement.lang = lang;
  $("welcome").textContent = words.welcome;
  $("invite").textContent = words.invite;
  $("basket-title").textContent = words.basket;
}

const fill = (text, figures) => text.replace(/\{(\w)\}/g, (_, name) => figures[name]);
const count = (n) => new Intl.NumberFormat(lang).format(n);
const points = (n) => `${count(n)}\u00a0${words.unit[plural.select(Math.abs(n))] ?? words.unit.other}`;

function money(minor, screen) {
  const digits = { minimumFractionDigits: screen.exponent, maximumFractionDigits: screen.exponent };
  return new Intl.NumberFormat(lang, { style: "currency", currency: screen.currency, ...digits })
    .format(minor / 10 ** screen.exponent);
}

// Instants come in store time; the clock and zone of this machine are not asked.
function moment(text, now) {
  const at = new Date(`${text.slice(0, 19)}Z`), today = text.slice(0, 10) === now.slice(0, 10);
  const parts = today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" };
  return new Intl.DateTimeFormat(lang, { ...parts, timeZone: "UTC" }).format(at);
}

function show(id, text) {
  $(id).hidden = !text;
  $(id).textContent = text || "";
}

function row(id, label, value) {
  const [dt, dd] = $(id).children;
  $(id).hidden = !value;
  dt.textContent = label;
  dd.textContent = value || "";
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

function lineOf(line, screen, isNew) {
  const item = element("li", isNew ? "new" : "");
  const name = element("span", "name", line.name);
  if (line.quantity !== "1") name.append(element("span", "quantity", `  × ${number(line.quantity)}`));
  item.append(name, element("span", "net", money(line.amount_minor - line.discount_minor, screen)));
  if (line.discount_minor) {
    const saved = element("span", "saved", `${words.discount} ${money(line.discount_minor, screen)}`);
    saved.append(element("s", "", money(line.amount_minor, screen)));
    item.append(saved);
  }
  return item;
}

const number = (text) => new Intl.NumberFormat(lang, { maximumFractionDigits: 3 }).format(Number(text));

function drawLines(screen) {
  const list = $("lines"), known = drawnNames;
  list.replaceChildren(...screen.lines.map((line, i) => lineOf(line, screen, screen.hidden_lines + i >= known)));
  drawnNames = screen.hidden_lines + screen.lines.length;
  // What does not fit goes from the top: the last line rung up is the one that is looked at.
  let gone = screen.hidden_lines;
  const overflows = () => list.lastElementChild.offsetTop + list.lastElementChild.offsetHeight > list.clientHeight;
  while (list.children.length > 1 && overflows()) {
    list.firstElementChild.remove();
    gone += 1;
    show("more", fill(words.more, { n: count(gone) }));
  }
  show("more", gone ? fill(words.more, { n: count(gone) }) : "");
}

function drawFigures(screen) {
  const done = screen.phase === "done", totals = screen.totals;
  row("row-total", done ? words.paid : words.total, totals ? money(totals.to_pay_minor, screen) : "");
  row("row-gross", words.gross, totals && totals.gross_minor !== totals.to_pay_minor ? money(totals.gross_minor, screen) : "");
  row("row-discount", done ? words.saved : words.discount, totals?.discount_minor ? money(totals.discount_minor, screen) : "");
  row("row-points", words.points, totals?.paid_with_points_minor ? money(totals.paid_with_points_minor, screen) : "");
  const stored = totals ? totals.net_minor - totals.to_pay_minor : 0;
  row("row-stored", words.stored, stored ? money(stored, screen) : "");
  $("thanks").textContent = done ? words.thanks : words.hello;
  $("points").hidden = !screen.has_card;
  const earned = totals ? totals.points_earned : 0;
  $("earned").textContent = `+${count(earned)}`;
  $("earned").parentElement.hidden = !earned;
  $("earned-word").textContent = `${points(earned).replace(count(earned), "").trim()} ${done ? words.earned : words.earning}`;
  const known = screen.balance_points !== null;
  show("balance", known ? fill(words.balance, { n: points(screen.balance_points) }) : words.unknown);
  show("as-of", known && screen.as_of ? fill(words.asOf, { t: moment(screen.as_of, screen.now) }) : "");
  const may = screen.may_spend_points;
  show("spend", may ? fill(words.spend, { n: points(may), m: money(screen.may_spend_minor, screen) }) : "");
  $("news").replaceChildren(...newsOf(screen).map((text) => element("li", "", text)));
  $("messages").replaceChildren(...screen.messages.map((text) => element("li", "", text)));
  // What does not fit goes from the end, one of each kept as long as there is room: the first ones matter most.
  const panel = $("messages").parentElement;
  const overflows = () => panel.scrollHeight > panel.clientHeight + 1;
  for (const least of [1, 0]) {
    for (const list of [$("messages"), $("news")]) {
      while (list.children.length > least && overflows()) list.lastElementChild.remove();
    }
  }
}

// What comes with the basket, and what it brings nearer.
function newsOf(screen) {
  const gifts = screen.gifts.map((one) => fill(words.gift, { g: one.units > 1 ? `${count(one.units)} × ${one.name}` : one.name }));
  const coupons = screen.coupons.map((name) => fill(words.coupon, { c: name }));
  const tier = screen.next_tier;
  if (!tier) return [...gifts, ...coupons];
  const text = !tier.short_of ? words.reached : tier.measure === "spend" ? words.spendMore : words.visitMore;
  return [...gifts, ...coupons, fill(text, { t: tier.name, n: count(tier.short_of), m: money(tier.short_of, screen) })];
}

function draw(screen) {
  if (screen.language !== lang && !fixed) speak(screen.language);
  document.body.dataset.phase = screen.phase;
  show("offline", screen.offline ? words.offline : "");
  show("training", screen.training ? words.training : "");
  show("card", screen.member ? fill(words.card, { c: screen.member }) : "");
  if (screen.phase === "idle") { drawnNames = 0; $("lines").replaceChildren(); }
  drawFigures(screen);
  if (screen.phase === "sale") drawLines(screen);
  clearTimeout(restTimer);
  if (screen.phase !== "idle") {
    const stays = screen.phase === "done" ? THANKS_MS : FORGOTTEN_MS;
    restTimer = setTimeout(() => draw(idleOf(screen)), Math.max(0, stays - screen.age_ms));
  }
  say(screen);
  window.drawn = screen.no; // for whoever watches the display from outside
}

const idleOf = (screen) => ({ ...screen, phase: "idle", lines: [], hidden_lines: 0, totals: null, has_card: false, member: "",
  balance_points: null, as_of: null, may_spend_points: 0, gifts: [], coupons: [], next_tier: null, messages: [], age_ms: 0 });

function say(screen) {
  clearTimeout(spokenTimer);
  const last = screen.lines.at(-1), parts = [];
  if (screen.phase === "sale" && last) parts.push(`${last.name}, ${money(last.amount_minor - last.discount_minor, screen)}`);
  if (screen.totals) parts.push(`${words.total} ${money(screen.totals.to_pay_minor, screen)}`);
  if (screen.phase === "done") parts.push(words.thanks, points(screen.totals?.points_earned ?? 0));
  if (screen.phase === "member" && screen.balance_points !== null) parts.push($("balance").textContent);
  parts.push(...newsOf(screen), ...screen.messages);
  spokenTimer = setTimeout(() => { $("spoken").textContent = parts.join(". "); }, 700);
}

function heard(event) {
  lastHeard = Date.now();
  document.body.classList.remove("waiting");
  if (event?.data) draw(JSON.parse(event.data));
}

function listen() {
  const stream = new EventSource("/events");
  stream.addEventListener("screen", heard);
  stream.addEventListener("beat", () => heard());
  stream.addEventListener("error", () => {
    if (stream.readyState !== EventSource.CLOSED) return; // it comes back by itself
    pollUntil(Date.now() + AGAIN_MS);
  });
}

async function pollUntil(end) {
  while (Date.now() < end) {
    try {
      const answer = await fetch("/v1/screen");
      if (answer.ok) heard({ data: await answer.text() });
    } catch {
      // the till is starting again; the watch below says so
    }
    await new Promise((done) => setTimeout(done, POLL_MS));
  }
  listen();
}

setInterval(() => {
  const silent = Date.now() - lastHeard;
  if (silent > SILENT_MS) { document.body.classList.add("waiting"); show("offline", words.wait); }
  if (silent > BLANK_MS && document.body.dataset.phase !== "idle") {
    document.body.dataset.phase = "idle";
    show("card", "");
  }
}, 1000);

const fixed = new URLSearchParams(location.search).has("lang");
speak(document.documentElement.lang);
listen();
