"""Messages: which sentence is said, in which language, with figures written the way that language writes them."""

from datetime import date

import pytest

from loyalty.members import UNKNOWN_CARD
from loyalty.pricing.messages import counters_here
from tests.loyalty.build import (
    amount_off,
    compiled,
    fixed,
    line,
    member,
    percent_off,
    promotion,
    quantity,
    quote,
    spend,
    steps_of,
    use,
)

BALANCE = member(balance_points=40)


def said(*messages, case="applied", language=None, fallback="en"):
    """What is said of a promotion that saves 12.50 and grants 1,200 points, or that 3.20 are missing for."""
    read = [{"place": "receipt"} | message for message in messages]
    facts = {"when": [spend(10_320)]} if case == "missed" else {}
    rules = compiled(promotion("spring", amount_off(1250), fixed(1200), messages=read, **facts), language=fallback)
    return [one.text for one in quote(rules, line(1, 10_000), view=BALANCE, language=language).messages]


def test_a_sentence_names_its_figures():
    text = "Saved {saved}, {points} points, balance {balance}."
    assert said({"text": {"en": text}}) == ["Saved 12.50, 1200 points, balance 40."]
    missed = {"case": "missed", "text": {"en": "{short_of} more, balance {balance}."}}
    assert said(missed, case="missed") == ["3.20 more, balance 40."]


def test_figures_that_there_are_none_of_are_left_empty():
    assert said({"text": {"en": "[{short_of}]"}}) == ["[]"]
    always = {"case": "always", "text": {"en": "[{saved}] [{points}]"}}
    assert said(always, case="missed") == ["[] [0]"]


@pytest.mark.parametrize("nobody", [None, UNKNOWN_CARD])
def test_nobody_is_told_a_balance_that_is_not_known(nobody):
    told = [message("Hello"), message("You have {balance} points", at_most={"each": "till"})]
    rules = compiled(promotion("p", amount_off(1), messages=told), messages=[message("Now {balance}")])
    asked = quote(rules, line(1, 1000), view=nobody)
    assert ([one.text for one in asked.messages], asked.shared_uses) == (["Hello"], ())
    assert heard(rules) == ["Hello", "You have 40 points", "Now 40"]
    # A member who has none is told so.
    assert heard(rules, view=member())[1:] == ["You have 0 points", "Now 0"]


def test_a_brace_that_names_nothing_stays_a_brace():
    assert said({"text": {"en": "{} {x} {{points}} {"}}) == ["{} {x} {1200} {"]


@pytest.mark.parametrize(("language", "text"), [("en", "12.50"), ("pl", "12,50"), ("ru", "12,50"), ("pt-BR", "12,50")])
def test_a_decimal_is_written_as_the_language_writes_it(language, text):
    assert said({"text": {language: "{saved}"}}, language=language) == [text]


def test_a_sentence_in_the_fallback_language_keeps_that_languages_decimals():
    assert said({"text": {"en": "Saved {saved}"}}, language="pl") == ["Saved 12.50"]
    assert said({"text": {"pl": "Rabat {saved}"}}, language="en", fallback="pl") == ["Rabat 12,50"]


def test_the_members_language_comes_first_then_the_programmes_own_then_any():
    text = {"en": "points", "pl": "punkty"}
    assert said({"text": text}, language="pl") == ["punkty"]
    assert said({"text": text}, language="ru", fallback="pl") == ["punkty"]
    assert said({"text": text}, language="ru", fallback="pt-BR") == ["points"]
    assert said({"text": text}, fallback="pl") == ["punkty"]


CASES = [("applied", ["a", "always"]), ("missed", ["m", "always"])]


@pytest.mark.parametrize(("case", "told"), CASES)
def test_a_sentence_is_said_in_its_case(case, told):
    messages = [
        {"case": "applied", "text": {"en": "a"}},
        {"case": "missed", "text": {"en": "m"}},
        {"case": "always", "text": {"en": "always"}},
    ]
    assert said(*messages, case=case) == told


