"""Codes: what sets promotions off, and coupons for the next visit whose code nobody else can make."""

from datetime import date, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.members import UNKNOWN_CARD
from loyalty.pricing.coupons import (
    PREFIX,
    IssuedCoupon,
    coupon_key,
    coupon_number,
    kinds_of,
    mint,
    read_coupon,
    with_codes,
)
from tests.loyalty.build import (
    BY_COUPON,
    amount_off,
    buy_get,
    cap,
    certificate,
    compiled,
    coupon,
    day,
    earn,
    fixed,
    gift,
    issue,
    line,
    member,
    multiply,
    off,
    percent_off,
    promotion,
    quote,
    refused,
    spend,
    steps_of,
    use,
)

KEY = coupon_key(b"the programme's own key")
KINDS = kinds_of(compiled(coupons=[{"id": "five"}, {"id": "ten", "holder": "personal"}]))
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's, without I, L, O and U


def issued(kind="five", holder="bearer", from_on="2026-03-03", through="2026-04-01"):
    return IssuedCoupon(promotion="next", coupon=kind, holder=holder, from_on=day(from_on), through=day(through))


def code_of(one=None, *, key=KEY, till_id="T1", receipt_id="R1", n=0, account_id=None):
    return mint(key, one or issued(), till_id=till_id, receipt_id=receipt_id, n=n, account_id=account_id)


def read(code, *, key=KEY, kinds=KINDS, account_id=None):
    return read_coupon(key, code, kinds, account_id=account_id)


# The code itself


def test_a_coupon_says_its_kind_and_its_days_and_no_more():
    one = read(code_of())
    assert one is not None
    assert (one.kind, one.of, one.from_on, one.through) == ("coupon", "five", day("2026-03-03"), day("2026-04-01"))
    assert (one.account_id, one.used, one.balance_minor) == (None, 0, 0)


def test_a_code_is_a_prefix_and_32_letters_that_are_not_mistaken_for_digits():
    code = code_of()
    assert code.startswith(PREFIX) and len(code) == 34
    assert set(code.removeprefix(PREFIX)) <= set(ALPHABET)


def test_the_same_receipt_has_the_same_code_and_another_one_has_another():
    codes = {
        code_of(), code_of(till_id="T2"), code_of(receipt_id="R2"), code_of(n=1), code_of(issued("ten")),
        code_of(issued(from_on="2026-03-04")), code_of(issued(through="2026-04-02")), code_of(account_id=7),
        code_of(key=coupon_key(b"another key")),
    }  # fmt: skip
    assert len(codes) == 9
    assert code_of() == code_of()


def test_the_names_of_till_and_receipt_cannot_be_shifted_into_each_other():
    assert code_of(till_id="T1", receipt_id="1R") != code_of(till_id="T11", receipt_id="R")


def test_no_two_of_20_000_receipts_share_a_code():
    codes = {code_of(receipt_id=f"R{n}") for n in range(20_000)}
    assert len(codes) == 20_000
    # Nor a number, under which a used one is kept.
    assert len({code[: len(PREFIX) + 22] for code in codes}) == 20_000


def test_a_code_with_a_single_letter_changed_is_refused():
    code = code_of()
    for place in range(len(code)):
        for letter in ALPHABET:
            changed = code[:place] + letter + code[place + 1 :]
            assert (read(changed) is None) is (changed != code)


def test_a_code_with_two_letters_swapped_one_missing_or_one_more_is_refused():
    code = code_of()
    for place in range(len(code) - 1):
        swapped = code[:place] + code[place + 1] + code[place] + code[place + 2 :]
        assert (read(swapped) is None) is (swapped != code)
        assert read(code[:place] + code[place + 1 :]) is None
        assert read(code[:place] + "0" + code[place:]) is None


def test_letters_that_look_like_digits_are_read_as_these():
    # A code that holds a 0 and a 1, read out as the letters O, and I or L.
    code = next(one for n in range(99) if {"0", "1"} <= set(one := code_of(receipt_id=f"R{n}")))
    told = read(code)
    assert told is not None
    body = code.removeprefix(PREFIX)
    for one in (body.replace("0", "O"), body.replace("1", "I"), body.replace("1", "L"), body.replace("0", "o")):
        assert one != body
        assert read(PREFIX + one) == told


