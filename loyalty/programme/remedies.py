"""What to do about each kind of mistake the reader of a programme can name; YAML's own traps first."""

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

import msgspec

MOST_LISTED = 15  # words that a sentence still holds


class Mistake(msgspec.Struct, frozen=True, kw_only=True):
    """What the reader of a programme did not take, and where.

    Attributes:
        what: as the reader put it, such as "Expected `int`, got `str`".
        name: the key it belongs to.
        value: what stands there.
        written: a single value as it stands in the file, before YAML made something of it; empty for a list or a part.
        words: what may stand there instead: keys for an unknown key, choices for a value, none where any text may.
    """

    what: str
    name: str
    value: Any
    written: str = ""
    words: tuple[str, ...] = ()


def remedy_for(mistake: Mistake) -> tuple[str, str]:
    """The rule that a mistake breaks, and a sentence with its remedy."""
    for pattern, rule, remedy in _REMEDIES:
        if match := re.search(pattern, mistake.what):
            return rule, remedy(mistake, match)
    return "malformed", f"{mistake.name}: {mistake.what}."


Remedy = Callable[[Mistake, re.Match[str]], str]


def _unknown_word(mistake: Mistake, match: re.Match[str]) -> str:
    few = len(mistake.words) <= MOST_LISTED
    otherwise = f"here may stand {', '.join(mistake.words)}" if few else "take it out"
    return f"Nothing is called {match[1]} here; {_near(match[1], mistake.words, otherwise)}."


def _unknown_value(mistake: Mistake, match: re.Match[str]) -> str:
    return _choose(match[1], mistake)


def _missing(mistake: Mistake, match: re.Match[str]) -> str:
    instead = f", one of {', '.join(mistake.words)}" if mistake.words else ""
    return f"{match[1]} is missing here; add it{instead}."


def _text_wanted(mistake: Mistake, match: re.Match[str]) -> str:
    name, value, written = mistake.name, mistake.value, mistake.written
    if mistake.words:
        return _choose(written or name, mistake)
    if value is None:
        return f"{name} is empty; write a text in quotes."
    if not written:
        return f"{name} is a text; write one in quotes."
    if isinstance(value, bool):
        return f'Put quotes round it: "{written}". YAML reads {written} as true or false.'
    if ":" in written and isinstance(value, int | float):
        return f'Put quotes round the time: "{written}". YAML reads {written} as the number {value}.'
    return f'Put quotes round it: "{written}".'


def _key_wanted(mistake: Mistake, match: re.Match[str]) -> str:
    return "A key must be a word; YAML reads on, off, yes and no as true or false, and digits as numbers."


def _number_wanted(mistake: Mistake, match: re.Match[str]) -> str:
    name, value, written = mistake.name, mistake.value, mistake.written
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]+", value):
        return f"{name} is a number; write {int(value)} without quotes."
    if isinstance(value, bool):
        return f"{name} is a number; YAML reads {written} as true or false."
    if value is None:
        return f"{name} is empty; write a whole number, or take it out."
    return f"{name} is a whole number (minor units, points, basis points or thousandths); write it without a point."


def _yes_or_no(mistake: Mistake, match: re.Match[str]) -> str:
    return f"{mistake.name} is true or false; write one of the two without quotes."


def _instant_wanted(mistake: Mistake, match: re.Match[str]) -> str:
    return (
        f"{mistake.name} is an instant: a day and a time with the offset from UTC;"
        ' write it in quotes, such as "2026-03-31T08:00:00+02:00".'
    )


def _day_wanted(mistake: Mistake, match: re.Match[str]) -> str:
    return f'{mistake.name} is a day that exists, without a time; write it in quotes, such as "2026-03-31".'


def _list_wanted(mistake: Mistake, match: re.Match[str]) -> str:
    name, value = mistake.name, mistake.value
    if name == "hours":
        return 'Each range has two times; write them as [["09:00", "12:00"]].'
    if name == "category":
        return "Each category is a path from the root, a list of its own; write [[Grocery, Dairy]]."
    if isinstance(value, str | int) and not isinstance(value, bool):
        return f"{name} is a list; write it in brackets: [{mistake.written}]."
    return f"{name} is a list; write it in brackets or as lines that begin with a dash."


def _object_wanted(mistake: Mistake, match: re.Match[str]) -> str:
    return f"{mistake.name} has parts; write each as `name: value` on a line of its own, further in."


def _bounds(mistake: Mistake, match: re.Match[str]) -> str:
    most = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}[match[1]]
    return f"{mistake.name} is {mistake.value}; write {most} {match[2]}."


def _nothing(mistake: Mistake, match: re.Match[str]) -> str:
    return f"{mistake.name or 'A key'} is empty; write something, or take it out."


def _too_many(mistake: Mistake, match: re.Match[str]) -> str:
    return f"{mistake.name} has {len(mistake.value)} entries; at most {match[1]} may stand here, so split it."


def _form(mistake: Mistake, match: re.Match[str]) -> str:
    if mistake.name in ("hours", "expiry_at"):
        return f'{mistake.value!r} is no time of day; write "HH:MM", from "00:00" to "24:00".'
    return f"{mistake.value!r} cannot be an {mistake.name}; it needs a letter or a digit, and no colon."


_REMEDIES: tuple[tuple[str, str, Remedy], ...] = (
    (r"unknown field `(.*)`", "unknown_word", _unknown_word),
    (r"missing required field `(.*)`", "missing", _missing),
    (r"Invalid (?:enum )?value '(.*)'", "unknown_value", _unknown_value),
    (r"Expected `str`$", "wrong_type", _key_wanted),
    (r"Expected `str(?: \| null)?`, got", "wrong_type", _text_wanted),
    (r"Expected `int(?: \| null)?`, got", "wrong_type", _number_wanted),
    (r"Expected `bool", "wrong_type", _yes_or_no),
    (r"encoded datetime|Expected `datetime", "wrong_type", _instant_wanted),
    (r"encoded date|Expected `date", "wrong_type", _day_wanted),
    (r"Expected `(?:array|object)` of length >= 1", "out_of_range", _nothing),
    (r"Expected `array` of length <= (\d+)", "out_of_range", _too_many),
    (r"Expected `array", "wrong_type", _list_wanted),
    (r"Expected `object", "wrong_type", _object_wanted),
    (r"of length >= 1", "out_of_range", _nothing),
    (r"Expected `int[^`]*` (>=|<=|>|<) (-?\d+)", "out_of_range", _bounds),
    (r"matching regex", "out_of_range", _form),
)


def _choose(word: str, mistake: Mistake) -> str:
    return f"{word} is not known; {_near(word, mistake.words, 'write one of ' + ', '.join(mistake.words))}."


def _near(word: str, words: Iterable[str], otherwise: str) -> str:
    near = get_close_matches(word.lower(), words, 1, 0.6)
    return f"did you mean {near[0]}" if near else otherwise
