"""The check of a programme: every mistake at its line, with what to do about it."""

import json
from copy import deepcopy
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from loyalty.programme.check import check_programme
from loyalty.programme.programme import read_programme
from loyalty.trouble import Refusal

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
    "2 $.currency impossible: currency: is not an active ISO 4217 code; use three capital letters such as EUR.",
    "3 $.langauge unknown_word: Nothing is called langauge here; did you mean language.",
    "6 $.spending.step_minor out_of_range: step_minor is 0; write at least 1.",
    "8 $.cards.ranges[0] cards.range_is_payment: Card range 411111 lies in the payment range of Visa."
    " Use a prefix of your own, for EAN-13 cards one of 02, 04 or 20-29.",
    "11 $.promotions[0].when[0].at_least_minor wrong_type: at_least_minor is a number;"
    " write 500 without quotes.",
    "14 $.promotions[0].then[0].percent_bp out_of_range: percent_bp is 15000; write at most 10000.",
    "15 $.promotions[0].then[1].kind unknown_value: percentoff is not known; did you mean percent_off.",
    "16 $.promotions[0].then[2] missing: per_minor is missing here; add it.",
    "17 $.promotions[0].then[3].times_percent out_of_range: times_percent is 100; write at least 101.",
    "20 $.promotions[0].valid.to_on impossible: to_on: lies before from_on; swap the two, both days count.",
    '22 $.promotions[0].valid.hours[0][0] wrong_type: Put quotes round the time: "18:00".'
    " YAML reads 18:00 as the number 1080.",
    "23 $.promotions[0].valid.hours[1] impossible: hours: ends before it starts;"
    " split a night at 24:00 into two ranges.",
    "24 $.promotions[0].valid.hours[2][0] out_of_range: '9:00' is no time of day;"
    ' write "HH:MM", from "00:00" to "24:00".',
    '25 $.promotions[0].valid.hours[3] wrong_type: Each range has two times; write them as [["09:00", "12:00"]].',
    "26 $.promotions[0].valid.weekdays[1] unknown_value: Tuesday is not known; did you mean tue.",
    "27 $.promotions[0].limits.times out_of_range: times is 0; write at least 1.",
    "28 $.promotions[0].who.card wrong_type: card is true or false; write one of the two without quotes.",
    "29 $.promotions[1].id impossible: id: dairy is taken; give each of the promotions an id of its own.",
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
     " 1 is not known; write one of en, pl, pt-BR, ru."),
    ("id: a\ncurrency: EUR\nspending: {step_points: 100, step_minor: 1,\n  least_points: 150}",
     "4 $.spending.least_points impossible: least_points: is not a multiple of step_points, 100; round it up to one."),
    ("id: a\ncurrency: EUR\nspending:\n  step_points: 1\n  step_minor: 1\n  offline:\n    sale_points: 500\n"
     "    card_points: 300\n    till_points: 900", "8 $.spending.offline.card_points impossible:"
     " card_points: lies below sale_points; a card may be used for at least one sale."),
    ('{\n\t"id": "a",\n\t"currency": "EUX"\n}', "3 $.currency impossible: currency: is not an active ISO 4217 code;"
     " use three capital letters such as EUR."),
]  # fmt: skip


@pytest.mark.parametrize(("text", "finding"), SMALL, ids=range(len(SMALL)))
def test_a_mistake_is_told_with_its_remedy(text, finding):
    assert told(text) == [finding]


