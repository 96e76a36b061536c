"""The books folded twice: by the kernel, and from the events' bytes by dictionaries that share no line with it."""

import ast
import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import central.verify.books
import central.verify.lines
import central.verify.moves
import central.verify.receipts
import central.verify.refold
import central.verify.refold_own
import central.verify.refold_return_voids
import central.verify.statements
import central.verify.stored
import central.verify.streams
from central.verify.refold import Leg, Refold
from central.verify.refold_own import ACCOUNT_EVENTS, fold_own
from central.verify.refold_return_voids import RETURN_VOID, fold_return_void
from loyalty.facts.centre_events import Adjusted, Carried, Expired, Moved, Taken
from loyalty.facts.events import Event, encode
from loyalty.facts.receipts import Funded, Receipt
from loyalty.facts.return_voids import close_return_void
from loyalty.facts.reversals import Return, Void
from loyalty.ledger.books import Books, Posting
from loyalty.ledger.expiry import expire_lots
from loyalty.ledger.postings import post_event
from loyalty.lots import EventRef, Expiry, Lot, LotKey, Redated, Slice, points_in
from loyalty.terms import Terms
from tests.loyalty.build import MONDAY_NOON_MS, day, earned, place, redemption, ref, sale, take_back, void

# acme's terms change on 2 March; core has none before the third; of two that begin together the later id holds.
TERMS = tuple(
    Terms(terms_id=terms_id, partner_id=terms_id[:-2], from_on=date.fromisoformat(from_on), funding_micro=9_500)
    for terms_id, from_on in (
        ("acme-2", "2026-03-02"), ("acme-1", "2026-01-01"), ("bolt-1", "2026-01-01"), ("bolt-0", "2026-01-01"),
        ("core-1", "2026-03-03"),
    )
)  # fmt: skip
NOBODY = 0


class Twice:
    """Kernel books as events come, and a refold account by account, nobody's receipts first, as verification does."""

    def __init__(self) -> None:
        self.books = Books(TERMS, 1)
        self.postings: list[Posting] = []
        self.told: list[tuple[int, bool, EventRef, bytes, bool]] = []
        self.merged: dict[int, int] = {}
        self.returns: dict[EventRef, Return] = {}

    def feed(self, event: Event, at: EventRef, whom: int | None, *, alone: bool = False) -> None:
        """Post an event; `alone` posts it without the receipt it names, as after the grace."""
        whom = self.merged.get(whom, whom) if whom else None
        posted = post_event(msgspec.structs.replace(event, of=None) if alone else event, at, whom, self.books)
        if posted.waits_for is not None:
            return
        self.books.take(posted)
        self.postings += posted.postings
        if isinstance(event, Return):
            self.returns[at] = event
        whose, later = posted.account_id, posted.account_id == NOBODY and not isinstance(event, Receipt)
        self.told.append((whose, later, at, encode(event), alone and whose == NOBODY))

    def refold(self) -> Refold:
        fold = empty()
        # An account that was merged into another one comes before it.
        for whose, _, at, payload, alone in sorted(self.told, key=lambda one: (one[0] not in self.merged, *one[:2])):
            event, place_of = json.loads(payload), (at.till_id, at.epoch, at.seq)
            if event["type"] in ACCOUNT_EVENTS:
                fold_own(fold, place_of, event, whose)
            elif event["type"] == RETURN_VOID:
                fold_return_void(fold, place_of, event, whose)
            else:
                fold.fold(place_of, event, whose, alone=alone)
        return fold


def empty() -> Refold:
    return Refold((one.partner_id, one.from_on.isoformat(), one.terms_id) for one in TERMS)


def kernel_lots(books: Books, account_id: int) -> dict[tuple[str, str, str], int]:
    held = books.lots(account_id)
    return {(one.key.valid_through.isoformat(), one.key.issuer_id, one.key.terms_id): one.points for one in held}


def kernel_memory(books: Books, account_id: int) -> dict[tuple[str, str, str], str]:
    """When each lot was first earned."""
    return {(one.key.valid_through.isoformat(), one.key.issuer_id, one.key.terms_id): str(one.earned_on)
            for one in books.lots(account_id)}  # fmt: skip


