"""Points as tender: whole steps, at most what goods, share and authority allow, spread to the minor unit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.members import UNKNOWN_CARD
from loyalty.moments import moment_of
from loyalty.pricing.leases import Authority
from loyalty.pricing.spending import most_points, spendable
from loyalty.programme.programme import Options, Spending, programme_from
from tests.loyalty.build import (
    A_FLOAT,
    SPENDING,
    amount_off,
    compiled,
    day,
    earn,
    fixed,
    line,
    member,
    percent_off,
    place,
    promotion,
    quote,
)


def may(points):
    return Authority(kind="float", points=points, lease_id="float-1")


def rule(**more) -> Spending:
    found = programme_from({"id": "club", "currency": "EUR", "spending": SPENDING | more}).spending
    assert found is not None
    return found


# 100 points are worth 0.50. A basket of 10.00 takes 2,000 points.
MOST = [
    ({}, 5000, 1000, 2000, "goods"),
    ({}, 1990, 1000, 1900, "authority"),
    ({}, 2000, 1000, 2000, "authority"),
    ({}, 5000, 1049, 2000, "goods"),  # the last 0.49 is no whole step
    ({}, 99, 1000, 0, "nothing_to_spend"),
    ({}, 5000, 49, 0, "nothing_to_spend"),
    ({}, 5000, 0, 0, "nothing_to_spend"),
    ({"least_points": 500}, 400, 1000, 0, "least_points"),
    ({"least_points": 500}, 500, 1000, 500, "authority"),
    ({"largest_share_bp": 3000}, 5000, 1000, 600, "goods"),  # 3.00
    ({"largest_share_bp": 3333}, 5000, 1000, 600, "goods"),  # 3.33, down to 3.00
    ({"largest_share_bp": 0}, 5000, 1000, 0, "nothing_to_spend"),
    ({}, 10**15, 10**14, 2 * 10**14, "goods"),
    # With a rest, two points are worth a cent.
    ({"rest": True}, 5000, 1049, 2098, "goods"),
    ({"rest": True}, 1991, 1000, 1990, "authority"),  # the odd point buys nothing
    ({"rest": True}, 1, 1000, 0, "nothing_to_spend"),
    ({"rest": True, "largest_share_bp": 3333}, 5000, 1000, 666, "goods"),
    ({"rest": True, "least_points": 7}, 6, 1000, 0, "least_points"),
    ({"rest": True, "least_points": 7}, 9, 1000, 8, "authority"),
    ({"rest": True, "least_points": 7}, 5000, 3, 0, "least_points"),
    # A point is worth 3.33: 3 points are 10.00, 2 are 6.66, 1 is 3.33.
    ({"step_points": 3, "step_minor": 1000, "rest": True}, 5000, 1000, 3, "goods"),
    ({"step_points": 3, "step_minor": 1000, "rest": True}, 5000, 999, 2, "goods"),
    ({"step_points": 3, "step_minor": 1000, "rest": True}, 5000, 666, 2, "goods"),
    ({"step_points": 3, "step_minor": 1000, "rest": True}, 5000, 332, 0, "nothing_to_spend"),
]


@pytest.mark.parametrize(("more", "allowed", "amount", "points", "bound_by"), MOST)
def test_the_most_points_that_may_be_spent(more, allowed, amount, points, bound_by):
    most = most_points(allowed, {0: amount}, rule(**more), Options())
    assert (most.points, most.bound_by) == (points, bound_by)
    assert most.step == (1 if "rest" in more else 100)


def test_a_programme_without_spending_takes_no_points():
    asked = quote(compiled(), line(1, 1000), view=member(), authority=A_FLOAT, points_to_spend=500)
    assert (asked.redemption.most_points, asked.redemption.bound_by) == (0, "programme")
    assert (asked.totals.points_spent, asked.redemption.per_line_minor) == (0, (0,))


def test_without_authority_nothing_can_be_spent():
    rules = compiled(spending=SPENDING)
    for view in (member(balance_points=5000, spendable_points=5000), UNKNOWN_CARD, None):
        asked = quote(rules, line(1, 1000), view=view, points_to_spend=500)
        assert (asked.redemption.most_points, asked.redemption.authority, asked.totals.points_spent) == (0, "none", 0)


def paid(more, asked, *lines, allowed=5000, options=None, promotions=()):
    """Points spent, what they pay, and that by line."""
    rules = compiled(*promotions, spending=SPENDING | more, options=options or {})
    told = quote(rules, *lines, view=member(), authority=may(allowed), points_to_spend=asked)
    return told.totals.points_spent, told.totals.paid_with_points_minor, [
        row.paid_with_points_minor for row in told.lines
    ]  # fmt: skip


ASKED = [
    ({}, 0, (0, 0, [0])),
    ({}, 99, (0, 0, [0])),
    ({}, 100, (100, 50, [50])),
    ({}, 199, (100, 50, [50])),  # whole steps of what was asked
    ({}, 9999, (2000, 1000, [1000])),  # the largest allowed
    ({"least_points": 500}, 400, (0, 0, [0])),
    ({"least_points": 500}, 599, (500, 250, [250])),
    ({"rest": True}, 1, (0, 0, [0])),  # half a cent
    ({"rest": True}, 3, (2, 1, [1])),
    ({"rest": True}, 10**15, (2000, 1000, [1000])),
    ({"rest": True, "least_points": 7}, 6, (0, 0, [0])),
    ({"rest": True, "least_points": 7}, 8, (8, 4, [4])),
]


@pytest.mark.parametrize(("more", "asked", "told"), ASKED)
def test_as_many_points_pay_as_were_asked_in_whole_steps(more, asked, told):
    assert paid(more, asked, line(1, 1000)) == told


def test_what_points_pay_is_spread_over_the_lines():
    # 4.00 over 12.00, 6.00, 2.00.
    assert paid({}, 800, line(1, 1200), line(2, 600), line(3, 200)) == (800, 400, [240, 120, 40])


def test_excluded_goods_are_paid_in_money():
    lines = [line(1, 1000), line(2, 5000, category=("Tobacco",))]
    more = {"of": {"exclude": {"category": [["Tobacco"]]}}}
    assert paid(more, 9999, *lines) == (2000, 1000, [1000, 0])


REMAINDERS = [
    ("largest_remainder", [34, 33, 33]),
    ("floor_first", [34, 33, 33]),
    ("floor_last", [33, 33, 34]),
    ("half_down_first", [34, 33, 33]),
]


@pytest.mark.parametrize(("how", "told"), REMAINDERS)
def test_what_could_be_paid_of_each_line_is_what_is_paid_of_it(how, told):
    rules = compiled(spending={"step_points": 1, "step_minor": 1}, options={"spread_remainder": how})
    lines = (line(1, 100), line(2, 100), line(3, 100))
    asked = quote(rules, *lines, view=member(), authority=may(100), points_to_spend=100)
    assert [row.paid_with_points_minor for row in asked.lines] == told
    assert list(asked.redemption.per_line_minor) == told


def test_points_spent_are_told_line_by_line_too():
    rules = compiled(spending={"step_points": 3, "step_minor": 1})
    asked = quote(rules, line(1, 1), line(2, 1), view=member(), authority=may(6), points_to_spend=6)
    assert [(row.paid_with_points_minor, row.points_spent) for row in asked.lines] == [(1, 3), (1, 3)]
    # With a single cent paid, the points are where it is.
    asked = quote(rules, line(1, 1), line(2, 1), view=member(), authority=may(3), points_to_spend=3)
    assert [(row.paid_with_points_minor, row.points_spent) for row in asked.lines] == [(1, 3), (0, 0)]


SAID = [
    ({}, 2000, ""),
    ({}, 2100, "At most 2000 points can be spent on this sale; 2000 are spent."),
    ({}, 150, "At most 2000 points can be spent on this sale; 100 are spent."),
    ({}, 99, "At most 2000 points can be spent on this sale; none are spent."),
    ({"points_over": "refuse"}, 2100, "At most 2000 points can be spent on this sale; none are spent."),
    ({"points_over": "refuse"}, 2000, ""),
    ({"points_over": "refuse"}, 150, "At most 2000 points can be spent on this sale; 100 are spent."),
]


@pytest.mark.parametrize(("options", "asked", "say"), SAID)
def test_whoever_asks_for_too_much_is_told_what_there_is(options, asked, say):
    rules = compiled(spending=SPENDING, options=options)
    told = quote(rules, line(1, 1000), view=member(), authority=may(5000), points_to_spend=asked)
    assert told.redemption.say == say


# Points that lapse: 300 of 500 on 2 March, at 12:00 by the clock. What the till may let go is 400.
LAPSING = [
    ("end_of_day", "2026-03-02", "24:00", 400),
    ("end_of_day", "2026-03-01", "24:00", 200),
    ("start_of_day", "2026-03-02", "24:00", 200),
    ("start_of_day", "2026-03-03", "24:00", 400),
    ("instant", "2026-03-02", "12:00", 200),
    ("instant", "2026-03-02", "12:01", 400),
    ("instant", "2026-03-02", "24:00", 400),
    ("instant", "2026-03-01", "24:00", 200),
    ("instant", "2026-03-03", "00:00", 400),
    *((expiry, "0001-01-01", "00:00", 200) for expiry in ("end_of_day", "start_of_day", "instant")),  # no day before it
]


@pytest.mark.parametrize(("expiry", "lapsing_on", "at", "points"), LAPSING)
def test_points_that_lapsed_before_the_sale_are_not_there_to_spend(expiry, lapsing_on, at, points):
    rules = compiled(spending={"step_points": 1, "step_minor": 1}, options={"expiry": expiry, "expiry_at": at})
    view = member(balance_points=500, spendable_points=500, lapsing_points=300, lapsing_on=day(lapsing_on))
    asked = quote(rules, line(1, 1000), view=view, authority=may(400))
    assert asked.redemption.most_points == points


def test_points_that_lapse_without_a_day_or_a_member_take_nothing_away():
    options, now = Options(expiry="start_of_day"), moment_of(place())
    assert spendable(may(50), None, options, day("2026-03-02"), now) == 50
    assert spendable(may(50), member(lapsing_points=30), options, day("2026-03-02"), now) == 50
    gone = member(spendable_points=20, lapsing_points=30, lapsing_on=day("2026-03-02"))
    assert spendable(may(50), gone, options, day("2026-03-02"), now) == 0


# Prizes

PRIZES = {"prizes": [
    {"id": "mug", "points": 300, "of": {"sku": ["mug"]}},
    {"id": "gold mug", "points": 100, "of": {"sku": ["mug"]}, "tiers": ["gold"]},
    {"id": "any", "points": 50, "of": {}},
]}  # fmt: skip


def won(*asked, lines, allowed=1000, view=None, promotions=(), **facts):
    rules = compiled(*promotions, spending=SPENDING, **PRIZES, **facts)
    told = quote(rules, *lines, view=view or member(), authority=may(allowed), prizes=asked)
    return (
        [(one.prize, one.line, one.points, one.amount_minor) for one in told.prizes],
        [(one.code, one.reason) for one in told.prizes_refused],
    )


def test_each_prize_pays_the_next_unit_of_its_goods():
    mugs = line(1, 1000, sku="mug", quantity_milli=3000)
    # 10.00 for three: 3.34, 3.33, 3.33.
    assert won("mug", "mug", lines=[mugs]) == ([("mug", 1, 300, 334), ("mug", 1, 300, 333)], [])
    assert won("mug", "mug", "mug", "mug", lines=[mugs], allowed=9999)[1] == [("mug", "not_in_basket")]


def test_prizes_are_paid_in_their_order_as_long_as_there_are_points():
    mugs = line(1, 900, sku="mug", quantity_milli=3000)
    asked = won("mug", "mug", "any", "mug", lines=[mugs], allowed=699)
    assert asked == ([("mug", 1, 300, 300), ("mug", 1, 300, 300), ("any", 1, 50, 300)], [("mug", "not_enough_points")])


def test_a_prize_takes_the_last_point_there_is():
    mug = line(1, 900, sku="mug")
    assert won("mug", lines=[mug], allowed=300)[0] == [("mug", 1, 300, 900)]
    assert won("mug", lines=[mug], allowed=299)[1] == [("mug", "not_enough_points")]


def test_a_prize_passes_goods_over_that_cost_nothing_or_have_no_units():
    lines = [line(1, 0), line(2, 500, quantity_milli=0), line(3, 1, quantity_milli=2000), line(4, 700)]
    # The first unit of line 3 costs a cent, the second nothing.
    taken, refused = won("any", "any", "any", lines=lines)
    assert (taken, refused) == ([("any", 3, 50, 1), ("any", 4, 50, 700)], [("any", "not_in_basket")])
    free = [promotion("all", percent_off(10_000))]
    assert won("any", lines=[line(1, 500)], promotions=free) == ([], [("any", "not_in_basket")])


def test_weighed_goods_are_one_unit_of_a_prize():
    assert won("any", "any", lines=[line(1, 700, quantity_milli=2500)]) == (
        [("any", 1, 50, 700)], [("any", "not_in_basket")],
    )  # fmt: skip


def test_a_prize_does_not_pay_for_a_certificate_that_is_sold():
    lines = [line(1, 5000, sku="card"), line(2, 700)]
    assert won("any", "any", lines=lines, certificates={"sold": {"sku": ["card"]}}) == (
        [("any", 2, 50, 700)], [("any", "not_in_basket")],
    )  # fmt: skip


REFUSED = [
    ("tea", member(), "unknown_prize"),
    ("gold mug", member(tier="silver"), "other_tier"),
    ("gold mug", UNKNOWN_CARD, "other_tier"),
]


@pytest.mark.parametrize(("asked", "view", "reason"), REFUSED)
def test_a_prize_that_is_not_for_this_member_is_refused(asked, view, reason):
    assert won(asked, lines=[line(1, 700, sku="mug")], view=view) == ([], [(asked, reason)])


def test_prizes_and_points_as_tender_pay_the_same_line_one_after_the_other():
    rules = compiled(promotion("base", earn(1, 100)), spending=SPENDING, **PRIZES)
    mugs = line(1, 1000, sku="mug", quantity_milli=2000)
    asked = quote(rules, mugs, view=member(), authority=may(900), prizes=("mug",), points_to_spend=9999)
    # A mug of 5.00 for 300 points; 600 more pay 3.00 of the other; 2.00 in money earn 2 points.
    (row,) = asked.lines
    assert (row.paid_with_points_minor, row.points_spent, row.net_minor, row.points_earned) == (800, 900, 200, 2)
    assert asked.redemption.most_points == 600
    # However many points there are, the mug that a prize has paid is not paid again: 5.00, and with two prizes nothing.
    for prizes, most in ((("mug",), 1000), (("mug", "mug"), 0)):
        asked = quote(rules, mugs, view=member(), authority=A_FLOAT, prizes=prizes, points_to_spend=9999)
        assert (asked.redemption.most_points, asked.totals.net_minor) == (most, 0)


# A sale that spends what it earns

EARN_1_PER_10_CENTS = promotion("base", earn(1, 10))
OWN = {"options": {"spends_what_it_earns": True}}


def own(*promotions, allowed=0, asked=10**6, amount=1000, **spending):
    """Most points, points spent, points earned, for a line of 10.00 when a point is worth a cent."""
    rules = compiled(*promotions, spending={"step_points": 1, "step_minor": 1} | spending, **OWN)
    told = quote(rules, line(1, amount), view=member(), authority=may(allowed), points_to_spend=asked)
    return told.redemption.most_points, told.totals.points_spent, told.totals.points_earned


OWN_LIMITS = [
    # Spending p leaves 1,000 - p cents, which earn (1,000 - p) / 10 points: p = 90 earns 91, p = 91 earns 90.
    ({}, (90, 90, 91)),
    ({"allowed": 10}, (100, 100, 90)),
    ({"asked": 40}, (90, 40, 96)),
    ({"asked": 0}, (90, 0, 100)),
    ({"least_points": 90}, (90, 90, 91)),
    ({"least_points": 91}, (0, 0, 100)),  # 90 would be the most
    ({"step_points": 20, "step_minor": 20}, (80, 80, 92)),
    ({"step_points": 100, "step_minor": 100}, (0, 0, 100)),
    ({"step_points": 100, "step_minor": 100, "allowed": 10}, (100, 100, 90)),
    ({"largest_share_bp": 500}, (50, 50, 95)),
    ({"amount": 0}, (0, 0, 0)),
    ({"amount": 9}, (0, 0, 0)),
    ({"allowed": 10**6}, (1000, 1000, 0)),
]


@pytest.mark.parametrize(("facts", "told"), OWN_LIMITS)
def test_a_sale_may_spend_what_it_earns_itself_and_no_more(facts, told):
    assert own(EARN_1_PER_10_CENTS, **facts) == told


def test_asking_for_too_much_is_refused_where_a_sale_spends_what_it_earns_as_well():
    def most(asked):
        rules = compiled(
            promotion("fixed", fixed(350)), spending={"step_points": 100, "step_minor": 100},
            options={"spends_what_it_earns": True, "points_over": "refuse"},
        )  # fmt: skip
        told = quote(rules, line(1, 1000), view=member(), points_to_spend=asked)
        return told.redemption.most_points, told.totals.points_spent

    # 350 points are earned whatever is spent: three steps of 100.
    assert most(300) == (300, 300)
    assert most(301) == (300, 0)
    assert most(200) == (300, 200)


@pytest.mark.parametrize("asked", [0, 50, 51, 80, 99, 100, 150, 151, 10**6])
@pytest.mark.parametrize("allowed", [0, 50])
def test_points_that_are_only_earned_by_spending_enough_are_no_points_for_less(allowed, asked):
    bonus = promotion("bonus", fixed(100), when=[{"kind": "points_spent", "at_least_points": 100}])
    # Whoever spends 100 or more earns 100; whoever spends less earns nothing, and has only what was there before.
    _, spent, earned = own(bonus, allowed=allowed, asked=asked)
    assert spent <= min(asked, allowed + earned)
    assert spent >= min(asked, allowed)


@pytest.mark.parametrize(("asked", "told"), [(20, 20), (30, 25), (50, 50), (55, 55), (60, 55), (10**6, 55)])
def test_whoever_asks_for_more_than_the_most_spends_the_most(asked, told):
    bonus = promotion("bonus", fixed(40), when=[{"kind": "points_spent", "at_least_points": 35}])
    # 5 points pay 10 cents of 3.00. 25 points pay 0.50, and 2.50 earn 25; 30 pay 0.60, and 2.40 earn 24; from 35 on 40
    # points come on top: 50 points pay 1.00, and 2.00 earn 20 + 40; 55 earn 19 + 40; 60 earn 18 + 40, which is too few.
    found = own(EARN_1_PER_10_CENTS, bonus, amount=300, asked=asked, step_points=5, step_minor=10)
    assert found[:2] == (55, told)


def test_who_has_no_card_spends_nothing_of_what_others_would_earn():
    rules = compiled(EARN_1_PER_10_CENTS, spending=SPENDING, **OWN)
    assert quote(rules, line(1, 10_000), points_to_spend=100).totals.points_spent == 0


def test_a_receipt_says_that_it_spends_its_own():
    rules = compiled(EARN_1_PER_10_CENTS, spending={"step_points": 1, "step_minor": 1}, **OWN)
    assert quote(rules, line(1, 1000), view=member(), points_to_spend=9).spends_own
    assert not quote(rules, line(1, 1000), view=member()).spends_own


@given(
    st.lists(st.integers(0, 3000), min_size=1, max_size=6),
    st.integers(0, 10_000),
    st.integers(0, 10_000),
    st.integers(0, 10_000),
)
def test_points_never_pay_more_than_the_goods_cost_or_the_authority_allows(amounts, asked, allowed, share_bp):
    lines = [line(n, amount) for n, amount in enumerate(amounts, 1)]
    points, worth, per_line = paid({"largest_share_bp": share_bp}, asked, *lines, allowed=allowed)
    assert points <= min(asked, allowed) and points % 100 == 0
    assert worth == points // 100 * 50 == sum(per_line)
    assert worth * 10_000 <= sum(amounts) * share_bp
    assert all(0 <= part <= amount for part, amount in zip(per_line, amounts, strict=True))


@given(
    st.integers(1, 50), st.integers(1, 50), st.integers(0, 400), st.integers(0, 400), st.integers(0, 60),
    st.integers(0, 10_000),
)  # fmt: skip
def test_with_a_rest_points_pay_what_they_are_worth_and_the_fewest_of_them(step, worth, amount, allowed, least, share):
    """Against every number of points there is."""
    found = most_points(
        allowed, {0: amount},
        rule(step_points=step, step_minor=worth, rest=True, least_points=least, largest_share_bp=share), Options(),
    )  # fmt: skip
    fitting = [p for p in range(allowed + 1) if p * worth // step * 10_000 <= amount * share]
    best = max(p * worth // step for p in fitting)
    fewest = next(p for p in fitting if p * worth // step == best)
    if fewest < max(least, 1):
        assert found.points == 0
    else:
        assert (found.points, sum(found.per_line.values())) == (fewest, best)


@given(
    st.integers(1, 2000), st.integers(1, 40), st.integers(1, 30), st.integers(0, 300), st.integers(0, 150),
    st.sampled_from([1, 7, 50]), st.booleans(), st.integers(0, 300),
)  # fmt: skip
def test_the_most_that_a_sale_may_spend_with_what_it_earns(amount, points, per, allowed, off, step, rest, least):
    """Against trying every number of points as if they had been there before."""
    least = least if rest else least // step * step
    spending = {"step_points": step, "step_minor": step, "rest": rest, "least_points": least}
    rules = [promotion("off", amount_off(off)) if off else promotion("words"), promotion("base", earn(points, per))]
    own_too = compiled(*rules, spending=spending, **OWN)
    plain = compiled(*rules, spending=spending)

    def told(programme, authority, asked):
        return quote(programme, line(1, amount), view=member(), authority=may(authority), points_to_spend=asked).totals

    # A point is worth a cent, so what is paid in money and what it earns are plain sums.
    due = max(0, amount - off)
    best = 0
    for spent in range(0, due + 1, 1 if rest else step):
        if spent >= least and spent <= allowed + (due - spent) * points // per:
            best = max(best, spent)
    found = told(own_too, allowed, 10**6)
    assert found.points_spent == best
    assert found.points_earned == (due - best) * points // per
    assert found == told(plain, best, best)
