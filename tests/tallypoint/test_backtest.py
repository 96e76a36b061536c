"""What programmes would have cost: figures worked out by hand on small files, and sums that hold on real ones."""

import csv
import gzip
import json
import os
import re
import subprocess
import sys
from decimal import ROUND_HALF_UP, Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from loyalty.programme.check import check_programme
from loyalty.programme.programme import read_programme
from tallypoint.backtest.backtest import Backtest, backtest
from tallypoint.backtest.csv_files import members_csv, receipts_csv
from tallypoint.backtest.pricing import deal
from tallypoint.cli import main
from tallypoint.receipts_file import read_map, read_receipts

HERE = Path(__file__).parent
FORTY = str(HERE / "forty_lines.csv")
PROGRAMMES = HERE.parents[1] / "tallypoint" / "programmes"

# A point for every 1.00, and 10 % off from 50.00. A point is worth 0.01.
TENTH = """
id: tenth
currency: GBP
spending: {step_points: 1, step_minor: 1}
promotions:
  - {id: base, then: [{kind: earn, points: 1, per_minor: 100}]}
  - id: large
    name: 10 % off from 50.00
    who: {card: true}
    when: [{kind: spend, at_least_minor: 5000}]
    then: [{kind: percent_off, percent_bp: 1000}]
"""
# Two points for every 1.00, and 2.00 off every second purchase.
SECOND = """
id: second
currency: GBP
spending: {step_points: 1, step_minor: 1}
promotions:
  - {id: base, then: [{kind: earn, points: 2, per_minor: 100}]}
  - id: every-second
    when: [{kind: purchase, every: 2}]
    then: [{kind: amount_off, amount_minor: 200}]
"""
POINTS_ONLY = """
id: points
currency: GBP
LIFETIME
spending: {step_points: 1, step_minor: 1}
promotions:
  - {id: base, then: [{kind: earn, points: 1, per_minor: 100}]}
"""


@pytest.fixture
def programmes(tmp_path: Path) -> tuple[str, str]:
    """Both programmes as files: `tenth` and `second`."""
    return _file(tmp_path / "tenth.yaml", TENTH), _file(tmp_path / "second.yaml", SECOND)


def _file(path: Path, text: str) -> str:
    path.write_text(text, "utf-8")
    return str(path)


