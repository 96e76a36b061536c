"""The till close."""

from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.day.day import close_day, figures_of, read_close
from edge.instants import read_instant
from edge.journal import journal as journal_module
from edge.refusals import DayIsClosed
from edge.sale.taking_back import take_back, void_receipt
from edge.sale.till import Till
from loyalty.baskets import Place
from loyalty.facts.day_totals import DayTotals
from loyalty.facts.events import Event, TillClose, UnknownEvent
from loyalty.programme.programme import read_programme
from tests.edge.conftest import OpenTill
from tests.edge.counter import back, commit, hold, line, sale, void
from tests.edge.rim import Rim, basket
from tests.edge.rim import commit as paid
from tests.edge.rim import line as rung

DAY = date(2026, 3, 5)
PLACE = Place(
    partner_id="p", store_id="s", till_id="ab" * 16, channel="pos", sold_at_ms=0, offset_min=0, business_date=DAY
)


def test_a_close_counts_and_sums_the_day(till: Till) -> None:
    till.commit(commit("r1", sale(line(1, "bread", 1_000))))
    till.commit(commit("r2", sale(line(1, "bread", 5_000), points=300)))
    till.commit(commit("r3", sale(line(1, "bread", 250), card=None)))
    void_receipt(till, void("r1"))
    take_back(till, back("b1", "r2", (1, 1_000, 4_700)))
    close = close_day(till, DAY).close
    assert (close.receipt_id, close.place.store_id) == ("till_close:2026-03-05", "s1")
    assert (close.receipts, close.voids, close.returns) == (3, 1, 1)
    assert (close.net_minor, close.returned_minor) == (1_000 + 4_700 + 250, 4_700)
    assert (close.points_earned, close.points_spent, close.points_reversed) == (10 + 47, 300, 47)
    assert (close.first_seq, close.last_seq) == (1, 6)


def test_a_day_is_closed_once_and_the_next_begins_after_it(till: Till, open_till: OpenTill) -> None:
    till.commit(commit("r1"))
    first = close_day(till, DAY)
    till.commit(commit("r2"))
    till.journal.close()
    till = open_till()
    again = close_day(till, DAY)
    assert (again.close, again.head, again.replayed) == (first.close, first.head, True)
    next_day = msgspec.structs.replace(sale(), business_date=date(2026, 3, 6))
    till.commit(commit("r3", next_day))
    close = close_day(till, date(2026, 3, 6)).close
    # r2 came after the close of its own day: head office sums a day's events within the close's range alike.
    assert (close.receipts, close.first_seq, close.last_seq) == (1, 4, 5)


def on(day: date) -> Any:
    return msgspec.structs.replace(sale(), business_date=day)


def test_a_sale_of_the_new_day_before_the_old_one_is_closed_counts_in_its_own(till: Till) -> None:
    late, night, morning = date(2026, 3, 5), date(2026, 3, 6), date(2026, 3, 7)
    till.commit(commit("r1", on(late)))
    till.commit(commit("r2", on(night)))  # after midnight, the evening's close is still to come
    first = close_day(till, late).close
    assert (first.receipts, first.net_minor, first.first_seq, first.last_seq) == (1, 1_000, 1, 3)
    till.commit(commit("r3", on(night)))
    second = close_day(till, night).close
    # Head office counts the events of the range that bear the day, so the range begins with the first of them.
    assert (second.receipts, second.net_minor, second.first_seq, second.last_seq) == (2, 2_000, 3, 5)
    third = close_day(till, morning).close
    assert (third.receipts, third.first_seq, third.last_seq) == (0, 7, 6)


def test_a_day_that_was_closed_after_the_next_one_has_its_sales_too(till: Till) -> None:
    till.commit(commit("r1"))
    assert close_day(till, date(2026, 3, 6)).close.receipts == 0
    assert close_day(till, DAY).close.receipts == 1


def test_a_day_that_was_forgotten_has_its_sales_whenever_it_is_closed(till: Till) -> None:
    till.commit(commit("r1"))
    for no in (6, 7):
        till.commit(commit(f"r{no}", on(date(2026, 3, no))))
        close_day(till, date(2026, 3, no))
    close = close_day(till, DAY).close
    assert (close.receipts, close.net_minor, close.first_seq, close.last_seq) == (1, 1_000, 2, 6)


# A close that names no day. The business date of a sale is the one that the POS names, else (-) its local date.

