"""Whether what was said at the counter holds at head office and at the tills: consents, claims, approvals.

Each is folded once more from what tills answered, by its rule in docs/members.md; nothing of the product takes part.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from tallypoint.fleet.evidence import Centre
from tallypoint.fleet.record import Claim, Record, Said
from tallypoint.fleet.whose import Whose

Name = tuple[str, str]
"""purpose, channel"""


class Heard(NamedTuple):
    """What a till says of the consents behind a card: states by name; none where it does not hear head office."""

    till: str
    token: str
    states: Mapping[Name, str] | None


def judge_consents(record: Record, whose: Whose, heard: Iterable[Heard]) -> Iterator[str]:
    """What tills say, with head office's word, is what customers said."""
    by_account: dict[int, list[Said]] = defaultdict(list)
    posted = [one for one in record.said if whose.is_posted(one.place)]
    for one in posted:
        if one.what != "confirmed":
            by_account[whose.account_of_said(one)].append(one)
    confirmed = {one.code for one in posted if one.what == "confirmed"}
    for told in heard:
        if told.states is None:
            yield f"consent: {told.till} does not hear what stands behind a card"
            continue
        should = _states(by_account[whose.account(told.token)], confirmed)
        for name in sorted(should.keys() | told.states.keys()):
            wanted, found = should.get(name, ""), told.states.get(name, "")
            if wanted != "either" and wanted != found:
                yield f"consent: {told.till} says {found or 'nothing'} of {name[0]}, customers {wanted or 'nothing'}"


def _states(said: Iterable[Said], confirmed: set[str]) -> dict[Name, str]:
    """The later of giving and withdrawing holds; at one instant withdrawing."""
    last: dict[Name, Said] = {}
    either: set[Name] = set()
    for one in sorted(said, key=lambda one: (one.at_ms, one.what == "withdrawn")):
        name = (one.purpose, one.channel)
        before = last.get(name)
        either.discard(name)
        if before and (before.at_ms, before.what) == (one.at_ms, one.what) and before.code != one.code:
            either.add(name)  # two at one instant: which of their codes counts is not said
        last[name] = one
    states = {name: one.what if not one.code or one.what == "withdrawn" or one.code in confirmed else "to_confirm"
              for name, one in last.items()}  # fmt: skip
    return states | dict.fromkeys(either, "either")


def judge_claims(record: Record, centre: Centre, whose: Whose) -> Iterator[str]:
    """A receipt is granted once, to the card that brought it, with the points that its goods are worth."""
    rows = {(till_id, epoch, seq): (state, points, reason) for till_id, epoch, seq, state, points, reason in
            centre.disk.execute("SELECT till_id, epoch, seq, state, points, reason FROM receipt_claim")}  # fmt: skip
    for one in record.claims:
        if whose.is_posted(one.place):
            state, points, reason = rows.get(one.place[:3], ("nowhere", 0, ""))
            wanted = claimed_points(one, whose)
            if state not in ("granted", "refused") or points != wanted:
                yield f"claim: of {one.receipt_id} is {state} {reason} with {points} points, should have {wanted}"


def claimed_points(one: Claim, whose: Whose) -> int:
    """What a claim that head office has should grant: nothing where the receipt is not there or was voided."""
    receipt, (sold_on, asked_on) = (one.till_id, one.receipt_id), one.days
    is_there = receipt in whose.posted.by_till and receipt not in whose.posted.voided
    return one.points if is_there and sold_on <= asked_on else 0


def judge_approvals(record: Record, centre: Centre, whose: Whose) -> Iterator[str]:
    """Who approved what is known of each event that a supervisor had to approve, and of no other."""
    rows = {(till_id, epoch, seq) for till_id, epoch, seq in
            centre.disk.execute("SELECT till_id, epoch, seq FROM approval")}  # fmt: skip
    for place, told in record.told.items():
        if whose.is_posted(place) and told.approved != (place[:3] in rows):
            yield f"approval: {told.event_id} was {'' if told.approved else 'not '}approved, head office says otherwise"
