"""The demo's checks name what went wrong: lost, doubled, invented, a chain that differs, a card number on disk."""

import sqlite3
from types import SimpleNamespace

import pytest

from tallypoint.demo.checks import check_all
from tallypoint.demo.counter import CERTIFICATE, PERSON

CARD = "2037215727383"
COUPON = "TCCB4S426G13PRF49NDD43RN0A7QXW5HZJ"
FINE = {
    "verified": {"violations": []},
    "closed": {"statements": ["s"], "positions": [{"net_minor": 5}, {"net_minor": -5}]},
    "closed_again": {"statements": ["s"]},
}


@pytest.fixture
def shop(tmp_path):
    """Head office with one till's receipt R1, and the till's journal with the same head."""
    (tmp_path / "centre").mkdir()
    (tmp_path / "tills" / "one").mkdir(parents=True)
    centre = sqlite3.connect(tmp_path / "centre" / "central.db")
    centre.executescript(
        "CREATE TABLE till (till_id, label, epoch); INSERT INTO till VALUES ('t', 'one', 1);"
        "CREATE TABLE stream (till_id, epoch, hash); INSERT INTO stream VALUES ('t', 1, 'aa');"
        "CREATE TABLE event (till_id, receipt_id, kind);"
        "INSERT INTO event VALUES ('t', 'R1', 'receipt.v1'), ('t', 'opened:1', 'opened.v1');"
    )
    journal = sqlite3.connect(tmp_path / "tills" / "one" / "journal.db")
    journal.executescript("CREATE TABLE event (epoch, seq, hash); INSERT INTO event VALUES (1, 1, '99'), (1, 2, 'aa');")
    journal.close()
    rung = [SimpleNamespace(coupons_issued=(COUPON,))]
    till = SimpleNamespace(label="one", answered=["R1"], rung=rung, differences=[])
    yield SimpleNamespace(folder=tmp_path, tills=[till], cards=[CARD], till=till, centre=centre)
    centre.close()


def test_a_sound_demo_has_no_violation(shop):
    assert check_all(shop, FINE) == []


def test_a_receipt_that_was_answered_and_did_not_arrive_is_lost(shop):
    shop.till.answered.append("R2")
    assert check_all(shop, FINE) == ["lost: one answered R2, head office has not got it"]


def test_a_receipt_that_arrived_twice_is_doubled(shop):
    shop.centre.execute("INSERT INTO event VALUES ('t', 'R1', 'receipt.v1')")
    shop.centre.commit()
    assert check_all(shop, FINE) == ["doubled: one R1 is at head office more than once"]


def test_a_receipt_that_nobody_was_answered_is_invented(shop):
    shop.till.answered.clear()
    assert check_all(shop, FINE) == ["invented: head office has R1 of one, nobody was answered"]


def test_points_that_a_till_gave_back_because_head_office_recalled_them_are_not_invented(shop):
    shop.centre.execute("INSERT INTO event VALUES ('t', 'returned:lease:x:1:67:122', 'lease.v1')")
    shop.centre.commit()
    assert check_all(shop, FINE) == []


def test_streams_that_end_in_different_hashes_are_named(shop):
    shop.centre.execute("UPDATE stream SET hash = 'bb'")
    shop.centre.commit()
    assert check_all(shop, FINE) == ["chain: one and head office end in different hashes"]


def test_a_card_number_in_any_file_is_named_with_the_file(shop):
    (shop.folder / "one.log").write_text(f"scanned {CARD} just now")
    assert check_all(shop, FINE) == ["card number in one.log"]


def test_a_coupon_that_could_be_presented_again_is_named_with_the_file(shop):
    (shop.folder / "one.log").write_text(f"used {COUPON[2:25]}, and {COUPON[:33]}9")
    assert check_all(shop, FINE) == []
    (shop.folder / "one.log").write_text(f"printed {COUPON}")
    assert check_all(shop, FINE) == ["coupon in one.log"]


def test_a_close_at_which_the_pos_counted_otherwise_is_named(shop):
    shop.till.differences.append({"figure": "receipts", "say": "This till has 1 more than the POS."})
    assert check_all(shop, FINE) == ["close: one: This till has 1 more than the POS."]


@pytest.mark.parametrize("told", [PERSON["name"], PERSON["email"], CERTIFICATE])
def test_what_nobody_may_read_is_named_with_the_file(shop, told):
    (shop.folder / "one.log").write_text(f"joined: {told}")
    assert check_all(shop, FINE) == ["what nobody may read in one.log"]


def test_what_verification_found_is_passed_on(shop):
    found = {"code": "lot.folded", "about": "x", "wanted": "1", "found": "2"}
    assert check_all(shop, FINE | {"verified": {"violations": [found]}}) == ["lot.folded: x: wanted 1, found 2"]


def test_a_statement_that_changed_and_positions_that_do_not_sum_are_named(shop):
    changed = FINE | {
        "closed": {"statements": ["s"], "positions": [{"net_minor": 5}, {"net_minor": -4}]},
        "closed_again": {"statements": ["other"]},
    }
    assert check_all(shop, changed) == [
        "statement: closing the period again changed a statement",
        "positions: partners and operator sum to 1, not zero",
    ]
