"""Programmes, baskets and members drawn at random, kept small so that rules meet: few goods, few codes, small amounts.

The draw is a `random.Random`. A seed gives the same case on every machine, for long runs; Hypothesis hands in a draw of
its own and so can make a failing case smaller.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from hypothesis import strategies as st

from loyalty.baskets import Basket, CertificateAsk, Line, Place, Tender
from loyalty.members import UNKNOWN_CARD, MemberView, Use, WalletItem
from loyalty.pricing.leases import NO_AUTHORITY, Authority
from loyalty.programme.programme import Programme, programme_from
from tests.loyalty.naive.sale import suffix_on

Doc = dict[str, Any]

SKUS = ("apple", "bread", "cola", "dates")
BRANDS = ("", "north", "south")
TAGS = ("bio", "new")
PATHS = (("food",), ("food", "fresh"), ("drink",))
TENDERS = ("cash", "card", "voucher")
SEGMENTS = ("family", "staff")
TIERS = ("silver", "gold")
CODES = ("SAVE", "MORE")
DAYS = (date(2026, 3, 2), date(2026, 3, 31), date(2026, 12, 31), date(2028, 2, 29))
PERIODS = ("ever", "year", "quarter", "month", "day")
MONEY_STAGES = ("price_list", "before", "main", "main", "main", "after", "redemption")
# Options that a promotion may declare otherwise than its programme, with all their values.
OWN_OPTIONS = {
    "spread_remainder": ("largest_remainder", "floor_first", "floor_last", "half_down_first"),
    "spread_over_nothing": ("nothing", "evenly"),
    "percent_rounding": ("half_up", "half_even", "down", "up"),
    "percent_rounds": ("discount", "price"),
    "percent_per": ("line", "unit"),
    "stacking_base": ("remaining", "original"),
    "spend_looks_at": ("after", "before"),
    "spend_tax": ("in", "out"),
    "rewarded_unit": ("cheapest", "dearest", "basket"),
    "gift_lines": ("ignored", "counted"),
    "amount_each": ("unit", "line"),
    "earn_on": ("paid", "before_discounts", "before_points"),
    "earn_tax": ("in", "out"),
    "points_rounding": ("receipt", "line", "half_up"),
    "floor_rest": ("moves", "dropped"),
}
OPTIONS = OWN_OPTIONS | {
    "stacking": ("sequential", "best_of", "best_of_line", "sum"),
    "priority": ("high_first", "low_first", "as_listed"),
    "exclusive": ("exclusive_wins", "priority_wins"),
    "exclusive_over": ("everything", "same_kind"),
    "expiry": ("end_of_day", "start_of_day", "instant"),
    "points_over": ("largest", "refuse"),
    "spends_what_it_earns": (False, True),
}


class Case(NamedTuple):
    """Everything a quote is made of; `document` is the programme as it was drawn."""

    document: Doc
    programme: Programme
    basket: Basket
    place: Place
    view: MemberView | None
    authority: Authority
    bearer: tuple[WalletItem, ...]
    shared: tuple[Use, ...] | None


def cases() -> st.SearchStrategy[Case]:
    """Random cases that Hypothesis can make smaller."""
    return st.randoms(use_true_random=False).map(random_case)


def case_of_seed(seed: int) -> Case:
    return random_case(Random(seed))


def random_case(draw: Random) -> Case:
    """A programme, and a basket, place and member that it has something to say about."""
    document = random_document(draw)
    programme = programme_from(document)
    place = random_place(draw)
    view, bearer = random_member(draw, programme, place)
    known = view is not None and view.account_id is not None
    points = draw.choice((0, 0, 100, 250, 900)) if known else 0
    return Case(
        document=document,
        programme=programme,
        basket=random_basket(draw, programme),
        place=place,
        view=view,
        authority=Authority(kind="float", points=points, lease_id="float-1") if points else NO_AUTHORITY,
        bearer=bearer,
        shared=random_shared(draw, programme),
    )


def chance(draw: Random, percent: int) -> bool:
    return draw.randint(1, 100) <= percent


# The document


def random_document(draw: Random) -> Doc:
    document: Doc = {"id": "club", "currency": "EUR", "promotions": []}
    document["options"] = random_options(draw, OPTIONS, draw.choice((0, 10, 30)))
    groups = [f"g{number}" for number in range(draw.choice((0, 0, 1, 2, 3)))]
    document["groups"] = [random_group(draw, name, groups) for name in groups]
    document["coupons"] = [
        {
            "id": kind,
            "holder": draw.choice(("bearer", "personal")),
            "good_after_days": draw.choice((0, 1)),
            "good_for_days": draw.choice((1, 30)),
        }
        for kind in ("spring", "autumn")
    ]
    if chance(draw, 60):
        document["spending"] = random_spending(draw)
    if chance(draw, 20):
        document["certificates"] = {
            "sold": {"tags": ["voucher"]},
            "wallet": chance(draw, 70),
            "largest_share_bp": draw.choice((10_000, 5000, 3333)),
        }
    if chance(draw, 15):
        prize: Doc = {"id": "mug", "points": draw.choice((50, 100)), "of": random_selector(draw)}
        document["prizes"] = [prize | ({"tiers": ["gold"]} if chance(draw, 20) else {})]
    if chance(draw, 10):
        document["base_tier"] = "silver"
    crowded = chance(draw, 40)  # nearly everything holds, so that promotions are in each other's way
    document["promotions"] = [
        random_promotion(draw, f"p{n}", groups, crowded=crowded) for n in range(draw.randint(2, 8))
    ]
    return document


def random_options(draw: Random, table: Mapping[str, tuple[Any, ...]], percent: int) -> Doc:
    options: Doc = {name: draw.choice(values) for name, values in table.items() if chance(draw, percent)}
    if options.get("expiry") == "instant":
        options["expiry_at"] = draw.choice(("08:00", "12:00", "18:00"))
    return options


def random_group(draw: Random, name: str, groups: list[str]) -> Doc:
    group: Doc = {"id": name, "stacking": draw.choice(OPTIONS["stacking"])}
    if chance(draw, 30):
        group["with"] = draw.sample(groups, draw.randint(0, len(groups) - 1)) if len(groups) > 1 else []
    return group


def random_spending(draw: Random) -> Doc:
    step = draw.choice((1, 3, 10, 100))
    rest = chance(draw, 30)
    return {
        "step_points": step,
        "step_minor": draw.choice((1, 2, 7, 50)),
        "least_points": draw.choice((0, 0, step * 2, 2 * step + 1 if rest else step)),
        "largest_share_bp": draw.choice((10_000, 10_000, 5000, 3333)),
        "rest": rest,
        "of": random_selector(draw),
    }


def random_selector(draw: Random, *, excluding: bool = True) -> Doc:
    if chance(draw, 45):
        return {}
    kinds = {
        "sku": lambda: draw.sample(SKUS, draw.randint(1, 3)),
        "category": lambda: [list(draw.choice(PATHS))],
        "brand": lambda: [draw.choice(BRANDS[1:])],
        "tags": lambda: draw.sample(TAGS, draw.randint(1, 2)),
        "unit_price_from_minor": lambda: draw.choice((1, 50, 100)),
        "unit_price_to_minor": lambda: draw.choice((100, 200)),
    }
    selector: Doc = {kind: kinds[kind]() for kind in draw.sample(sorted(kinds), draw.choice((1, 1, 1, 2)))}
    if excluding and chance(draw, 15):
        selector["exclude"] = random_selector(draw, excluding=False)
    return selector


def random_promotion(draw: Random, name: str, groups: list[str], *, crowded: bool) -> Doc:
    promotion: Doc = {"id": name}
    kind = draw.choice(("money",) * 6 + ("points",) * 3 + ("both",) * 2 + ("extra", "words"))
    promotion["then"] = []
    if kind in ("money", "both"):
        promotion["then"] += [random_money(draw) for _ in range(draw.choice((1, 1, 1, 2)))]
        promotion["stage"] = draw.choice(MONEY_STAGES)
    if kind in ("points", "both"):
        promotion["then"] += [random_points(draw) for _ in range(draw.choice((1, 1, 2)))]
    if kind == "extra" or chance(draw, 6):
        promotion["then"].append(random_extra(draw))
    promotion["priority"] = draw.choice((0, 0, 0, 1, -1, 5))
    if chance(draw, 7) and kind in ("money", "both", "points"):
        promotion["exclusive"] = True
    if groups and chance(draw, 60):
        promotion["group"] = draw.choice(groups)
    if not crowded or chance(draw, 10):
        promotion["trigger"] = random_trigger(draw)
        promotion["when"] = [random_condition(draw) for _ in range(draw.choice((0, 0, 0, 0, 0, 1, 1, 2)))]
        promotion["who"] = random_who(draw)
        promotion["valid"] = random_validity(draw)
        promotion["where"] = random_where(draw)
    if chance(draw, 15):
        promotion["limits"] = random_limits(draw)
    promotion["caps"] = random_caps(draw, promotion)
    promotion["options"] = random_options(draw, OWN_OPTIONS, draw.choice((0, 0, 15)))
    promotion["skip_reduced"] = chance(draw, 10)
    return promotion


def random_percent(draw: Random) -> int:
    return draw.choice((500, 1000, 1250, 2500, 3333, 5000, 10_000, draw.randint(1, 10_000)))


def random_amount(draw: Random) -> int:
    return draw.choice((1, 5, 10, 33, 100, 250, draw.randint(1, 700)))


def random_money(draw: Random) -> Doc:
    of = random_selector(draw)
    kind = draw.choice(
        ("percent_off",) * 4 + ("amount_off",) * 4 + ("set_price", "price_list")
        + ("buy_get",) * 2 + ("bundle",) * 2 + ("scale",) * 2
    )  # fmt: skip
    if kind == "percent_off":
        benefit: Doc = {"kind": kind, "percent_bp": random_percent(draw), "of": of}
        return benefit if chance(draw, 40) else benefit | {"per": draw.choice(("unit", "line", "basket"))}
    if kind == "amount_off":
        per = draw.choice(("basket", "basket", "line", "unit", "each", "group"))
        benefit = {"kind": kind, "amount_minor": random_amount(draw), "per": per, "of": of}
        return benefit | ({"group_of": draw.randint(1, 4)} if per == "group" else {})
    if kind == "set_price":
        return {"kind": kind, "unit_price_minor": draw.choice((0, 50, 99, 100, 150)), "of": of}
    if kind == "price_list":
        goods = draw.sample(SKUS, draw.randint(1, 3))
        return {"kind": kind, "prices": {sku: draw.choice((0, 49, 90, 120)) for sku in goods}}
    return {"buy_get": random_buy_get, "bundle": random_bundle, "scale": random_scale}[kind](draw)


def random_buy_get(draw: Random) -> Doc:
    counts = chance(draw, 30)
    buy = draw.randint(1, 3)
    benefit: Doc = {
        "kind": "buy_get",
        "buy_units": buy,
        "buy": random_selector(draw),
        "get_units": draw.randint(1, buy if counts else 3),
        "counts": counts,
    }
    if chance(draw, 40):
        benefit["get"] = random_selector(draw)
    if chance(draw, 30):
        benefit["times"] = draw.randint(1, 2)
    if chance(draw, 40):
        benefit["which"] = draw.choice(OPTIONS["rewarded_unit"])
    figure = draw.choice(("", "percent_bp", "amount_minor", "price_minor"))
    if figure:
        benefit[figure] = random_percent(draw) if figure == "percent_bp" else random_amount(draw)
    return benefit


def random_bundle(draw: Random) -> Doc:
    parts = [{"units": draw.randint(1, 3), "of": random_selector(draw)} for _ in range(draw.choice((1, 2, 2, 3)))]
    figure = draw.choice(("price_minor", "price_minor", "percent_bp", "amount_minor"))
    benefit: Doc = {"kind": "bundle", "parts": parts}
    benefit[figure] = random_percent(draw) if figure == "percent_bp" else random_amount(draw)
    if chance(draw, 30):
        benefit["times"] = draw.randint(1, 2)
    if chance(draw, 40):
        benefit["which"] = draw.choice(OPTIONS["rewarded_unit"])
    return benefit


def random_scale(draw: Random) -> Doc:
    graduated = chance(draw, 40)
    by = draw.choice(("spend", "quantity") if graduated else ("spend", "quantity", "period_spend"))
    unit = 1000 if by == "quantity" else draw.choice((50, 100, 250))
    at, steps = draw.choice((0, 1)) * unit, []
    for _ in range(draw.randint(1, 3)):
        step: Doc = {"from": at}
        ends = at + draw.randint(0, 2) * unit
        if chance(draw, 30):
            step["to"] = ends
        if graduated or chance(draw, 60):
            step["percent_bp"] = random_percent(draw)
        else:
            step["amount_minor"] = random_amount(draw)
        steps.append(step)
        at = ends + draw.choice((1, unit))
    benefit = {"kind": "scale", "by": by, "steps": steps, "graduated": graduated, "of": random_selector(draw)}
    if by == "period_spend":
        benefit |= {"period": draw.choice(PERIODS), "this_receipt": chance(draw, 50)}
    if chance(draw, 40):
        benefit["which"] = draw.choice(OPTIONS["rewarded_unit"])
    return benefit


def random_points(draw: Random) -> Doc:
    of = random_selector(draw)
    kind = draw.choice(("earn", "earn", "earn", "points", "multiply_points"))
    if kind == "points":
        per = draw.choice(("basket", "line", "unit"))
        return {"kind": kind, "points": draw.choice((1, 5, 50)), "per": per, "of": of}
    if kind == "multiply_points":
        return {"kind": kind, "times_percent": draw.choice((150, 200, 333)), "of": of}
    earn: Doc = {"kind": kind, "points": draw.choice((1, 2, 5)), "per_minor": draw.choice((1, 7, 50, 100)), "of": of}
    return earn | ({"tenders": draw.sample(TENDERS, draw.randint(1, 2))} if chance(draw, 20) else {})


def random_extra(draw: Random) -> Doc:
    if chance(draw, 40):
        return {"kind": "issue_coupon", "coupon": draw.choice(("spring", "autumn"))}
    gift: Doc = {"kind": "gift", "items": [{"sku": "mug"}], "units": draw.randint(1, 2), "of": random_selector(draw)}
    measure = draw.choice(("", "for_units", "for_minor"))
    if measure:
        gift[measure] = draw.randint(1, 3) if measure == "for_units" else draw.choice((50, 200))
    return gift | ({"times": draw.randint(1, 2)} if chance(draw, 30) else {})


def random_trigger(draw: Random) -> Doc:
    kind = draw.choice(("automatic",) * 10 + ("code", "code", "coupon", "event"))
    if kind == "code":
        return {"kind": kind, "codes": draw.sample(CODES, draw.choice((1, 1, 2)))}
    if kind == "coupon":
        return {"kind": kind, "coupon": draw.choice(("spring", "autumn"))}
    return {"kind": kind, "event": draw.choice(("visit", "survey"))} if kind == "event" else {"kind": kind}


def random_condition(draw: Random) -> Doc:
    kind = draw.choice(
        ("spend",) * 4 + ("quantity",) * 3
        + ("tender", "purchase", "lapsed", "period_spend", "balance", "points_spent")
    )  # fmt: skip
    if kind == "spend":
        condition: Doc = {"kind": kind, "of": random_selector(draw)}
        bound = draw.choice(("at_least_minor", "at_least_minor", "more_than_minor", "at_most_minor", "equal_minor"))
        condition[bound] = draw.choice((1, 50, 100, 300, 500))
        if chance(draw, 40):
            condition["looks_at"] = draw.choice(("after", "before", "stage"))
        return condition | ({"tax": draw.choice(("in", "out"))} if chance(draw, 20) else {})
    if kind == "quantity":
        bounds = {"at_least_milli": draw.choice((1000, 2000, 500)), "at_most_milli": draw.choice((2000, 5000))}
        keep = draw.choice((["at_least_milli"], ["at_most_milli"], list(bounds)))
        of = {"per": draw.choice(("basket", "line")), "of": random_selector(draw)}
        return {"kind": kind} | of | {bound: bounds[bound] for bound in keep}
    if kind == "tender":
        kinds = draw.sample(TENDERS, draw.randint(1, 2))
        return {"kind": kind, "kinds": kinds, "at_least_minor": draw.choice((1, 100))}
    if kind == "purchase":
        return {"kind": kind, draw.choice(("number", "every")): draw.randint(1, 3)}
    if kind == "lapsed":
        return {"kind": kind, "days": draw.choice((1, 30))}
    if kind == "period_spend":
        bound = draw.choice(("at_least_minor", "at_most_minor"))
        return {
            "kind": kind, bound: draw.choice((100, 500)), "period": draw.choice(PERIODS),
            "this_receipt": chance(draw, 50),
        }  # fmt: skip
    return {"kind": kind, "at_least_points": draw.choice((1, 100))}


def random_who(draw: Random) -> Doc:
    who: Doc = {}
    if chance(draw, 8):
        who["card"] = True
    if chance(draw, 1):
        who["control_bp"] = 10_000
    if chance(draw, 4):
        who["segments"] = [draw.choice(SEGMENTS)]
    if chance(draw, 4):
        who["not_segments"] = [draw.choice(SEGMENTS)]
    if chance(draw, 4):
        who["tiers"] = [draw.choice(TIERS)]
    return who


def random_validity(draw: Random) -> Doc:
    valid: Doc = {}
    if chance(draw, 2):
        valid["from_on"] = draw.choice(DAYS)
    if chance(draw, 2):
        valid["to_on"] = max(draw.choice(DAYS), valid.get("from_on", DAYS[0]))
    if chance(draw, 2):
        valid["weekdays"] = draw.sample(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), 4)
    if chance(draw, 2):
        valid["hours"] = [draw.choice((["08:00", "12:00"], ["12:00", "24:00"]))]
    if chance(draw, 2):
        valid["from_at"] = draw.choice(("2026-03-02T12:00:00+00:00", "2026-03-02T12:00:00.001+00:00"))
    if chance(draw, 2):
        valid["to_at"] = draw.choice(("2026-03-31T12:00:00+00:00", "2027-01-01T12:00:00+01:00"))
    if chance(draw, 2):
        valid[draw.choice(("birthday", "anniversary"))] = {"days_before": draw.choice((0, 3)), "days_after": 2}
    return {
        name: value.isoformat() if isinstance(value, date) else value for name, value in valid.items()
    }  # fmt: skip


def random_where(draw: Random) -> Doc:
    where: Doc = {}
    for kind, values in (
        ("partners", ("acme", "bolt")),
        ("stores", ("S1", "S2")),
        ("channels", ("store", "web")),
        ("till_kinds", ("self", "staffed")),
    ):
        if chance(draw, 2):
            where[kind] = [draw.choice(values)]
    return where


def random_limits(draw: Random) -> Doc:
    kind = draw.choice(("times", "times", "times_in_all", "budget_minor"))
    figure = draw.choice((100, 300)) if kind == "budget_minor" else draw.randint(1, 3)
    return {kind: figure} | ({"per": draw.choice(PERIODS)} if kind == "times" else {})


def random_caps(draw: Random, promotion: Doc) -> list[Doc]:
    """Caps that say something here; one on units goes with a single benefit that it is meant for."""
    kinds = [benefit["kind"] for benefit in promotion["then"]]
    may: list[str] = []
    if "stage" in promotion:
        may.append("amount")
    if kinds in (["percent_off"], ["set_price"], ["price_list"], ["buy_get"]):
        may.append("units")
    if {"earn", "points", "multiply_points"} & set(kinds):
        may.append("points")
    caps = []
    for of in may:
        if chance(draw, 15):
            cap = {"of": of, "most": draw.choice((1, 2, 3, 50) if of == "units" else (5, 30, 100))}
            cap["per"] = draw.choice(("receipt", "receipt", *PERIODS))
            if of == "units" and chance(draw, 50):
                cap["first"] = draw.choice(OPTIONS["rewarded_unit"])
            caps.append(cap)
    return caps


# The basket, the place and the member


def random_basket(draw: Random, programme: Programme) -> Basket:
    lines = tuple(random_line(draw, number) for number in range(1, draw.choice((1, 2, 2, 3, 3, 4, 5, 6)) + 1))
    tenders = tuple(
        Tender(kind=draw.choice(TENDERS), amount_minor=draw.choice((0, 100, 250, 700)))
        for _ in range(draw.choice((0, 0, 1, 2)))
    )
    codes = ("save", " MO RE", "more", "SAVE", "C1", "c 2", "C3", "nothing")
    return Basket(
        receipt_id="R1",
        currency="EUR",
        lines=lines,
        tax_included=chance(draw, 80),
        tenders=tenders,
        coupons=tuple(draw.sample(codes, draw.choice((0, 0, 1, 1, 2, 3)))),
        points_to_spend=draw.choice((0, 0, 0, 1, 99, 100, 250, 1000)),
        events=tuple(draw.sample(("survey", "referral"), draw.choice((0, 0, 1)))),
        prizes=tuple(draw.choice((("mug",), ("mug", "mug"), ("mug", "nothing")))) if programme.prizes else (),
        certificates=tuple(
            CertificateAsk(code=code, amount_minor=draw.choice((0, 50, 500)))
            for code in draw.sample(("V1", "V2", "V3"), draw.choice((0, 1, 2)))
        ) if programme.certificates else (),
        from_wallet_minor=draw.choice((0, 60, 1000)) if programme.certificates and chance(draw, 50) else 0,
    )  # fmt: skip


def random_line(draw: Random, number: int) -> Line:
    """One line; most amounts follow from a unit price, some are lower already, some cost nothing."""
    unit_price = draw.choice((0, 1, 3, 49, 50, 99, 99, 100, 100, 101, 150, 200, 333))
    milli = draw.choice((1000,) * 4 + (2000, 2000, 3000, 4000, 5000, 350, 1500))
    amount = unit_price * milli // 1000
    if chance(draw, 12):
        amount = max(0, amount - draw.randint(1, 40))
    if chance(draw, 4):
        amount = 0
    return Line(
        line=number,
        sku=draw.choice(SKUS),
        amount_minor=amount,
        quantity_milli=milli,
        unit_price_minor=unit_price,
        category=draw.choice(((), *PATHS)),
        brand=draw.choice(BRANDS),
        tags=("voucher",) if chance(draw, 5) else tuple(draw.sample(TAGS, draw.choice((0, 0, 1, 2)))),
        discountable=chance(draw, 93),
        accrual=chance(draw, 90),
        floor_unit_minor=draw.choice((0,) * 8 + (1, 40, 95)),
        tax_bp=draw.choice((0, 500, 2000)),
    )


def random_place(draw: Random) -> Place:
    on = draw.choice(DAYS)
    offset = draw.choice((0, 0, 60, -180))
    at = datetime.fromisoformat(f"{on}T{draw.choice(('08:00', '11:59', '12:00', '23:30'))}:00+00:00")
    at -= timedelta(minutes=offset)
    return Place(
        partner_id=draw.choice(("acme",) * 4 + ("bolt",)),
        store_id=draw.choice(("S1",) * 4 + ("S2",)),
        till_id="T1",
        channel=draw.choice(("store",) * 4 + ("web",)),
        sold_at_ms=int(at.timestamp()) * 1000,
        offset_min=offset,
        business_date=on - timedelta(days=1) if chance(draw, 6) else on,  # a shop that is open past midnight
        till_kind=draw.choice(("", "self", "staffed")),
    )


def random_member(draw: Random, programme: Programme, place: Place) -> tuple[MemberView | None, tuple[WalletItem, ...]]:
    """Nobody, a card that the till does not know, or account 7; and what the customer has in hand."""
    items = random_items(draw, place.business_date)
    bearer = tuple(item for item in items if item.account_id is None)
    who = draw.choice(("nobody", "unknown") + ("member",) * 5)
    if who != "member":
        return (None if who == "nobody" else UNKNOWN_CARD), bearer
    balance = draw.choice((0, 100, 1000))
    lapsing = draw.choice((0, 0, 50, 300))
    view = MemberView(
        account_id=7,
        balance_points=balance,
        spendable_points=max(balance, 900),
        tier=draw.choice(("", *TIERS)),
        segments=tuple(draw.sample(SEGMENTS, draw.choice((0, 1, 2)))),
        birthday_in_days=draw.choice((None, -3, -2, 0, 3, 4)),
        anniversary_in_days=draw.choice((None, 0, 100)),
        counters=None if chance(draw, 8) else random_counters(draw, programme, place),
        lapsing_points=lapsing,
        lapsing_on=place.business_date + timedelta(days=draw.choice((-1, 0, 0, 1))) if lapsing else None,
        stored_minor=draw.choice((0, 100, 1000)),
        wallet=tuple(item for item in items if item.account_id is not None),
    )
    return view, bearer


def random_items(draw: Random, on: date) -> list[WalletItem]:
    """Coupons C1 to C3 and certificates V1 and V2, most of them good; of another member now and then."""
    items = []
    for code in draw.sample(("C1", "C2", "C3", "V1", "V2"), draw.randint(1, 5)):
        coupon = code.startswith("C")
        start, end = draw.choice(((0, 0), (0, 9), (0, 9), (-9, 9), (1, 9), (-9, -1)))
        items.append(
            WalletItem(
                code=code,
                kind="coupon" if coupon else "certificate",
                of=draw.choice(("spring", "autumn")) if coupon else "",
                account_id=draw.choice((None, None, 7, 7, 8)),
                from_on=draw.choice((None, on + timedelta(days=start))),
                through=draw.choice((None, on + timedelta(days=end))),
                used=draw.choice((0, 0, 0, 1)) if coupon else 0,
                balance_minor=0 if coupon else draw.choice((0, 30, 500)),
            )
        )
    return items


def random_counters(draw: Random, programme: Programme, place: Place) -> tuple[Use, ...]:
    """What the member had before: uses and caps of the rules there are, purchases, the last visit, spend."""
    today = place.business_date.toordinal()
    on = (datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=place.sold_at_ms, minutes=place.offset_min)).date()
    names: dict[str, int] = {}
    for promotion in programme.promotions:
        if promotion.limits is not None and promotion.limits.times is not None:
            names[f"promo:{promotion.id}{suffix_on(on, promotion.limits.per)}"] = draw.randint(0, 3)
        for cap in promotion.caps:
            if cap.per != "receipt":
                name = f"cap:{promotion.id}:{cap.of}{suffix_on(on, cap.per)}"
                names[name] = draw.choice((0, 1, cap.most - 1, cap.most))
    names["visits"] = draw.randint(0, 3)
    names["last:visit"] = draw.choice((0, today, today - 1, today - 40))
    names |= {f"spend{suffix_on(on, per)}": draw.choice((0, 90, 400)) for per in PERIODS}
    return tuple(Use(name=name, amount=amount) for name, amount in sorted(names.items()) if amount)


def random_shared(draw: Random, programme: Programme) -> tuple[Use, ...] | None:
    """What all members together had before; now and then the till does not know."""
    if chance(draw, 10):
        return None
    names: dict[str, int] = {}
    for promotion in programme.promotions:
        if promotion.limits is not None and promotion.limits.times_in_all is not None:
            names[f"promo:{promotion.id}"] = draw.randint(0, 3)
        if promotion.limits is not None and promotion.limits.budget_minor is not None:
            names[f"budget:{promotion.id}"] = draw.choice((0, 50, 100))
    return tuple(Use(name=name, amount=amount) for name, amount in sorted(names.items()) if amount)
