"""What a customer display of two lines of twenty columns says of the sale at hand, in words of the language.

A word stands left and its figure right; where both do not fit, the word gives way, never the figure.
Source: devices-and-receipts.md D7.
"""

from typing import Literal

import msgspec

from receipt_templates import languages
from receipt_templates.columns import columns_of
from receipt_templates.languages import Tongue, tongue_of
from receipt_templates.normalise import NO_BREAK, normalise

WIDE = 20


class DisplayState(msgspec.Struct, frozen=True, kw_only=True):
    """The sale as the display needs it.

    Attributes:
        shop: shown between sales; a longer text than the display is wide runs through it.
        item, item_minor: the line rung up last.
        balance_points: none where it is not known.
    """

    phase: Literal["idle", "member", "sale", "done"] = "idle"
    language: str = "en"
    currency: str = ""
    shop: str = ""
    item: str = ""
    item_minor: int = 0
    total_minor: int = 0
    saved_minor: int = 0
    has_card: bool = False
    points: int = 0
    balance_points: int | None = None
    may_spend_points: int = 0
    offline: bool = False
    training: bool = False


class TwoLines(msgspec.Struct, frozen=True, kw_only=True):
    """Both lines, each of exactly twenty columns; `running` is a longer text for the upper one, "" for none."""

    upper: str
    lower: str
    running: str = ""


def two_lines(state: DisplayState, encoding: str | None = None) -> TwoLines:
    """The two lines of a state.

    Args:
        encoding: Python's name of the display's code page; none keeps every letter.
    Returns:
        A running text between sales only: nobody reads one while goods are rung up.
    """
    upper, lower = _lines(state, tongue_of(state.language))
    plain = [" ".join(normalise(text, encoding).text.replace(NO_BREAK, " ").split("\n")) for text in (*upper, *lower)]
    running = plain[0] if state.phase == "idle" and columns_of(plain[0]) > WIDE else ""
    return TwoLines(upper=_line(plain[0], plain[1]), lower=_line(plain[2], plain[3]), running=running)


def _lines(state: DisplayState, tongue: Tongue) -> tuple[tuple[str, str], tuple[str, str]]:
    words = tongue.display
    if state.phase == "idle":
        lower = words.training if state.training else words.offline if state.offline else words.welcome
        return (state.shop or words.welcome, ""), (lower if state.shop or lower != words.welcome else "", "")
    total = (words.training if state.training else words.total, _money(tongue, state.total_minor, state.currency))
    if state.phase == "sale":
        return (state.item, _money(tongue, state.item_minor, state.currency) if state.item else ""), total
    balance = ("", "")
    if state.balance_points is not None:
        balance = (words.balance, languages.number(tongue, str(state.balance_points)))
    if state.phase == "member":
        spend = (words.spend, languages.number(tongue, str(state.may_spend_points)))
        return balance if balance[1] else (words.welcome, ""), spend if state.may_spend_points else ("", "")
    if state.training:
        return (words.thanks, ""), total
    if not state.has_card:
        saved = (words.saved, _money(tongue, state.saved_minor, state.currency))
        return saved if state.saved_minor else (words.thanks, ""), total
    # What is left of a balance that was last known before the line went down is no promise.
    below = (words.offline, "") if state.offline else balance
    return (words.bonus, f"+{languages.number(tongue, str(state.points))}"), below


def _money(tongue: Tongue, minor: int, currency: str) -> str:
    return languages.amount(tongue, minor, currency) if currency else ""


def _line(left: str, right: str) -> str:
    """Twenty columns. A figure wider than that is left out: a part of it would be another figure."""
    right = right if columns_of(right) <= WIDE else ""
    room = WIDE - columns_of(right) - (1 if right else 0)
    kept = ""
    for letter in left:
        if columns_of(kept + letter) > room:
            break
        kept += letter
    return kept + " " * (WIDE - columns_of(kept) - columns_of(right)) + right