def test_a_sentence_knows_its_place_and_its_promotion():
    message = {"place": "kiosk", "text": {"en": "Hello"}}
    rules = compiled(promotion("spring", amount_off(1), messages=[message]), messages=[message])
    asked = quote(rules, line(1, 100))
    assert [(one.place, one.promotion) for one in asked.messages] == [("kiosk", "spring"), ("kiosk", "")]


def test_a_near_miss_is_one_that_goods_can_make_good():
    def told(**facts):
        missed = [{"place": "receipt", "case": "missed", "text": {"en": "{short_of}"}}]
        rules = compiled(promotion("p", amount_off(1), messages=missed, **facts))
        return [one.text for one in quote(rules, line(1, 680, quantity_milli=650), view=BALANCE).messages]

    assert told(when=[spend(1000)]) == ["3.20"]
    assert told(when=[quantity(1000)]) == ["0.35"]
    assert told(when=[{"kind": "spend", "at_most_minor": 10}]) == []
    assert told(when=[{"kind": "balance", "at_least_points": 99}]) == []
    assert told(where={"stores": ["S9"]}, when=[spend(1000)]) == []
    assert told(when=[{"kind": "period_spend", "at_least_minor": 1000, "this_receipt": True}]) == ["3.20"]
    assert told(when=[{"kind": "period_spend", "at_least_minor": 1000}]) == []


def nearly(*benefits, view=BALANCE, shared=None, **facts):
    """What is said of a promotion that 3.20 are missing for, and maybe something else."""
    missed = [{"place": "receipt", "case": "missed", "text": {"en": "{short_of}"}}]
    rules = compiled(promotion("p", *(benefits or [amount_off(100)]), messages=missed, **facts))
    asked = quote(rules, line(1, 680), view=view, shared=shared)
    return [one.text for one in asked.messages]


BUDGET = {"limits": {"budget_minor": 500}, "when": [spend(1000)]}


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"kind": "balance", "at_least_points": 41}, []),  # there are 40
        ({"kind": "balance", "at_least_points": 40}, ["3.20"]),
        ({"kind": "purchase", "number": 1}, ["3.20"]),
        ({"kind": "purchase", "number": 2}, []),
        ({"kind": "spend", "at_most_minor": 600}, []),
        ({"kind": "quantity", "at_least_milli": 2000}, ["3.20"]),
        ({"kind": "tender", "kinds": ["app"]}, ["3.20"]),  # how it is paid is still open
    ],
)
def test_nobody_is_tempted_with_what_more_goods_would_not_bring(other, told):
    assert nearly(when=[spend(1000), other]) == told


def test_nobody_is_tempted_with_a_budget_that_is_spent():
    assert nearly(shared=(use("budget:p", 499),), **BUDGET) == ["3.20"]
    assert nearly(shared=(use("budget:p", 500),), **BUDGET) == []


CAPPED = {"when": [spend(1000)], "caps": [{"of": "points", "most": 50, "per": "month"}]}


@pytest.mark.parametrize(("had", "benefits", "told"), [
    (49, [fixed(50)], ["3.20"]),
    (50, [fixed(50)], []),
    (50, [fixed(50), amount_off(100)], ["3.20"]),  # the money is not capped
])  # fmt: skip
def test_nobody_is_tempted_with_what_a_cap_leaves_nothing_of(had, benefits, told):
    view = member(balance_points=40, counters=(use("cap:p:points:2026-03", had),))
    assert nearly(*benefits, view=view, **CAPPED) == told


def test_without_a_card_nobody_is_tempted_with_points():
    when = [spend(1000)]
    assert nearly(fixed(50), when=when) == ["3.20"]
    assert nearly(fixed(50), view=None, when=when) == []
    assert nearly(fixed(50), amount_off(100), view=None, when=when) == ["3.20"]


def message(text, place="customer", **facts):
    return {"place": place, "text": {"en": text}} | facts


def heard(rules, **facts):
    return [one.text for one in quote(rules, line(1, 1000), **{"view": BALANCE} | facts).messages]


