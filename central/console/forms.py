"""Forms that ask for a correction: what was filled in becomes a wish, and trouble finds its field."""

from collections.abc import Mapping
from datetime import date

from sqlalchemy import Connection

from central.console.base import BadAction
from central.corrections.opening_file import kept_opening
from central.corrections.wishes import (
    EVERYBODY,
    AdjustmentWish,
    EndingWish,
    Kind,
    MergeWish,
    OpeningWish,
    TransferWish,
    Wish,
)
from loyalty.facts.centre_events import Taken
from loyalty.lots import FOREVER
from loyalty.pricing.earning import Earned
from loyalty.trouble import Refusal

MOST_DIGITS = 18
FIELDS = {
    "correction.not_enough_points": "points",
    "correction.above_limit": "points",
    "correction.above_sum": "points",
    "correction.points_leased": "account_id",
    "opening.malformed": "file",
    "opening.known_file": "file",
    "ending.day_is_over": "last_day",
    "coalition.unknown_partner": "issuer",
}
# Where a form has no such field, another one is the cause.
OTHERWISE = {"merge": {"points": "account_id"}, "ending": {"reason": "issuer"}}

Told = Mapping[str, str]


def wish_from(connection: Connection, kind: Kind, told: Told) -> Wish:
    """The wish that a form says.

    Args:
        told: fields by name, without blanks around them.
    Raises:
        BadAction: its figure `field` names the field. BadOpening: what was read from the file is not kept.
    """
    if not told.get("id", "").isalnum() or len(told["id"]) > 64:
        raise BadAction("This form has no id; load the page again.")
    note = told.get("note", "")
    if kind == "adjustment":
        return _adjustment(told, note)
    if kind == "opening":
        if not told.get("rows_id"):
            raise BadAction("Choose the file with the older scheme's points.", field="file")
        opening = kept_opening(connection, told["rows_id"])
        return OpeningWish(
            file_id=opening.file_id,
            rows_id=opening.rows_id,
            scheme=told.get("scheme", ""),
            accounts=len(opening.rows),
            note=note,
        )
    if kind == "ending":
        issuer_id = told.get("issuer") or EVERYBODY
        reason = "programme_ends" if issuer_id == EVERYBODY else "partner_leaves"
        return EndingWish(last_day=_day(told, "last_day"), reason=reason, issuer_id=issuer_id, note=note)
    account_id = _number(told, "account_id", "the number of the account")
    other_id = _number(told, "other_id", "the number of the account")
    reason = told.get("reason", "")
    if kind == "merge":
        return MergeWish(account_id=account_id, into_account_id=other_id, reason=reason, note=note)
    points = _number(told, "points", "points") if told.get("points") else 0
    return TransferWish(account_id=account_id, to_account_id=other_id, points=points, reason=reason, note=note)


def field_of(kind: Kind, refusal: Refusal, told: Told) -> str:
    """The field beside which a refusal is shown; "" for the top of the page."""
    named = str(refusal.figures.get("field", "")) or FIELDS.get(refusal.code, "")
    if not named and (account_id := refusal.figures.get("account_id")):
        named = next((name for name in ("account_id", "other_id") if told.get(name) == str(account_id)), "")
    return OTHERWISE.get(kind, {}).get(named, named)


def _adjustment(told: Told, note: str) -> AdjustmentWish:
    account_id, points = _number(told, "account_id", "the number of the account"), _number(told, "points", "points")
    issuer_id, reason = told.get("issuer", ""), told.get("reason", "")
    if told.get("what") == "take":
        taken = (Taken(issuer_id=issuer_id, points=points),)
        return AdjustmentWish(account_id=account_id, reason=reason, note=note, taken=taken)
    through = _day(told, "through") if told.get("through") else FOREVER
    granted = (Earned(issuer_id=issuer_id, valid_through=through, points=points),)
    return AdjustmentWish(account_id=account_id, reason=reason, note=note, granted=granted)


def _day(told: Told, name: str) -> date:
    try:
        return date.fromisoformat(told.get(name, ""))
    except ValueError:
        empty = ", or leave it empty" if name == "through" else ""
        raise BadAction(f"Name the last valid day as a date, such as 2027-12-31{empty}.", field=name) from None


def _number(told: Told, name: str, what: str) -> int:
    text = told.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS and int(text)):
        raise BadAction(f"Give {what} as a whole number above 0.", field=name)
    return int(text)
