"""The check of a programme: every mistake at its line, with what to do about it."""

import json
from copy import deepcopy

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from loyalty.programme import read_programme
from loyalty.programme_check import check_programme
from loyalty.programme_doubts import never_selects
from loyalty.trouble import Refusal
from tests.loyalty.build import SPENDING, amount_off, earn, multiply, percent_off, programme, promotion

GOOD = """\
id: club
currency: EUR
promotions:
  - id: base
    then: [{kind: earn, points: 1, per_minor: 100}]
    valid: {from_on: 2020-01-01, to_on: "2020-12-31"}
    messages:
      - {place: receipt, text: {en: "You saved {saved}."}}
"""


def told(text):
    return [f"{one.line} {one.path} {one.rule}: {one.say}" for one in check_programme(text)]


def test_a_sound_programme_has_no_findings_even_when_its_days_are_past():
    assert check_programme(GOOD) == ()
    assert check_programme(json.dumps(yaml.safe_load(GOOD.replace("2020-01-01", '"2020-01-01"')), indent="\t")) == ()


BROKEN = """\
id: club
currency: EUX
langauge: en
spending:
  step_points: 100
  step_minor: 0
cards:
  ranges: [{kind: luhn, prefix: "411111", length: 16}]
promotions:
  - id: dairy
    when: [{kind: spend, at_least_minor: "500"}]
    then:
      - kind: percent_off
        percent_bp: 15000
      - {kind: percentoff, percent_bp: 5}
      - {kind: earn, points: 1}
      - {kind: multiply_points, times_percent: 100}
    valid:
      from_on: 2026-05-01
      to_on: 2026-04-01
      hours:
        - [18:00, "19:00"]
        - ["22:00", "02:00"]
        - ["9:00", "10:00"]
        - ["09:00"]
      weekdays: [mon, Tuesday]
    limits: {times: 0}
    who: {card: "yes"}
  - id: dairy
    on: 3
    then: []
    then: [{kind: amount_off, amount_minor: 1.5}]
  - id: fine
    valid: {from_on: 2026-02-30}
    messages:
      - place: receipt
        text:
          fr: "x"
          pl: no
  - name: no id
lifetime: {days: -1, end_of: week}
"""
WHOLE = "is a whole number (minor units, points, basis points or thousandths); write it without a point."
FINDINGS = [
    "2 $.currency impossible: currency is not an active ISO 4217 code; use three capital letters such as EUR.",
    "3 $.langauge unknown_word: Nothing is called langauge here; did you mean language.",
    "6 $.spending.step_minor out_of_range: step_minor is 0; write at least 1.",
    "7 $.cards cards.range_is_payment: Card range 411111 lies in the payment range of Visa."
    " Use a prefix of your own, for EAN-13 cards one of 02, 04 or 20-29.",
    "11 $.promotions[0].when[0].at_least_minor wrong_type: at_least_minor is a number; take the quotes off: 500.",
    "14 $.promotions[0].then[0].percent_bp out_of_range: percent_bp is 15000; write at most 10000.",
    "15 $.promotions[0].then[1].kind unknown_value: percentoff is not known; did you mean percent_off.",
    "16 $.promotions[0].then[2] missing: per_minor is missing here; add it.",
    "17 $.promotions[0].then[3].times_percent out_of_range: times_percent is 100; write at least 101.",
    "20 $.promotions[0].valid.to_on impossible: to_on lies before from_on; swap the two, both days count.",
    '22 $.promotions[0].valid.hours[0][0] wrong_type: Put quotes round the time: "18:00".'
    " YAML reads 18:00 as the number 1080.",
    "23 $.promotions[0].valid.hours[1] impossible: hours ends before it starts;"
    " split a night at 24:00 into two ranges.",
    "24 $.promotions[0].valid.hours[2][0] out_of_range: '9:00' is no time of day;"
    ' write "HH:MM", from "00:00" to "24:00".',
    '25 $.promotions[0].valid.hours[3] wrong_type: Each range has two times; write them as [["09:00", "12:00"]].',
    "26 $.promotions[0].valid.weekdays[1] unknown_value: Tuesday is not known; did you mean tue.",
    "27 $.promotions[0].limits.times out_of_range: times is 0; write at least 1.",
    "28 $.promotions[0].who.card wrong_type: card is true or false; write one of the two without quotes.",
    "29 $.promotions[1].id impossible: id dairy is taken; give each promotion an id of its own.",
    "30 $.promotions[1].on wrong_type: A key must be a word;"
    " YAML reads on, off, yes and no as true or false, and digits as numbers.",
    "32 $.promotions[1].then twice: then stands here twice; keep one.",
    f"32 $.promotions[1].then[0].amount_minor wrong_type: amount_minor {WHOLE}",
    "34 $.promotions[2].valid.from_on wrong_type: from_on is a day that exists, without a time;"
    ' write it in quotes, such as "2026-03-31".',
    "38 $.promotions[2].messages[0].text.fr unknown_value: fr is not known; write one of en, pl, pt-BR, ru.",
    '39 $.promotions[2].messages[0].text.pl wrong_type: Put quotes round it: "no". YAML reads no as true or false.',
    "40 $.promotions[3] missing: id is missing here; add it.",
    "41 $.lifetime.days out_of_range: days is -1; write at least 0.",
    "41 $.lifetime.end_of unknown_value: week is not known; write one of month, year.",
]


