"""Certificates are set aside before they pay: the fleet does it, and what does not hold of it is found."""

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, update

from central.database.tables import certificate_hold, stream
from central.posting import certificate_books, certificate_holds
from central.tills import desk_asks
from edge.sale.certificate_holds import CertificateHolds, HeldHere
from loyalty.certificates import CertificateSold
from loyalty.ledger import reversal_postings
from loyalty.ledger.posting_writer import Writer
from loyalty.lots import EventRef
from sync.desk import CertificateHeld, DeskAsk
from tallypoint.fleet.clock import MINUTE_MS
from tallypoint.fleet.record import Record, Told
from tallypoint.fleet.run import judge
from tallypoint.fleet.world import Fleet, Plan
from tests.tallypoint.test_fleet_oracles import at_centre, broken

DOINGS = {"sale": 2, "gift_order": 1, "gift_pay": 4, "gift_lay": 6, "gift_settle": 5, "return": 1, "void": 1}
SEED = 3
CODE = "c" * 32
APART: dict[str, Any] = {
    "faults": ("partition",), "doings": {"gift_lay": 3, "gift_settle": 2}, "gap_ms": 10 * MINUTE_MS, "seed": 7,
}  # fmt: skip


def played(
    faults: tuple[str, ...] = (), gap_ms: int = MINUTE_MS, doings: dict[str, int] = DOINGS, seed: int = SEED
) -> Fleet:
    """Two tills whose customers pay with certificates, about so long between two of a till's sales."""
    fleet = Fleet(Plan(tills=2, transactions=120, seed=seed, faults=faults))
    fleet.pace = msgspec.structs.replace(fleet.pace, gap_ms=gap_ms, wake_ms=0)
    fleet.talk.wake_ms = 0
    for pos in fleet._pos:
        pos.does(doings)
    fleet.play()
    return fleet


def payments(fleet: Fleet) -> list[bool]:
    """Of each payment with a certificate, whether head office had set it aside."""
    return [one.held_at_ms is not None for paid in fleet.record.gifts_paid.values() for one in paid]


def test_with_the_line_what_pays_was_set_aside_and_tills_meet_over_one_certificate() -> None:
    fleet = played()
    assert judge(fleet).violations == ()
    seen = fleet.talk.seen
    assert seen["held all"] > 10 and seen["held in part"] + seen["held nothing"] > 3, seen
    assert payments(fleet).count(True) > 10
    flags = "SELECT count(*) FROM flag WHERE cause = 'certificate_uncovered'"
    assert fleet.office.disk.connection.execute(flags).fetchone() == (0,)


def test_with_lines_that_fail_and_crashes_in_between_it_holds_too() -> None:
    fleet = played(("loss", "swallow", "partition", "crash", "centre-crash", "restore"))
    assert judge(fleet).violations == ()
    assert True in payments(fleet) and False in payments(fleet)


def test_an_ask_that_comes_again_changes_nothing_of_what_is_set_aside_and_where_it_does_it_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fleet = played(("duplicate",))
    assert judge(fleet).violations == ()
    assert fleet.talk.seen["held already"] > 3, fleet.talk.seen
    monkeypatch.setattr(certificate_holds, "_asked_later", lambda *_: None)
    assert "held" in broken(played(("duplicate",)))


def test_money_set_aside_for_two_tills_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def give(_tx: Any, ask: DeskAsk, now_ms: int) -> CertificateHeld:
        return CertificateHeld(amount_minor=ask.amount_minor, until_ms=now_ms + certificate_holds.LASTS_MS)

    monkeypatch.setattr(desk_asks, "hold_certificate", give)
    fleet = played(doings={"gift_lay": 1, "gift_settle": 1})
    assert any(one.startswith("held: ") and "where" in one for one in fleet.record.wrongs)
    # And that somebody was paid with it who found nothing there.
    assert any("were not there" in one for one in judge(fleet).violations)


def test_a_hold_that_lasts_longer_than_a_quarter_of_an_hour_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate_holds, "LASTS_MS", 20 * MINUTE_MS)
    assert "held" in broken(played())


def test_a_hold_that_ends_while_its_till_is_without_the_line_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert broken(played(**APART)) == set()
    monkeypatch.setattr(certificate_holds, "REMEMBERED_MS", 0)
    assert "held" in broken(played(**APART))


def test_a_hold_that_is_let_go_while_its_sale_is_still_to_come_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Head office takes it that every till has told it everything."""
    take = desk_asks.hold_certificate

    def hold(tx: Connection, ask: DeskAsk, now_ms: int) -> CertificateHeld:
        tx.execute(update(stream).values(level_at_ms=now_ms))
        return take(tx, ask, now_ms)

    monkeypatch.setattr(desk_asks, "hold_certificate", hold)
    assert any("let go before it came" in one for one in judge(played(**APART)).violations)


def test_a_hold_that_does_not_end_as_its_sale_arrives_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate_books, "end_hold", lambda *_: None)
    assert "held" in broken(played())


def test_a_hold_that_ends_before_its_sale_arrives_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else's sale ends it."""

    def end(tx: Connection, code: str, _by: EventRef) -> None:
        tx.execute(update(certificate_hold).where(certificate_hold.c.code == code).values(amount_minor=0))

    monkeypatch.setattr(certificate_books, "end_hold", end)
    assert "held" in broken(played(doings={"gift_lay": 3, "gift_pay": 2, "gift_settle": 1}, seed=4))


def test_a_till_that_pays_with_a_hold_that_is_over_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    ask = CertificateHolds.hold

    def held(self: CertificateHolds, code: str) -> HeldHere | None:
        return self._held.get(code)

    def hold(self: CertificateHolds, code: str, amount_minor: int) -> None:
        if code not in self._held:
            ask(self, code, amount_minor)

    monkeypatch.setattr(CertificateHolds, "held", held)
    monkeypatch.setattr(CertificateHolds, "hold", hold)
    assert any("nothing was set aside" in one for one in judge(played(gap_ms=10 * MINUTE_MS)).violations)


def test_money_that_is_owed_though_all_of_it_was_set_aside_is_found() -> None:
    fleet = played()
    at_centre(fleet, "UPDATE certificate SET owed_minor = 10000000 WHERE rowid = (SELECT min(rowid) FROM certificate)")
    assert "held" in broken(fleet)


def test_what_is_taken_counts_as_set_aside_only_for_as_much_and_as_long_as_it_was() -> None:
    record = Record()
    place = ("a" * 32, 1, 2, "0" * 64)
    told = Told(place, "sale", "r1", gifts=((CODE, -700),))
    for amount, until_ms, now_ms, under in ((700, 900, 899, 5), (699, 900, 899, None), (700, 900, 900, None)):
        record.hear_held("till-0", CODE, 5, amount, until_ms)
        record.pay("till-0", told, now_ms, lambda _code: 0)
        assert record.gifts_paid[CODE][-1].held_at_ms == under, (amount, now_ms)
    record.pay("till-0", told, 1, lambda _code: 0)  # a hold pays once
    assert record.gifts_paid[CODE][-1].held_at_ms is None


def test_a_return_that_leaves_a_certificate_its_money_is_found_whatever_head_office_says_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def leave(writer: Writer, back: Iterable[CertificateSold], _of: EventRef) -> None:
        for one in back:
            writer.flag("certificate_returned_more", code=one.code, asked_minor=one.amount_minor, found_minor=0)

    doings = {"gift_sale": 2, "gift_back": 2}
    assert broken(played(doings=doings)) == set()
    monkeypatch.setattr(reversal_postings, "take_off", leave)
    assert "certificate" in broken(played(doings=doings))
