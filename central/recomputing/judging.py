"""Told, decided: decide again from what the till says it was told, and compare with what it says it decided.

Pure, and with the kernel's own functions: same inputs, same figures. What differs is a finding, never a correction.
Source: DECISIONS 13; house.md "Same inputs".
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from loyalty.baskets import Basket
from loyalty.facts.receipts import (
    Receipt,
    ReceiptDetail,
    funded_by_others,
    paid_in_money,
    quote_again,
    read_detail,
    uses_as_charged,
)
from loyalty.facts.return_voids import close_return_void
from loyalty.facts.returned_lines import return_lines, void_figures
from loyalty.facts.returned_points import Way
from loyalty.facts.reversals import Return, ReturnDetail, ReturnVoid, Void, withheld_of
from loyalty.pricing.coupons import IssuedCoupon
from loyalty.pricing.leases import drawn_slices, expiry_of
from loyalty.pricing.quotes import ENGINE_NO, Quote, quote_basket
from loyalty.programme.compiled import Compiled
from loyalty.programme.return_rules import rules_of_sale
from loyalty.trouble import Refusal, Trouble

Figures = dict[str, int | str]
Pairs = Mapping[str, tuple[Any, Any]]


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one event: `same`, `differs` or `skipped`, and the findings by cause."""

    state: Literal["same", "differs", "skipped"]
    findings: tuple[tuple[str, Figures], ...] = ()


SAME, SKIPPED = Judged(state="same"), Judged(state="skipped")


def judge_receipt(receipt: Receipt, programmes: Mapping[str, Compiled]) -> Judged:
    """Quote a receipt again under its own programme.

    Args:
        programmes: the published ones by version.
    Returns:
        Findings of cause detail_malformed, programme_unknown, decision_differs, charged_differs, quote_differs.
    """
    try:
        detail = read_detail(receipt)
    except Trouble as trouble:
        return _differs("detail_malformed", {"say": trouble.say[:200]})
    if detail.engine_no != ENGINE_NO:
        return SKIPPED
    compiled = programmes.get(detail.programme_version)
    if compiled is None:
        return Judged(state="skipped", findings=(("programme_unknown", {"version": detail.programme_version}),))
    findings = [*_decision(receipt, detail, compiled), *_charged(detail)]
    return Judged(state="differs", findings=tuple(findings)) if findings else SAME


def judge_return(returned: Return, receipt: Receipt | None, programmes: Mapping[str, Compiled]) -> Judged:
    """Work a return out again: from the receipt it names, else from its goods as a basket of its day.

    Args:
        receipt: the sale it names; none when it names none, or when that has not come.
        programmes: those that the return's own detail names.
    """
    try:
        detail = msgspec.json.decode(returned.detail, type=ReturnDetail)
    except msgspec.MsgspecError as trouble:
        return _differs("detail_malformed", {"say": str(trouble)[:200]})
    if returned.of is None:
        return _unreferenced(returned, detail, programmes)
    if receipt is None:
        return SKIPPED
    compiled = programmes.get(detail.programme_version)
    if detail.how != "pro_rata" and (detail.engine_no != ENGINE_NO or compiled is None):
        return SKIPPED
    way = Way(
        how=detail.how, compiled=compiled, view=detail.view, place=returned.place, standing=detail.standing,
        shared=detail.shared, counted=detail.counted,
    )  # fmt: skip
    try:
        sold = read_detail(receipt)
        given = return_lines(receipt, sold, detail.earlier, detail.lines, way)
    except Refusal as refusal:
        return _differs("decision_differs", {"say": refusal.say[:200], "code": refusal.code})
    except Trouble:
        return SKIPPED  # the sale's own detail was erased, or is a finding of its own
    names = ("net_minor", "reversed", "earned", "restored_points", "funded", "uses", "shared_uses", "restored",
             "withheld_minor", "withheld", "certificates_back")  # fmt: skip
    pairs = {name: (getattr(returned, name), getattr(given, name)) for name in names}
    return _compared({**pairs, "clamp": (returned.clamp, sold.rules.clawback_short == "clamp")})


def judge_void(void: Void, receipt: Receipt | None) -> Judged:
    """A void takes back just the uses of its receipt."""
    if receipt is None:
        return SKIPPED
    try:
        uses, shared_uses, clamp = void_figures(receipt, read_detail(receipt))
    except Trouble:
        return SKIPPED
    return _compared({
        "uses": (void.uses, uses), "shared_uses": (void.shared_uses, shared_uses), "clamp": (void.clamp, clamp),
    })  # fmt: skip


def judge_return_void(void: ReturnVoid, returned: Return | None) -> Judged:
    """The void of a return says what its return said, the other way round."""
    if returned is None:
        return SKIPPED
    wanted = close_return_void(returned, void.undoes, void.place)
    beside = {"detail"} | ({"account_id", "card_token"} if returned.of is None else set())
    pairs = {name: (getattr(void, name), getattr(wanted, name)) for name in void.__struct_fields__}
    return _compared({name: both for name, both in pairs.items() if name not in beside})