def kernel_debts(books: Books, account_id: int) -> list[tuple[Any, ...]]:
    return [(tuple(msgspec.structs.astuple(one.of)), one.issuer_id or "", one.terms_id or "", one.at_partner_id,
             one.at_terms_id, one.points) for one in books.account(account_id).debts]  # fmt: skip


def kernel_legs(postings: Iterable[Posting], account_id: int) -> dict[Leg, int]:
    sums: dict[Leg, int] = defaultdict(int)
    for one in postings:
        if one.account_id != account_id:
            continue
        issuer, terms, at = one.key.issuer_id, one.key.terms_id, one.at_partner_id
        if one.unit == "currency":
            sums["funded", issuer, "", at, "", ""] += one.amount if one.target == "redeemed" else -one.amount
            continue
        if one.unit == "claim":
            step = one.amount if one.target == "pending" else -one.amount
            sums["withheld", "", "", at, one.at_terms_id, ""] += step
            continue
        for bucket, step in ((one.source, -one.amount), (one.target, one.amount)):
            if bucket == "redeemed":
                sums["redeemed", issuer, terms, at, one.at_terms_id, one.priced_by] += step
            elif bucket != "available":
                sums[bucket, issuer, terms, "", "", ""] += -step if bucket == "issued" else step
    return {leg: points for leg, points in sums.items() if points}


def folded_lots(fold: Refold, account_id: int) -> dict[tuple[str, str, str], int]:
    return {key: points for key, points in fold.members[account_id].lots.items() if points}


def assert_same(both: Twice) -> Refold:
    fold = both.refold()
    for account_id in {NOBODY, *both.books.accounts}:
        member = fold.members[account_id]
        lots = folded_lots(fold, account_id)
        assert lots == kernel_lots(both.books, account_id)
        assert {key: member.earned_on.get(key, "None") for key in lots} == kernel_memory(both.books, account_id)
        brought = {(one.valid_through.isoformat(), one.issuer_id, one.terms_id): str(through)
                   for one, through in both.books.account(account_id).redated.items()}  # fmt: skip
        assert member.redated == brought
        debts = [(one.of, one.issuer, one.terms, one.at, one.at_terms, one.points) for one in member.debts]
        assert debts == kernel_debts(both.books, account_id)
        legs = {leg: points for leg, points in member.legs.items() if points}
        assert legs == kernel_legs(both.postings, account_id)
        if account_id:
            assert member.events == both.books.account(account_id).version
    return fold


# Any story

PARTNERS = ["acme", "bolt", "core"]
DAYS = st.sampled_from(["2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04"])
UNTIL = st.sampled_from(["2026-03-01", "2026-03-03", "2026-06-30", "2026-12-31", "9999-12-31"])
EARNED = st.lists(st.builds(earned, st.integers(1, 60), st.sampled_from(PARTNERS), UNTIL), max_size=3)
FUNDED = st.lists(
    st.builds(Funded, partner_id=st.sampled_from(PARTNERS), amount_minor=st.integers(1, 90)),
    max_size=2, unique_by=lambda part: part.partner_id,
)  # fmt: skip
WHOM = st.sampled_from([7, 8, None])
DAY_MS = 86_400_000


def somewhere(partner: str, on: str, offset_min: int) -> Any:
    """At noon UTC of a business day, somewhere in the world."""
    sold_at_ms = MONDAY_NOON_MS + (day(on) - day("2026-03-02")).days * DAY_MS
    return place(partner_id=partner, store_id=f"{partner}-1", business_date=day(on), sold_at_ms=sold_at_ms,
                 offset_min=offset_min)  # fmt: skip