def run(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    """A back-test of the forty lines, or of the file and map that are named, as JSON."""
    named = words if "--map" in words else (FORTY, "--map", "online_retail.yaml", *words)
    assert main(["replay", *named, "--backtest", "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_one_programme_costs_what_its_promotions_cost(programmes, capsys):
    said = run(capsys, "--programme", programmes[0])
    file, (found,) = said["file"], said["programmes"]
    assert (file["receipts"], file["anonymous"], file["members"], file["returns"]) == (13, 3, 5, 3)
    assert (file["sales_minor"], file["returned_minor"], said["comparison"]) == (36_940, 6530, None)
    assert (found["receipts"], found["sales_minor"]) == (13, 36_940)
    # 60.48, 78.06 and 69.18 are 10 % cheaper, line by line and half up: 6.05 + 7.81 + 6.92
    # a point for each whole 1.00 that is left, for members: 54 + 44 + 26 + 70 + 18 + 62 + 5 + 30 + 4 + 9
    assert [
        (one["promotion"], one["receipts"], one["members"], one["discount_minor"], one["points"])
        for one in found["promotions"]
    ] == [("base", 10, 5, 0, 322), ("large", 3, 3, 2078, 0)]
    assert (found["discount_minor"], found["points"], found["point_worth_micro"]) == (2078, 322, 10_000)
    # 20.78 and 322 points at 0.01 are 24.00, of 369.40
    assert (found["points_micro"], found["cost_micro"], found["cost_bp"]) == (3_220_000, 24_000_000, 650)


def test_points_cost_nothing_until_somebody_says_what_they_are_worth(programmes, capsys, tmp_path):
    silent = _file(tmp_path / "silent.yaml", TENTH.replace("spending: {step_points: 1, step_minor: 1}", ""))
    (found,) = run(capsys, "--programme", silent)["programmes"]
    assert (found["points"], found["points_micro"], found["cost_micro"]) == (322, 0, 20_780_000)
    (found,) = run(capsys, "--programme", silent, "--point-micro", "5000")["programmes"]
    assert (found["points_micro"], found["cost_micro"]) == (1_610_000, 22_390_000)


def test_two_programmes_are_held_against_each_other_receipt_by_receipt(programmes, capsys):
    said = run(capsys, "--programme", programmes[0], "--against", programmes[1])
    held = said["comparison"]
    # Under the other: 2.00 off the second purchase of each of four members, and 674 points.
    assert [(one["discount_minor"], one["points"]) for one in said["programmes"]] == [(2078, 322), (800, 674)]
    assert tallied(held["receipts"]) == (3, 7, 3, 1654, -728)
    assert tallied(held["members"]) == (3, 2, 0, 1200, -274)
    assert tallied(held["departments"]) == (1, 0, 0, 926, 0)  # the file has none, so all its goods are in one
    assert held["difference"] == {"discount_minor": 1278, "points": -352, "value_micro": 9_260_000}
    assert listed(held["receipts_most_better"]) == [("700008", 695), ("700001", 539), ("700012", 420)]
    assert listed(held["receipts_most_worse"]) == [
        ("700017", -226), ("700009", -215), ("700013", -201), ("700002", -44), ("700004", -27), ("700019", -10),
        ("700018", -5),
    ]  # fmt: skip
    assert listed(held["members_most_better"]) == [("M00004", 494), ("M00003", 393), ("M00001", 313)]
    assert listed(held["members_most_worse"]) == [("M00002", -269), ("M00005", -5)]


def test_a_distribution_has_no_gaps_and_its_edges_belong_to_the_smaller_difference(programmes, capsys):
    held = run(capsys, "--programme", programmes[0], "--against", programmes[1])["comparison"]
    assert [(bar["above_minor"], bar["to_minor"], bar["receipts"]) for bar in held["distribution"]] == [
        (-500, -200, 3), (-200, -100, 0), (-100, -50, 0), (-50, -25, 2), (-25, -10, 0), (-10, 0, 2), (0, 0, 3),
        (0, 10, 0), (10, 25, 0), (25, 50, 0), (50, 100, 0), (100, 200, 0), (200, 500, 1), (500, 1000, 2),
    ]  # fmt: skip


def tallied(tally: dict[str, Any]) -> tuple[int, ...]:
    """Better, worse, same; gained and lost in minor units."""
    gained, lost = (tally[name]["value_micro"] // 10_000 for name in ("gained", "lost"))
    return tally["better"], tally["worse"], tally["same"], gained, lost


def listed(rows: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(row["name"], row["difference"]["value_micro"] // 10_000) for row in rows]


def test_nobody_spends_points_unless_told_to(capsys, tmp_path):
    programme = _file(tmp_path / "points.yaml", POINTS_ONLY.replace("LIFETIME", ""))
    (found,) = run(capsys, "--programme", programme)["programmes"]
    # 60 + 44 + 26 + 78 + 18 + 69 + 5 + 30 + 4 + 9
    assert (found["points"], found["points_spent"], found["points_left"]) == (343, 0, 343)


def test_members_spend_what_earlier_receipts_left_them_and_earn_on_the_rest(capsys, tmp_path):
    programme = _file(tmp_path / "points.yaml", POINTS_ONLY.replace("LIFETIME", ""))
    (found,) = run(capsys, "--programme", programme, "--spend-points")["programmes"]
    # 20001 spends its 60, 20002 first 44 then 18, 20003 its 26, 20004 its 78; what these pay earns nothing.
    assert (found["points_spent"], found["paid_with_points_minor"]) == (226, 226)
    assert (found["points"], found["points_left"], found["cost_micro"]) == (340, 114, 3_400_000)


def test_points_that_may_only_be_asked_for_as_allowed_are_spent_too(capsys, tmp_path):
    text = POINTS_ONLY.replace("LIFETIME", "options: {points_over: refuse}")
    (found,) = run(capsys, "--programme", _file(tmp_path / "points.yaml", text), "--spend-points")["programmes"]
    assert found["points_spent"] == 226


def test_points_lapse_on_the_day_after_their_last_one(capsys, tmp_path):
    programme = _file(tmp_path / "points.yaml", POINTS_ONLY.replace("LIFETIME", "lifetime: {days: 1}"))
    (found,) = run(capsys, "--programme", programme)["programmes"]
    # The file ends on the 5th: what was earned through the 3rd was good through the 4th at the latest.
    assert (found["points"], found["points_lapsed"], found["points_left"]) == (343, 226, 117)
    (found,) = run(capsys, "--programme", programme, "--spend-points")["programmes"]
    # Only 20004 comes back on the day after: 78.06 on the 3rd gave 78 points, 5.49 on the 4th takes them.
    assert found["points_spent"] == 78


SHOPS = """receipt,sku,quantity,amount,sold_at,member,store,department
A1,bread,1,2.00,2025-01-05 09:00,7,north,Bakery
A1,milk,2,3.00,2025-01-05 09:00,7,north,Dairy
A2,milk,1,1.50,2025-02-10 09:00,8,south,Dairy
A3,bread,1,2.00,2025-04-01 18:00,7,south,Bakery
"""
SHOPS_MAP = """
currency: EUR
columns: {receipt: receipt, sku: sku, quantity: quantity, amount: amount, sold_at: sold_at, card: member, store: store,
          category: [department]}
sold_at: {format: "%Y-%m-%d %H:%M", zone: Europe/Lisbon}
card: {prefix: "982600", length: 16}
"""
SHOPS_PROGRAMME = """
id: shops
currency: EUR
spending: {step_points: 100, step_minor: 100}
promotions:
  - id: dairy
    funded_by: valley
    then: [{kind: percent_off, percent_bp: 1000, of: {category: [[Dairy]]}}]
  - id: visit
    then: [{kind: points, points: 10}]
    funded_by: valley
  - id: bread
    when: [{kind: quantity, at_least_milli: 1000, of: {sku: [bread]}}]
    then: [{kind: gift, items: [{sku: bag}], units: 2}]
  - id: next
    where: {partners: [ridge]}
    who: {card: true}
    then: [{kind: issue_coupon, coupon: treat}]
coupons: [{id: treat}]
"""
SHOPS_COALITION = """
currency: EUR
partners:
  - {partner_id: valley, name: Valley, stores: [{store_id: north, name: North}], terms: []}
  - {partner_id: ridge, name: Ridge, stores: [{store_id: south, name: South}], terms: []}
"""


@pytest.fixture
def shops(tmp_path: Path) -> list[str]:
    """Two stores of two partners, three months, two departments."""
    return [
        _file(tmp_path / "shops.csv", SHOPS),
        "--map", _file(tmp_path / "map.yaml", SHOPS_MAP),
        "--programme", _file(tmp_path / "shops.yaml", SHOPS_PROGRAMME),
        "--coalition", _file(tmp_path / "coalition.yaml", SHOPS_COALITION),
    ]  # fmt: skip


def test_what_another_partner_pays_is_told_apart(shops, capsys):
    said = run(capsys, *shops)
    (found,) = said["programmes"]
    by_id = {one["promotion"]: one for one in found["promotions"]}
    # 0.30 at the north store is valley's own, 0.15 at the south store is not; so are 10 of 10 points, then 20 of 20.
    assert (by_id["dairy"]["discount_minor"], by_id["dairy"]["discount_funded_minor"]) == (45, 15)
    assert (by_id["visit"]["points"], by_id["visit"]["points_funded"]) == (30, 20)
    assert (found["discount_funded_minor"], found["points_funded"]) == (15, 20)
    assert said["partners"] == ["ridge", "valley"]
    assert [(one["name"], one["sales_minor"], one["discount_minor"], one["points"]) for one in found["partners"]] == [
        ("ridge", 350, 15, 20),
        ("valley", 500, 30, 10),
    ]


def test_gifts_and_coupons_touch_receipts_without_costing_anything_here(shops, capsys):
    (found,) = run(capsys, *shops)["programmes"]
    by_id = {one["promotion"]: one for one in found["promotions"]}
    bread, treat = by_id["bread"], by_id["next"]
    assert (bread["receipts"], bread["members"], bread["gifts"], bread["cost_micro"]) == (2, 1, 4, 0)
    assert (treat["receipts"], treat["members"], treat["coupons"], treat["cost_micro"]) == (2, 2, 2, 0)


def test_departments_and_months_add_up_to_the_whole(shops, capsys):
    said = run(capsys, *shops)
    (found,) = said["programmes"]
    assert said["period"] == "month"
    assert [(one["name"], one["sales_minor"], one["discount_minor"]) for one in found["periods"]] == [
        ("2025-01", 500, 30),
        ("2025-02", 150, 15),
        ("2025-04", 200, 0),
    ]
    by_department = {one["name"]: one for one in found["departments"]}
    dairy, bakery = by_department["Dairy"], by_department["Bakery"]
    assert (dairy["receipts"], dairy["sales_minor"], dairy["discount_minor"]) == (2, 450, 45)
    assert (bakery["receipts"], bakery["sales_minor"], bakery["discount_minor"]) == (2, 400, 0)
    assert sum(one["points"] for one in found["departments"]) == 30


def test_without_a_coalition_stores_go_to_the_partners_that_the_programmes_name(shops, capsys):
    said = run(capsys, *shops[:-2])
    assert said["partners"] == ["ridge"]
    assert [(one["name"], one["receipts"]) for one in said["programmes"][0]["partners"]] == [("ridge", 3)]


def test_stores_are_dealt_out_by_their_ids_alone():
    # sha256sum says 0788979fc9366e21... for 367, which is odd, and 6db6eb4af1e18ab8... for 292, which is even
    assert deal(["367", "292"], ("first", "second"), {}) == {"367": "second", "292": "first"}
    assert deal(["367"], ("first", "second"), {}) == {"367": "second"}
    assert deal(["367", "292"], ("first", "second"), {"292": "third"}) == {"367": "second", "292": "third"}


def test_a_tier_that_is_reached_counts_from_the_next_receipt_on(capsys, tmp_path):
    programme = _file(
        tmp_path / "tiers.yaml",
        """
id: tiers
currency: GBP
tiers: [{id: gold, reach: {spend_minor: 4000}}]
promotions:
  - {id: gold, who: {tiers: [gold]}, then: [{kind: amount_off, amount_minor: 100}]}
""",
    )
    (found,) = run(capsys, "--programme", programme)["programmes"]
    # 20001, 20002 and 20004 spend 40.00 on their first receipt and come back once, twice and once. 20003 reaches it on
    # the last one.
    assert (found["promotions"][0]["receipts"], found["discount_minor"]) == (4, 400)


def test_a_budget_is_shared_by_everybody(capsys, tmp_path):
    programme = _file(
        tmp_path / "budget.yaml",
        """
id: budget
currency: GBP
promotions:
  - {id: four, limits: {times_in_all: 4}, then: [{kind: amount_off, amount_minor: 100}]}
""",
    )
    (found,) = run(capsys, "--programme", programme)["programmes"]
    assert (found["promotions"][0]["receipts"], found["promotions"][0]["members"]) == (4, 3)  # one has no card


def test_a_sale_that_cannot_be_priced_is_listed_and_left_out_under_both(capsys, tmp_path, programmes):
    rows = [f"BIG,{n},x,1,01/01/2025,1.00,1," for n in range(2001)]
    text = "\n".join(["InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country", *rows])
    file = _file(tmp_path / "big.csv", f"{text}\nSMALL,1,x,1,02/01/2025,3.00,1,\n")
    words = (file, "--map", "online_retail.yaml", "--programme", programmes[0], "--against", programmes[1])
    said = run(capsys, *words, code=1)
    assert [(one["programme"], one["code"], one["receipts"]) for one in said["unpriced"]] == [
        ("tenth", "basket.malformed", ["BIG"]),
        ("second", "basket.malformed", ["BIG"]),
    ]
    assert [(one["receipts"], one["sales_minor"]) for one in said["programmes"]] == [(1, 300), (1, 300)]
    # It was no purchase of the member's either: SMALL is the first one and gets nothing off.
    assert said["programmes"][1]["discount_minor"] == 0
    assert main(["replay", *words, "--backtest"]) == 1
    assert "basket.malformed" in capsys.readouterr().out


def test_a_programme_in_another_currency_is_refused_at_once(capsys):
    dollars = str(PROGRAMMES / "journey.yaml")
    assert main(["replay", FORTY, "--map", "online_retail.yaml", "--backtest", "--programme", dollars]) == 2
    assert "USD" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "named"), [(["--html", "x.html"], "--html"), (["--backtest", "--data", "x"], "--data")]
)
def test_options_that_would_be_ignored_are_refused(words, named, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["replay", FORTY, "--map", "online_retail.yaml", *words])
    assert ended.value.code == 2
    assert named in capsys.readouterr().err


def test_a_place_that_cannot_be_written_to_is_named(programmes, tmp_path, capsys):
    taken = _file(tmp_path / "taken", "a file")
    words = ["replay", FORTY, "--map", "online_retail.yaml", "--backtest", "--programme", programmes[0], "--csv", taken]
    assert main(words) == 3
    assert "taken" in capsys.readouterr().err


def test_the_same_back_test_writes_the_same_bytes(programmes, tmp_path):
    made = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        done = subprocess.run(
            [sys.executable, "-m", "tallypoint.cli", "replay", FORTY, "--map", "online_retail.yaml", "--backtest",
             "--programme", programmes[0], "--against", programmes[1], "--json",
             "--html", str(folder / "page.html"), "--csv", str(folder)],
            env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True,
        )  # fmt: skip
        made.append((done.stdout, {path.name: path.read_bytes() for path in folder.iterdir()}))
    assert made[0] == made[1]
    assert sorted(made[0][1]) == ["members.csv", "page.html", "promotions.csv", "receipts.csv"]


def test_rows_of_receipts_and_members_are_written_in_major_units(programmes, tmp_path):
    words = ["replay", FORTY, "--map", "online_retail.yaml", "--backtest", "--programme", programmes[0]]
    assert main([*words, "--against", programmes[1], "--csv", str(tmp_path / "out")]) == 0
    receipts = {row["receipt"]: row for row in rows_of(tmp_path / "out" / "receipts.csv")}
    assert len(receipts) == 13
    first = receipts["700001"]
    assert (first["member"], first["sold_on"], first["sales"]) == ("M00001", "2010-12-01", "60.48")
    assert (first["discount"], first["points"], first["value"]) == ("6.05", "54", "6.59")
    assert (first["other_discount"], first["other_points"], first["other_value"]) == ("0.00", "120", "1.20")
    assert (first["difference_discount"], first["difference_points"]) == ("6.05", "-66")
    assert first["difference_value"] == "5.39"
    assert receipts["700003"]["member"] == ""
    assert receipts["700017"]["difference_value"] == "-2.26"
    members = rows_of(tmp_path / "out" / "members.csv")
    assert [(row["member"], row["receipts"], row["sales"], row["difference_value"]) for row in members] == [
        ("M00001", "2", "90.93", "3.13"),
        ("M00002", "3", "72.85", "-2.69"),
        ("M00003", "2", "96.13", "3.93"),
        ("M00004", "2", "83.55", "4.94"),
        ("M00005", "1", "4.95", "-0.05"),
    ]
    promotions = rows_of(tmp_path / "out" / "promotions.csv")
    assert [(row["programme"], row["promotion"], row["cost"]) for row in promotions] == [
        ("tenth", "base", "3.22"),
        ("tenth", "large", "20.78"),
        ("second", "base", "6.74"),
        ("second", "every-second", "8.00"),
    ]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_spreadsheet_runs_nothing_that_stands_in_the_file(tmp_path):
    file = _file(tmp_path / "odd.csv", SHOPS.replace("A2,", "=1+1,").replace(",south,", ",@south,"))
    named = SHOPS_PROGRAMME.replace("- id: dairy\n", "- id: dairy\n    name: '+cheap'\n")
    programme = _file(tmp_path / "odd.yaml", named)
    words = ["replay", file, "--map", _file(tmp_path / "map.yaml", SHOPS_MAP), "--backtest", "--programme", programme]
    assert main([*words, "--csv", str(tmp_path / "out")]) == 0
    assert [row["receipt"] for row in rows_of(tmp_path / "out" / "receipts.csv")] == ["A1", "'=1+1", "A3"]
    assert [row["store"] for row in rows_of(tmp_path / "out" / "receipts.csv")] == ["north", "'@south", "'@south"]
    assert rows_of(tmp_path / "out" / "promotions.csv")[0]["name"] == "'+cheap"


def test_no_result_holds_a_card_number(programmes, tmp_path, capsys):
    words = ["--programme", programmes[0], "--against", programmes[1]]
    said = json.dumps(run(capsys, *words, "--html", str(tmp_path / "x" / "page.html"), "--csv", str(tmp_path / "x")))
    cards = {one.card for one in read_receipts(Path(FORTY), read_map("online_retail.yaml")).receipts if one.card}
    assert len(cards) == 5
    for text in (said, *(path.read_text("utf-8") for path in (tmp_path / "x").iterdir())):
        assert not [card for card in cards if card in text]


# The page


class Seen(HTMLParser):
    """What a page is made of: tags with their attributes, ids, and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


@pytest.fixture
def page(programmes, tmp_path) -> str:
    """The page of the two small programmes."""
    target = tmp_path / "page.html"
    words = ["replay", FORTY, "--map", "online_retail.yaml", "--backtest", "--programme", programmes[0]]
    assert main([*words, "--against", programmes[1], "--html", str(target)]) == 0
    return target.read_text("utf-8")


def test_the_page_says_who_wins_and_what_it_costs(page):
    seen = Seen(page)
    assert "Back-test of tenth held against second" in re.sub(r"\s+", " ", seen.text)
    for figure in ("24.00", "+9.26", "369.40", "6.50 %", "+16.54", "−7.28", "700008", "M00004", "3 returns of 65.30"):
        assert figure in seen.text


def test_the_page_stands_alone(page):
    seen = Seen(page)
    assert not seen.all("script") and not seen.all("link") and not seen.all("img") and not seen.all("iframe")
    assert "http:" not in page and "https:" not in page and "url(" not in page and "@import" not in page


def test_every_chart_says_in_words_what_it_shows_and_has_a_table_beside_it(page):
    seen = Seen(page)
    ids = [attributes["id"] for _, attributes in seen.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    charts = [one for one in seen.all("svg") if one.get("role") == "img"]
    assert len(charts) == 3
    for one in charts:
        title, described = (one["aria-labelledby"] or "").split()
        assert title in ids and described in ids
    assert all(one.get("scope") for one in seen.all("th"))
    assert len(seen.all("table")) >= 3


def test_names_of_promotions_are_shown_and_never_run(tmp_path):
    odd = _file(tmp_path / "odd.yaml", TENTH.replace("10 % off from 50.00", "<b onclick=x>10 %</b> & more"))
    target = tmp_path / "page.html"
    words = ["replay", FORTY, "--map", "online_retail.yaml", "--backtest", "--programme", odd, "--html", str(target)]
    assert main(words) == 0
    page = target.read_text("utf-8")
    assert "<b onclick" not in page
    assert "&lt;b onclick=x&gt;10 %&lt;/b&gt; &amp; more" in page


TEXT_ON = (("ink", "page"), ("muted", "page"), ("ink", "card"), ("muted", "card"), ("good", "card"), ("bad", "card"),
           ("warn", "warn-back"))  # fmt: skip
DRAWN_ON_CARD = ("first", "other", "points", "better", "worse", "same")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_charts_can_be_told_from_what_is_behind_them(page, scheme):
    blocks = re.findall(r":root \{(.*?)\}", page, re.DOTALL)
    tokens = [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block)) for block in blocks]
    colours = tokens[0] if scheme == "light" else tokens[0] | tokens[1]
    assert len(tokens) == 2
    for ink, behind in TEXT_ON:
        assert contrast(colours[ink], colours[behind]) >= 4.5, (ink, behind)
    for ink in DRAWN_ON_CARD:
        assert contrast(colours[ink], colours["card"]) >= 3, ink


def contrast(one: str, other: str) -> float:
    """Of two colours, as WCAG 2.2 defines it."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1366])
@pytest.mark.parametrize(("scheme", "background"), [("light", "rgb(245, 246, 244)"), ("dark", "rgb(18, 23, 22)")])
def test_the_page_renders_in_light_and_dark_on_wide_and_narrow_screens(
    browser: Browser, page: str, tmp_path: Path, scheme: Any, background: str, width: int
):
    _file(tmp_path / "shown.html", page)
    complaints: list[str] = []
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    shown = context.new_page()
    shown.on("console", lambda said: complaints.append(said.text))
    shown.on("pageerror", lambda error: complaints.append(str(error)))
    shown.on("request", lambda asked: complaints.append(asked.url) if not asked.url.startswith("file:") else None)
    shown.goto((tmp_path / "shown.html").as_uri())
    assert shown.evaluate("getComputedStyle(document.body).backgroundColor") == background
    assert shown.evaluate("document.documentElement.scrollWidth") == width
    assert shown.locator("svg.chart").count() == 3
    assert shown.evaluate(OUTSIDE) == []
    assert complaints == []
    context.close()


# Labels and bars of a chart that stick out of it.
OUTSIDE = """
[...document.querySelectorAll('svg.chart')].flatMap(chart => {
  const room = chart.getBoundingClientRect();
  return [...chart.querySelectorAll('text, rect')].filter(part => {
    const box = part.getBoundingClientRect();
    return box.left < room.left - 1 || box.right > room.right + 1
      || box.top < room.top - 1 || box.bottom > room.bottom + 1;
  }).map(part => part.textContent);
})
"""


# Real receipts


@pytest.mark.parametrize("name", ["journey", "journey-richer", "gifts"])
def test_the_example_programmes_are_sound(name):
    assert check_programme((PROGRAMMES / f"{name}.yaml").read_text("utf-8")) == ()


@pytest.fixture(scope="module")
def journey(real_data: Path) -> Backtest:
    """A year of a grocer's baskets under both example programmes; members spend what they may."""
    what = read_map("complete_journey.yaml")
    read = read_receipts(real_data / "complete_journey" / "transactions_sample.csv.gz", what)
    both = [read_programme((PROGRAMMES / f"{name}.yaml").read_text("utf-8")) for name in ("journey-richer", "journey")]
    return backtest(read, what.currency, both, spend_points=True)


def test_every_basket_of_the_grocer_is_priced_and_its_sales_are_the_file_s(real_data, journey):
    sold = rows_in(real_data / "complete_journey" / "transactions_sample.csv.gz")
    amounts = [Decimal(row["sales_value"]) * 100 for row in sold]
    whole = [int(amount) for amount in amounts if amount == amount.to_integral_value()]
    assert len(amounts) - len(whole) == 1  # one amount is 4.4e-16
    report = journey.report
    assert report.unpriced == ()
    assert (report.file.lines, report.file.receipts, report.file.members) == (75_000, 47_243, 2377)
    for one in report.programmes:
        assert (one.receipts, one.sales_minor) == (47_243, sum(whole))


def test_costs_are_the_sum_of_promotions_departments_months_and_partners(journey):
    for one in journey.report.programmes:
        assert one.cost_micro == sum(part.cost_micro for part in one.promotions)
        assert one.cost_micro == one.discount_minor * 10_000 + one.points * one.point_worth_micro
        assert one.discount_minor == sum(part.discount_minor for part in one.promotions)
        assert one.points == sum(part.points for part in one.promotions)
        for parts in (one.departments, one.periods, one.partners):
            assert sum(part.sales_minor for part in parts) == one.sales_minor
            assert sum(part.discount_minor for part in parts) == one.discount_minor
            assert sum(part.points for part in parts) == one.points
            assert sum(part.value_micro for part in parts) == one.cost_micro
        assert sum(bar.receipts for bar in one.distribution) == one.receipts
        assert [share.name for share in one.periods] == [f"2017-{month:02}" for month in range(1, 13)]


def test_no_point_appears_or_vanishes(journey):
    for one in journey.report.programmes:
        assert one.points == one.points_spent + one.points_lapsed + one.points_left
        assert one.points_spent > 0 and one.points_lapsed > 0 and one.points_left > 0
        assert one.paid_with_points_minor == one.points_spent  # 100 points pay 1.00


def test_differences_add_up_from_receipts_members_and_departments_to_the_whole(journey):
    first, other = journey.report.programmes
    held = journey.report.comparison
    assert held is not None
    assert held.difference.value_micro == first.cost_micro - other.cost_micro
    for tally in (held.receipts, held.members, held.departments):
        assert tally.gained.value_micro + tally.lost.value_micro == held.difference.value_micro
    assert held.receipts.better + held.receipts.worse + held.receipts.same == 47_243
    assert held.members.better + held.members.worse + held.members.same == 2377
    assert held.receipts.worse > 0 and held.receipts.better > held.receipts.worse
    assert sum(bar.receipts for bar in held.distribution) == 47_243
    assert sum(one.difference.value_micro for one in held.by_department) == held.difference.value_micro


def test_rows_add_up_to_the_report(journey):
    receipts = list(csv.DictReader(receipts_csv(journey)))
    members = list(csv.DictReader(members_csv(journey)))
    first, other = journey.report.programmes
    for rows in (receipts, members):
        assert sum(Decimal(row["sales"]) for row in rows) * 100 == first.sales_minor
        assert sum(Decimal(row["discount"]) for row in rows) * 100 == first.discount_minor
        assert sum(int(row["other_points"]) for row in rows) == other.points
        assert sum(Decimal(row["difference_value"]) for row in rows) * 1_000_000 == first.cost_micro - other.cost_micro
    assert len(receipts) == 47_243


def test_every_promotion_of_the_example_does_something_on_real_goods(journey):
    for one in journey.report.programmes:
        assert [part.promotion for part in one.promotions if not part.receipts] == []


def test_ten_percent_off_the_deli_is_ten_percent_of_each_of_its_lines(real_data, journey):
    """Nothing comes before it, so it can be worked out from the file alone: half up, line by line."""
    folder = real_data / "complete_journey"
    goods = rows_in(folder / "products.csv.gz")
    deli = {row["product_id"] for row in goods if row["department"] in ("DELI", "CHEF SHOPPE")}
    sold = rows_in(folder / "transactions_sample.csv.gz")
    minor = [Decimal(row["sales_value"]) * 100 for row in sold if row["product_id"] in deli]
    for programme, percent in zip(journey.report.programmes, (15, 10), strict=True):
        found = next(one for one in programme.promotions if one.promotion == "deli")
        wanted = sum((amount * percent / 100).quantize(Decimal(1), ROUND_HALF_UP) for amount in minor)
        assert found.discount_minor == wanted


def rows_in(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def test_no_member_is_charged_more_than_the_goods_cost(journey):
    for run in journey.runs:
        for sale, given in zip(journey.sales, run.given, strict=True):
            assert 0 <= given.discount_minor + given.paid_with_points_minor <= sale.sales_minor


def test_the_gift_retailer_s_programme_does_something_on_its_goods(real_data, capsys):
    file = str(real_data / "online_retail" / "online_retail_2010_12_01_to_05.csv.gz")
    said = run(capsys, file, "--map", "online_retail.yaml", "--programme", str(PROGRAMMES / "gifts.yaml"))
    (found,) = said["programmes"]
    assert (found["receipts"], found["sales_minor"], said["period"]) == (439, 18_423_983, "day")
    assert (said["file"]["returns"], said["file"]["returned_minor"]) == (43, 358_058)
    assert [one["promotion"] for one in found["promotions"] if not one["receipts"]] == []
