"""What a till looks up beside the fact: points that lapse, the next tier, what was nearly had, approvals."""

from datetime import date
from pathlib import Path

import msgspec
import pytest

from loyalty.programme.programme import read_programme
from tests.edge.rim import CARD, PROGRAMME, Rim, commit, line, member

TIERED = (
    PROGRAMME.replace("place: customer, case: missed", "place: receipt, case: missed")
    + "tiers: [{id: gold, name: Gold, reach: {spend_minor: 10000, period: year}}]\n"
)


@pytest.fixture
def rim(tmp_path: Path) -> Rim:
    rim = Rim(tmp_path, receipt_legal="Points have no cash value.")
    rim.cache.load_programme(read_programme(TIERED))
    row = msgspec.structs.replace(member().row, tier="", lapsing_points=600, lapsing_on=date(2026, 3, 31))
    rim.cache.load_members([msgspec.structs.replace(member(), row=row, home=True)])
    return rim


def rows(said: dict[str, str]) -> list[str]:
    return [" ".join(row.split()) for row in said["text"].splitlines()]


def test_a_sale_says_what_lapses_what_the_next_tier_wants_and_what_was_nearly_had(rim: Rim):
    told = rows(rim.post("/v1/receipts", commit()).json)
    whole = " ".join(told)
    assert "Use by 31 Mar 2026 600 points" in told
    # 10.50 of the 100.00 that gold wants.
    assert "EUR 89.50 more to reach Gold." in told
    assert "Only 19.50 more and your points double" in whole
    assert whole.index("more to reach Gold") < whole.index("Only 19.50") < whole.index("Points have no cash value.")


# Sold on 5 March at 18:30; 600 points lapse on a day of March.
LAPSING = [
    ("end_of_day", 5, "5 Mar 2026"),
    ("end_of_day", 4, ""),
    ("start_of_day", 6, "5 Mar 2026"),
    ("start_of_day", 5, ""),
    ('instant, expiry_at: "18:31"', 5, "5 Mar 2026"),
    ('instant, expiry_at: "18:30"', 5, ""),
    ('instant, expiry_at: "00:00"', 6, "5 Mar 2026"),
    ('instant, expiry_at: "00:00"', 5, ""),
]


@pytest.mark.parametrize(("expiry", "day", "told"), LAPSING)
def test_the_last_day_to_use_points_is_one_on_which_they_can_be_used(rim: Rim, expiry: str, day: int, told: str):
    rim.cache.load_programme(read_programme(f"{TIERED}options: {{expiry: {expiry}}}\n"))
    row = msgspec.structs.replace(member().row, lapsing_points=600, lapsing_on=date(2026, 3, day))
    rim.cache.load_members([msgspec.structs.replace(member(), row=row, home=True)])
    rim.post("/v1/cards/identify", {"card": CARD})
    shown = rim.desk.screens.now()
    assert (shown.lapsing_on, shown.lapsing_points) == (("2026-03-05", 600) if told else (None, 0))
    asked, sold = rim.client.get(f"/v1/balance?card={CARD}").json, rim.post("/v1/receipts", commit()).json
    assert asked["expiring"] == ([{"on": "2026-03-05", "points": 600}] if told else [])
    for slip in (asked, sold):
        use_by = [row for row in rows(slip) if row.startswith("Use by")]
        assert use_by == ([f"Use by {told} 600 points"] if told else [])


def test_a_copy_names_the_same_last_day_though_the_programme_of_its_sale_has_left_the_till(rim: Rim):
    options = "options: {expiry: start_of_day}\n"
    rim.cache.load_programme(read_programme(TIERED + options))
    sold = rows(rim.post("/v1/receipts", commit()).json)
    for name in ("Silver", "Platinum"):
        rim.cache.load_programme(read_programme(TIERED.replace("Gold", name) + options))
    for told in (sold, rows(rim.client.get("/v1/receipts/R1").json)):
        assert [row for row in told if row.startswith("Use by")] == ["Use by 30 Mar 2026 600 points"]


def test_without_a_name_of_the_shop_the_tills_own_heads_every_slip(tmp_path: Path):
    rim = Rim(tmp_path, shop_name="")
    sold, asked = rim.post("/v1/receipts", commit()).json, rim.client.get(f"/v1/balance?card={CARD}").json
    closed = rim.post("/v1/day-close", {"business_date": "2026-03-05"}).json
    assert [rows(said)[0] for said in (sold, asked, closed)] == [rim.desk.label] * 3 == ["3"] * 3


