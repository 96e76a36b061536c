// Larger letters, stronger colours, reading aloud: buttons that every page has, and what is said to whoever cannot see it.

import { $ } from "./dom.js";
import { language } from "./tongue.js";

const PAUSE_MS = 700; // states that follow one another quickly are said once
const root = document.documentElement;
let aloud = false, later;

// Call once; `afterwards` redraws what was measured.
export function offerComfort(afterwards = () => {}) {
  toggle("big-text", () => root.dataset.text === "big", (on) => set("text", on ? "big" : null), afterwards);
  toggle("contrast", () => root.dataset.contrast === "more", (on) => set("contrast", on ? "more" : null), afterwards);
  const button = $("aloud");
  if (!button) return;
  const voices = () => globalThis.speechSynthesis?.getVoices().some((voice) => voice.localService);
  const look = () => { button.hidden = !voices(); };
  globalThis.speechSynthesis?.addEventListener?.("voiceschanged", look);
  look();
  toggle("aloud", () => aloud, readAloud, () => {});
}

function readAloud(on) {
  if (aloud && !on) speechSynthesis.cancel();
  aloud = on;
}

function set(name, value) {
  if (value) root.dataset[name] = value;
  else delete root.dataset[name];
}

function toggle(id, isOn, turn, afterwards) {
  const button = $(id);
  const look = () => button.setAttribute("aria-pressed", String(isOn()));
  button.addEventListener("click", () => { turn(!isOn()); look(); afterwards(); });
  look();
}

// The next person finds the page as it was set up.
export function forgetComfort() {
  set("text", root.dataset.textFirst);
  set("contrast", root.dataset.contrastFirst);
  readAloud(false);
  const pressed = { "big-text": root.dataset.text === "big", contrast: root.dataset.contrast === "more", aloud };
  for (const [id, on] of Object.entries(pressed)) $(id).setAttribute("aria-pressed", String(on));
}

// Say it in the live region, and aloud where that was asked for. `now` interrupts.
export function say(text, { now = false } = {}) {
  clearTimeout(later);
  const speak = () => {
    $(now ? "urgent" : "spoken").textContent = text;
    if (!aloud || !text) return;
    speechSynthesis.cancel();
    const words = new SpeechSynthesisUtterance(text);
    words.lang = language();
    words.voice = speechSynthesis.getVoices().find((voice) => voice.localService && voice.lang.startsWith(language().slice(0, 2))) ?? null;
    speechSynthesis.speak(words);
  };
  if (now) speak();
  else later = setTimeout(speak, PAUSE_MS);
}

// Two soft tones: a time-out is heard as well as seen. A page that was never touched may not sound, and need not.
export function chime() {
  if (!navigator.userActivation?.hasBeenActive || !globalThis.AudioContext) return;
  const context = new AudioContext(), volume = context.createGain();
  volume.gain.value = 0.08;
  volume.connect(context.destination);
  [660, 880].forEach((pitch, i) => {
    const tone = context.createOscillator();
    tone.frequency.value = pitch;
    tone.connect(volume);
    tone.start(context.currentTime + i * 0.22);
    tone.stop(context.currentTime + i * 0.22 + 0.16);
  });
  setTimeout(() => context.close(), 900);
}