PLACES = st.builds(somewhere, st.sampled_from(["acme", "bolt"]), DAYS, st.sampled_from([0, 60, -60, 720]))
EXPIRIES = st.sampled_from([
    Expiry(), Expiry(when="start_of_day"), Expiry(when="instant", at="12:00"), Expiry(when="instant"),
])  # fmt: skip
# What a sale pays with points, and how its programme spends them.
SPENT = st.one_of(
    st.none(),
    st.builds(lambda points, order, expiry: redemption(points, lot_order=order, expiry=expiry),
              st.sampled_from([20, 80]), st.sampled_from(["valid_through", "first_earned"]), EXPIRIES),
)  # fmt: skip
WHICH = st.integers(0, 30)
# What a return may say besides: points earned anew, points kept in money, and whether those that are gone are let go.
MORE = st.fixed_dictionaries(
    {}, optional={"earned": EARNED.map(tuple), "withheld": EARNED.map(tuple), "clamp": st.just(True)}
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("sale"), WHOM, PLACES, EARNED, SPENT, FUNDED, st.booleans()),
        st.tuples(st.just("sale"), WHOM, PLACES, EARNED, SPENT, FUNDED, st.just(False)),
        st.tuples(st.just("whole"), WHOM, PLACES, WHICH),
        st.tuples(st.just("part"), WHOM, PLACES, WHICH),
        st.tuples(st.just("return"), WHOM, PLACES, WHICH, EARNED, st.integers(0, 60), FUNDED, MORE),
        st.tuples(st.just("void"), PLACES, WHICH, st.booleans()),
        st.tuples(st.just("unreturn"), PLACES, WHICH),
        st.tuples(st.just("unreturn"), PLACES, WHICH),
        st.tuples(st.just("unreferenced"), WHOM, PLACES, EARNED, FUNDED, MORE),
        st.tuples(st.just("overdue"), WHOM, WHOM, PLACES, EARNED, FUNDED),
        st.tuples(st.just("waiting"), WHOM, PLACES, EARNED),
        st.tuples(st.just("expiry"), st.sampled_from([7, 8]), DAYS, EXPIRIES),
        st.tuples(st.just("adjustment"), st.sampled_from([7, 8]), DAYS, EARNED, st.sampled_from(["", *PARTNERS])),
        st.tuples(st.just("opening"), st.sampled_from([7, 8]), DAYS, EARNED),
        st.tuples(st.just("move"), st.sampled_from([7, 8]), DAYS, st.integers(1, 4)),
        st.tuples(st.just("redate"), st.sampled_from([7, 8]), DAYS, UNTIL),
    ),
    max_size=16,
)
GONE = 900  # receipts at till T9 that come late or never