def test_lower_case_blanks_and_hyphens_make_no_difference():
    code = code_of()
    told = read(code)
    assert told is not None
    body = code.removeprefix(PREFIX)
    grouped = "-".join([PREFIX, *(body[at : at + 4] for at in range(0, len(body), 4))])
    for one in (code.lower(), grouped, grouped.lower(), grouped.replace("-", " "), f"\t{code}\r\n", f"- {code} -"):
        assert read(one) == told


NO_COUPONS = [
    "", "TC", "SPRING", "TC" + "0" * 32, "0" * 32, "TC" + "0" * 31, "TC" + "U" * 32, "TC" + "é" * 32, "TC" + "٠" * 32,
    "4006381333931", "TCTC" + "0" * 30, "TC" + "0" * 1000,
]  # fmt: skip


@pytest.mark.parametrize("text", NO_COUPONS)
def test_what_is_no_coupon_of_ours_is_read_as_none(text):
    assert read(text) is None


def test_a_coupon_of_another_programmes_key_is_none_of_ours():
    assert read(code_of(), key=coupon_key(b"another key")) is None
    assert coupon_key(b"a") != coupon_key(b"b")


def test_a_coupon_of_a_kind_that_the_programme_does_not_have_is_none_of_ours():
    assert read(code_of(), kinds={"ten": KINDS["ten"]}) is None
    assert read(code_of(), kinds={}) is None


def test_a_personal_coupon_is_its_members_at_their_card_and_nobodys_elsewhere():
    code = code_of(issued("ten"), account_id=7)
    found = [read(code, account_id=account_id) for account_id in (7, None, 8)]
    assert [one and (one.of, one.account_id) for one in found] == [("ten", 7), ("ten", 0), ("ten", 0)]
    # Whether a check is another member's or made up cannot be told, so neither serves anybody.
    made_up = code[:-1] + ("0" if code[-1] != "0" else "1")
    one = read(made_up, account_id=7)
    assert one is not None and one.account_id == 0
    rules = compiled(promotion("ten", amount_off(100), trigger={"kind": "coupon", "coupon": "ten"}),
                     coupons=[{"id": "ten", "holder": "personal"}])  # fmt: skip
    for view, reason in ((None, "needs_card"), (member(), "of_another_member"), (UNKNOWN_CARD, "of_another_member")):
        asked = quote(rules, line(1, 1000), view=view, bearer=[one], coupons=(one.code,))
        assert refused(asked) == [(one.code, reason)]


def test_a_bearer_coupon_is_read_whoever_brings_it():
    for account_id in (None, 7, 2**63 - 1):
        one = read(code_of(), account_id=account_id)
        assert one is not None and one.account_id is None


def test_what_is_kept_of_a_used_coupon_is_its_number_and_cannot_be_presented():
    code = code_of()
    one = read(code)
    assert one is not None
    assert len(one.code) == 23 and one.code not in code[len(PREFIX) + 22 :]
    assert code.removeprefix(PREFIX).startswith(one.code[:22])
    assert read(one.code) is None and read(PREFIX + one.code) is None


def test_the_number_of_an_issued_coupon_is_known_without_the_key():
    for account_id, kind in ((None, "five"), (7, "ten")):
        one = read(code_of(issued(kind), n=3, account_id=account_id), account_id=account_id)
        assert one is not None
        assert coupon_number(issued(kind), till_id="T1", receipt_id="R1", n=3) == one.code


DAYS = [
    ("2020-01-01", "2020-01-01", "2020-01-01", "2020-01-01"),
    ("2028-02-29", "2028-02-29", "2028-02-29", "2028-02-29"),
    ("2026-12-31", "2027-01-01", "2026-12-31", "2027-01-01"),
    ("2019-12-31", "2020-01-02", "2020-01-01", "2020-01-02"),  # nothing was issued before
    ("2199-06-06", "2300-01-01", "2199-06-06", "2199-06-06"),  # 65,535 days after the first: further is not told
]


