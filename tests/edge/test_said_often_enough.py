"""Sentences that are said only so often: at one till, at the next till, and to whoever comes."""

import msgspec
import pytest

from edge.cache.cache import Cache
from edge.journal.journal import Journal, open_epoch
from edge.ports import Settings
from edge.sale.taking_back import take_back, void_receipt
from edge.sale.till import Till
from loyalty.members import PublishedMember, Use
from loyalty.programme.programme import read_programme
from tests.edge.counter import ANA, BEN, FakeClock, back, commit, identity, published, sale, void

RULES = """
id: corner-shop
currency: EUR
cards: {ranges: [{kind: ean13, prefix: "299"}]}
promotions:
  - id: app
    who: {card: true}
    messages: [{place: customer, at_most: {times: 2, per: week}, text: {en: Get our app.}}]
  - id: hours
    messages: [{place: kiosk, at_most: {times: 3, per: day, each: till}, text: {en: On Sundays we open at ten.}}]
"""
DAY_MS = 86_400_000


def a_till(clock: FakeClock, till_id: str, member: PublishedMember) -> Till:
    till = Till(
        journal=Journal.open(":memory:", identity(till_id=till_id), clock),
        cache=Cache.open(":memory:", identity(till_id=till_id), clock, on_swap=lambda: None),
        clock=clock,
        settings=Settings(data_dir="unused"),
        identity=identity(till_id=till_id),
    )
    open_epoch(till.journal, "enrolled")
    till.cache.load_programme(read_programme(RULES))
    till.cache.load_members([member])
    return till


def told(till: Till, receipt_id: str, card: str | None = ANA) -> list[str]:
    """What is said when this sale is quoted and then paid: the same both times."""
    asked = msgspec.structs.replace(sale(card=card), sold_at_ms=till.clock.now().wall_ms)
    quoted = [one.place for one in till.quote(asked).quote.messages]
    paid = till.commit(commit(receipt_id, asked)).quote
    assert paid is not None
    assert [one.place for one in paid.messages] == quoted
    return quoted


def test_a_member_hears_it_so_often_a_week_and_a_quote_alone_does_not_count(clock: FakeClock):
    till = a_till(clock, "01" * 16, published("ana"))
    for _ in range(5):
        assert "customer" in [one.place for one in till.quote(sale(card=ANA)).quote.messages]
    assert [told(till, f"R{n}") for n in range(4)] == [
        ["customer", "kiosk"], ["customer", "kiosk"], ["kiosk"], [],
    ]  # fmt: skip
    clock.pass_ms(4 * DAY_MS)  # from Thursday to Monday
    assert told(till, "R5") == ["customer", "kiosk"]


@pytest.mark.parametrize("of", [ANA, None])
def test_a_sale_that_was_undone_was_not_told_anything(clock: FakeClock, of: str | None):
    till = a_till(clock, "01" * 16, published("ana"))
    told_first = told(till, "R0", of)
    void_receipt(till, void("R0"))
    told(till, "R1", of)
    take_back(till, back("B1", "R1", (1, 1_000, 0)))
    # Twice a week to a member, three times a day at the till: neither has begun.
    spoken = [told(till, f"S{n}", of) for n in range(4)]
    assert spoken == [told_first] * (2 if of else 3) + ([["kiosk"], []] if of else [[]])


def test_another_till_that_was_told_does_not_begin_again(clock: FakeClock):
    first, second = (a_till(clock, till_id * 16, published("ana")) for till_id in ("01", "02"))
    assert [told(first, f"R{n}") for n in range(2)] == [["customer", "kiosk"]] * 2
    # Both uses are in the row that head office publishes next.
    row = published("ana")
    counted = msgspec.structs.replace(row.row, version=3, counters=(Use(name="said:app:0:2026-W10", amount=2),))
    second.cache.load_members([msgspec.structs.replace(row, row=counted)])
    assert told(second, "S1") == ["kiosk"]


def test_a_till_counts_for_itself_whoever_stands_there(clock: FakeClock):
    first, second = (a_till(clock, till_id * 16, published("ana")) for till_id in ("01", "02"))
    assert [told(first, f"R{n}", card) for n, card in enumerate((None, ANA, None, BEN, None))] == [
        ["kiosk"], ["customer", "kiosk"], ["kiosk"], [], [],
    ]  # fmt: skip
    assert told(second, "S1", None) == ["kiosk"]
    clock.pass_ms(DAY_MS)
    assert told(first, "R9", None) == ["kiosk"]


@pytest.mark.parametrize("of", [None, ANA])
def test_what_a_till_said_is_known_after_a_restart(tmp_path, clock: FakeClock, of: str | None):
    till = a_till(clock, "01" * 16, published("ana"))
    till.journal = Journal.open(tmp_path / "journal.db", identity(till_id="01" * 16), clock)
    open_epoch(till.journal, "enrolled")
    for n in range(3):
        told(till, f"R{n}", of)
    till.journal.close()
    till.journal = Journal.open(tmp_path / "journal.db", identity(till_id="01" * 16), clock)
    assert told(till, "R4", of) == []
