"""A doctor's findings on one screen, worst first; the exit status says whether anything is wrong."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

MARKS = {"danger": "!!", "wrong": " !", "advice": "  "}


class Finding(Protocol):
    """What both doctors say of one thing."""

    @property
    def level(self) -> str: ...
    @property
    def about(self) -> str: ...
    @property
    def say(self) -> str: ...
    @property
    def do(self) -> str: ...


def report(facts: Mapping[str, Any], found: Sequence[Finding], *, is_ill: bool, as_json: bool) -> int:
    """Print everything; 1 where there is more than advice."""
    if as_json:
        print(
            json.dumps({"ill": is_ill, "facts": dict(facts), "ailments": msgspec.to_builtins(tuple(found))}, indent=2)
        )
        return int(is_ill)
    print("  ".join(f"{name} {value}" for name, value in facts.items() if value not in ("", None)))
    for one in found:
        about = f"{one.about}: " if one.about else ""
        print(f"{MARKS[one.level]} {about}{one.say}\n     {one.do}")
    print("Something is wrong." if is_ill else "All is well." if not found else "All is well; see the advice.")
    return int(is_ill)