@pytest.mark.parametrize(("from_on", "through", "told_from", "told_through"), DAYS)
def test_the_days_of_a_coupon_survive_the_code(from_on, through, told_from, told_through):
    one = read(code_of(issued(from_on=from_on, through=through)))
    assert one is not None
    assert (one.from_on, one.through) == (day(told_from), day(told_through))
    assert day("2020-01-01") + timedelta(days=65_535) == date(2199, 6, 6)


def test_the_coupons_of_a_receipt_each_have_a_code_and_only_personal_ones_are_tied_to_the_member():
    three = [issued(), issued(), issued("ten", "personal")]
    made = list(with_codes(three, KEY, till_id="T1", receipt_id="R1", account_id=7))
    assert [one.code for one in made] == [code_of(n=0), code_of(n=1), code_of(issued("ten"), n=2, account_id=7)]
    assert [msgspec.structs.replace(one, code="") for one in made] == three
    anonymous = list(with_codes([issued()], KEY, till_id="T1", receipt_id="R1", account_id=None))
    assert anonymous[0].code == code_of()


# Codes on a receipt

SPRING = promotion("spring", percent_off(1000), trigger={"kind": "code", "codes": ["Spring-26", "LENZ"]})


@pytest.mark.parametrize("code", ["SPRING26", "spring-26", " Spring 26 ", "s-p-r-i-n-g-2-6", "SPRING\t26", "lenz"])
def test_a_plain_code_is_the_same_however_it_is_written(code):
    asked = quote(compiled(SPRING), line(1, 1000), coupons=(code,))
    assert (off(asked), asked.coupons_used) == ([100], (code,))


@pytest.mark.parametrize("code", ["", "-", "SPRING", "SPRING266", "SPRlNG26", "СПРИНГ26"])
def test_a_code_that_differs_is_not_known(code):
    asked = quote(compiled(SPRING), line(1, 1000), coupons=(code,))
    assert (off(asked), refused(asked)) == ([0], [(code, "unknown_code")])


def test_two_spellings_of_a_code_are_the_same_code_entered_twice():
    asked = quote(compiled(SPRING), line(1, 1000), coupons=("Spring-26", "SPRING26"))
    assert (off(asked), asked.coupons_used, refused(asked)) == (
        [100], ("Spring-26",), [("SPRING26", "entered_twice")],
    )  # fmt: skip


def test_a_second_code_of_the_same_promotion_asks_for_nothing_more():
    asked = quote(compiled(SPRING), line(1, 1000), coupons=("Spring-26", "LENZ"))
    assert (off(asked), refused(asked)) == ([100], [("LENZ", "kept_out")])


def test_a_code_is_used_when_one_of_the_promotions_it_sets_off_applied():
    def by(name, *then, **facts):
        return promotion(name, *then, trigger={"kind": "code", "codes": ["A"]}, **facts)

    rules = compiled(by("none", percent_off(1000, sku=["x"])), by("dear", amount_off(1), when=[spend(9999)]),
                     by("points", fixed(5)))  # fmt: skip
    asked = quote(rules, line(1, 1000), view=member(), coupons=("A",))
    assert (asked.coupons_used, refused(asked), asked.totals.points_earned) == (("A",), [], 5)
    # Without a card the points are not granted, and the first that has something to say is told.
    asked = quote(rules, line(1, 1000), coupons=("A",))
    assert (asked.coupons_used, refused(asked)) == ((), [("A", "not_now")])
    assert asked.coupons_refused[0].say == "89.99 EUR more."


CODE = {"trigger": {"kind": "code", "codes": ["A"]}}
WHY = [
    # What stands in the way, and what the cashier reads.
    ({"who": {"card": True}}, "needs_card", "Needs a loyalty card."),
    ({"who": {"segments": ["vip"]}}, "needs_card", "Needs a loyalty card."),
    ({"limits": {"times": 1}}, "needs_card", "Needs a loyalty card."),
    ({"where": {"stores": ["S9"]}}, "not_now", "Runs only in: S9."),
    ({"when": [{"kind": "tender", "kinds": ["own"]}]}, "not_now", "Is for payment by own."),
    ({"limits": {"budget_minor": 1}}, "not_now", "Only 0.01 of its budget is left."),
]