def test_each_place_has_room_of_its_own_and_the_programme_speaks_last():
    rules = compiled(
        promotion("a", amount_off(1), messages=[message("a1"), message("a2"), message("a3", "receipt")]),
        promotion("b", amount_off(1), messages=[message("b1"), message("b2", "receipt")]),
        messages=[message("own", "receipt"), message("own cashier", "cashier")],
        speaking={"at_most": {"customer": 2, "receipt": 3, "kiosk": 0}},
    )
    assert heard(rules) == ["a1", "a2", "a3", "b2", "own", "own cashier"]


def test_no_room_at_all_is_silence():
    rules = compiled(promotion("a", amount_off(1), messages=[message("a")]), speaking={"at_most": {"customer": 0}})
    assert heard(rules) == []


def test_the_stores_own_partner_speaks_first_then_the_others_as_they_are_listed():
    def rules(**speaking):
        return compiled(
            *(promotion(by, amount_off(1), funded_by=by, messages=[message(by)]) for by in ("xeno", "core", "bolt")),
            promotion("own", amount_off(1), messages=[message("own")]),
            speaking={"partners": ["bolt", "acme"], **speaking},
        )

    assert heard(rules()) == ["own", "bolt", "xeno", "core"]
    # Without `own_first` the store's own, acme, is second in the list.
    assert heard(rules(own_first=False)) == ["bolt", "own", "xeno", "core"]
    assert heard(rules(own_first=False, partners=[])) == ["xeno", "core", "bolt", "own"]


def test_what_was_missed_and_what_applied_are_heard_as_their_promotions_run():
    rules = compiled(
        promotion("low", amount_off(1), messages=[message("low")]),
        promotion("high", amount_off(1), priority=5, when=[spend(5000)], messages=[message("high", case="missed")]),
    )
    assert heard(rules) == ["high", "low"]


DAILY = {"at_most": {"times": 2, "per": "day"}}
COUNTED = [
    ((), ["a"], {"said:p:0:2026-03-02": 1}),
    ((use("said:p:0:2026-03-02", 1),), ["a"], {"said:p:0:2026-03-02": 1}),
    ((use("said:p:0:2026-03-02", 2),), [], {}),
    ((use("said:p:0:2026-03-01", 2),), ["a"], {"said:p:0:2026-03-02": 1}),
    ((use("said:p:1:2026-03-02", 2),), ["a"], {"said:p:0:2026-03-02": 1}),
    (None, [], {}),
]


@pytest.mark.parametrize(("counters", "told", "uses"), COUNTED)
def test_a_sentence_is_heard_only_so_often(counters, told, uses):
    rules = compiled(promotion("p", amount_off(1), messages=[message("a", **DAILY)]))
    view = member(counters=counters)
    assert heard(rules, view=view) == told
    assert steps_of(quote(rules, line(1, 1000), view=view).uses) == uses


def test_a_sentence_of_the_programme_is_counted_under_its_own_name():
    rules = compiled(messages=[message("x"), message("hello", at_most={"times": 1, "per": "ever"})])
    asked = quote(rules, line(1, 1000), view=BALANCE)
    assert ([one.text for one in asked.messages], steps_of(asked.uses)) == (["x", "hello"], {"said::1": 1})
    assert heard(rules, view=member(counters=(use("said::1"),))) == ["x"]
    assert heard(rules, view=None) == ["x"]


WEEKLY = {"at_most": {"times": 2, "per": "week"}}
BY_WEEK = [
    ((use("said:p:0:2026-W10", 1),), ["a"], {"said:p:0:2026-W10": 1}),
    ((use("said:p:0:2026-W10", 2),), [], {}),
    ((use("said:p:0:2026-W09", 2),), ["a"], {"said:p:0:2026-W10": 1}),
]


