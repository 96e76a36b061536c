"""What may be asked of head office: points by hand, moved or made one, brought over, or given a last day.

A wish may be refused; once it is granted it becomes facts (`loyalty.facts.centre_events`).
"""

from datetime import date
from typing import Literal

import msgspec

from loyalty.amounts import LARGEST_MINOR, Whole
from loyalty.facts.centre_events import Taken
from loyalty.facts.fixed import Fixable
from loyalty.members import AccountId
from loyalty.pricing.earning import Earned
from loyalty.trouble import Refusal

REASONS = {
    "adjustment": ("goodwill", "missing_points", "wrong_points", "complaint"),
    "transfer": ("lost_card", "family"),
    "merge": ("duplicate_member", "family"),
    "opening": ("older_scheme",),
    "ending": ("programme_ends", "partner_leaves"),
    "write_off": ("uncollectable", "member_gone", "goodwill"),
    "reinstate": ("revoked_by_mistake",),
    "fix": ("unreadable", "wrong_figures", "wrong_account", "id_reused", "till_stopped"),
}
LONGEST_NOTE = 2000
LONGEST_SCHEME = 100
EVERYBODY = "*"


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


class OpeningWish(msgspec.Struct, frozen=True, kw_only=True, tag="opening", forbid_unknown_fields=True):
    """Points of an older scheme, as a file has them.

    Attributes:
        file_id: names the bytes of the file; `rows_id` what was read from them (`central.corrections.opening_file`), so
            that what is approved is what was asked.
        accounts: how many get points.
    """

    file_id: str
    rows_id: str
    scheme: str
    accounts: int
    reason: str = "older_scheme"
    note: str = ""


class EndingWish(msgspec.Struct, frozen=True, kw_only=True, tag="ending", forbid_unknown_fields=True):
    """No points of `issuer_id` (`*`: of anybody) are good beyond `last_day`."""

    last_day: date
    reason: str
    issuer_id: str = EVERYBODY
    note: str = ""


class FixWish(msgspec.Struct, frozen=True, kw_only=True, tag="fix", forbid_unknown_fields=True):
    """An event in quarantine posted as `fact` says; `sha256` names the upload that holds it, "" where none does."""

    till_id: str
    epoch: int
    seq: int
    fact: Fixable
    reason: str
    sha256: str = ""
    note: str = ""


class WriteOffWish(msgspec.Struct, frozen=True, kw_only=True, tag="write_off", forbid_unknown_fields=True):
    """What nothing covered of a sale is given up: it names the sale by its place."""

    account_id: AccountId
    till_id: str
    epoch: int
    seq: int
    reason: str
    note: str = ""


class ReinstateWish(msgspec.Struct, frozen=True, kw_only=True, tag="reinstate", forbid_unknown_fields=True):
    """An enrolment of a till was revoked by mistake: all that it sold since is booked, in the order it was sold."""

    till_id: str
    epoch: int
    reason: str
    note: str = ""


Wish = AdjustmentWish | TransferWish | MergeWish | OpeningWish | EndingWish | FixWish | WriteOffWish | ReinstateWish
Kind = Literal["adjustment", "transfer", "merge", "opening", "ending", "fix", "write_off", "reinstate"]


class BadWish(Refusal):
    """The figure `field` names what is wrong, as forms call it."""

    code = "correction.malformed"
    status = 422


class NotThere(Refusal):
    code = "correction.not_enough_points"


def kind_of_wish(wish: Wish) -> Kind:
    """Its name, such as `merge`."""
    kind: Kind = wish.__struct_config__.tag  # type: ignore[assignment]
    return kind


def accounts_of(wish: Wish) -> tuple[int, ...]:
    """The accounts that it names, the one that gives first; none for what is about many."""
    match wish:
        case AdjustmentWish() | WriteOffWish():
            return (wish.account_id,)
        case TransferWish():
            return wish.account_id, wish.to_account_id
        case MergeWish():
            return wish.account_id, wish.into_account_id
        case FixWish():
            return (wish.fact.account_id,) if wish.fact.account_id else ()
    return ()


def check_words(wish: Wish, today: date) -> None:
    """Refuse what makes no sense whatever the books hold. Raises: BadWish."""
    kind = kind_of_wish(wish)
    if wish.reason not in REASONS[kind]:
        known = ", ".join(REASONS[kind])
        raise BadWish(f"{wish.reason or 'No reason'} is no reason for this; give one of {known}.", field="reason")
    if len(wish.note) > LONGEST_NOTE or "\0" in wish.note:
        say = f"The note may have {LONGEST_NOTE} characters and no zero character; make it shorter."
        raise BadWish(say, field="note")
    if isinstance(wish, AdjustmentWish):
        _check_parts(wish, today)
    elif isinstance(wish, OpeningWish):
        if not wish.scheme.strip() or len(wish.scheme) > LONGEST_SCHEME:
            say = f"Name the older scheme in at most {LONGEST_SCHEME} characters; it is kept with the points."
            raise BadWish(say, field="scheme")
    elif isinstance(wish, EndingWish):
        if (wish.issuer_id == EVERYBODY) != (wish.reason == "programme_ends"):
            say = "A programme ends for the points of everybody, a partner leaves with its own; name which it is."
            raise BadWish(say, field="reason")
    elif not isinstance(wish, FixWish | WriteOffWish | ReinstateWish) and len(set(accounts_of(wish))) == 1:
        raise BadWish("Both accounts are the same; name two different ones.", field="other_id")


def _check_parts(wish: AdjustmentWish, today: date) -> None:
    if not wish.granted and not wish.taken:
        raise BadWish("Say how many points are given or taken.", field="points")
    if max(part.points for part in (*wish.granted, *wish.taken)) > LARGEST_MINOR:
        raise BadWish("So many points there are not; check the number.", field="points")
    for part in wish.granted:
        if part.valid_through < today:
            say = f"Points good through {part.valid_through} have lapsed already; name a later last day."
            raise BadWish(say, field="through")
