// Nobody touches the page: it asks, in writing, by voice and by sound, before it starts over; and gives more time.

import { chime, say } from "./comfort.js";
import { $ } from "./dom.js";
import { t } from "./tongue.js";

const QUIET_MS = 60000; // until it asks
const ANSWER_S = 30;    // to answer in; EN 301 549 and WCAG 2.2.1 want at least 20

// isWatching(): whether there is anything to be forgotten; startOver() forgets it.
export function keepPatience({ isWatching, startOver }) {
  let asking, quiet, left = 0;
  const dialog = $("rest-dialog");

  function touched() {
    clearTimeout(quiet);
    if (!dialog.open) quiet = setTimeout(begin, QUIET_MS);
  }

  function begin() {
    if (!isWatching()) return touched();
    left = ANSWER_S;
    draw();
    dialog.showModal();
    $("rest-more").focus();
    chime();
    say(`${t("kiosk.stillThere")} ${t("kiosk.resting", { n: left })}`, { now: true });
    asking = setInterval(count, 1000);
  }

  function count() {
    left -= 1;
    draw();
    if (left === 10) { chime(); say(t("kiosk.resting", { n: left }), { now: true }); }
    if (left <= 0) over();
  }

  function draw() {
    $("rest-text").textContent = t("kiosk.resting", { n: left });
    $("rest-bar").value = left;
  }

  function end() {
    clearInterval(asking);
    if (dialog.open) dialog.close();
    say("", { now: true });
    touched();
  }

  function over() {
    end();
    startOver();
    say(t("kiosk.restarted"));
  }

  $("rest-more").addEventListener("click", end);
  $("rest-over").addEventListener("click", over);
  dialog.addEventListener("cancel", (event) => { event.preventDefault(); end(); });
  for (const kind of ["pointerdown", "keydown", "input"]) document.addEventListener(kind, touched, { passive: true });
  touched();
  return { touched: () => { if (dialog.open) end(); else touched(); } };
}