# A part of a promotion, and what is told of it; each stands on line 5, or below it.
PARTS = [
    # A rule that one part of the document has for itself.
    ("then: [{kind: amount_off, amount_minor: 5, per: group}]", "5 then[0] impossible: group_of: goes with"
     " `per: group`, and only with it; give both or neither."),
    ("then: [{kind: amount_off, amount_minor: 5, group_of: 3}]", "5 then[0].group_of impossible: group_of: goes with"
     " `per: group`, and only with it; give both or neither."),
    ("then: [{kind: buy_get, buy_units: 3, percent_bp: 500, price_minor: 0}]", "5 then[0].percent_bp impossible:"
     " percent_bp: a reward has one figure; keep one of percent_bp, amount_minor, price_minor."),
    ("then: [{kind: buy_get, buy_units: 3, amount_minor: 5, price_minor: 0}]", "5 then[0] impossible:"
     " percent_bp: a reward has one figure; keep one of percent_bp, amount_minor, price_minor."),
    ("then: [{kind: buy_get, buy_units: 3, get_units: 4, counts: true}]", "5 then[0].get_units impossible:"
     " get_units: more are rewarded than bought; with `counts` they are among those bought."),
    ("then: [{kind: bundle, parts: [{}]}]", "5 then[0] impossible: price_minor: a bundle has one figure;"
     " give one of price_minor, percent_bp, amount_minor."),
    ("then: [{kind: scale, steps: [{from: 0}]}]", "5 then[0].steps[0] impossible: percent_bp: a step has one figure;"
     " give percent_bp or amount_minor."),
    ("then: [{kind: scale, steps: [{from: 9, to: 8, percent_bp: 500}]}]", "5 then[0].steps[0].to impossible:"
     " to: lies below from; swap the two, both bounds count."),
    ("then:\n  - kind: scale\n    steps:\n    - {from: 5, to: 9, percent_bp: 500}\n    - {from: 9, percent_bp: 600}",
     "9 then[0].steps[1].from impossible: from: overlaps the step before it; list steps apart and ascending."),
    ("then: [{kind: scale, graduated: true, by: period_spend, steps: [{from: 0, percent_bp: 500}]}]",
     "5 then[0].graduated impossible: graduated: shares this basket out, which `by: period_spend` does not measure."),
    ("then: [{kind: scale, graduated: true, steps: [{from: 0, amount_minor: 500}]}]", "5 then[0].steps[0].amount_minor"
     " impossible: amount_minor: a graduated step takes a percentage; give percent_bp."),
    ("then: [{kind: gift, items: [{sku: x}], for_units: 2, for_minor: 5}]", "5 then[0].for_minor impossible:"
     " for_minor: a gift repeats by one measure; keep for_units or for_minor."),
    ("when: [{kind: spend}]", "5 when[0] impossible: at_least_minor: a bound is missing; give at least one."),
    ("when: [{kind: spend, at_least_minor: 9, at_most_minor: 8}]", "5 when[0].at_least_minor impossible:"
     " at_least_minor: no amount lies within these bounds; widen them."),
    ("when: [{kind: spend, more_than_minor: 8, equal_minor: 8}]", "5 when[0] impossible:"
     " at_least_minor: no amount lies within these bounds; widen them."),
    ("when: [{kind: quantity}]", "5 when[0] impossible: at_least_milli: a bound is missing; give at least one."),
    ("when: [{kind: quantity, at_least_milli: 2000, at_most_milli: 1000}]", "5 when[0].at_most_milli impossible:"
     " at_most_milli: lies below at_least_milli; swap the two."),
    ("when: [{kind: purchase}]", "5 when[0] impossible: number: give one of number and every."),
    ("when: [{kind: purchase, number: 1, every: 2}]", "5 when[0].number impossible:"
     " number: give one of number and every."),
    ("when: [{kind: period_spend}]", "5 when[0] impossible: at_least_minor: a bound is missing; give at least one."),
    ("when: [{kind: period_spend, at_least_minor: 9, at_most_minor: 8}]", "5 when[0].at_most_minor impossible:"
     " at_most_minor: lies below at_least_minor; swap the two."),
    ("limits: {per: month}", "5 limits impossible: times: a limit is missing; give times, times_in_all or"
     " budget_minor."),
    ('valid: {from_at: "2026-03-02T10:00:00Z", to_at: "2026-03-02T11:00:00+01:00"}', "5 valid.to_at impossible:"
     " to_at: is not after from_at; swap the two."),
    ("stage: earning\n  then: [{kind: set_price, unit_price_minor: 5}]", "5 stage impossible: stage: nothing is taken"
     " off any more in the stage earning; choose an earlier one."),
    ("stage: redemption\n  then: [{kind: points, points: 5}]", "5 stage impossible: stage: points are granted in the"
     " stage earning; choose that one, or leave it out."),
    ("then: [{kind: percent_off, percent_bp: 500, of: {unit_price_from_minor: 9, unit_price_to_minor: 8}}]",
     "5 then[0].of.unit_price_to_minor impossible: unit_price_to_minor: lies below unit_price_from_minor;"
     " swap the two."),
    # Names that stand for nothing.
    ("group: wine", "5 group names_nothing: group: wine is not among the groups; add it there, or correct the name."),
    ("trigger: {kind: coupon, coupon: thanks}", "5 trigger.coupon names_nothing: coupon: thanks is not among the"
     " coupons; add it there, or correct the name."),
    ("then: [{kind: issue_coupon, coupon: thanks}]", "5 then[0].coupon names_nothing: coupon: thanks is not among the"
     " coupons; add it there, or correct the name."),
    # Words that stand for nothing, or are missing.
    ("then: [{kind: percent, percent_bp: 500}]", "5 then[0].kind unknown_value: percent is not known;"
     " did you mean percent_off."),
    ("when: [{at_least_minor: 5}]", "5 when[0] missing: kind is missing here; add it, one of balance, lapsed,"
     " period_spend, points_spent, purchase, quantity, spend, tender."),
    ("then: [{kind: bundle, price_minor: 5}]", "5 then[0] missing: parts is missing here; add it."),
    ("caps: [{most: 5}]", "5 caps[0] missing: of is missing here; add it, one of amount, points, units."),
    ("caps: [{most: 5, of: euros}]", "5 caps[0].of unknown_value: euros is not known;"
     " write one of amount, points, units."),
    ("caps: [{most: 5, of: units, per: week}]", "5 caps[0].per unknown_value: week is not known;"
     " write one of day, ever, month, quarter, receipt, year."),
    ("limits: {times: 1, per: receipt}", "5 limits.per unknown_value: receipt is not known;"
     " write one of day, ever, month, quarter, year."),
    ("then: [{kind: percent_off, percent_bp: 500, per: off}]", "5 then[0].per wrong_type: off is not known;"
     " write one of basket, line, unit."),
    ("then: [{kind: earn, points: 1, per_minor: 9, per: line}]", "5 then[0].per unknown_word: Nothing is called per"
     " here; here may stand kind, points, per_minor, tenders, of."),
    ("options: {stacking: sum}", "5 options.stacking unknown_word: Nothing is called stacking here;"
     " did you mean stacking_base."),
    ("discount: 5", "5 discount unknown_word: Nothing is called discount here; take it out."),
    ("valid: {birthday: {days: 3}}", "5 valid.birthday.days unknown_word: Nothing is called days here;"
     " here may stand days_before, days_after."),
    # Bounds.
    ("then: [{kind: bundle, price_minor: 5, parts: [" + "{}, " * 21 + "]}]", "5 then[0].parts out_of_range: parts has"
     " 21 entries; at most 20 may stand here, so split it."),
    ("then: [{kind: price_list, prices: {}}]", "5 then[0].prices out_of_range: prices is empty;"
     " write something, or take it out."),
    ('then: [{kind: price_list, prices: {"": 5}}]', "5 then[0].prices. out_of_range: A key is empty;"
     " write something, or take it out."),
    ("then:\n  - kind: price_list\n    prices:\n      a: 5\n      b: -5",
     "9 then[0].prices.b out_of_range: b is -5; write at least 0."),
    ("then: [{kind: price_list, prices: {a: 5, b: 1000000000000001}}]",
     "5 then[0].prices.b out_of_range: b is 1000000000000001; write at most 1000000000000000."),
    ("trigger: {kind: code, codes: []}", "5 trigger.codes out_of_range: codes is empty;"
     " write something, or take it out."),
    ("who: {control_bp: 10001}", "5 who.control_bp out_of_range: control_bp is 10001; write at most 10000."),
    ("valid: {birthday: {days_before: 181}}", "5 valid.birthday.days_before out_of_range: days_before is 181;"
     " write at most 180."),
    # What YAML makes of it.
    ("then: [{kind: price_list, prices: {a: 5, b: 1.99}}]", "5 then[0].prices.b wrong_type: b " + WHOLE),
    ("then: [{kind: price_list, prices: {0401: 5}}]", '5 then[0].prices.0401 wrong_type: Put quotes round it: "0401".'),
    ("then: [{kind: percent_off, percent_bp: 500, of: {sku: [0401]}}]", "5 then[0].of.sku[0] wrong_type:"
     ' Put quotes round it: "0401".'),
    ("then: [{kind: percent_off, percent_bp: 500, of: {sku: 4006381333931}}]", "5 then[0].of.sku wrong_type:"
     " sku is a list; write it in brackets: [4006381333931]."),
    ("then: [{kind: percent_off, percent_bp: 500, of: {category: [Dairy]}}]", "5 then[0].of.category[0] wrong_type:"
     " Each category is a path from the root, a list of its own; write [[Grocery, Dairy]]."),
    ("trigger: {kind: code, codes: [NO]}", '5 trigger.codes[0] wrong_type: Put quotes round it: "NO".'
     " YAML reads NO as true or false."),
    ("valid: {from_at: 2026-03-02 10:00:00}", "5 valid.from_at wrong_type: from_at is an instant: a day and a time with"
     ' the offset from UTC; write it in quotes, such as "2026-03-31T08:00:00+02:00".'),
    ("valid: {to_on: 2026-03-02 10:00:00}", "5 valid.to_on wrong_type: to_on is a day that exists, without a time;"
     ' write it in quotes, such as "2026-03-31".'),
    ("limits: {times: 08}", "5 limits.times wrong_type: times is a number; write 8 without quotes."),
    ("limits: {times: yes}", "5 limits.times wrong_type: times is a number; YAML reads yes as true or false."),
    ("skip_reduced: 1", "5 skip_reduced wrong_type: skip_reduced is true or false;"
     " write one of the two without quotes."),
]  # fmt: skip


