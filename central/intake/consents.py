"""Consents as they stand: a fold over what was given, confirmed and withdrawn, whichever order it came in.

Each row of `consent` is evidence and never changes. A consent that has to be confirmed counts once its code was; the
later of giving and withdrawing holds, withdrawing where they are of one instant. Source: docs/members.md "Consent".
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select

from central.database.rows import find, put
from central.database.tables import account, card, consent, flag
from central.members.accounts import merged_into
from central.members.members import UnknownAccount
from central.ports import Randomness
from central.posting.member_facts import CARD_HAS_POINTS
from central.streams.own_events import append_own
from loyalty.baskets import Place
from loyalty.cards.card_keys import CardKeys
from loyalty.cards.confirming import read_confirm_code_of
from loyalty.facts.member_events import ConsentChanged, ConsentSaid
from loyalty.moments import utc_date
from loyalty.trouble import Refusal
from sync.desk import ConsentNow

STREAM = "consents"


class WrongCode(Refusal):
    code = "consent.unknown_code"
    status = 404


class ConsentRow(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of evidence, as pages show it."""

    what: str
    purpose: str
    channel: str
    version: str
    language: str
    asked_on: str
    store_id: str
    till_id: str
    at_ms: int
    to_confirm: bool


def consents_of(connection: Connection, account_id: int) -> tuple[ConsentNow, ...]:
    """What stands of each purpose and channel, in their order."""
    rows = _rows(connection, account_id)
    confirmed = {row.code: row for row in rows if row.what == "confirmed"}
    by_name: dict[tuple[str, str], list[Row[Any]]] = {}
    for row in rows:
        if row.what != "confirmed":
            by_name.setdefault((row.purpose, row.channel), []).append(row)
    return tuple(_now(by_name[name], confirmed) for name in sorted(by_name))


def evidence_of(connection: Connection, account_id: int) -> tuple[ConsentRow, ...]:
    """Everything that was said about consent, newest first."""
    names = ("what", "purpose", "channel", "version", "language", "asked_on", "store_id", "till_id", "at_ms")
    return tuple(
        ConsentRow(**{name: row._mapping[name] for name in names}, to_confirm=bool(row.code))
        for row in sorted(_rows(connection, account_id), key=_turn, reverse=True)
    )


def consents_of_card(connection: Connection, token: str) -> tuple[ConsentNow, ...]:
    """The same, of whoever has a card."""
    found = find(connection, card, [{"card_token": token}], ["account_id"])
    return consents_of(connection, found[0].account_id) if found else ()


def confirm_by_code(
    tx: Connection, text: str, card_keys: CardKeys, now_ms: int, randomness: Randomness, *, asked_on: str = "print"
) -> ConsentNow:
    """A customer opened the link, or sent the code in: the consent counts. Again, nothing more.

    Raises:
        WrongCode: not a code, or its consent has not come here yet.
    """
    number = read_confirm_code_of(card_keys.accepted, text)
    rows = find(tx, consent, [{"code": number}]) if number else []
    given = next((row for row in rows if row.what == "given"), None)
    if number is None or given is None:
        raise WrongCode("This code is not known here. Check it; a consent given today may take an hour to arrive.")
    if not any(row.what == "confirmed" for row in rows):
        said = ConsentSaid(purpose="", channel="", version="", language="", given=True, code=number)
        _write(tx, f"confirm:{number}", "confirmed", said, 0, asked_on, now_ms, randomness)
    name = (given.purpose, given.channel)
    return next(one for one in consents_of(tx, given.account_id) if (one.purpose, one.channel) == name)


def withdraw(tx: Connection, account_id: int, purpose: str, channel: str, now_ms: int, randomness: Randomness) -> None:
    """A member told head office that they withdraw: it holds at once. Raises: UnknownAccount."""
    if not find(tx, account, [{"account_id": account_id}], ["account_id"]):
        raise UnknownAccount(f"There is no account {account_id}.", account_id=account_id)
    said = ConsentSaid(purpose=purpose, channel=channel, version="", language="", given=False)
    event_id = f"withdraw:{account_id}:{purpose}:{channel}:{now_ms}"
    _write(tx, event_id, "withdrawn", said, account_id, "print", now_ms, randomness)


def _write(
    tx: Connection, event_id: str, what: Any, said: ConsentSaid, account_id: int, asked_on: Any, now_ms: int,
    randomness: Randomness,
) -> None:  # fmt: skip
    """Head office's own word, in a stream of its own."""
    place = Place(
        partner_id="", store_id="", till_id="", channel="centre", sold_at_ms=now_ms, offset_min=0,
        business_date=utc_date(now_ms),
    )  # fmt: skip
    event = ConsentChanged(receipt_id=event_id, place=place, what=what, said=said, asked_on=asked_on)
    head = append_own(tx, STREAM, [event], now_ms, randomness)
    row = {
        "till_id": head.till_id, "epoch": head.epoch, "seq": head.seq, "n": 0, "account_id": account_id, "what": what,
        "purpose": said.purpose, "channel": said.channel, "asked_on": asked_on, "code": said.code, "at_ms": now_ms,
    }  # fmt: skip
    put(tx, consent, [row])


def _rows(connection: Connection, account_id: int) -> Sequence[Row[Any]]:
    """Of an account and of all that belong to it; with the confirmations of its codes."""
    own = find(connection, consent, [{"account_id": one} for one in _all_of(connection, account_id)])
    codes = [{"code": row.code} for row in own if row.code]
    return [*own, *find(connection, consent, codes, (), consent.c.what == "confirmed")]


def _all_of(connection: Connection, account_id: int) -> list[int]:
    """An account, those that were merged into it and those that will be, and theirs."""
    coming, found = _coming(connection), [account_id]
    for one in found:  # it grows meanwhile
        for of in (*merged_into(connection, one), *coming.get(one, ())):
            if of not in found:
                found.append(of)
    return found


def _coming(connection: Connection) -> Mapping[int, Sequence[int]]:
    """Accounts of which only the points have still to come, by where: tills have some of them set aside."""
    wanted = select(flag.c.figures).where(flag.c.cause == CARD_HAS_POINTS, flag.c.state == "open")
    coming: dict[int, list[int]] = {}
    for figures in connection.execute(wanted).scalars():
        one = msgspec.json.decode(figures)
        coming.setdefault(one["into"], []).append(one["account_id"])
    return coming


def _now(rows: Iterable[Row[Any]], confirmed: dict[str, Row[Any]]) -> ConsentNow:
    last = max(rows, key=_turn)
    proof = confirmed.get(last.code) if last.code else None
    state = "withdrawn" if last.what == "withdrawn" else "to_confirm" if last.code and proof is None else "given"
    return ConsentNow(
        purpose=last.purpose,
        channel=last.channel,
        state=state,  # type: ignore[arg-type]
        version=last.version,
        since_ms=max(last.at_ms, proof.at_ms) if proof else last.at_ms,
        asked_on=last.asked_on,
    )


def _turn(row: Row[Any]) -> tuple[int, bool, str, int, int, int]:
    return row.at_ms, row.what == "withdrawn", row.till_id, row.epoch, row.seq, row.n