def test_all_mistakes_are_told_at_once_each_at_its_line_with_its_remedy():
    assert told(BROKEN) == FINDINGS
    assert {one.severity for one in check_programme(BROKEN)} == {"error"}


SMALL = [
    ("", "1 $ syntax: This is neither YAML nor JSON: the file is empty. Mend it first."),
    ("id: a\ncurrency: [", "2 $ syntax: This is neither YAML nor JSON: expected the node content, but found"
     " '<stream end>'. Mend it first."),
    ("[]", "1 $ wrong_type: the document has parts; write each as `name: value` on a line of its own, further in."),
    ("currency: EUR", "1 $ missing: id is missing here; add it."),
    ("id: a\ncurrency: EUR\nid: b", "3 $.id twice: id stands here twice; keep one."),
    ("id: 5\ncurrency: EUR", '1 $.id wrong_type: Put quotes round it: "5".'),
    ("id: a\ncurrency: EUR\nname:", "3 $.name wrong_type: name is empty; write a text in quotes."),
    ("id: ''\ncurrency: EUR", "1 $.id out_of_range: id is empty; write something, or take it out."),
    ("id: a\ncurrency: EUR\npromotions:\n  id: x", "3 $.promotions wrong_type: promotions is a list;"
     " write it in brackets or as lines that begin with a dash."),
    ("id: a\ncurrency: EUR\npromotions:\n- null", "4 $.promotions[0] wrong_type: promotions has parts;"
     " write each as `name: value` on a line of its own, further in."),
    ("id: a\ncurrency: EUR\npromotions:\n- id: x:y", "4 $.promotions[0].id out_of_range: 'x:y' cannot be an id;"
     " it needs a letter or a digit, and no colon."),
    ("id: a\ncurrency: EUR\nmessages:\n- place: receipt\n  text: {}", "5 $.messages[0].text out_of_range:"
     " text is empty; write something, or take it out."),
    ("id: a\ncurrency: EUR\nmessages:\n- place: receipt\n  text: {1: x}", "5 $.messages[0].text.1 wrong_type:"
     ' Put quotes round it: "1".'),
    ("id: a\ncurrency: EUR\nspending: {step_points: 100, step_minor: 1,\n  least_points: 150}",
     "4 $.spending.least_points impossible: least_points is not a multiple of step_points, 100; round it up to one."),
    ("id: a\ncurrency: EUR\nspending:\n  step_points: 1\n  step_minor: 1\n  offline:\n    sale_points: 500\n"
     "    card_points: 300\n    till_points: 900", "8 $.spending.offline.card_points impossible:"
     " card_points lies below sale_points; a card may be used for at least one sale."),
    ('{\n\t"id": "a",\n\t"currency": "EUX"\n}', "3 $.currency impossible: currency is not an active ISO 4217 code;"
     " use three capital letters such as EUR."),
]  # fmt: skip


@pytest.mark.parametrize(("text", "finding"), SMALL, ids=range(len(SMALL)))
def test_a_mistake_is_told_with_its_remedy(text, finding):
    assert told(text) == [finding]


@pytest.mark.parametrize("text", ["[" * 20_000, "{[a]: b}", "\x00", "id: &n [*n]", "a: &a {exclude: *a}\nid: x"])
def test_no_text_makes_the_check_itself_fail(text):
    assert "error" in {one.severity for one in check_programme(text)}


def test_a_part_that_was_taken_out_does_not_shift_the_numbers_of_the_others():
    text = "id: a\ncurrency: EUR\npromotions:\n- 1\n- {id: x, priority: a}\n- 2\n- {id: y, stage: z}\n"
    assert [one.path for one in check_programme(text)] == [
        "$.promotions[0]", "$.promotions[1].priority", "$.promotions[2]", "$.promotions[3].stage",
    ]  # fmt: skip


# Doubts: what can be read and is hardly meant.


def doubts(*promotions, **facts):
    text = json.dumps({"id": "club", "currency": "EUR", "promotions": list(promotions), **facts}, indent=1)
    found = check_programme(text)
    assert {one.severity for one in found} <= {"warning"}
    return [f"{one.path} {one.rule}" for one in found]


def message(text, case="applied"):
    return {"place": "receipt", "text": text, "case": case}


