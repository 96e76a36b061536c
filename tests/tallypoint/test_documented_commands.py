"""What the pages say to type can be typed: each command is one, takes the options named, and wants no more of them."""

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