CLOSES = """
    sale  05 18:30  5       the shop is open late, and the POS counts its night to the day that was
    sale  06 00:20  5
    close 06 00:30  5       its answer is lost, and it is asked for again
    close 06 00:31  5 again
    sale  06 09:00  -       from here on the POS names no day
    close 06 22:00  6
    close 06 22:01  6 again
    sale  07 23:50  -
    sale  08 00:10  -       which is of the new day already
    close 08 00:30  7
    close 08 00:31  7 again
    close 08 22:00  8
    close 09 22:00  9       nothing was sold
    sale  10 10:00  -       nobody closes this day
    close 11 08:00  10
    close 11 08:01  10 again
    sale  11 10:00  -
    sale  12 10:00  -       nor the one before
    close 12 22:00  12
    sale  14 00:10  -       open from midnight on
    close 14 04:00  11      which nobody had closed
    close 14 04:01  11 again
    close 14 22:00  14
"""


def test_a_close_without_a_date_closes_the_day_that_is_open(tmp_path: Path) -> None:
    rim = Rim(tmp_path)
    rows = [row.split() for row in CLOSES.strip().splitlines()]
    for no, (act, day, time, named, *more) in enumerate(rows):
        at = {"sold_at": f"2026-03-{day}T{time}:00+01:00"}
        if act == "sale":
            of = {} if named == "-" else {"business_date": f"2026-03-0{named}"}
            rim.post("/v1/receipts", paid(receipt_id=f"R{no}", card=None, **at, **of))
            continue
        rim.clock.wall_ms = read_instant(at["sold_at"])[0]
        said = rim.post("/v1/day-close", {} if no % 2 else at).json  # whether the POS says when, or the till knows
        closed = (day, time, said["business_date"], said["replayed"])
        assert closed == (day, time, f"2026-03-{int(named):02}", more[:1] == ["again"])


def test_a_close_is_the_same_again_by_the_clock_of_a_pos_that_knows_of_summer(tmp_path: Path) -> None:
    rim = Rim(tmp_path)  # an hour ahead of UTC the year round
    rim.post("/v1/receipts", paid(receipt_id="R1", card=None, sold_at="2026-07-05T18:30:00+02:00"))
    for at, replayed in (("2026-07-06T05:30:00+02:00", False), ("2026-07-06T05:31:00+02:00", True)):
        rim.clock.wall_ms = read_instant(at)[0]
        said = rim.post("/v1/day-close", {"sold_at": at}).json
        assert (said["business_date"], said["replayed"]) == ("2026-07-05", replayed)


def test_a_day_that_is_still_to_come_is_not_closed_but_one_that_was_sold_on_already_is(tmp_path: Path) -> None:
    rim = Rim(tmp_path)  # it is 5 March
    rim.post("/v1/receipts", paid(card=None))
    refused = shut(rim, business_date="2026-03-06")
    assert (refused.status_code, refused.json["code"]) == (422, "sale.bad_time")
    rim.post("/v1/receipts", paid(receipt_id="R2", card=None, business_date="2026-03-06"))
    assert shut(rim, business_date="2026-03-06").json["receipts"] == 1
    assert shut(rim, business_date="2026-03-06").json["replayed"] is True
    assert shut(rim).json["receipts"] == 1


def test_a_sale_is_voided_until_the_close_of_its_own_day(till: Till) -> None:
    till.commit(commit("r1"))
    till.commit(commit("r2", on(date(2026, 3, 6))))
    close_day(till, DAY)
    with pytest.raises(DayIsClosed):
        void_receipt(till, void("r1"))
    assert not void_receipt(till, void("r2")).replayed
    till.commit(commit("r3", on(date(2026, 3, 6))))
    close_day(till, date(2026, 3, 6))
    close_day(till, date(2026, 3, 4))
    with pytest.raises(DayIsClosed):
        void_receipt(till, void("r3"))


