// A scanner or stripe reader that types: the keyboard wedge.
//
// A reader types a whole code within a few milliseconds a key and ends it with Enter or Tab; nobody types like that.
// The rule:
//   - keys that follow each other within GAP_MS are a burst. From its second key on a burst is kept out of the page,
//     so that no digit of a payment card ever stands in a field; its first key, which looked like a person's, is taken
//     back out.
//   - a burst of at least LEAST keys that ends with Enter or Tab is one scan, and so is one of at least SURE keys that
//     ends in silence (a reader without a suffix). The Enter neither presses a button nor sends a form.
//   - tracks of a stripe (%…? ;…? +…?) within JOIN_MS are one scan, for some readers end every track with Enter.
//   - anything else was a person: what was held back is typed into the field it was meant for.
//   - a scan with Cyrillic in it was typed by a reader that presses a US keyboard's keys while the machine stands on another
//     layout (`ъУ0` for `]E0`): it is read by its keys. No code that is scanned here has such letters.
// A scan is handed to `take`; without one it is posted to the till, which alone says what it is. Nothing is kept of it.

import { usSign } from "./us_keys.js";

const GAP_MS = 35;   // slow readers send a key every 20 to 30 ms, quick fingers one every 60
const SLACK = 3;
const LEAST = 6;
const SURE = 12;
const JOIN_MS = 500;
const MOST = 2048;   // as much as the till takes
const WAITING = 4;   // scans that wait for the till's answer; more are dropped
const ENDS = ["Enter", "Tab"];
const TRACK = /^[%;+!].*\?.?$/s;
const CYRILLIC = /\p{Script=Cyrillic}/u;
const CONTROLS = { "]": "\x1d" };   // FNC1, which readers type as Ctrl+]

// Posts a scan and tells the page with the event "tallypoint:scanned": {ok, said}, `said` being the till's answer.
export async function identify(text) {
  let detail = { ok: false, said: { code: "page.no_answer" } };
  try {
    const answer = await fetch("/v1/cards/identify", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ card: text }),
    });
    detail = { ok: answer.ok, said: await answer.json() };
  } catch {
    // The till does not answer: the page says so, and the next scan tries again.
  }
  document.dispatchEvent(new CustomEvent("tallypoint:scanned", { detail }));
}

// Begins to listen; the function that is returned ends it.
export function listen({ take = identify, target = document, gapMs = GAP_MS, least = LEAST, sure = SURE } = {}) {
  let burst = "", pressed = "", last = -Infinity, quiet = -Infinity, field = null, before = null, timer;
  const queue = [];
  let busy = false, tracks = "", swipe;

  async function hand(text) {
    if (queue.length >= WAITING) return;
    queue.push(text);
    if (busy) return;
    busy = true;
    while (queue.length) await Promise.resolve(take(queue.shift())).catch(() => undefined);
    busy = false;
  }

  // One swipe is one scan.
  function arrive(text) {
    if (!TRACK.test(text)) { hand(text); return; }
    tracks += text;
    clearTimeout(swipe);
    swipe = setTimeout(() => { const whole = tracks; tracks = ""; hand(whole); }, JOIN_MS);
  }

  function forget() {
    clearTimeout(timer);
    burst = ""; pressed = ""; last = -Infinity; field = null; before = null;
  }

  // The field as it was before the first key, which had gone through like a person's.
  function takeBack() {
    if (!field || before === null || field.value === before.value) return;
    field.value = before.value;
    if (before.at !== null) field.setSelectionRange(before.at, before.at);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  function scan() {
    const text = CYRILLIC.test(burst) ? pressed : burst;
    takeBack();
    forget();
    arrive(text);
  }

  // It was a person: give back what was kept out, all but the first key, which went through.
  function giveBack() {
    const into = field, room = into?.maxLength >= 0 ? into.maxLength - into.value.length : MOST;
    const held = burst.slice(1, 1 + room);
    forget();
    if (!held || !into?.isConnected) return;
    if (into.selectionStart === null) into.value += held;   // number and e-mail fields have no caret to ask for
    else into.setRangeText(held, into.selectionStart, into.selectionEnd, "end");
    into.dispatchEvent(new Event("input", { bubbles: true }));
  }

  function silence() {
    if (burst.length >= sure) { quiet = last; scan(); }
    else giveBack();
  }

  function begin(sign, us, at) {
    const focused = target.activeElement;
    burst = sign; pressed = us; last = at;
    field = focused && "value" in focused && !focused.readOnly && !focused.disabled ? focused : null;
    before = field ? { value: field.value, at: field.selectionStart ?? null } : null;
    timer = setTimeout(silence, gapMs * SLACK * 2);
  }

  function key(event) {
    if (event.isComposing || ["Shift", "Control", "CapsLock", "NumLock"].includes(event.key)) return;
    if (ENDS.includes(event.key) && event.timeStamp - quiet <= JOIN_MS) {
      // The suffix after all, of a reader or a browser that was slow with it.
      quiet = -Infinity;
      event.preventDefault();
      event.stopImmediatePropagation();
      return;
    }
    // What has run on for LEAST keys is a reader, and a till that is busy may stamp its next key late.
    const soon = burst && event.timeStamp - last <= (burst.length >= least ? gapMs * SLACK : gapMs);
    const us = usSign(event), control = event.ctrlKey && !event.altKey ? CONTROLS[us] : undefined;
    const sign = control ?? (event.key.length === 1 && !event.ctrlKey && !event.altKey && !event.metaKey ? event.key : "");
    if (soon && ENDS.includes(event.key) && burst.length >= least) {
      event.preventDefault();
      event.stopImmediatePropagation();
      scan();
      return;
    }
    if (soon && sign) {
      event.preventDefault();
      event.stopImmediatePropagation();
      burst = (burst + sign).slice(0, MOST + 1);
      pressed = (pressed + (control ?? us)).slice(0, MOST + 1);
      last = event.timeStamp;
      clearTimeout(timer);
      timer = setTimeout(silence, gapMs * SLACK * 2);
      return;
    }
    // A key that is late, or of another kind, ends what came before it as silence does.
    if (burst) { clearTimeout(timer); silence(); }
    if (sign && !control) begin(sign, us, event.timeStamp);
  }

  target.addEventListener("keydown", key, { capture: true });
  return () => { target.removeEventListener("keydown", key, { capture: true }); clearTimeout(swipe); tracks = ""; forget(); };
}