def came_back(name: str, where: Any, of: EventRef, bought: Receipt, part: int) -> Return:
    """A `part`-th of everything that a receipt says comes back."""
    back = [msgspec.structs.replace(one, points=-(-one.points // part)) for one in bought.earned]
    funded = tuple(msgspec.structs.replace(one, amount_minor=-(-one.amount_minor // part)) for one in bought.funded)
    spent = bought.redemption.points if bought.redemption else 0
    return take_back(name, of, *back, restored=spent // part, funded=funded, place=where, net_minor=1000 // part)


def play(steps: list[tuple[Any, ...]]) -> Twice:
    both, sales, late = Twice(), [], 0
    for seq, (kind, *facts) in enumerate(steps, 1):
        at = ref(seq)
        if kind == "sale":
            whom, where, granted, spent, funded, own = facts
            event: Event = sale(f"R{seq}", *granted, redemption=spent, funded=tuple(funded), place=where,
                                account_id=whom, spends_own=own)  # fmt: skip
            sales.append((at, event))
            both.feed(event, at, whom)
        elif kind in ("whole", "part") and sales:
            whom, where, which = facts
            of, bought = sales[which % len(sales)]
            both.feed(came_back(f"B{seq}", where, of, bought, 1 if kind == "whole" else 2), at, whom)
        elif kind == "return" and sales:
            whom, where, which, back, restored, funded, more = facts
            of = sales[which % len(sales)][0]
            event = take_back(f"B{seq}", of, *back, restored=restored, funded=tuple(funded), place=where, **more)
            both.feed(event, at, whom)
        elif kind == "void" and sales:
            where, which, clamp = facts
            of, bought = sales[which % len(sales)]
            both.feed(Void(receipt_id=f"void:{bought.receipt_id}", place=where, of=of, clamp=clamp), at, None)
        elif kind == "unreturn" and both.returns:
            where, which = facts
            of, back = list(both.returns.items())[which % len(both.returns)]
            del both.returns[of]
            both.feed(close_return_void(back, of, where), at, None)
        elif kind == "unreferenced":
            whom, where, back, funded, more = facts
            both.feed(take_back(f"B{seq}", None, *back, funded=tuple(funded), place=where, **more), at, whom)
        elif kind == "overdue":
            # Given up waiting for its receipt, which then comes after all.
            whom, buyer, where, back, funded = facts
            late += 1
            gone = ref(GONE + late, "T9")
            both.feed(take_back(f"B{seq}", gone, *back, funded=tuple(funded), place=where), at, whom, alone=True)
            late_sale = sale(f"L{seq}", *back, funded=tuple(funded), place=where, account_id=buyer)
            sales.append((gone, late_sale))
            both.feed(late_sale, gone, buyer)
        elif kind == "waiting":
            whom, where, back = facts
            both.feed(take_back(f"B{seq}", ref(1, "T8"), *back, place=where), at, whom)
        elif kind in ("expiry", "adjustment", "opening", "move", "redate"):
            correct(both, at, kind, *facts)
    return both


def correct(both: Twice, at: EventRef, kind: str, whom: int, on: str, *facts: Any) -> None:
    """One of head office's own facts, made as it makes them: from the books as they stand."""
    who = {"receipt_id": f"{kind}:{at.seq}", "account_id": whom, "on": day(on)}
    if whom in both.merged:
        return
    if kind == "expiry":
        if expire_lots(whom, at, day(on), both.books, expiry=facts[0]).postings:
            both.feed(Expired(**who, expiry=facts[0]), at, whom)
    elif kind == "adjustment":
        granted, issuer = facts
        live = sum(lot.points for lot in both.books.lots(whom)
                   if issuer in ("", lot.key.issuer_id) and lot.key.valid_through >= day(on))  # fmt: skip
        taken = (Taken(issuer_id=issuer, points=-(-live // 2)),) if live else ()
        both.feed(Adjusted(**who, at_partner_id="", reason="goodwill", asked_by="ana", granted=tuple(granted),
                           taken=taken), at, whom)  # fmt: skip
    elif kind == "opening":
        slices = tuple(Slice(key=LotKey(valid_through=one.valid_through, issuer_id=one.issuer_id, terms_id="old-1"),
                             points=one.points) for one in facts[0])  # fmt: skip
        both.feed(Carried(**who, scheme="stamps", slices=slices), at, whom)
    elif kind == "redate":
        redate(both, at, who, whom, day(facts[0]))
    elif 15 - whom not in both.merged:
        move(both, at, who, whom, 15 - whom, facts[0])


def redate(both: Twice, at: EventRef, who: dict[str, Any], whom: int, to: date) -> None:
    """What lies beyond a day goes to lots of that day, as old as the oldest that come together."""
    beyond = [one for one in both.books.lots(whom) if one.key.valid_through > to]
    why = {"reason": "last_day", "asked_by": "head office", "other_id": whom}
    ages = tuple(one.earned_on for one in beyond)
    slices = tuple(Slice(key=one.key, points=one.points) for one in beyond)
    both.feed(Moved(**who, **why, direction="out", slices=slices, earned_on=ages), at, whom)
    there: dict[LotKey, list[Lot]] = {}
    for one in beyond:
        there.setdefault(msgspec.structs.replace(one.key, valid_through=to), []).append(one)
    came = {**who, "receipt_id": f"in:{at.seq}", "of": at, "direction": "in"}
    both.feed(Moved(
        **came, **why, slices=tuple(Slice(key=key, points=points_in(parts)) for key, parts in there.items()),
        earned_on=tuple(
            None if None in (days := [one.earned_on for one in parts]) else min(days) for parts in there.values()
        ),
        redated=tuple(Redated(key=one.key, valid_through=to) for one in beyond),
    ), msgspec.structs.replace(at, till_id="T7"), whom)  # fmt: skip


def move(both: Twice, at: EventRef, who: dict[str, Any], whom: int, other: int, part: int) -> None:
    """A part of each lot goes to the other account; of all that there is, with debts and sales, the account closes."""
    account, whole = both.books.account(whom), part == 1
    slices = tuple(Slice(key=one.key, points=-(-one.points // part)) for one in both.books.lots(whom))
    lapsed = tuple(Slice(key=key, points=points) for key, points in account.expired.items() if points and whole)
    debts = tuple(account.debts) if whole else ()
    ages = tuple(one.earned_on for one in both.books.lots(whom))
    why = {"reason": "merge", "asked_by": "ana", "slices": slices, "expired": lapsed, "closes": whole,
           "earned_on": ages}  # fmt: skip
    both.feed(Moved(**who, **why, other_id=other, direction="out", debts=debts), at, whom)
    came = {**who, "receipt_id": f"in:{at.seq}", "account_id": other}
    there = tuple(msgspec.structs.replace(one, account_id=other) for one in debts)
    back = msgspec.structs.replace(at, till_id="T7")
    to = tuple(Redated(key=key, valid_through=through) for key, through in account.redated.items() if whole)
    both.feed(Moved(**came, **why, other_id=whom, direction="in", debts=there, of=at, redated=to), back, other)
    if whole:
        both.merged[whom] = other


# Points that came back lapse before the void of their return arrives; or they are spent elsewhere and owed again.
NOON = somewhere("acme", "2026-03-02", 0)
CAME_BACK = [
    ("sale", 7, NOON, [earned(80, "acme", "2026-03-03")], None, [], False),
    ("sale", 7, NOON, [earned(9)], redemption(80), [], False),
    ("whole", 7, NOON, 1),
]
LAPSED, SPENT_AGAIN = ("expiry", 7, "2026-03-04", Expiry()), ("sale", 7, NOON, [], redemption(20), [], False)


@settings(max_examples=800)
@given(STEPS)
@example([*CAME_BACK, LAPSED, ("unreturn", NOON, 0)])
@example([*CAME_BACK, SPENT_AGAIN, ("unreturn", NOON, 0), ("whole", 7, NOON, 1)])
@example([*CAME_BACK, SPENT_AGAIN, LAPSED, ("unreturn", NOON, 0), ("part", 7, NOON, 1), ("unreturn", NOON, 0)])
def test_kernel_and_refold_agree_on_every_lot_debt_and_sum(steps: list[tuple[Any, ...]]) -> None:
    assert_same(play(steps))


# Figures by hand


def fold_of(*told: tuple[Receipt | Return | Void, int]) -> Refold:
    fold = empty()
    for seq, (event, account_id) in enumerate(told, 1):
        fold.fold(("T1", 1, seq), json.loads(encode(event)), account_id)
    return fold


def owed(fold: Refold, account_id: int = 7) -> list[tuple[str, int]]:
    return [(one.issuer, one.points) for one in fold.members[account_id].debts]


YEAR = "2026-12-31"


def test_a_sale_does_not_cover_its_own_shortfall_with_what_it_earns() -> None:
    fold = fold_of((sale("R1", earned(10), spent=10), 7))
    assert (folded_lots(fold, 7), owed(fold), fold.uncovered) == ({(YEAR, "acme", "acme-2"): 10}, [("", 10)], 10)


def test_a_sale_that_may_spends_what_it_earns_and_repays_with_the_rest() -> None:
    fold = fold_of((sale("R1", spent=30), 7), (sale("R2", earned(50), spent=40, spends_own=True), 7))
    assert (folded_lots(fold, 7), owed(fold), fold.uncovered) == ({}, [("", 20)], 30)


def test_points_that_come_back_repay_what_is_owed() -> None:
    sales = (sale("R1", earned(50)), 7), (sale("R2", spent=50), 7)
    fold = fold_of(*sales, (take_back("B1", ref(1), earned(50)), 7))
    assert (folded_lots(fold, 7), owed(fold)) == ({}, [("acme", 50)])
    fold = fold_of(*sales, (take_back("B1", ref(1), earned(50)), 7), (take_back("B2", ref(2), restored=50), 7))
    assert (folded_lots(fold, 7), owed(fold)) == ({}, [])
    assert fold.members[7].legs["reversed", "acme", "acme-2", "", "", ""] == 50


def test_points_that_are_gone_are_let_go_where_the_till_says_so() -> None:
    fold = fold_of((sale("R1", earned(10)), 7), (sale("R2", spent=7), 7),
                   (take_back("B1", ref(1), earned(10), clamp=True), 7))  # fmt: skip
    assert (folded_lots(fold, 7), owed(fold)) == ({}, [])
    assert fold.members[7].legs["reversed", "acme", "acme-2", "", "", ""] == 3


def test_what_kept_goods_earn_anew_comes_back_with_them_and_what_was_kept_in_money_never_does() -> None:
    anew = take_back("B1", ref(1), earned(4), withheld=(earned(6),), earned=(earned(5, "acme", "2027-12-31"),))
    fold = fold_of((sale("R1", earned(10)), 7), (anew, 7))
    assert folded_lots(fold, 7) == {(YEAR, "acme", "acme-2"): 6, ("2027-12-31", "acme", "acme-2"): 5}
    fold = fold_of((sale("R1", earned(10)), 7), (anew, 7), (void(ref(1)), 7))
    assert folded_lots(fold, 7) == {(YEAR, "acme", "acme-2"): 6}


def test_points_spent_come_from_what_lapses_first_then_by_issuer() -> None:
    first = sale("R1", earned(30, "bolt"), earned(30), earned(10, "acme", "2026-06-30"))
    fold = fold_of((first, 7), (sale("R2", spent=50), 7))
    assert folded_lots(fold, 7) == {(YEAR, "bolt", "bolt-1"): 20}


# Until when 30 points that lapse on 2 March pay, of 30 more that lapse in December; 40 are spent at noon of that day.
SPENDINGS: list[tuple[dict[str, Any], int, dict[str, int], list[tuple[str, int]]]] = [
    ({}, 0, {YEAR: 20}, []),
    ({"lot_order": "first_earned"}, 0, {"2026-03-02": 20}, []),
    ({"expiry": Expiry(when="start_of_day")}, 0, {"2026-03-02": 30}, [("", 10)]),
    ({"expiry": Expiry(when="instant", at="12:00")}, 0, {"2026-03-02": 30}, [("", 10)]),
    ({"expiry": Expiry(when="instant", at="12:01")}, 0, {YEAR: 20}, []),
    ({"expiry": Expiry(when="instant", at="12:01")}, 1, {"2026-03-02": 30}, [("", 10)]),  # 12:01 in the store
    ({"expiry": Expiry(when="instant")}, 719, {YEAR: 20}, []),  # 23:59 in the store
    ({"expiry": Expiry(when="instant")}, 720, {"2026-03-02": 30}, [("", 10)]),  # midnight in the store
]


@pytest.mark.parametrize(("told", "offset_min", "lots", "short"), SPENDINGS)
def test_points_are_spent_in_the_order_and_until_the_time_that_their_sale_tells(
    told: dict[str, Any], offset_min: int, lots: dict[str, int], short: list[tuple[str, int]]
) -> None:
    days = [place(business_date=day(text)) for text in ("2026-01-05", "2026-02-20")]
    first = sale("R1", earned(30), place=days[0])
    later = sale("R2", earned(30, "acme", "2026-03-02"), place=days[1])
    spent = sale("R3", redemption=redemption(40, **told), place=place(offset_min=offset_min))
    fold = fold_of((first, 7), (later, 7), (spent, 7))
    assert {key[0]: points for key, points in folded_lots(fold, 7).items()} == lots
    assert owed(fold) == short


def test_a_lot_is_as_old_as_what_came_into_it_since_it_was_empty() -> None:
    days = [place(business_date=day(text)) for text in ("2026-02-10", "2026-02-03", "2026-02-24")]
    fold = fold_of((sale("R1", earned(10), place=days[0]), 7), (sale("R2", earned(10), place=days[1]), 7))
    key = (YEAR, "acme", "acme-1")
    assert fold.members[7].earned_on == {key: "2026-02-03"}
    fold = fold_of((sale("R1", earned(10), place=days[0]), 7), (sale("R2", spent=10), 7),
                   (sale("R3", earned(10), place=days[2]), 7))  # fmt: skip
    assert fold.members[7].earned_on == {key: "2026-02-24"}


def test_what_was_spent_last_comes_back_first() -> None:
    first = sale("R1", earned(30, "bolt"), earned(10, "acme", "2026-06-30"))
    fold = fold_of((first, 7), (sale("R2", spent=25), 7), (take_back("B1", ref(2), restored=17), 7))
    assert folded_lots(fold, 7) == {(YEAR, "bolt", "bolt-1"): 30, ("2026-06-30", "acme", "acme-2"): 2}


def test_a_return_takes_its_own_lot_then_its_issuers_then_any_and_the_rest_is_owed() -> None:
    stock = sale("R1", earned(3), earned(4, "acme", "2026-06-30"), earned(5, "bolt"))
    fold = fold_of((stock, 7), (take_back("B1", None, earned(20)), 7))
    assert (folded_lots(fold, 7), owed(fold)) == ({}, [("acme", 8)])
    assert dict(fold.members[7].legs) == {
        ("issued", "acme", "acme-2", "", "", ""): 7,
        ("issued", "bolt", "bolt-1", "", "", ""): 5,
        ("reversed", "acme", "acme-2", "", "", ""): 7,
        ("redeemed", "bolt", "bolt-1", "acme", "acme-2", "funding"): 5,
    }


def test_parts_of_one_lot_that_come_apart_in_a_return_are_taken_as_one() -> None:
    """Else what the second part finds would hang on how the till listed the first."""
    bought = sale("R1", earned(9), earned(3, "bolt"))
    spent = sale("R2", spent=7)  # of acme's nine two are left
    back = take_back("B1", ref(1), earned(5), earned(3, "bolt"), earned(4))
    both = Twice()
    for seq, event in enumerate((bought, spent, back), 1):
        both.feed(event, ref(seq), 7)
    assert owed(assert_same(both)) == [("acme", 4), ("bolt", 3)]


def test_a_lot_bears_the_terms_of_the_day_it_was_earned_on() -> None:
    days = [place(business_date=day(on)) for on in ("2026-03-01", "2026-03-02")]
    fold = fold_of(*((sale(f"R{n}", earned(10), place=where), 7) for n, where in enumerate(days)))
    assert folded_lots(fold, 7) == {(YEAR, "acme", "acme-1"): 10, (YEAR, "acme", "acme-2"): 10}


def test_a_return_that_came_before_its_receipt_is_one_without_it() -> None:
    """Posted after the grace; that the receipt came at last does not make it a part of it."""
    fold = fold_of((take_back("B1", ref(2), earned(10)), 7), (sale("R1", earned(10)), 7))
    assert (folded_lots(fold, 7), owed(fold)) == ({}, [])
    assert fold.sales["T1", 1, 2].granted == {(YEAR, "acme", "acme-2"): 10}


def test_a_return_on_another_account_than_its_receipts_is_one_without_it() -> None:
    fold = fold_of((sale("R1", earned(10)), 7), (take_back("B1", ref(1), earned(10)), 8))
    assert (folded_lots(fold, 7), owed(fold, 8)) == ({(YEAR, "acme", "acme-2"): 10}, [("acme", 10)])


def test_discounts_of_nobodys_receipts_come_back_at_most_once() -> None:
    paid = (Funded(partner_id="bolt", amount_minor=150),)
    back = take_back("B1", ref(1), funded=(Funded(partner_id="bolt", amount_minor=100),))
    fold = fold_of((sale("R1", funded=paid, account_id=None), 0), (back, 0), (back, 0))
    assert dict(fold.members[0].legs) == {("funded", "bolt", "", "acme", "", ""): 0}


def test_a_void_of_what_was_never_posted_is_refused() -> None:
    with pytest.raises(LookupError):
        fold_of((void(ref(9)), 7))


# Independence

KERNEL_OF_SUMS = {
    "loyalty.ledger.correction_postings", "loyalty.ledger.expiry", "loyalty.ledger.postings", "loyalty.ledger.books",
    "loyalty.lots", "loyalty.settling.statements", "central.posting.books", "central.posting.posting",
    "central.posting.recorded", "central.settlement.positions", "central.streams.evidence", "central.settlement.annex",
}  # fmt: skip


def imported(module: Any) -> set[str]:
    tree = ast.parse(Path(module.__file__).read_text("utf-8"))
    named = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    return named | {one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names}


def test_the_refold_knows_nothing_but_the_standard_library() -> None:
    assert imported(central.verify.refold) == {"collections", "collections.abc", "datetime", "typing"}


@pytest.mark.parametrize(
    "module",
    [
        central.verify.refold_own, central.verify.books, central.verify.moves, central.verify.receipts,
        central.verify.statements, central.verify.streams, central.verify.lines, central.verify.stored,
    ],
)
def test_verification_shares_none_of_the_ledgers_sums(module: Any) -> None:
    assert imported(module) & KERNEL_OF_SUMS == set()
    assert not {name for name in imported(module) if name.split(".")[0] == "loyalty"}