def test_an_event_of_a_later_version_stops_no_close(
    till: Till, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    till.commit(commit("r1"))
    till.commit(commit("r2"))
    read = journal_module.read_head

    def read_some(payload: bytes) -> Event:
        if b'"r1"' in payload:
            raise UnknownEvent("This event cannot be read")
        return read(payload)

    monkeypatch.setattr(journal_module, "read_head", read_some)
    close = close_day(till, DAY).close
    assert (close.receipts, close.net_minor, close.last_seq) == (1, 1_000, 3)
    assert "not counted in the close" in caplog.text


def test_an_empty_day_closes_too(till: Till) -> None:
    close_day(till, DAY)
    close = close_day(till, date(2026, 3, 6)).close
    assert (close.receipts, close.net_minor, close.first_seq, close.last_seq) == (0, 0, 3, 2)


def test_what_is_unsent_or_still_open_is_told_and_stops_nothing(till: Till) -> None:
    till.commit(commit("r1"))
    till.hold(hold("h1", 100))
    done = close_day(till, DAY)
    assert (done.unsent, done.open_holds) == (3, 1)
    assert [warning.code for warning in done.warnings] == ["day.unsent", "day.open_holds"]


def test_a_close_says_who_closed_and_the_first_one_stands(till: Till) -> None:
    first = close_day(till, DAY, "anna")
    assert bytes(first.close.detail) == b'{"cashier":"anna"}'
    assert bytes(close_day(till, DAY, "ben").close.detail) == b'{"cashier":"anna"}'


# Against the totals of the POS, over HTTP.

DATE = "2026-03-05"


@pytest.fixture
def rim(tmp_path: Path) -> Rim:
    """R1 8.00 + 2.50 in cash of 20.00, R2 50.00 less 10.00 in points, R3 voided, the bread of R1 came back."""
    rim = Rim(tmp_path, in_files=True)
    rim.post("/v1/receipts", paid(tenders=[{"kind": "cash", "amount_minor": 2000}]))
    lamp = basket(rung(1, "lamp", 5000))
    rim.post("/v1/receipts", paid(receipt_id="R2", basket=lamp, points_to_spend=1000,
                                  tenders=[{"kind": "card", "amount_minor": 4000}]))  # fmt: skip
    rim.offline = True
    rim.post("/v1/receipts", paid(receipt_id="R3", basket=basket(rung(1, "tea", 300)), card=None,
                                  tenders=[{"kind": "cash", "amount_minor": 300}]))  # fmt: skip
    rim.post("/v1/receipts/R3/void", {"override": {"supervisor": "91"}})
    rim.post("/v1/returns", {"return_id": "B1", "of": "R1", "lines": [{"line": 2}]})
    return rim


# Points: R1 105, R2 800 (40.00 in tenths, doubled from 30.00 on).
TOTALS = {
    "receipts": 3, "voids": 1, "returns": 1, "net_minor": 5350, "discount_minor": 200, "returned_minor": 250,
    "points_earned": 905, "points_spent": 1000, "points_reversed": 25,
    "tenders": [{"kind": "cash", "amount_minor": 1350}, {"kind": "card", "amount_minor": 4000},
                {"kind": "points", "amount_minor": 1000}],
}  # fmt: skip


def shut(rim: Rim, **more: Any) -> Any:
    return rim.post("/v1/day-close", {"business_date": DATE, "cashier": "4"} | more)


def test_totals_that_agree_are_said_to_agree(rim: Rim) -> None:
    closed = shut(rim, totals=TOTALS)
    assert (closed.status_code, closed.json["differences"]) == (201, [])
    report = closed.json["report"]
    assert {one["figure"]: (one["till"], one["pos"]) for one in report["figures"]} == {
        name: (TOTALS[name], TOTALS[name]) for name in TOTALS if name != "tenders"
    }
    assert [(one["kind"], one["till"], one["pos"]) for one in report["tenders"]] == [
        ("card", 4000, 4000), ("cash", 1350, 1350), ("points", 1000, 1000),
    ]  # fmt: skip
    assert (report["overrides"], report["offline_receipts"], report["till"], report["cashier"]) == (1, 1, "3", "4")
    assert "day.differs" not in {one["code"] for one in closed.json["warnings"]}


def test_each_difference_comes_with_its_receipts_and_a_sentence(rim: Rim) -> None:
    tenders = [{"kind": "cash", "amount_minor": 1050}, {"kind": "card", "amount_minor": 4000}]
    closed = shut(rim, totals={**TOTALS, "receipts": 2, "net_minor": 5050, "tenders": tenders}).json
    names = ("figure", "pos", "till", "difference", "say")
    assert [tuple(one[name] for name in names) for one in closed["differences"]] == [
        ("receipts", 2, 3, 1, "This till has 1 more receipts than the POS. It may be R3."),
        ("net_minor", 5050, 5350, 300, "This till has 3.00 more in sales than the POS. It may be R3."),
        ("tender:cash", 1050, 1350, 300, "This till has 3.00 more in cash than the POS. It may be R3."),
    ]  # fmt: skip
    assert closed["differences"][1]["receipts"] == [{"receipt_id": "R3", "amount": 300, "why": "voided"}]
    assert closed["report"]["look_at"] == ["R3"]
    assert "day.differs" in {one["code"] for one in closed["warnings"]}
    for words in ("TILL CLOSE", "R3", "+3.00"):
        assert words in closed["text"]


def test_with_the_list_of_the_pos_the_receipt_is_certain(rim: Rim) -> None:
    sales = [{"receipt_id": "R1", "net_minor": 1050}, {"receipt_id": "R3", "net_minor": 300}]
    (one,) = shut(rim, totals={"net_minor": 1350}, sales=sales).json["differences"]
    assert one["receipts"] == [{"receipt_id": "R2", "amount": 4000, "why": "only_here"}]
    assert one["say"] == "This till has 40.00 more in sales than the POS. Look at R2."


def test_what_the_pos_said_is_kept_in_the_event(rim: Rim) -> None:
    shut(rim, totals={"net_minor": 5000})
    detail = read_close(rim.journal.last_close().event)
    assert detail.pos == DayTotals(net_minor=5000)
    assert (detail.till.discount_minor, detail.till.tenders[1].amount_minor) == (200, 1350)
    assert [(one.figure, one.pos, one.till) for one in detail.differences] == [("net_minor", 5000, 5350)]


def test_a_close_is_answered_again_and_other_totals_are_refused(tmp_path: Path, rim: Rim) -> None:
    first = shut(rim, totals=TOTALS).json
    again = shut(rim, totals=TOTALS)
    assert (again.status_code, again.json) == (200, {**first, "replayed": True})
    assert shut(rim).json == again.json
    other = shut(rim, totals={**TOTALS, "voids": 2})
    assert (other.status_code, other.json["code"]) == (409, "day.closed_otherwise")
    rim.journal.close()
    rim = Rim(tmp_path, in_files=True, with_programme=False)
    assert rim.client.get(f"/v1/day-close/{DATE}").json == again.json
    assert rim.client.get("/v1/day-close/2026-03-06").json["code"] == "day.not_closed"
    assert rim.client.get("/v1/day-close/yesterday").json["code"] == "request.bad_query"


def test_a_close_without_totals_may_not_get_them_later(rim: Rim) -> None:
    shut(rim)
    assert shut(rim, totals=TOTALS).json["code"] == "day.closed_otherwise"


def test_a_difference_in_money_may_want_a_supervisor(tmp_path: Path) -> None:
    rim = Rim(tmp_path, approvals={"day_close": 100})
    rim.post("/v1/receipts", paid())
    assert shut(rim, totals={"net_minor": 951, "points_earned": 1}).status_code == 201  # 0.99
    (tmp_path / "other").mkdir()
    rim = Rim(tmp_path / "other", approvals={"day_close": 100})
    rim.post("/v1/receipts", paid())
    answer = shut(rim, totals={"net_minor": 950})
    assert (answer.json["code"], answer.json["figures"]) == (
        "override.wanted", {"action": "day_close", "limit": 100, "found": 100})  # fmt: skip
    assert rim.journal.last_close() is None
    told = shut(rim, totals={"net_minor": 950}, override={"supervisor": "91", "reason": "drawer was short"}).json
    assert told["report"]["approved_by"] == "91"
    assert "drawer was short" in told["text"]


def test_a_till_that_lost_its_programme_closes_its_day_in_the_money_of_its_sales(tmp_path: Path) -> None:
    rim = Rim(tmp_path, in_files=True)
    yen = {"currency": "JPY", "lines": [rung(1, "tea", 1050)]}
    rim.cache.load_programme(read_programme("id: cha\ncurrency: JPY\npromotions: []\n"))
    assert rim.post("/v1/receipts", paid(basket=yen, card=None)).status_code == 201
    rim.journal.close()
    rim.cache.close()
    (tmp_path / "cache.db").unlink()
    rim = Rim(tmp_path, in_files=True, with_programme=False)
    told = shut(rim, totals={"net_minor": 1000})
    assert (told.status_code, told.json["report"]["currency"]) == (201, "JPY")
    rows = [" ".join(row.split()) for row in told.json["text"].splitlines()]
    at = rows.index("Sales, net 1,050")
    assert rows[at + 1 : at + 3] == ["POS 1,000", "Difference +50"]


def test_a_till_that_never_had_a_programme_closes_its_day(tmp_path: Path) -> None:
    told = shut(Rim(tmp_path, with_programme=False))
    assert told.status_code == 201
    assert "Sales, net 0.00" in " ".join(told.json["text"].split())


def test_a_close_of_an_earlier_version_is_still_read() -> None:
    close = TillClose(
        receipt_id="till_close:2026-03-05", place=PLACE, receipts=1, voids=0, returns=0, net_minor=100,
        returned_minor=0, points_earned=1, points_spent=0, points_reversed=0, first_seq=1, last_seq=2,
    )  # fmt: skip
    assert read_close(close).differences == ()
    told = figures_of(close)
    assert (told.net_minor, told.discount_minor, told.tenders) == (100, 0, ())
