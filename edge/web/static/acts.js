// All acts of the cashier in the order of their buttons, each with its key.

import { CARD_ACTS } from "./acts_cards.js";
import { DAY_ACTS } from "./acts_day.js";
import { SALE_ACTS } from "./acts_sale.js";

const ORDER = ["card", "balance", "spend", "enrol", "claim", "replace", "consent", "certificate", "void", "return", "exchange", "copy", "park", "resume", "training", "close"];
const all = Object.fromEntries([...CARD_ACTS, ...SALE_ACTS, ...DAY_ACTS].map((act) => [act.name, act]));

// {name, key, sends(step, desk): words on its button where they are no `do.<name>`, draw(desk, values, step, again): parts, send(desk, values, step, {id, call, isResent}): "next" or {say, slip, undo}}
export const ACTS = ORDER.map((name) => all[name]);
