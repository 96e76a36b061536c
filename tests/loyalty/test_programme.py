"""The programme document: strict words, one version for what it says, bounds that hold before anything is quoted."""

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import yaml

from loyalty.cards.cards import CardRangeIsPayment
from loyalty.lots import FOREVER
from loyalty.programme.programme import (
    BadProgramme,
    Lifetime,
    Programme,
    Promotion,
    canonical,
    programme_from,
    programme_schema,
    read_programme,
    valid_through,
)
from tests.loyalty.build import SPENDING, day, earn, percent_off, programme, promotion

ROOT = Path(__file__).parents[2]
TEXT = """
id: club
currency: EUR
name: Klub Jabłko
promotions:
  - id: base
    then: [{kind: earn, points: 1, per_minor: 100}]
    valid: {from_on: 2026-03-01, to_on: "2026-03-31", hours: [["09:00", "24:00"]]}
  - id: dairy
    priority: 5
    then: [{kind: percent_off, percent_bp: 1000, of: {category: [[Grocery, Dairy]]}}]
"""


def test_yaml_and_json_and_keys_in_another_order_make_one_version():
    document = yaml.safe_load(TEXT.replace("2026-03-01", '"2026-03-01"'))
    turned = {key: document[key] for key in reversed(document)}
    turned["promotions"] = [{key: rule[key] for key in reversed(rule)} for rule in document["promotions"]]
    texts = [
        TEXT,
        json.dumps(document),
        json.dumps(turned, indent="\t"),
        yaml.safe_dump(turned),
        json.dumps(turned).encode(),
    ]
    assert len({read_programme(text).version for text in texts}) == 1


def test_the_version_is_the_hash_of_the_canonical_bytes():
    assert canonical(Programme(id="club", currency="EUR")) == b'{"id":"club","currency":"EUR"}'
    # printf '{"id":"club","currency":"EUR"}' | sha256sum
    assert Programme(id="club", currency="EUR").version == (
        "992004e943c08ab813a7596278f923f415baad6fd37e6350fbcbbe1ec87a12a6"
    )


def test_what_was_published_reads_back_as_the_same_version():
    read = read_programme(TEXT)
    assert read_programme(canonical(read)) == read
    assert read_programme(canonical(read)).version == read.version


OTHER = [
    ("currency: EUR", "currency: PLN"),
    ("points: 1", "points: 2"),
    ("per_minor: 100", "per_minor: 101"),
    ("2026-03-01", "2026-03-02"),
    ("priority: 5", "priority: 6"),
    ("Dairy", "dairy"),
    ("id: dairy", "id: milk"),
    ("24:00", "23:00"),
]


@pytest.mark.parametrize(("was", "now"), OTHER)
def test_another_rule_makes_another_version(was, now):
    assert read_programme(TEXT.replace(was, now, 1)).version != read_programme(TEXT).version


def test_promotions_in_another_order_make_another_version():
    one, other = promotion("a", earn(1, 100)), promotion("b", earn(1, 100))
    assert programme(one, other).version != programme(other, one).version


def test_the_version_is_the_same_in_another_process():
    code = (
        "import sys; from loyalty.programme.programme import read_programme as read;"
        " print(read(sys.stdin.read()).version)"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code], input=TEXT, capture_output=True, text=True, check=True, cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        ).stdout.strip()
        for seed in ("0", "1", "4242")
    }  # fmt: skip
    assert told == {read_programme(TEXT).version}


def test_an_emoji_written_as_two_escapes_in_json_is_one_character():
    assert read_programme(r'{"id": "club", "currency": "EUR", "name": "\ud83d\ude00"}').name == "😀"


NOT_DOCUMENTS = [
    "", "[]", "5", "a: [", "{", "\x00", "- id: club", "[" * 20_000, b"\xff\xfe\xfa", "1: 2", "on: {}", "{[a]: b}",
    'id: a\ncurrency: EUR\nname: "\\ud800"', "id: a\ncurrency: EUR\nid: b", '{"id": "a", "id": "b", "currency": "EUR"}',
    "id: a\ncurrency: EUR\npromotions: [{id: x, id: y}]", "id: a\ncurrency: EUR\nname: &n [*n]",
]  # fmt: skip


