"""Three families of trouble, each with a stable code, the figures, and its reader's next step.

A `Refusal` is a rule that says no: the cashier reads it. A `Fault` is a device, a disk or a line that
let us down: the operator reads it. `InvariantBroken` is a sum of our own that does not hold: the
request stops. Every class registers its code, so docs/errors.md can be checked against the code.
"""

from typing import Any, ClassVar

CODES: dict[str, type["Trouble"]] = {}


class Trouble(Exception):
    """What went wrong, as a stable `code`, a sentence and the figures behind it.

    Attributes:
        code: stable name of the trouble, `area.what_happened`; never reused.
        status: the HTTP status under which a service answers it.
        say: the sentence for the reader of this family, with the next step.
        figures: the numbers and names behind it; never a card number, a name or an address.
    """

    code: ClassVar[str]
    status: ClassVar[int] = 500

    def __init_subclass__(cls) -> None:
        code = cls.__dict__.get("code")
        if code is None:
            return
        if CODES.setdefault(code, cls) is not cls:
            raise TypeError(f"two troubles share the code {code}")

    def __init__(self, say: str, **figures: Any) -> None:
        super().__init__(say)
        self.say = say
        self.figures = figures

    def problem(self) -> dict[str, Any]:
        """The RFC 9457 problem document of this trouble; `code` is ours and stable."""
        return {
            "type": f"urn:tallypoint:{self.code}",
            "title": self.code.replace(".", ": ").replace("_", " "),
            "status": self.status,
            "detail": self.say,
            "code": self.code,
            "figures": self.figures,
        }

    def __str__(self) -> str:
        return f"{self.say} [{self.code}]"


class Refusal(Trouble):
    """A rule said no. `say` is for the cashier and names what to do instead."""

    status = 409


class Fault(Trouble):
    """A device, disk or line let us down. `say` is for the operator and names the remedy."""

    status = 503


class InvariantBroken(Trouble):
    """A sum of our own does not hold; the request stops before anything is written."""

    code = "internal.invariant_broken"
    status = 500


class BadInput(Refusal):
    """What was handed in cannot be read; nothing was written."""

    code = "request.malformed"
    status = 400