@pytest.mark.parametrize(("facts", "reason", "say"), WHY)
def test_a_refused_code_has_a_reason_and_a_sentence(facts, reason, say):
    rules = compiled(promotion("p", amount_off(100), **CODE, **facts))
    (one,) = quote(rules, line(1, 1000), coupons=("A",)).coupons_refused
    assert (one.code, one.reason, one.say) == ("A", reason, say)


def test_a_code_that_grants_only_points_needs_a_card():
    asked = quote(compiled(promotion("p", fixed(5), **CODE)), line(1, 1000), coupons=("A",))
    assert refused(asked) == [("A", "needs_card")]


def test_a_code_that_loses_to_a_better_offer_is_kept_out():
    rules = compiled(promotion("p", amount_off(100), **CODE), promotion("q", amount_off(200)),
                     options={"stacking": "best_of"})  # fmt: skip
    asked = quote(rules, line(1, 1000), coupons=("A",))
    assert refused(asked) == [("A", "kept_out")]
    assert asked.coupons_refused[0].say == "q takes more off."


def test_an_empty_basket_uses_no_code():
    asked = quote(compiled(SPRING), coupons=("LENZ",))
    assert (asked.coupons_used, refused(asked)) == ((), [("LENZ", "does_nothing")])


# Coupons with a number of their own

FIVE = promotion("five", amount_off(500), **BY_COUPON)
RULES = compiled(FIVE, coupons=[{"id": "five"}])


def judged(item, *, view=None, shared=None, codes=("C1",)):
    """Where the coupon lies in the member's wallet it is personal, else it is in hand."""
    asked = quote(RULES, line(1, 2000), view=view, shared=shared, bearer=[item] if item else [], coupons=codes)
    return "used" if asked.coupons_used else asked.coupons_refused[0].reason


ITEMS = [
    (coupon("C1"), None, "used"),
    (coupon("C1", used=1), None, "used_before"),
    (coupon("C1", from_on=day("2026-03-02"), through=day("2026-03-02")), None, "used"),
    (coupon("C1", from_on=day("2026-03-03")), None, "not_yet_good"),
    (coupon("C1", through=day("2026-03-01")), None, "no_longer_good"),
    (coupon("C1", of="ten"), None, "unknown_code"),  # a kind that sets nothing off
    (coupon("C1", account_id=7), member(), "used"),
    (coupon("C1", account_id=7), None, "needs_card"),
    (coupon("C1", account_id=7), UNKNOWN_CARD, "of_another_member"),
    (coupon("C1", account_id=8), member(), "of_another_member"),
    (coupon("C1", account_id=8, used=1, through=day("2026-03-01")), member(), "of_another_member"),  # the first is told
    (coupon("C1", through=day("2026-03-01"), used=1), None, "no_longer_good"),
    (certificate("C1", 500), None, "unknown_code"),  # money, not a coupon
    (None, None, "unknown_code"),
]


@pytest.mark.parametrize(("item", "view", "told"), ITEMS)
def test_a_coupon_serves_once_whom_it_is_for_on_its_days(item, view, told):
    assert judged(item, view=view) == told


def test_a_use_that_this_till_was_told_of_as_a_counter_counts():
    used = (use("coupon:C1"),)
    assert judged(coupon("C1"), shared=used) == "used_before"
    assert judged(coupon("C1"), shared=(use("coupon:C2"),)) == "used"
    # A personal coupon is counted with its member.
    assert judged(coupon("C1", account_id=7), view=member(counters=used)) == "used_before"
    assert judged(coupon("C1", account_id=7), view=member(), shared=used) == "used"
    # Of a member of another store only what this till took itself is known here, and the sale goes on.
    assert judged(coupon("C1", account_id=7), view=member(counters=None)) == "used"
    assert judged(coupon("C1", account_id=7), view=member(counters=None), shared=used) == "used_before"


