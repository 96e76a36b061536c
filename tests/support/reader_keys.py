"""Keys as a reader that types presses them, in a page of ours: each with the time that the test gives it."""

from collections.abc import Iterable

from playwright.sync_api import Page

# One call for all of them: however busy the machine, no timer of the page runs between two keys, and their own times
# are the only ones that the page sees.
_PRESS = """([keys, from, gap]) => {
  const first = from ?? performance.now();
  keys.forEach((press, i) => {
    const event = new KeyboardEvent("keydown", { ...press, bubbles: true, cancelable: true });
    Object.defineProperty(event, "timeStamp", { value: first + i * gap });
    const at = document.activeElement ?? document.body, sign = press.key;
    if (at.dispatchEvent(event) && sign.length === 1 && "setRangeText" in at) {
      at.dispatchEvent(new InputEvent("beforeinput", { inputType: "insertText", data: sign, bubbles: true }));
      at.setRangeText(sign, at.selectionStart, at.selectionEnd, "end");
      at.dispatchEvent(new Event("input", { bubbles: true }));
    } else if (!event.defaultPrevented && sign === "Enter" && at.form) at.form.requestSubmit();
  });
  return first + (keys.length - 1) * gap;
}"""


def burst(page: Page, text: str, end: str = "Enter", gap_ms: float = 2, at_ms: float | None = None) -> float:
    """Press a text and its suffix; what the page lets through is typed into the focused field, Enter sends its form.

    Args:
        text: a line feed in it is the Enter key, the group separator is Ctrl+].
        end: the key after it; empty for none.
        gap_ms: from key to key.
        at_ms: when the first key is pressed, in the page's time; now, unless said.
    Returns:
        When the last key was pressed.
    """
    named = {"\n": {"key": "Enter"}, "\x1d": {"key": "]", "ctrlKey": True}}
    keys = [named.get(sign, {"key": sign}) for sign in text] + ([{"key": end}] if end else [])
    return press(page, keys, gap_ms, at_ms)


def press(page: Page, keys: Iterable[dict[str, object]], gap_ms: float = 2, at_ms: float | None = None) -> float:
    """The same for keys told as a `KeyboardEvent` takes them."""
    last: float = page.evaluate(_PRESS, [list(keys), at_ms, gap_ms])
    return last