@pytest.mark.parametrize(("part", "finding"), PARTS, ids=range(len(PARTS)))
def test_a_mistake_in_any_part_of_a_promotion_is_told_at_its_line_with_its_remedy(part, finding):
    line, path, rest = finding.split(" ", 2)
    assert told(f"id: club\ncurrency: EUR\npromotions:\n- id: x\n  {part}\n") == [
        f"{line} $.promotions[0].{path} {rest}"
    ]


TOP = [
    ("options: {expiry_at: 22:00}", '3 $.options.expiry_at wrong_type: Put quotes round the time: "22:00".'
     " YAML reads 22:00 as the number 1320."),
    ('options: {expiry_at: "6:00"}', "3 $.options.expiry_at out_of_range: '6:00' is no time of day;"
     ' write "HH:MM", from "00:00" to "24:00".'),
    ("options: {expiry: midnight}", "3 $.options.expiry unknown_value: midnight is not known;"
     " write one of end_of_day, instant, start_of_day."),
    ("groups: [{id: a, with: [b]}]", "3 $.groups[0].with[0] names_nothing: with: b is not among the groups;"
     " add it there, or correct the name."),
    ("groups: [{id: a, with: a}]", "3 $.groups[0].with wrong_type: with is a list; write it in brackets: [a]."),
    ("groups:\n- id: a\n- id: a", "5 $.groups[1].id impossible: id: a is taken;"
     " give each of the groups an id of its own."),
    ("prizes:\n- {id: mug, points: 5, of: {}}\n- {id: mug, points: 5, of: {}}", "5 $.prizes[1].id impossible: id: mug"
     " is taken; give each of the prizes an id of its own."),
    ("coupons: [{id: 'a:b'}]", "3 $.coupons[0].id out_of_range: 'a:b' cannot be an id;"
     " it needs a letter or a digit, and no colon."),
    ("coupons: [{id: a, good_for_days: 0}]", "3 $.coupons[0].good_for_days out_of_range: good_for_days is 0;"
     " write at least 1."),
    ("tiers: [{id: gold, reach: {}}]", "3 $.tiers[0].reach impossible:"
     " spend_minor: give one of spend_minor and purchases."),
    ("tiers: [{id: gold, reach: {spend_minor: 1, purchases: 1}}]", "3 $.tiers[0].reach.spend_minor impossible:"
     " spend_minor: give one of spend_minor and purchases."),
    ("certificates: {}", "3 $.certificates missing: sold is missing here; add it."),
    ("speaking: {at_most: {shop: 1}}", "3 $.speaking.at_most.shop unknown_value: shop is not known;"
     " write one of cashier, customer, kiosk, receipt."),
    ("speaking: {at_most: {kiosk: yes}}", "3 $.speaking.at_most.kiosk wrong_type: kiosk is a number;"
     " YAML reads yes as true or false."),
    ("messages: [{place: receipt, text: {no: Hei}}]", "3 $.messages[0].text.no wrong_type: no is not known;"
     " write one of en, pl, pt-BR, ru."),
    ('name: "\\ud83d"', "3 $.name half_character: This holds half a character (a lone surrogate);"
     " type the text again."),
    ("cards:\n  ranges:\n  - {kind: ean13, prefix: '2037'}\n  - {kind: ean13, prefix: '20'}",
     "6 $.cards.ranges[1] cards.ranges_overlap: Card ranges 2037 and 20 share numbers."
     " Make one of the prefixes longer."),
]  # fmt: skip