def test_a_coupon_is_counted_with_whom_it_belongs_to():
    wallet = (coupon("C2", account_id=7),)
    asked = quote(RULES, line(1, 2000), view=member(wallet=wallet), bearer=[coupon("C1")], coupons=("c1", "C2"))
    assert (off(asked), asked.coupons_used) == ([1000], ("c1", "C2"))
    assert (steps_of(asked.uses), steps_of(asked.shared_uses)) == ({"coupon:C2": 1}, {"coupon:C1": 1})


def test_a_coupon_that_finds_nothing_left_is_kept():
    asked = quote(RULES, line(1, 400), bearer=[coupon("C1"), coupon("C2")], coupons=("C1", "C2"))
    assert (off(asked), asked.coupons_used, refused(asked)) == ([400], ("C1",), [("C2", "does_nothing")])
    assert steps_of(asked.shared_uses) == {"coupon:C1": 1}


def test_a_coupon_and_a_plain_code_of_the_same_letters_are_told_apart_by_what_is_in_hand():
    rules = compiled(FIVE, promotion("plain", amount_off(1), trigger={"kind": "code", "codes": ["C1"]}),
                     coupons=[{"id": "five"}])  # fmt: skip
    assert off(quote(rules, line(1, 2000), coupons=("C1",))) == [1]
    assert off(quote(rules, line(1, 2000), bearer=[coupon("C1")], coupons=("C1",))) == [500]


def test_refused_codes_stand_in_the_order_in_which_they_were_entered():
    codes = ("x", "C1", "x", "C3", "y")
    asked = quote(RULES, line(1, 400), bearer=[coupon("C1"), coupon("C3")], coupons=codes)
    assert refused(asked) == [
        ("x", "unknown_code"), ("x", "entered_twice"), ("C3", "does_nothing"), ("y", "unknown_code"),
    ]  # fmt: skip


def test_coupons_act_in_the_order_in_which_they_were_entered():
    rules = compiled(
        promotion("half", percent_off(5000), trigger={"kind": "coupon", "coupon": "half"}), FIVE,
        coupons=[{"id": "five"}, {"id": "half"}],
    )  # fmt: skip
    bearer = [coupon("C1"), coupon("H1", of="half")]
    # 20.00: five off, then half of 15.00; or half, then five off.
    assert off(quote(rules, line(1, 2000), bearer=bearer, coupons=("C1", "H1"))) == [1250]
    assert off(quote(rules, line(1, 2000), bearer=bearer, coupons=("H1", "C1"))) == [1500]


def test_a_hundred_coupons_of_a_kind_each_take_their_part():
    bearer = [coupon(f"C{n}") for n in range(100)]
    asked = quote(RULES, line(1, 60_000), bearer=bearer, coupons=tuple(one.code for one in bearer))
    assert (off(asked), len(asked.coupons_used)) == ([50_000], 100)


# Whatever coupons set off, what a promotion allows is kept, and every code is used or refused

BENEFITS = st.one_of(
    st.builds(percent_off, st.integers(1, 10_000)),
    st.builds(amount_off, st.integers(1, 900), st.sampled_from(["basket", "line", "unit"])),
    st.builds(lambda amount: amount_off(amount, sku=["none"]), st.integers(1, 900)),
    st.builds(buy_get, st.integers(1, 2), which=st.just("dearest")),
    st.builds(fixed, st.integers(1, 50), st.sampled_from(["basket", "line", "unit"])),
    st.builds(earn, st.integers(1, 9), st.integers(10, 100)),
    st.builds(multiply, st.integers(101, 300)),
    st.just(gift("bag")),
    st.just(issue("five")),
)
PER = st.sampled_from(["receipt", "day", "month", "ever"])
RULES_BY_COUPON = st.fixed_dictionaries(
    {
        "then": st.lists(BENEFITS, min_size=1, max_size=2),
        "trigger": st.just({"kind": "coupon", "coupon": "five"}) | st.just({"kind": "automatic"}),
        "exclusive": st.booleans(),
        "skip_reduced": st.booleans(),
    },
    optional={
        "limits": st.fixed_dictionaries(
            {"times_in_all": st.integers(1, 3)},
            optional={"times": st.integers(1, 3), "budget_minor": st.integers(1, 1500)},
        ),
        "caps": st.lists(
            st.builds(cap, st.integers(1, 40), st.sampled_from(["units", "amount", "points"]), PER), max_size=2
        ),
        "group": st.sampled_from(["g", "h"]),
        "stage": st.sampled_from(["before", "main", "after"]),
    },
)
HOW = st.fixed_dictionaries(
    {
        "stacking": st.sampled_from(["sequential", "best_of", "best_of_line", "sum"]),
        "exclusive": st.sampled_from(["exclusive_wins", "priority_wins"]),
        "exclusive_over": st.sampled_from(["everything", "same_kind"]),
    }
)
GROUPS = st.tuples(st.sampled_from(["sequential", "best_of", "best_of_line", "sum"]), st.booleans())


