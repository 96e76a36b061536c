"""What does not hold, gathered while looking on: damage is a finding like any other and stops nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

# What reading bytes or rows that somebody changed may raise.
DAMAGE = (
    ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError, msgspec.MsgspecError,
)  # fmt: skip


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """An invariant that does not hold: which, where, and both figures."""

    code: str
    about: str
    wanted: str
    found: str


class Violations:
    """A growing list of violations, in the order in which they were come upon."""

    def __init__(self) -> None:
        self.all: list[Violation] = []

    def differs(self, code: str, about: object, wanted: object, found: object) -> bool:
        """Whether two figures differ that should not; if so, it is written down."""
        if wanted == found:
            return False
        self.all.append(Violation(code=code, about=str(about), wanted=str(wanted), found=str(found)))
        return True

    @contextmanager
    def damage(self, code: str, about: object) -> Iterator[None]:
        """Within it, what cannot be read is written down as a violation, and what follows the block goes on."""
        try:
            yield
        except DAMAGE as trouble:
            # Only the kind of trouble: its words may hold parts of a payload.
            self.differs(code, about, "readable", type(trouble).__name__)
