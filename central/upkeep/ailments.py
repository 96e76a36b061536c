"""Something that is wrong with this head office, or could be better, with what to do about it."""

from collections.abc import Iterable
from typing import Literal

import msgspec

Level = Literal["danger", "wrong", "advice"]
LEVELS: tuple[Level, ...] = ("danger", "wrong", "advice")


class Ailment(msgspec.Struct, frozen=True, kw_only=True):
    """One finding of the doctor.

    Attributes:
        level: `danger` where facts or money may be lost, `wrong` where something does not do its work, `advice` else.
        code: stable, for alerts and scripts.
        about: which till, file, chore or lane; "" for head office as a whole.
        say, do: what is so, and the next step.
    """

    level: Level
    code: str
    about: str = ""
    say: str
    do: str


def worst_first(found: Iterable[Ailment]) -> tuple[Ailment, ...]:
    """Danger, then what is wrong, then advice; within each in the order in which it was looked for."""
    return tuple(sorted(found, key=lambda one: LEVELS.index(one.level)))
