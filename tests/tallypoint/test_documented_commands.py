"""What the pages say to type can be typed: each command is one, takes the options named, and wants no more of them. And
each command and option that there is stands on a page."""

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tallypoint import cli

ROOT = Path(__file__).parents[2]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (*(ROOT / "docs").glob("*.md"), ROOT / "README.md"))
# Stands for what the reader puts there: it may not be a number, a date or one of the choices.
PLACEHOLDERS = ("invalid int value", "invalid fromisoformat value", "argument --reason: invalid choice", "expected one",
                "a number of days")  # fmt: skip


def commands_on(text: str) -> Iterator[str]:
    """Each command as a page spells it, from `tallypoint` on, in a line of its own or in a sentence."""
    for line in text.splitlines():
        if line.startswith("    tallypoint "):
            yield re.split(r" {2,}", line.strip())[0].removeprefix("tallypoint ")
    for said in re.findall(r"`((?:tallypoint )?(?:central|edge|fleet) [a-z][^`]*)`", text):
        yield said.removeprefix("tallypoint ")


def trouble_with(said: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Why a command cannot be typed; nothing where it can. One that is only named may want more arguments."""
    typed = re.split(r" \| | ?\.\.\.| ?…$", said)[0]
    words = shlex.split(typed.replace("[", "").replace("]", "").replace("…", "X"))
    is_named = typed != said or all(word == word.lower() and not word.startswith("-") for word in words)
    try:
        cli._parser(words).parse_args(words)
    except SystemExit:
        told = capsys.readouterr().err.strip().splitlines()[-1]
        if is_named and "are required" in told:
            return ""
        return "" if any(one in told for one in PLACEHOLDERS) else f"{said}: {told}"
    return ""


@pytest.mark.parametrize("page", PAGES)
def test_every_command_on_a_page_can_be_typed(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / page).read_text("utf-8")
    assert [trouble for said in commands_on(text) if (trouble := trouble_with(said, capsys))] == []


@pytest.mark.parametrize(
    "said",
    ["central no-such-thing", "central slot --tall TILL", "central revoke TILL", "edge export --from FILE --to FILE"],
)
def test_one_that_cannot_is_found(said: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"Type\n\n    tallypoint {said}      and it is done; or `tallypoint {said}`.\n"
    assert list(commands_on(text)) == [said, said]
    assert trouble_with(said, capsys)


def spoken_by(parser: argparse.ArgumentParser, of: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Each command and each option of it, as the words that are typed."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield (*of, name)
                yield from spoken_by(inner, (*of, name))
        for option in action.option_strings:
            if option.startswith("--") and option != "--help":
                yield (*of, option)


def test_every_command_and_option_stands_on_a_page() -> None:
    pages = {page: (ROOT / page).read_text("utf-8") for page in PAGES if page != "docs/errors.md"}
    text = "\n".join(pages.values())
    untold = []
    for words in spoken_by(cli._parser([])):
        last = words[-1]
        named = rf"{last}\b" if last.startswith("--") else rf"\b{words[-2]} {last}\b|`{last}\b" if words[1:] else last
        if not re.search(named, text):
            untold.append(" ".join(words))
    assert untold == []
