// What a key stands for on a US keyboard, whatever layout the machine is set to: readers that type press those keys.

const PLAIN = {
  Minus: "-", Equal: "=", BracketLeft: "[", BracketRight: "]", Backslash: "\\", Semicolon: ";", Quote: "'", Backquote: "`",
  Comma: ",", Period: ".", Slash: "/", Space: " ",
};
const SHIFTED = {
  Minus: "_", Equal: "+", BracketLeft: "{", BracketRight: "}", Backslash: "|", Semicolon: ":", Quote: '"', Backquote: "~",
  Comma: "<", Period: ">", Slash: "?", Space: " ",
};
const ABOVE_DIGITS = ")!@#$%^&*(";

// The sign of a keydown event; the event's own where the key has no place there (number pad, keys without a code).
export function usSign(event) {
  const { code, shiftKey: shift } = event;
  if (/^Key[A-Z]$/.test(code)) return shift !== event.getModifierState("CapsLock") ? code[3] : code[3].toLowerCase();
  if (/^Digit[0-9]$/.test(code)) return shift ? ABOVE_DIGITS[code[5]] : code[5];
  return (shift ? SHIFTED : PLAIN)[code] ?? event.key;
}