@pytest.mark.parametrize("text", NOT_DOCUMENTS)
def test_what_is_no_document_is_refused_with_a_sentence(text):
    with pytest.raises(BadProgramme):
        read_programme(text)


def test_a_key_that_stands_twice_is_refused_by_its_line():
    with pytest.raises(BadProgramme, match="at line 3: 'id' stands here twice"):
        read_programme("id: a\ncurrency: EUR\nid: b\n")


SPEND = {"step_points": 100, "step_minor": 50}
BOUNDS = [
    {"currency": "EUX"},
    {"currency": "eur"},
    {"id": ""},
    {"language": "fr"},
    {"nonsense": 1},
    {"options": {"percent_rounding": "random"}},
    {"lifetime": {"days": -1}},
    {"lifetime": {"months": 1201}},
    {"lifetime": {"end_of": "week"}},
    {"spending": {"step_points": 100}},
    {"spending": SPEND | {"step_points": 0}},
    {"spending": SPEND | {"step_minor": -1}},
    {"spending": SPEND | {"least_points": 150}},
    {"spending": SPEND | {"largest_share_bp": 10_001}},
    {"spending": SPEND | {"largest_share_bp": -1}},
    {"spending": SPEND | {"offline": {"sale_points": 5, "card_points": 4, "till_points": 9}}},
    {"spending": SPEND | {"offline": {"sale_points": 5, "card_points": 6, "till_points": 5}}},
    {"spending": SPEND | {"offline": {"sale_points": 5, "card_points": 6, "till_points": 7, "store_points": 4}}},
    {"spending": SPEND | {"step_points": 10**15 + 1}},
    {"messages": [{"place": "receipt", "text": {}}]},
    {"messages": [{"place": "receipt", "text": {"en": ""}}]},
    {"messages": [{"place": "sky", "text": {"en": "a"}}]},
    {"promotions": [{"id": "a"}, {"id": "a"}]},
    {"options": {"expiry_at": "6:00"}},
    {"options": {"spends_what_it_earns": 1}},
    {"groups": [{"id": "a"}, {"id": "a"}]},
    {"groups": [{"id": "a", "with": ["b"]}]},
    {"groups": [{"id": "a", "with_": []}]},
    {"groups": [{"id": "a", "stacking": "worst_of"}]},
    {"coupons": [{"id": "a:b"}]},
    {"coupons": [{"id": "a", "good_for_days": 0}]},
    {"coupons": [{"id": "a"}, {"id": "a"}]},
    {"prizes": [{"id": "mug", "points": 5}]},
    {"prizes": [{"id": "mug", "points": 0, "of": {}}]},
    {"prizes": [{"id": "mug", "points": 5, "of": {}}] * 2},
    {"certificates": {}},
    {"certificates": {"sold": {}, "largest_share_bp": 0}},
    {"tiers": [{"id": "gold"}]},
    {"tiers": [{"id": "gold", "reach": {}}]},
    {"tiers": [{"id": "gold", "reach": {"spend_minor": 1, "purchases": 1}}]},
    {"tiers": [{"id": "gold", "reach": {"purchases": 1, "days": 801}}]},
    {"tiers": [{"id": "gold", "reach": {"purchases": 1}}] * 2},
    {"speaking": {"at_most": {"sky": 1}}},
    {"speaking": {"at_most": {"kiosk": -1}}},
]


@pytest.mark.parametrize("facts", BOUNDS, ids=str)
def test_a_programme_out_of_bounds_is_refused_before_anything_is_quoted(facts):
    with pytest.raises(BadProgramme):
        programme_from({"id": "club", "currency": "EUR"} | facts)