def test_a_sale_that_reaches_the_tier_says_nothing_of_it(rim: Rim):
    basket = {"currency": "EUR", "lines": [line(1, "mug", 10_000)]}
    told = rows(rim.post("/v1/receipts", commit(basket=basket, tenders=[])).json)
    assert not [row for row in told if "to reach" in row]


def test_points_that_were_spent_are_those_that_lapse_first(rim: Rim):
    paid = rim.post("/v1/receipts", commit(points_to_spend=500, tenders=[{"kind": "cash", "amount_minor": 550}]))
    told = rows(paid.json)
    assert "Use by 31 Mar 2026 100 points" in told


def test_a_reprint_says_the_same_and_that_it_is_a_copy(rim: Rim):
    first = rows(rim.post("/v1/receipts", commit()).json)
    again = rows(rim.client.get("/v1/receipts/R1").json)
    # The end of the card was at hand when it was scanned, and is kept nowhere.
    said = [row.removesuffix(" ...8903") for row in first if row]
    assert [row for row in again if row not in ("*** COPY ***", "")] == said
    assert again.count("*** COPY ***") == 2


def test_a_sale_that_earns_nothing_says_the_balance_on_its_reprint_too(rim: Rim):
    bag = {"currency": "EUR", "lines": [line(1, "bag", 5)]}
    first = rows(rim.post("/v1/receipts", commit(basket=bag, tenders=[])).json)
    again = rows(rim.client.get("/v1/receipts/R1").json)
    # The card's end is kept nowhere.
    assert "YOUR POINTS ...8903" in first and "YOUR POINTS" in again
    for told in (first, again):
        assert "Balance 1,240 points" in told and "Use by 31 Mar 2026 600 points" in told


def test_a_return_is_printed_again_and_undone_after_its_sale_is_forgotten_here(rim: Rim):
    rim.post("/v1/receipts", commit())
    rim.post("/v1/returns", {"return_id": "B1", "of": "R1", "lines": [{"line": 2, "quantity": "1"}]})
    with rim.journal._database.writing() as writer:
        writer.execute("DELETE FROM event WHERE receipt_id = 'R1'")
    again = rows(rim.client.get("/v1/receipts/B1").json)
    assert "Line 2 x 1" in again and "PAID OUT EUR 2.50" in again
    undone = rows(rim.post("/v1/returns/B1/void", {}).json)
    assert "TO PAY EUR 2.50" in undone


def test_an_approval_is_on_the_slip_of_a_void(rim: Rim):
    rim.post("/v1/receipts", commit())
    body = {"cashier": "4", "override": {"supervisor": "91", "reason": "Rang up twice"}}
    told = rows(rim.post("/v1/receipts/R1/void", body).json)
    assert told[told.index("Cashier 4") + 1 :][:2] == ["Approved by 91", "Reason: Rang up twice"]


def test_what_is_practised_is_marked_on_every_slip(rim: Rim):
    sale = rim.post("/v1/receipts", commit(training=True)).json
    void = rim.post("/v1/receipts/R1/void", {"training": True}).json
    assert [rows(said).count("*** TRAINING ***") for said in (sale, void)] == [2, 2]
    page = rim.client.get("/v1/receipts/R1?training=true").json["html"]
    assert (page.count("*** TRAINING ***"), "<svg" in page) == (2, False)


def test_a_pos_with_a_fiscal_printer_gets_its_lines(rim: Rim):
    rim.post("/v1/receipts", commit())
    told = rim.client.get("/v1/fiscal-lines/R1?columns=40&lines=3").json
    # A point for every ten cents of 10.50; 1,240 were there.
    assert told["lines"][:2] == ["Points today: 105", "Your points: 1,345"]
    assert (len(told["lines"]), told["no_room"] > 0) == (3, True)
    assert rim.client.get("/v1/fiscal-lines/R1?language=pl").json["lines"][0] == "Punkty dziś: 105"
    assert rim.client.get("/v1/fiscal-lines/R9").status_code == 404
    assert rim.client.get("/v1/fiscal-lines/R1?columns=8").status_code == 400
    assert rim.client.get("/v1/fiscal-lines/R1?lines=41").status_code == 400