BASE = promotion("base", earn(1, 100))
DOUBTS = [
    ([promotion("idle")], {}, ["$.promotions[0] does_nothing"]),
    ([promotion("words", messages=[message({"en": "Hello"})])], {}, []),
    ([promotion("a", percent_off(500, sku=["x"], exclude={"sku": ["x", "y"]}))], {},
     ["$.promotions[0].then[0].of.exclude never_applies"]),
    ([promotion("a", amount_off(5, exclude={}))], {}, ["$.promotions[0].then[0].of.exclude never_applies"]),
    ([promotion("a", amount_off(5), when=[{"kind": "spend", "at_least_minor": 1, "of": {"exclude": {}}}])], {},
     ["$.promotions[0].when[0].of.exclude never_applies"]),
    ([promotion("a", multiply(200))], {}, ["$.promotions[0].then[0] never_applies"]),
    ([BASE, promotion("a", multiply(200))], {}, []),
    ([promotion("a", earn(1, 100), messages=[message({"en": "{pionts}"})])], {},
     ["$.promotions[0].messages[0].text.en unknown_placeholder"]),
    ([promotion("a", earn(1, 100), messages=[message({"en": "a", "pl": "b"}), message({"en": "a"})])], {},
     ["$.promotions[0].messages[1].text language_missing"]),
    ([promotion("a", earn(1, 100), messages=[message({"pl": "a"})])], {},
     ["$.promotions[0].messages[0].text language_missing"]),
    ([promotion("a", earn(1, 100), messages=[message({"en": "a"}, "missed")])], {},
     ["$.promotions[0].messages[0].case never_said"]),
    ([], {"messages": [message({"en": "a"}, "missed")]}, ["$.messages[0].case never_said"]),
    ([], {"spending": SPENDING | {"largest_share_bp": 0}}, ["$.spending.largest_share_bp never_applies"]),
    ([], {"spending": SPENDING | {"offline": {"sale_points": 99, "card_points": 99, "till_points": 99}}},
     ["$.spending.offline.sale_points never_applies"]),
]  # fmt: skip


@pytest.mark.parametrize(("promotions", "facts", "found"), DOUBTS, ids=range(len(DOUBTS)))
def test_what_can_be_read_and_is_hardly_meant_is_a_warning(promotions, facts, found):
    assert doubts(*promotions, **facts) == found


def test_a_wrong_placeholder_is_told_with_the_right_one():
    text = GOOD.replace("{saved}", "{savd}")
    assert told(text) == [
        "8 $.promotions[0].messages[0].text.en unknown_placeholder:"
        " {savd} would be printed as it stands; did you mean {saved}."
    ]


EXCLUDES = [
    ({"sku": ["x"]}, {"sku": ["x"]}, True),
    ({"sku": ["x", "z"]}, {"sku": ["x"]}, False),
    ({"sku": ["x"]}, {"brand": ["Alp"]}, False),
    ({"category": [["A", "B"]]}, {"category": [["A"]]}, True),
    ({"category": [["A"]]}, {"category": [["A", "B"]]}, False),
    ({"category": [["A", "B"]], "brand": ["x"]}, {"category": [["A"]]}, True),
    ({"brand": ["x"], "unit_price_to_minor": 5}, {"unit_price_to_minor": 9}, True),
    ({"brand": ["x"], "unit_price_to_minor": 9}, {"unit_price_to_minor": 5}, False),
    ({"unit_price_from_minor": 9}, {"unit_price_from_minor": 5}, True),
    ({}, {"unit_price_from_minor": 5}, False),
    ({}, {"exclude": {"sku": ["x"]}}, False),
]


@pytest.mark.parametrize(("included", "excluded", "is_empty"), EXCLUDES, ids=str)
def test_a_selector_that_excludes_all_it_names_is_noticed(included, excluded, is_empty):
    rules = programme(promotion("a", percent_off(500, **included, exclude=excluded)))
    assert never_selects(rules.promotions[0].then[0].of) is is_empty


# The law that ties check and reader together.

ODD = ["", "x", "EUR", "mon", "09:00", "earn", "id", 0, 1, -1, 10_001, 1.5, True, None, [], {}, [[]]]
PLAIN = st.sampled_from(ODD).map(deepcopy)  # a part that is put in may be changed in its turn
WHOLE_DOCUMENT = json.loads(json.dumps(yaml.safe_load(GOOD.replace("2020-01-01", '"2020-01-01"')))) | {
    "spending": SPENDING | {"offline": {"sale_points": 500, "card_points": 800, "till_points": 900}},
    "lifetime": {"days": 30},
    "cards": {"ranges": [{"kind": "ean13", "prefix": "2037"}]},
}


def spots(node):
    """Every (holder, key) in a document."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, part in list(pairs):
        yield node, name
        yield from spots(part)


@given(st.data())
def test_the_check_finds_an_error_exactly_when_the_reader_refuses(data):
    document = json.loads(json.dumps(WHOLE_DOCUMENT))
    for _ in range(data.draw(st.integers(1, 3))):
        holder, name = data.draw(st.sampled_from(list(spots(document))))
        turn = data.draw(st.sampled_from(["change", "remove", "add"]))
        if turn == "change":
            holder[name] = data.draw(PLAIN)
        elif turn == "remove":
            del holder[name]
        elif isinstance(holder, dict):
            holder["surprise"] = data.draw(PLAIN)
    text = json.dumps(document, indent=1) if data.draw(st.booleans()) else yaml.safe_dump(document)
    try:
        read_programme(text)
        refused = False
    except Refusal:
        refused = True
    findings = check_programme(text)
    assert any(one.severity == "error" for one in findings) is refused
    assert all(1 <= one.line <= text.count("\n") + 1 and one.say.endswith(".") for one in findings)