PROMOTION_BOUNDS = [
    {"id": ""},
    {"id": "a:b"},
    {"then": [{"kind": "percent_off", "percent_bp": 0}]},
    {"then": [{"kind": "percent_off", "percent_bp": 10_001}]},
    {"then": [{"kind": "percent_off", "percent_bp": True}]},
    {"then": [{"kind": "percent_off", "percent_bp": 10.0}]},
    {"then": [{"kind": "percent_off", "percent_bp": "10"}]},
    {"then": [{"kind": "amount_off", "amount_minor": 0}]},
    {"then": [{"kind": "amount_off", "amount_minor": 5, "per": "shelf"}]},
    {"then": [{"kind": "earn", "points": 0, "per_minor": 100}]},
    {"then": [{"kind": "earn", "points": 1, "per_minor": 0}]},
    {"then": [{"kind": "multiply_points", "times_percent": 100}]},
    {"then": [{"kind": "free_lunch"}]},
    {"when": [{"kind": "spend", "at_least_minor": 0}]},
    {"when": [{"kind": "quantity", "at_least_milli": -1}]},
    {"limits": {"times": 0}},
    {"limits": {"times": 1, "per": "week"}},
    {"valid": {"from_on": "2026-03-02", "to_on": "2026-03-01"}},
    {"valid": {"from_on": "2026-02-30"}},
    {"valid": {"hours": [["18:00", "09:00"]]}},
    {"valid": {"hours": [["09:00", "09:00"]]}},
    {"valid": {"hours": [["9:00", "18:00"]]}},
    {"valid": {"hours": [["09:00", "24:01"]]}},
    {"valid": {"hours": [["09:00"]]}},
    {"valid": {"weekdays": ["Monday"]}},
    {"then": [{"kind": "percent_off", "percent_bp": 5, "of": {"sku": [""]}}]},
    {"then": [{"kind": "percent_off", "percent_bp": 5, "of": {"brand": [""]}}]},
    {"then": [{"kind": "percent_off", "percent_bp": 5, "of": {"category": [[]]}}]},
    {"then": [{"kind": "percent_off", "percent_bp": 5, "of": {"unit_price_from_minor": 9, "unit_price_to_minor": 8}}]},
    {"then": [{"kind": "percent_off", "percent_bp": 5, "per": "shelf"}]},
    {"then": [{"kind": "amount_off", "amount_minor": 5, "per": "group"}]},
    {"then": [{"kind": "amount_off", "amount_minor": 5, "group_of": 3}]},
    {"then": [{"kind": "set_price", "unit_price_minor": -1}]},
    {"then": [{"kind": "price_list", "prices": {}}]},
    {"then": [{"kind": "price_list", "prices": {"x": -1}}]},
    {"then": [{"kind": "price_list", "prices": {"": 1}}]},
    {"then": [{"kind": "buy_get"}]},
    {"then": [{"kind": "buy_get", "buy_units": 0}]},
    {"then": [{"kind": "buy_get", "buy_units": 2, "percent_bp": 5000, "price_minor": 5}]},
    {"then": [{"kind": "buy_get", "buy_units": 2, "get_units": 3, "counts": True}]},
    {"then": [{"kind": "bundle", "parts": [], "price_minor": 5}]},
    {"then": [{"kind": "bundle", "parts": [{}] * 21, "price_minor": 5}]},
    {"then": [{"kind": "bundle", "parts": [{}]}]},
    {"then": [{"kind": "bundle", "parts": [{}], "price_minor": 5, "percent_bp": 5}]},
    {"then": [{"kind": "scale", "steps": []}]},
    {"then": [{"kind": "scale", "steps": [{"from": 5}]}]},
    {"then": [{"kind": "scale", "steps": [{"from_": 5, "percent_bp": 5}]}]},
    {"then": [{"kind": "scale", "steps": [{"from": 5, "to": 4, "percent_bp": 5}]}]},
    {"then": [{"kind": "scale", "steps": [{"from": 5, "to": 9, "percent_bp": 5}, {"from": 9, "percent_bp": 6}]}]},
    {"then": [{"kind": "scale", "steps": [{"from": 5, "percent_bp": 5}, {"from": 5, "percent_bp": 6}]}]},
    {"then": [{"kind": "scale", "graduated": True, "steps": [{"from": 5, "amount_minor": 5}]}]},
    {"then": [{"kind": "scale", "graduated": True, "by": "period_spend", "steps": [{"from": 5, "percent_bp": 5}]}]},
    {"then": [{"kind": "points", "points": 0}]},
    {"then": [{"kind": "gift", "items": []}]},
    {"then": [{"kind": "gift", "items": [{"sku": "x"}], "for_units": 2, "for_minor": 5}]},
    {"then": [{"kind": "issue_coupon", "coupon": "thanks"}]},
    {"trigger": {"kind": "code", "codes": []}},
    {"trigger": {"kind": "coupon", "coupon": "thanks"}},
    {"group": "wine"},
    {"when": [{"kind": "spend"}]},
    {"when": [{"kind": "spend", "at_least_minor": 9, "at_most_minor": 8}]},
    {"when": [{"kind": "spend", "more_than_minor": 8, "at_most_minor": 8}]},
    {"when": [{"kind": "quantity"}]},
    {"when": [{"kind": "quantity", "at_least_milli": 9, "at_most_milli": 8}]},
    {"when": [{"kind": "tender", "kinds": []}]},
    {"when": [{"kind": "purchase"}]},
    {"when": [{"kind": "purchase", "number": 1, "every": 2}]},
    {"when": [{"kind": "lapsed", "days": 0}]},
    {"when": [{"kind": "period_spend"}]},
    {"when": [{"kind": "period_spend", "at_least_minor": 9, "at_most_minor": 8}]},
    {"when": [{"kind": "period_spend", "at_least_minor": 9, "period": "week"}]},
    {"when": [{"kind": "balance", "at_least_points": 0}]},
    {"limits": {}},
    {"limits": {"per": "month"}},
    {"limits": {"times_in_all": 0}},
    {"caps": [{"most": 0, "of": "units"}]},
    {"caps": [{"most": 5}]},
    {"who": {"control_bp": 10_001}},
    {"valid": {"from_at": "2026-03-02T10:00:00"}},
    {"valid": {"from_at": "2026-03-02T10:00:00Z", "to_at": "2026-03-02T11:00:00+01:00"}},
    {"valid": {"birthday": {"days_before": 181}}},
    {"options": {"stacking": "sum"}},
    {"options": {"percent_rounding": "random"}},
    {"priority": 1_000_001},
    {"stage": "earning", "then": [{"kind": "amount_off", "amount_minor": 5}]},
    {"stage": "redemption", "then": [{"kind": "earn", "points": 1, "per_minor": 100}]},
    {"messages": [{"place": "receipt", "text": {"en": "a"}, "at_most": {"times": 0}}]},
]