@pytest.mark.parametrize(("counters", "told", "uses"), BY_WEEK)
def test_a_sentence_is_heard_so_often_a_week(counters, told, uses):
    rules = compiled(promotion("p", amount_off(1), messages=[message("a", **WEEKLY)]))
    view = member(counters=counters)
    assert heard(rules, view=view) == told
    assert steps_of(quote(rules, line(1, 1000), view=view).uses) == uses


HERE = {"at_most": {"times": 2, "per": "day", "each": "till"}}
AT_TILL = [
    ((), ["a"], {"said_here:p:0:2026-03-02": 1}),
    (None, ["a"], {"said_here:p:0:2026-03-02": 1}),
    ((use("said_here:p:0:2026-03-02", 1),), ["a"], {"said_here:p:0:2026-03-02": 1}),
    ((use("said_here:p:0:2026-03-02", 2),), [], {}),
    ((use("said_here:p:0:2026-03-01", 2),), ["a"], {"said_here:p:0:2026-03-02": 1}),
    ((use("said:p:0:2026-03-02", 2),), ["a"], {"said_here:p:0:2026-03-02": 1}),
]


@pytest.mark.parametrize("view", [BALANCE, member(counters=None), None], ids=["member", "unknown", "nobody"])
@pytest.mark.parametrize(("shared", "told", "uses"), AT_TILL)
def test_a_till_says_a_sentence_only_so_often_whoever_stands_there(shared, told, uses, view):
    rules = compiled(promotion("p", amount_off(1), messages=[message("a", **HERE)]))
    asked = quote(rules, line(1, 1000), view=view, shared=shared)
    assert [one.text for one in asked.messages] == told
    assert (steps_of(asked.uses), steps_of(asked.shared_uses)) == ({}, uses)


def test_the_tills_counters_are_looked_for_by_day():
    own = message("own", at_most={"times": 1, "per": "month", "each": "till"})
    rules = compiled(
        promotion("p", amount_off(1), messages=[message("x"), message("a", **HERE), message("m", **DAILY)]),
        messages=[own],
    )
    assert counters_here(rules, date(2026, 3, 2)) == ["said_here::0:2026-03", "said_here:p:1:2026-03-02"]


def test_a_counted_sentence_that_finds_no_room_is_not_counted():
    rules = compiled(
        promotion("a", amount_off(1), messages=[message("a"), message("b", **DAILY)]),
        speaking={"at_most": {"customer": 1}},
    )
    assert quote(rules, line(1, 1000), view=BALANCE).uses == ()


def test_a_promotion_without_benefits_speaks_when_it_holds_and_nothing_keeps_it_out():
    rules = compiled(
        promotion("alone", percent_off(1000), exclusive=True),
        promotion("words", messages=[message("hello")], when=[spend(900)], limits={"times": 1}),
        promotion("more words", messages=[message("never")], when=[spend(901)]),
    )
    # After the discount 9.00 are left.
    assert heard(rules) == ["hello"]
    assert heard(rules, view=member(counters=(use("promo:words"),))) == []


def test_the_programmes_own_sentence_sums_up_the_receipt_and_is_never_missed():
    rules = compiled(
        promotion("off", percent_off(1000)), promotion("points", fixed(7)),
        messages=[message("{saved} {points} {balance} [{short_of}]"), message("never", case="missed")],
    )  # fmt: skip
    assert heard(rules) == ["1.00 7 40 []"]
    assert heard(rules, view=None) == []  # without a card there is no balance to tell


def test_yen_have_no_decimals():
    rules = compiled(promotion("off", amount_off(1250), messages=[message("{saved}")]), currency="JPY")
    asked = quote(rules, line(1, 9999), currency="JPY")
    assert [one.text for one in asked.messages] == ["1250"]


def test_what_is_said_changes_no_figure_and_not_the_digest():
    spoken = {"place": "customer", "text": {"en": "a", "pl": "b"}}
    one = compiled(promotion("off", amount_off(1), messages=[spoken]))
    asked, other = (quote(one, line(1, 100), language=language) for language in ("en", "pl"))
    assert [row.text for row in (*asked.messages, *other.messages)] == ["a", "b"]
    assert asked.digest == other.digest