def _unreferenced(returned: Return, detail: ReturnDetail, programmes: Mapping[str, Compiled]) -> Judged:
    compiled = programmes.get(detail.programme_version)
    if detail.engine_no != ENGINE_NO or compiled is None:
        return SKIPPED
    basket = Basket(
        receipt_id=returned.receipt_id, currency=detail.currency, lines=detail.goods, tax_included=detail.tax_included
    )
    try:
        quote = quote_basket(compiled, basket, returned.place, detail.view, shared=detail.shared, explain=False)
    except Refusal as refusal:
        return _differs("decision_differs", {"say": refusal.say[:200], "code": refusal.code})
    rules = rules_of_sale(compiled.programme, (), ())
    paid_out = sum(line.amount_minor for line in detail.lines)
    kept = withheld_of(rules, quote, paid_out)
    return _compared({
        "net_minor": (returned.net_minor, paid_out - kept.amount_minor),
        "reversed": (returned.reversed, kept.reversed),
        "withheld_minor": (returned.withheld_minor, kept.amount_minor),
        "withheld": (returned.withheld, kept.points),
        "funded": (returned.funded, funded_by_others(quote.effects, returned.place.partner_id)),
        "clamp": (returned.clamp, rules.clawback_short == "clamp"),
    })  # fmt: skip


def _decision(receipt: Receipt, detail: ReceiptDetail, compiled: Compiled) -> list[tuple[str, Figures]]:
    try:
        quote = quote_again(compiled, receipt, detail, explain=False)
    except Trouble as trouble:
        return [("decision_differs", {"say": trouble.say[:200], "code": trouble.code})]
    return list(_compared(_both(receipt, detail, quote, compiled)).findings)


def _both(receipt: Receipt, detail: ReceiptDetail, quote: Quote, compiled: Compiled) -> Pairs:
    """Each figure as the till has it, head and detail, and as it comes out here."""
    redemption, totals = receipt.redemption, quote.totals
    told = detail.view.account_id if detail.view else None
    options = compiled.programme.options
    spent = (options.lot_order, expiry_of(options)) if redemption else None
    uses, shared_uses = uses_as_charged(quote, detail)
    return {
        "figures": (detail.figures, quote.lines),
        "effects": (detail.effects, quote.effects),
        "digest": (detail.digest, quote.digest),
        "earned": (receipt.earned, quote.earned),
        "uses": (receipt.uses, uses),
        "shared_uses": (receipt.shared_uses, shared_uses),
        "spends_own": (receipt.spends_own, quote.spends_own),
        "coupons_issued": (_without_codes(receipt.coupons_issued), quote.coupons_issued),
        "points_spent": (redemption.points if redemption else 0, totals.points_spent),
        "paid_with_points_minor": (redemption.amount_minor if redemption else 0, totals.paid_with_points_minor),
        "funded": (receipt.funded, funded_by_others(quote.effects, receipt.place.partner_id)),
        "net_minor": (receipt.net_minor, sum(paid_in_money(detail).values())),
        "lines_minor": (sum(line.net_minor for line in detail.figures), totals.net_minor),
        "certificates_sold": (receipt.certificates_sold, quote.certificates_sold),
        "account": (receipt.account_id, told),
        "slices": (redemption.slices if redemption else (), tuple(
            drawn_slices(detail.authority, totals.points_spent, options, receipt.place))),
        "lots": ((redemption.lot_order, redemption.expiry) if redemption else None, spent),
    }


def _without_codes(coupons: Iterable[IssuedCoupon]) -> tuple[IssuedCoupon, ...]:
    """Coupons as a quote has them: only a till holds the key to their codes."""
    return tuple(msgspec.structs.replace(coupon, code="") for coupon in coupons)


def _charged(detail: ReceiptDetail) -> list[tuple[str, Figures]]:
    found: list[tuple[str, Figures]] = []
    if detail.charged:
        quoted = sum(line.discount_minor for line in detail.figures)
        charged = sum(line.discount_minor for line in detail.charged)
        found.append(("charged_differs", {"quoted_minor": quoted, "charged_minor": charged}))
    if detail.quoted_digest:
        found.append(("quote_differs", {"quoted": detail.quoted_digest[:64], "committed": detail.digest[:64]}))
    return found


def _compared(pairs: Pairs) -> Judged:
    """One finding that shows every figure that differs, the till's and the centre's."""
    figures: Figures = {}
    for name, (tills, centres) in pairs.items():
        if tills != centres:
            figures |= {f"till_{name}": _short(tills), f"centre_{name}": _short(centres)}
    return _differs("decision_differs", figures) if figures else SAME


def _differs(cause: str, figures: Figures) -> Judged:
    return Judged(state="differs", findings=((cause, figures),))


def _short(value: Any) -> int | str:
    return value if isinstance(value, int) else msgspec.json.encode(value).decode()[:500]