@pytest.mark.parametrize("facts", PROMOTION_BOUNDS, ids=str)
def test_a_promotion_out_of_bounds_is_refused_before_anything_is_quoted(facts):
    with pytest.raises(BadProgramme):
        programme({"id": "a"} | facts)


def test_a_range_of_payment_cards_keeps_its_own_code():
    with pytest.raises(CardRangeIsPayment):
        programme(cards={"ranges": [{"kind": "luhn", "prefix": "411111", "length": 16}]})


LIFETIMES = """
    {}                            2026-01-31  forever
    {"days": 30}                  2026-01-31  2026-03-02
    {"months": 1}                 2026-01-31  2026-02-28
    {"months": 1}                 2028-01-31  2028-02-29
    {"months": 12}                2028-02-29  2029-02-28
    {"months": 11}                2026-01-15  2026-12-15
    {"months": 1, "days": 1}      2026-01-31  2026-03-01
    {"end_of": "month"}           2026-02-03  2026-02-28
    {"end_of": "year"}            2026-02-03  2026-12-31
    {"months": 24, "end_of": "year"}   2026-12-31  2028-12-31
    {"days": 1, "end_of": "month"}     2026-12-31  2027-01-31
"""


@pytest.mark.parametrize("row", LIFETIMES.strip().splitlines())
def test_points_live_as_long_as_the_programme_says(row):
    said, granted_on, last_day = row.rsplit(maxsplit=2)
    lifetime = msgspec.json.decode(said, type=Lifetime)
    assert valid_through(lifetime, day(granted_on)) == (FOREVER if last_day == "forever" else day(last_day))