@given(
    st.lists(RULES_BY_COUPON, min_size=1, max_size=3), HOW, GROUPS, st.lists(st.integers(0, 900), max_size=3),
    st.lists(st.booleans(), min_size=1, max_size=4), st.integers(0, 2),
)  # fmt: skip
def test_limits_budgets_and_caps_are_kept_however_many_coupons_are_brought(rules, how, group, amounts, personal, had):
    stacking, alone = group
    programme = compiled(
        *({"id": f"p{n}"} | rule for n, rule in enumerate(rules)), options=how, coupons=[{"id": "five"}],
        groups=[{"id": "g", "stacking": stacking} | ({"with": []} if alone else {}), {"id": "h"}],
    )  # fmt: skip
    mine = tuple(coupon(f"M{n}", account_id=7) for n, one in enumerate(personal) if one)
    others = [coupon(f"B{n}") for n, one in enumerate(personal) if not one]
    codes = tuple(one.code for one in (*mine, *others))
    counters = tuple(use(f"promo:p{n}", had) for n in range(len(rules)) if had)
    asked = quote(
        programme, *(line(n, amount, quantity_milli=2000) for n, amount in enumerate(amounts, 1)),
        view=member(wallet=mine, counters=counters), shared=counters, bearer=others, coupons=codes,
    )  # fmt: skip
    own, shared = steps_of(asked.uses), steps_of(asked.shared_uses)
    applied = {why.promotion for why in asked.why if why.applied}
    for n, rule in enumerate(rules):
        name = f"p{n}"
        limits, caps = rule.get("limits", {}), rule.get("caps", [])
        # Both kinds of times are counted under the same name, for the member and for everybody.
        assert own.get(f"promo:{name}", 0) + had <= max(limits.get("times", had), had)
        assert shared.get(f"promo:{name}", 0) + had <= max(limits.get("times_in_all", had), had)
        taken = sum(one.amount_minor for one in asked.effects if one.promotion == name)
        granted = sum(one.points for one in asked.effects if one.promotion == name)
        if limits.get("budget_minor"):
            assert taken == shared.get(f"budget:{name}", 0) <= limits["budget_minor"]
        for one in caps:
            if one["of"] != "units":
                had_now = {"amount": taken, "points": granted}[one["of"]]
                assert had_now <= one["most"]
            if one["per"] != "receipt":
                suffix = {"day": ":2026-03-02", "month": ":2026-03", "ever": ""}[one["per"]]
                counted = own.get(f"cap:{name}:{one['of']}{suffix}", 0)
                assert counted <= one["most"]
                assert one["of"] == "units" or counted == had_now
        did = bool(taken or granted) or any(one.promotion == name for one in (*asked.gifts, *asked.coupons_issued))
        assert did is (name in applied)
    assert sorted((*asked.coupons_used, *(code for code, _ in refused(asked)))) == sorted(codes)
    for code in codes:
        assert (own | shared).get(f"coupon:{code}", 0) == (code in asked.coupons_used)
    by_coupon = {f"p{n}" for n, rule in enumerate(rules) if rule["trigger"]["kind"] == "coupon"}
    assert bool(asked.coupons_used) is bool(by_coupon & applied)
