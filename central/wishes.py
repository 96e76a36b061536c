"""What may be asked of head office about an account: points by hand, points of one member for another, two made one.

A wish may be refused; once it is granted it becomes facts (`loyalty.centre_events`).
"""

from datetime import date
from typing import Literal

import msgspec

from loyalty.amounts import LARGEST_MINOR, Whole
from loyalty.centre_events import Taken
from loyalty.earning import Earned
from loyalty.members import AccountId
from loyalty.trouble import Refusal

REASONS = {
    "adjustment": ("goodwill", "missing_points", "wrong_points", "complaint"),
    "transfer": ("lost_card", "family"),
    "merge": ("duplicate_member", "family"),
}
LONGEST_NOTE = 2000


class AdjustmentWish(msgspec.Struct, frozen=True, kw_only=True, tag="adjustment", forbid_unknown_fields=True):
    """Points given or taken by hand; `at_partner_id` for whose sake, "" for the operator's own."""

    account_id: AccountId
    reason: str
    granted: tuple[Earned, ...] = ()
    taken: tuple[Taken, ...] = ()
    at_partner_id: str = ""
    note: str = ""


class TransferWish(msgspec.Struct, frozen=True, kw_only=True, tag="transfer", forbid_unknown_fields=True):
    """Points of one account for another, soonest to lapse first; 0 for all that can be spent."""

    account_id: AccountId
    to_account_id: AccountId
    reason: str
    points: Whole = 0
    note: str = ""


class MergeWish(msgspec.Struct, frozen=True, kw_only=True, tag="merge", forbid_unknown_fields=True):
    """Two accounts of one member: all of the first goes to the second, and the first is closed."""

    account_id: AccountId
    into_account_id: AccountId
    reason: str
    note: str = ""


Wish = AdjustmentWish | TransferWish | MergeWish
Kind = Literal["adjustment", "transfer", "merge"]


class BadWish(Refusal):
    code = "correction.malformed"
    status = 422


class NotThere(Refusal):
    code = "correction.not_enough_points"


def kind_of_wish(wish: Wish) -> Kind:
    """Its name, such as `merge`."""
    kind: Kind = wish.__struct_config__.tag  # type: ignore[assignment]
    return kind


def check_words(wish: Wish, today: date) -> None:
    """Refuse what makes no sense whatever the books hold. Raises: BadWish."""
    kind = kind_of_wish(wish)
    if wish.reason not in REASONS[kind]:
        raise BadWish(f"{wish.reason or 'No reason'} is no reason for this; give one of {', '.join(REASONS[kind])}.")
    if len(wish.note) > LONGEST_NOTE or "\0" in wish.note:
        raise BadWish(f"The note may have {LONGEST_NOTE} characters and no zero character; make it shorter.")
    if isinstance(wish, AdjustmentWish):
        if not wish.granted and not wish.taken:
            raise BadWish("Say how many points are given or taken.")
        if max(part.points for part in (*wish.granted, *wish.taken)) > LARGEST_MINOR:
            raise BadWish("So many points there are not; check the number.")
        for part in wish.granted:
            if part.valid_through < today:
                raise BadWish(f"Points good through {part.valid_through} have lapsed already; name a later last day.")
    elif wish.account_id in (getattr(wish, "to_account_id", 0), getattr(wish, "into_account_id", 0)):
        raise BadWish("Both accounts are the same; name two different ones.")