def test_the_schema_is_made_of_the_types_and_shows_their_bounds():
    schema = json.loads(json.dumps(programme_schema()))
    assert schema["$ref"] == "#/$defs/Programme"
    parts = schema["$defs"]
    assert {"Programme", "Promotion", "Selector", "PercentOff", "Earn", "Spending", "OfflineCaps"} <= parts.keys()
    assert parts["Programme"]["required"] == ["id", "currency"]
    assert parts["Programme"]["additionalProperties"] is False
    assert parts["PercentOff"]["properties"]["percent_bp"] == {"type": "integer", "minimum": 1, "maximum": 10000}
    assert parts["PercentOff"]["properties"]["kind"] == {"enum": ["percent_off"]}


def test_every_reference_in_the_schema_leads_somewhere():
    text = json.dumps(programme_schema())
    named = {part.split('"')[0] for part in text.split("#/$defs/")[1:]}
    assert named and named <= programme_schema()["$defs"].keys()


BOTH_IN = [
    {"when": [{"kind": "spend", "at_least_minor": 9, "at_most_minor": 9}]},
    {"when": [{"kind": "spend", "more_than_minor": 8, "at_most_minor": 9}]},
    {"when": [{"kind": "quantity", "at_least_milli": 9, "at_most_milli": 9}]},
    {"then": [{"kind": "scale", "steps": [{"from": 5, "to": 5, "percent_bp": 5}, {"from": 6, "percent_bp": 6}]}]},
    {"then": [{"kind": "buy_get", "buy_units": 2, "get_units": 2, "counts": True}]},
    {"valid": {"from_on": "2026-03-01", "to_on": "2026-03-01"}},
    {"valid": {"hours": [["23:59", "24:00"]]}},
    {"then": [{"kind": "percent_off", "percent_bp": 10_000}]},
    {"when": [{"kind": "spend", "at_least_minor": 1, "of": {"unit_price_from_minor": 9, "unit_price_to_minor": 9}}]},
]


@pytest.mark.parametrize("facts", BOTH_IN, ids=str)
def test_bounds_that_meet_leave_one_figure_between_them(facts):
    assert programme({"id": "a"} | facts).promotions[0].id == "a"


def test_a_coupon_or_a_group_is_named_from_elsewhere():
    rules = programme(
        {"id": "a", "group": "wine", "then": [{"kind": "issue_coupon", "coupon": "thanks"}]},
        {"id": "b", "trigger": {"kind": "coupon", "coupon": "thanks"}},
        groups=[{"id": "wine", "with": ["wine"]}],
        coupons=[{"id": "thanks"}],
    )
    assert rules.groups[0].with_ == ("wine",)


def test_everything_that_can_be_said_reads_back_as_it_was_written():
    text = (Path(__file__).parent / "whole_programme.yaml").read_text("utf-8")
    read = read_programme(text)
    assert read_programme(canonical(read)) == read
    assert read.promotions[3].then[3].steps[0].from_ == 1000
    assert b'"from":1000' in canonical(read) and b'"with":["club"]' in canonical(read)


SHIPPED = sorted([*ROOT.glob("docs/examples/*programme*.yaml"), *ROOT.glob("tallypoint/programmes/*.yaml")])


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_programme_we_ship_can_be_read(path):
    assert read_programme(path.read_bytes()).promotions


def test_defaults_leave_spending_offline_off():
    assert programme(spending=SPENDING).spending.offline is None
    assert programme(promotion("a", percent_off(500))).promotions[0].stage == "main"
    assert Promotion(id="a").limits is None
