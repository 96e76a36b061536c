r"""The line markup that layouts are written in: one block a line, a mark in brackets first.

    [center bold large] words      [pair indent bold] left | right      [rule =]
    [qr] data | fallback           [feed 2]                             [cut]
    [note 3] words                 [note 1 legal] words

A part that is made in Python has a mark and no words of its own: `[head return_slip]`, `[foot]`.


A value cannot become markup: `escaped` puts a backslash before `[`, `]`, `|` and `\`, writes a line break as `\n`,
and drops every other control character. A line that does not begin with a mark is a mistake in the layout.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import cast, get_args

from receipt_templates.blocks import Align, Block, Code, CodeKind, Cut, Feed, Note, Pair, Rule, Size, Text

_SPECIAL = re.compile(r"[\[\]|\\]")
_BRACKETED = re.compile(r"[\[\]\\]")
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]")  # all but the line break; half letters
_MARK = re.compile(r"\[([^\[\]\\|]*)\]")
_TOKEN = re.compile(r"[^\[\]\\|]+|\\.|[\[\]|]")

INDENT = 2


class BadLayout(ValueError):
    """A layout of ours says what the markup does not know; a test renders every layout, so no till sees this."""


def escaped(value: object) -> str:
    """A value as it may stand in a layout.

    Args:
        value: text or a whole number; anything else is a mistake in the layout.
    Raises:
        BadLayout: another type, none included. An undefined name raises Jinja's own UndefinedError.
    """
    if not isinstance(value, str | int) or isinstance(value, bool):
        # str() lets a strict undefined name itself.
        raise BadLayout(f"a layout prints a {type(value).__name__}: {str(value)[:40]}")
    text = _without_control(str(value))
    return _SPECIAL.sub(r"\\\g<0>", text).replace("\n", "\\n")


def as_printed(text: str) -> str:
    """A text as it stands in a block after `escaped` and `parse`."""
    return (text if text.isascii() and text.isprintable() else _without_control(text)).strip()


def parse(source: str, parts: Mapping[str, Callable[..., Iterable[Block]]] = {}) -> tuple[Block, ...]:
    """A rendered layout as blocks; empty lines mean nothing.

    Args:
        parts: by its mark, what stands where the layout has that mark alone; told the mark's other words.
    Raises:
        BadLayout.
    """
    blocks: list[Block] = []
    for line in source.split("\n"):
        if marked := line.strip():
            alone = _MARK.fullmatch(marked)
            name, *words = (alone[1].split() if alone else []) or [""]
            blocks += parts[name](*words) if name in parts else (_block(marked),)
    return tuple(blocks)


def _without_control(text: str) -> str:
    return _CONTROL.sub("", text.replace("\r\n", "\n"))


def _block(line: str) -> Block:
    mark = _MARK.match(line)
    if mark is None:
        raise BadLayout(f"this line begins with no mark: {line[:40]}")
    name, *words = mark[1].split() or [""]
    fields = _fields(line[mark.end() :])
    if name in ("rule", "feed", "cut"):
        if fields != [""]:
            raise BadLayout(f"nothing may follow [{name}]: {line[:40]}")
        return _bare(name, words)
    if name == "pair":
        return Pair(
            left=fields[0],
            right=_second(fields),
            indent=INDENT if "indent" in words else 0,
            bold="bold" in words,
            size=_size(words),
        )
    if name in get_args(CodeKind):
        return Code(kind=cast(CodeKind, name), data=fields[0], fallback_text=_second(fields))
    if name == "note" or name in get_args(Align):
        if len(fields) != 1:
            raise BadLayout(f"a text has one part: {line[:40]}")
        if name == "note":
            rank = next((int(word) for word in words if word.isdecimal()), 0)
            return Note(text=fields[0], rank=rank, legal="legal" in words)
        return Text(text=fields[0], align=cast(Align, name), bold="bold" in words, size=_size(words))
    raise BadLayout(f"unknown mark [{name}]")


def _bare(name: str, words: list[str]) -> Block:
    if name == "rule":
        return Rule(char=words[0][:1] if words else "-")
    return Feed(lines=int(words[0]) if words else 1) if name == "feed" else Cut()


def _fields(rest: str) -> list[str]:
    """The parts between bare bars, escapes undone, trimmed."""
    if _BRACKETED.search(rest) is None:
        return [field.strip() for field in rest.split("|")]
    fields = [""]
    for token in _TOKEN.findall(rest):
        if token in ("[", "]"):
            raise BadLayout(f"a second mark on one line: {rest[:40]}")
        if token == "|":
            fields.append("")
        elif token[0] == "\\":
            fields[-1] += "\n" if token == "\\n" else token[-1]
        else:
            fields[-1] += token
    return [field.strip() for field in fields]


def _second(fields: list[str]) -> str:
    if len(fields) > 2:
        raise BadLayout(f"two parts at most: {fields[0][:40]}")
    return fields[1] if len(fields) == 2 else ""


def _size(words: list[str]) -> Size:
    return "large" if "large" in words else "tall" if "tall" in words else "normal"