@pytest.mark.parametrize(("part", "finding"), TOP, ids=range(len(TOP)))
def test_a_mistake_in_any_part_at_the_top_is_told_at_its_line_with_its_remedy(part, finding):
    assert told(f"id: club\ncurrency: EUR\n{part}\n") == [finding]


FOLLOWED = """\
id: club
currency: EUR
coupons: [{id: 5}]
groups: 3
promotions:
- id: a
  trigger: {kind: coupon, coupon: "5"}
  group: wine
  then: [{kind: bundle, parts: [{}], price_minor: x}]
  when: [{kind: spend, at_least_minor: x}]
"""


def test_what_only_follows_from_another_mistake_is_not_told():
    assert [one.path for one in check_programme(FOLLOWED)] == [
        "$.coupons[0].id",
        "$.groups",
        "$.promotions[0].then[0].price_minor",
        "$.promotions[0].when[0].at_least_minor",
    ]


JSON_ONLY = [
    ('{"id": "a", "currency": "EUR", "name": "\\ud83d\\ude00"}', []),
    ('{"id": "a", "currency": "EUR", "name": "\x7f\u2028"}', []),
    ('{"id": "a", "currency": "EUR", "\\ud83d\\ude00": 1}', ["$.😀 unknown_word"]),
    ('{"id": "a", "currency": "EUR", "name": "\\ud83d"}', ["$.name half_character"]),
    ('{"id": 1e5, "currency": "EUR"}', ["$.id wrong_type"]),
    ('{"id": "a", "currency": "EUR", "' + "k" * 2000 + '": 1, "name": 5}', ["$." + "k" * 2000 + " unknown_word",
                                                                         "$.name wrong_type"]),
    ('{"id": "a", "currency": "EUR", "' + "k" * 2000 + '": 1, "id": "b"}', ["$ twice"]),
    ('"\\ud800"', ["$ half_character"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "found"), JSON_ONLY, ids=range(len(JSON_ONLY)))
def test_json_is_checked_as_json_also_where_yaml_would_read_it_otherwise(text, found):
    assert [f"{one.path} {one.rule}" for one in check_programme(text)] == found


@pytest.mark.parametrize("text", ["[" * 20_000, "{[a]: b}", "\x00", "id: &n [*n]", "a: &a {exclude: *a}\nid: x"])
def test_no_text_makes_the_check_itself_fail(text):
    assert "error" in {one.severity for one in check_programme(text)}


def test_a_part_that_was_taken_out_does_not_shift_the_numbers_of_the_others():
    text = "id: a\ncurrency: EUR\npromotions:\n- 1\n- {id: x, priority: a}\n- 2\n- {id: y, stage: z}\n"
    assert [one.path for one in check_programme(text)] == [
        "$.promotions[0]", "$.promotions[1].priority", "$.promotions[2]", "$.promotions[3].stage",
    ]  # fmt: skip


# The law that ties check and reader together.

ODD = ["", "x", "EUR", "mon", "09:00", "earn", "id", 0, 1, -1, 10_001, 1.5, True, None, [], {}, [[]], "\ud800",
       "group", "scale", "2026-03-01", "2026-03-01T10:00:00Z", "thanks"]  # fmt: skip
PLAIN = st.sampled_from(ODD).map(deepcopy)  # a part that is put in may be changed in its turn
WHOLE_DOCUMENT = yaml.safe_load((Path(__file__).parent / "whole_programme.yaml").read_text("utf-8"))


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
        turn = data.draw(st.sampled_from(["change", "remove", "add", "copy"]))
        if turn == "change":
            holder[name] = data.draw(PLAIN)
        elif turn == "copy":
            other, there = data.draw(st.sampled_from(list(spots(document))))
            holder[name] = deepcopy(other[there])
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
