"""What to do about each kind of mistake the reader of a programme can name; YAML's own traps first."""

import re
import typing
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import Any

import msgspec

from loyalty import programme
from loyalty.cards import CardRule

Path = tuple[str | int, ...]


def remedy_for(what: str, path: Path, value: Any, written: str) -> tuple[str, str]:
    """The rule that a mistake breaks, and a sentence with its remedy.

    Args:
        what: as the reader put it, such as "Expected `int`, got `str`".
        path: where it is, from the top.
        value: what stands there.
        written: a single value as it stands in the file, before YAML made something of it.
    """
    name = next((step for step in reversed(path) if isinstance(step, str)), "the document")
    for pattern, rule, remedy in _REMEDIES:
        if match := re.search(pattern, what):
            return rule, remedy(name, value, written, match)
    return "malformed", f"{name}: {what}."


Remedy = Callable[[str, Any, str, re.Match[str]], str]


def _unknown_word(name: str, value: Any, written: str, match: re.Match[str]) -> str:
    return f"Nothing is called {match[1]} here; {_near(match[1], _KEYS, 'take it out')}."


def _unknown_value(name: str, value: Any, written: str, match: re.Match[str]) -> str:
    choices = _CHOICES["text" if name == match[1] else name]  # a language is the key of its text
    return f"{match[1]} is not known; {_near(match[1], choices, 'write one of ' + ', '.join(choices))}."


def _missing(name: str, value: Any, written: str, match: re.Match[str]) -> str:
    return f"{match[1]} is missing here; add it."


def _text_wanted(name: str, value: Any, written: str, match: re.Match[str]) -> str:
    if value is None:
        return f"{name} is empty; write a text in quotes."
    if not isinstance(value, bool | int | float):
        return f"{name} is a text; write one in quotes."
    if isinstance(value, bool):
        return f'Put quotes round it: "{written}". YAML reads {written} as true or false.'
    if ":" in written:
        return f'Put quotes round the time: "{written}". YAML reads {written} as the number {value}.'
    return f'Put quotes round it: "{written}".'


def _key_wanted(name: str, value: Any, written: str, match: re.Match[str]) -> str:
    return "A key must be a word; YAML reads on, off, yes and no as true or false, and digits as numbers."


def _number_wanted(name: str, value: Any, written: str, match: re.Match[str]) -> str:
    if isinstance(value, str) and value.isdecimal():
        return f"{name} is a number; take the quotes off: {value}."
    return f"{name} is a whole number (minor units, points, basis points or thousandths); write it without a point."


def _yes_or_no(name: str, value: Any, written: str, match: re.Match[str]) -> str:
    return f"{name} is true or false; write one of the two without quotes."


def _day_wanted(name: str, value: Any, written: str, match: re.Match[str]) -> str:
    return f'{name} is a day that exists, without a time; write it in quotes, such as "2026-03-31".'


def _list_wanted(name: str, value: Any, written: str, match: re.Match[str]) -> str:
    if name == "hours":
        return 'Each range has two times; write them as [["09:00", "12:00"]].'
    return f"{name} is a list; write it in brackets or as lines that begin with a dash."


def _object_wanted(name: str, value: Any, written: str, match: re.Match[str]) -> str:
    return f"{name} has parts; write each as `name: value` on a line of its own, further in."


def _bounds(name: str, value: Any, written: str, match: re.Match[str]) -> str:
    most = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}[match[1]]
    return f"{name} is {value}; write {most} {match[2]}."


def _nothing(name: str, value: Any, written: str, match: re.Match[str]) -> str:
    return f"{name} is empty; write something, or take it out."


def _form(name: str, value: Any, written: str, match: re.Match[str]) -> str:
    if name == "hours":
        return f'{value!r} is no time of day; write "HH:MM", from "00:00" to "24:00".'
    return f"{value!r} cannot be an {name}; it needs a letter or a digit, and no colon."


_REMEDIES: tuple[tuple[str, str, Remedy], ...] = (
    (r"unknown field `(.*)`", "unknown_word", _unknown_word),
    (r"missing required field `(.*)`", "missing", _missing),
    (r"Invalid (?:enum )?value '(.*)'", "unknown_value", _unknown_value),
    (r"Expected `str`$", "wrong_type", _key_wanted),
    (r"Expected `str`, got", "wrong_type", _text_wanted),
    (r"Expected `int(?: \| null)?`, got", "wrong_type", _number_wanted),
    (r"Expected `bool", "wrong_type", _yes_or_no),
    (r"Invalid RFC3339|Expected `date", "wrong_type", _day_wanted),
    (r"Expected `(?:array|object)` of length >= 1", "out_of_range", _nothing),
    (r"Expected `array", "wrong_type", _list_wanted),
    (r"Expected `object", "wrong_type", _object_wanted),
    (r"of length >= 1", "out_of_range", _nothing),
    (r"Expected `int[^`]*` (>=|<=|>|<) (-?\d+)", "out_of_range", _bounds),
    (r"matching regex", "out_of_range", _form),
)


def _near(word: str, words: Iterable[str], otherwise: str) -> str:
    near = get_close_matches(word.lower(), words, 1, 0.6)
    return f"did you mean {near[0]}" if near else otherwise


def _language_of_the_document() -> dict[str, tuple[str, ...]]:
    """Every key with the words that may stand for its value; none where any text may."""
    found: dict[str, set[str]] = {}
    for part in (*vars(programme).values(), CardRule):
        if isinstance(part, type) and issubclass(part, msgspec.Struct):
            if part.__struct_config__.tag:
                found.setdefault("kind", set()).add(str(part.__struct_config__.tag))
            for field in msgspec.structs.fields(part):
                found.setdefault(field.encode_name, set()).update(_choices(field.type))
    return {key: tuple(sorted(words)) for key, words in found.items()}


def _choices(kind: Any) -> Iterator[str]:
    for part in typing.get_args(kind):
        if isinstance(part, str):
            yield from (part,) if part else ()
        else:
            yield from _choices(part)


_CHOICES = _language_of_the_document()
_KEYS = tuple(sorted(_CHOICES))
