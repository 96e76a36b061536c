"""Spans of card numbers: places of the programme's range that a till may give out by itself, offline too.

Places are counted up and never granted twice, whatever becomes of a till: one that is revoked, restored or cloned
leaves its span unused, and a centre that was put back from a backup goes on far beyond what it may have granted since.
Source: docs/members.md; fraud-privacy.md 2.
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, bindparam, func, select, update

from central.coalition.hellos import held_by
from central.coalition.programmes import current_programme
from central.coalition.streams import at
from central.database.asking import ask, ask_one
from central.database.rows import find, put
from central.database.tables import card, number_next, number_span, stream
from loyalty.cards.card_keys import CardKeys
from loyalty.cards.card_numbers import NumberSpan, NumberUsed, card_at, number_key, places_of, range_for_numbers
from loyalty.cards.cards import CardRule
from loyalty.lots import EventRef
from loyalty.trouble import InvariantBroken, Refusal

AT_MOST = 5  # spans told at a time
RESTORE_SHARE = 20  # of a range's places, so many are passed over by a restore
MOST_RESTORED = 1_000_000
MOST_SKIPPED = 50  # spans in a row with a number that is somebody's already


_OF = number_span.c.till_id == bindparam("till"), number_span.c.epoch == bindparam("in_epoch")
_NEWEST = select(func.max(number_span.c.span_no)).where(*_OF)
_AFTER = (
    select(number_span)
    .where(*_OF, number_span.c.span_no > bindparam("after"))
    .order_by(number_span.c.span_no)
    .limit(AT_MOST)
)
_HELD = (
    update(stream)
    .where(at(bindparam("till"), bindparam("in_epoch")), stream.c.state == "active")
    .values(heard_at_ms=bindparam("now_ms"))
    .returning(stream.c.till_id)
)


class NumbersUsedUp(Refusal):
    code = "cards.numbers_used_up"


def grant_numbers(
    tx: Connection, till_id: str, epoch: int, left: int, taken: int, *, card_keys: CardKeys, now_ms: int
) -> None:
    """Grant a till its next span, unless it has enough, or has not taken the last one.

    Args:
        left: numbers that it has not given out; `taken`: the newest span that it has.
        card_keys: the programme's. A range of which nothing was granted yet is scattered under the newest for good; a
            till that does not hold a range's key gets nothing of it.
    Raises:
        NumbersUsedUp: the range has no place left.
        RangeTooSmall: the range that the programme names.
    """
    programme = current_programme(tx)
    rules = programme.members if programme else None
    card_range = range_for_numbers(programme.cards.ranges, rules.numbers_of) if programme and rules else None
    if rules is None or card_range is None or left * 2 > rules.numbers_at_once:
        return
    # The stream's row is the lock: one span at a time for a till.
    is_held = bool(ask(tx, _HELD, {"till": till_id, "in_epoch": epoch, "now_ms": now_ms}))
    if not is_held or newest_span(tx, till_id, epoch) > taken:
        return
    key_id = _key_of_range(tx, card_range, card_keys)
    if key_id not in held_by(tx, till_id, epoch):
        return
    for _ in range(MOST_SKIPPED):
        span = _next_span(tx, till_id, epoch, card_range, rules.numbers_at_once, now_ms, key_id)
        if _is_free(tx, span, card_keys):
            put(tx, number_span, [{name: value for name, value in msgspec.structs.asdict(span).items()
                                   if name != "key_no"}])  # fmt: skip
            return
    raise _used_up(card_range)


def spans_after(connection: Connection, till_id: str, epoch: int, span_no: int) -> Sequence[NumberSpan]:
    """A till's spans after a number, ascending; unsigned, `key_no` 0."""
    found = ask(connection, _AFTER, {"till": till_id, "in_epoch": epoch, "after": span_no})
    return tuple(NumberSpan(**row._mapping) for row in found)


def newest_span(connection: Connection, till_id: str, epoch: int) -> int:
    """The number of a till's newest span; 0 for none."""
    return ask_one(connection, _NEWEST, {"till": till_id, "in_epoch": epoch}) or 0


def check_number(tx: Connection, ref: EventRef, kind: str, used: NumberUsed) -> str | None:
    """What is wrong with a number that a till says it gave out of its span; none where nothing is."""
    here = {"till_id": ref.till_id, "epoch": ref.epoch, "span_no": used.span_no}
    span = next(iter(find(tx, number_span, [here])), None)
    if span is None:
        # A restore lost it. What may have been granted since is never granted again.
        _raise_to(tx, kind, used.prefix, used.place + 1)
        return "number_span_unknown"
    return None if span.first <= used.place <= span.last else "number_outside_span"


def pass_over(tx: Connection) -> None:
    """After a restore: go far beyond the places that may have been granted since the backup."""
    for row in tx.execute(select(number_next)).all():
        digits = {"ean13": 13, "gsrn": 18}.get(row.kind) or _luhn_digits(tx, row.prefix)
        places = places_of(CardRule(kind=row.kind, prefix=row.prefix, length=digits))
        _raise_to(tx, row.kind, row.prefix, row.place + min(MOST_RESTORED, places // RESTORE_SHARE))


def _luhn_digits(tx: Connection, prefix: str) -> int:
    longest = select(func.max(number_span.c.digits)).where(number_span.c.prefix == prefix)
    return int(tx.execute(longest).scalar() or 19)


def _raise_to(tx: Connection, kind: str, prefix: str, place: int) -> None:
    (row,) = put(tx, number_next, [{"kind": kind, "prefix": prefix, "place": 0}], {"place": "add"}, ["place"])
    if row.place < place:
        here = number_next.c.kind == kind, number_next.c.prefix == prefix
        tx.execute(update(number_next).where(*here).values(place=place))


def _key_of_range(tx: Connection, of: CardRule, card_keys: CardKeys) -> str:
    """The id of the key that scatters a range: that of its first span."""
    rows = find(tx, number_next, [{"kind": of.kind, "prefix": of.prefix}], ["card_key_id"])
    return rows[0].card_key_id if rows else card_keys.newest.key_id


def _next_span(
    tx: Connection, till_id: str, epoch: int, of: CardRule, at_once: int, now_ms: int, key_id: str
) -> NumberSpan:
    step = {"kind": of.kind, "prefix": of.prefix, "place": at_once, "card_key_id": key_id}
    (row,) = put(tx, number_next, [step], {"place": "add"}, ["place"])
    if row.place > places_of(of):
        raise _used_up(of)
    return NumberSpan(
        span_no=newest_span(tx, till_id, epoch) + 1,
        till_id=till_id,
        epoch=epoch,
        kind=of.kind,
        prefix=of.prefix,
        digits=of.digits(),
        first=row.place - at_once,
        last=row.place - 1,
        granted_at_ms=now_ms,
        card_key_id=key_id,
    )


def _is_free(tx: Connection, span: NumberSpan, card_keys: CardKeys) -> bool:
    """Whether none of its numbers is on a card that was made elsewhere, whatever name that has."""
    scatters = card_keys.find(span.card_key_id)
    if scatters is None:
        raise InvariantBroken("a card range is scattered under a key that is not there", key_id=span.card_key_id)
    key = number_key(scatters.secret)
    cards = (card_at(key, span, place) for place in range(span.first, span.last + 1))
    tokens = [{"card_token": name.token} for one in cards for name in card_keys.every_name_of(one)]
    return not find(tx, card, tokens, ["card_token"])


def _used_up(of: CardRule) -> NumbersUsedUp:
    return NumbersUsedUp(
        f"The card range {of.prefix} has no numbers left to give out. Publish a programme with another range.",
        prefix=of.prefix,
    )
