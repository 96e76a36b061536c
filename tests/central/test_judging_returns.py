"""Goods that came back, worked out again at head office from what their till was told.

A fleet is updated store by store. What a till of an earlier version was not told is not in its return, and decides
nothing here: `returns_of_before.jsonl` holds events as that version wrote them.
"""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.recomputing.judging import SAME, Judged, judge_return
from loyalty.baskets import CertificateAsk
from loyalty.facts.events import encode, read_head, read_receipt
from loyalty.facts.receipts import Receipt, close_receipt, read_detail
from loyalty.facts.returned_points import AtHand
from loyalty.facts.reversals import Return, ReturnDetail, ReturnLine, close_return, close_unreferenced
from loyalty.programme.compiled import Compiled, compile_programme
from loyalty.programme.programme import programme_from
from loyalty.programme.return_rules import PLAIN
from tests.loyalty.build import (
    basket,
    certificate,
    compiled,
    earn,
    fixed,
    line,
    member,
    place,
    post,
    promotion,
    quote,
    ref,
    use,
)
from tests.loyalty.test_returns_add_up import ASKS, LINES, OPTIONS, goods_of, in_parts, rules, sell, stocked, take_back

KEPT = Path(__file__).with_name("returns_of_before.jsonl")
STORIES: list[dict[str, Any]] = [msgspec.json.decode(row) for row in KEPT.read_text("utf-8").splitlines()]
EACH = pytest.mark.parametrize("story", STORIES, ids=[story["story"] for story in STORIES])


def as_written(story: dict[str, Any]) -> tuple[Return, Receipt | None, dict[str, Compiled]]:
    returned = read_head(msgspec.json.encode(story["return"]))
    receipt = read_head(msgspec.json.encode(story["receipt"])) if story["receipt"] else None
    assert isinstance(returned, Return) and isinstance(receipt, Receipt | None)
    rules = compile_programme(programme_from(story["programme"]))
    return returned, receipt, {rules.version: rules}


def causes(judged: Judged) -> list[str]:
    return [cause for cause, _ in judged.findings]


@EACH
def test_what_an_older_till_took_back_is_no_finding(story: dict[str, Any]) -> None:
    assert judge_return(*as_written(story)) == SAME


@EACH
def test_what_an_older_till_took_back_is_worked_out_all_the_same(story: dict[str, Any]) -> None:
    returned, receipt, programmes = as_written(story)
    wrong = msgspec.structs.replace(returned, net_minor=returned.net_minor + 1)
    assert causes(judge_return(wrong, receipt, programmes)) == ["decision_differs"]


def told_otherwise(returned: Return, **told: Any) -> Return:
    """The same return, with something else in its detail."""
    detail = msgspec.json.decode(returned.detail, type=ReturnDetail)
    return msgspec.structs.replace(
        returned, detail=msgspec.Raw(msgspec.json.encode(msgspec.structs.replace(detail, **told)))
    )


def test_kept_goods_are_judged_by_the_counters_of_all_that_their_till_was_told() -> None:
    rules = compiled(
        promotion("base", earn(1, 100)),
        promotion("once", fixed(40), limits={"times_in_all": 1}),
        options={"points_on_return": "claw_all"},
    )
    asked = quote(rules, line(1, 3000, quantity_milli=3000), view=member(), shared=(use("promo:once"),))
    sold = close_receipt(asked, basket(*asked.goods), place(), compiled=rules, card_token=None)
    at_hand = AtHand(programmes=(rules,), view=member(balance_points=30), shared=(use("promo:once"),))
    lines = (ReturnLine(line=1, quantity_milli=1000),)
    returned = close_return("B1", sold, ref(1), place(), earlier=(), lines=lines, at_hand=at_hand)
    assert [part.points for part in returned.earned] == [20]
    programmes = {rules.version: rules}
    assert judge_return(returned, sold, programmes) == SAME
    assert causes(judge_return(told_otherwise(returned, shared=None), sold, programmes)) == ["decision_differs"]


def test_what_paid_is_given_back_as_the_sale_says() -> None:
    rules = compiled(certificates={"sold": {"sku": ["gift"]}})
    goods = (line(1, 1000), line(2, 5000, sku="gift"))
    pays = (CertificateAsk(code="G1"),)
    asked = quote(rules, *goods, certificates=pays, bearer=(certificate("G1", 2000),))
    sold = close_receipt(asked, basket(*goods, certificates=pays), place(), compiled=rules, card_token=None)
    lines = (ReturnLine(line=1, quantity_milli=1000),)
    returned = close_return("B1", sold, ref(1), place(), earlier=(), lines=lines)
    assert (returned.net_minor, returned.paid_out_minor) == (1000, 0)
    assert judge_return(returned, sold, {}) == SAME
    # A sale of before does not say which line sold a certificate: of the 60.00 a sixth came back.
    detail = msgspec.structs.replace(read_detail(sold), rules=PLAIN)
    of_before = msgspec.structs.replace(sold, detail=msgspec.Raw(msgspec.json.encode(detail)))
    as_before = close_return("B1", of_before, ref(1), place(), earlier=(), lines=lines)
    assert as_before.paid_out_minor == 834
    assert judge_return(as_before, of_before, {}) == SAME
    assert causes(judge_return(as_before, sold, {})) == ["decision_differs"]


def test_goods_without_a_receipt_are_judged_with_or_without_tax_as_their_till_was_told() -> None:
    rules = compiled(promotion("base", earn(1, 100)), options={"earn_tax": "in"})
    goods = line(1, 1200, tax_bp=2000)
    asked = quote(rules, goods, view=member(), receipt_id="B1", tax_included=False)
    lines = (ReturnLine(line=1, quantity_milli=1000, amount_minor=1200),)
    returned = close_unreferenced(
        "B1", asked, place(), compiled=rules, card_token=None, lines=lines, tax_included=False
    )
    assert [part.points for part in returned.reversed] == [14]  # of 14.40
    programmes = {rules.version: rules}
    assert judge_return(returned, None, programmes) == SAME
    with_tax = told_otherwise(returned, tax_included=True)
    assert causes(judge_return(with_tax, None, programmes)) == ["decision_differs"]


def test_goods_without_a_receipt_are_judged_by_the_counters_of_all_that_their_till_was_told() -> None:
    rules = compiled(promotion("base", earn(1, 100)), promotion("once", fixed(40), limits={"times_in_all": 1}))
    asked = quote(rules, line(1, 1000), view=member(), receipt_id="B1", shared=(use("promo:once"),))
    lines = (ReturnLine(line=1, quantity_milli=1000, amount_minor=1000),)
    returned = close_unreferenced("B1", asked, place(), compiled=rules, card_token=None, lines=lines)
    assert [part.points for part in returned.reversed] == [10]
    programmes = {rules.version: rules}
    assert judge_return(returned, None, programmes) == SAME
    assert causes(judge_return(told_otherwise(returned, shared=None), None, programmes)) == ["decision_differs"]


@given(OPTIONS, LINES, ASKS, st.sampled_from([(), (use("promo:scarce"),)]), st.data())
def test_whatever_comes_back_head_office_works_out_the_same(options, rows, ask, others, data) -> None:
    under, on = rules(options), stocked()
    sold = sell(on, under, goods_of(rows, ask), others)
    post(on, sold, 1)
    # As it arrives: from the bytes of the events.
    arrived = read_receipt(encode(sold))
    for returned in take_back(on, under, sold, in_parts(data, sold), others):
        event = read_head(encode(returned))
        assert isinstance(event, Return)
        assert judge_return(event, arrived, {under.version: under}) == SAME
