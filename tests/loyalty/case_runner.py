"""Cases that a retailer can read: a programme, a basket, and the figures that somebody worked out by hand.

A case file is a YAML list. Each case says what it shows, gives as much of a programme, basket and member as it needs,
and under `expect` the figures; only what it names is compared. Put quotes round "off", which YAML reads as false.
None of these figures was ever computed by the engine.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml

from loyalty.baskets import Basket, CertificateAsk, CertificateSale, Line, Place, Tender
from loyalty.members import UNKNOWN_CARD, MemberView, Use, WalletItem
from loyalty.pricing.leases import NO_AUTHORITY, Authority
from loyalty.pricing.quotes import Quote, quote_basket
from loyalty.programme.compiled import Compiled, compile_programme
from loyalty.programme.programme import programme_from
from tests.loyalty.build import place

# libyaml's reader where there is one: every worker reads all cases before its first test.
QUICKEST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
FOLDER = Path(__file__).parent / "cases"
LINE_WORDS = {"amount": "amount_minor", "milli": "quantity_milli", "unit_price": "unit_price_minor",
              "floor": "floor_unit_minor"}  # fmt: skip


def all_cases() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every case with a name of its own: file and what it shows."""
    for path in sorted(FOLDER.glob("*.yaml")):
        for case in yaml.load(path.read_text("utf-8"), QUICKEST):
            yield f"{path.stem}: {case['case']}", case


def compiled_of(case: dict[str, Any]) -> Compiled:
    """The programme of a case; without id and currency it is `club` in EUR."""
    return compile_programme(programme_from({"id": "club", "currency": "EUR"} | case.get("programme", {})))


def basket_of(case: dict[str, Any]) -> Basket:
    """The basket: lines are numbered from 1; `units: 3` is a whole quantity, `milli` one in thousandths."""
    asked = case.get("ask", {})
    return Basket(
        receipt_id="R1",
        currency="EUR",
        lines=tuple(_line(number, facts) for number, facts in enumerate(case.get("lines", []), 1)),
        tax_included=asked.get("tax_included", True),
        tenders=tuple(Tender(kind=kind, amount_minor=amount) for kind, amount in asked.get("tenders", [])),
        coupons=tuple(asked.get("coupons", ())),
        points_to_spend=asked.get("points_to_spend", 0),
        events=tuple(asked.get("events", ())),
        prizes=tuple(asked.get("prizes", ())),
        certificates=tuple(CertificateAsk(code=c, amount_minor=a) for c, a in asked.get("certificates", [])),
        from_wallet_minor=asked.get("from_wallet", 0),
        certificates_sold=tuple(CertificateSale(line=n, code=c) for n, c in asked.get("sells", [])),
    )


def _line(number: int, facts: dict[str, Any]) -> Line:
    named = {LINE_WORDS.get(word, word): value for word, value in facts.items()}
    if "units" in named:
        named["quantity_milli"] = 1000 * named.pop("units")
    for word in ("category", "tags"):
        if word in named:
            named[word] = tuple(named[word])
    return Line(**{"line": number, "sku": f"sku{number}"} | named)


def view_of_case(case: dict[str, Any]) -> MemberView | None:
    """`member: {...}` is account 7 with these facts and known counters; `member: unknown` a card not known here."""
    member = case.get("member")
    if member is None or member == "unknown":
        return None if member is None else UNKNOWN_CARD
    facts = {"account_id": 7, "counters": {}, **member}
    if facts["counters"] is not None:
        facts["counters"] = tuple(Use(name=name, amount=facts["counters"][name]) for name in sorted(facts["counters"]))
    facts["segments"] = tuple(facts.get("segments", ()))
    facts["wallet"] = _items(facts.get("wallet", []))
    return MemberView(**facts)


def _items(rows: list[dict[str, Any]]) -> tuple[WalletItem, ...]:
    return tuple(msgspec.convert({"kind": "coupon", **row}, _Item).item() for row in rows)


class _Item(msgspec.Struct, kw_only=True):
    code: str
    kind: str
    of: str = ""
    account_id: int | None = None
    from_on: Any = None
    through: Any = None
    used: int = 0
    balance_minor: int = 0

    def item(self) -> WalletItem:
        return WalletItem(**msgspec.structs.asdict(self))


def place_of(case: dict[str, Any]) -> Place:
    """Monday 2 March 2026, noon UTC, till T1 of store S1 of partner acme, but for what the case says."""
    return place(**case.get("place", {}))


def quote_case(case: dict[str, Any]) -> Quote:
    """The quote of a case. `authority: 500` lets 500 points be spent; `bearer` are coupons and certificates in hand."""
    asked = case.get("ask", {})
    allowed = asked.get("authority", 0)
    return quote_basket(
        compiled_of(case),
        basket_of(case),
        place_of(case),
        view_of_case(case),
        authority=Authority(kind="float", points=allowed, lease_id="float-1") if allowed else NO_AUTHORITY,
        bearer=_items(case.get("bearer", [])),
        shared=shared_of(case),
    )  # fmt: skip


def shared_of(case: dict[str, Any]) -> tuple[Use, ...] | None:
    """Counters that everybody shares, as the till was told before the sale."""
    told = case.get("shared")
    return None if told is None else tuple(Use(name=name, amount=told[name]) for name in sorted(told))


def found_in(quote: Quote) -> dict[str, Any]:
    """Everything that a case can expect, in the words of the cases."""
    numbers = [line.line for line in quote.lines]
    by_promotion: dict[str, list[int]] = {}
    points_by: dict[str, list[int]] = {}
    for effect in quote.effects:
        for sums, figure in ((by_promotion, effect.amount_minor), (points_by, effect.points)):
            if figure and effect.line:
                row = sums.setdefault(effect.promotion, [0] * len(numbers))
                row[numbers.index(effect.line)] += figure
    places = ("cashier", "customer", "kiosk", "receipt")
    return {
        "off": [line.discount_minor for line in quote.lines],
        "by": by_promotion,
        "net": quote.totals.net_minor,
        "to_pay": quote.totals.to_pay_minor,
        "points": [line.points_earned for line in quote.lines],
        "points_by": points_by,
        "earned": quote.totals.points_earned,
        "whole_points": sum(effect.points for effect in quote.effects if effect.line == 0),
        "lots": [[part.issuer_id, part.valid_through.isoformat(), part.points] for part in quote.earned],
        "paid_with_points": [line.paid_with_points_minor for line in quote.lines],
        "points_spent": [line.points_spent for line in quote.lines],
        "spent": quote.totals.points_spent,
        "most": quote.redemption.most_points,
        "most_by_line": list(quote.redemption.per_line_minor),
        "bound_by": quote.redemption.bound_by,
        "why": {one.promotion: "yes" if one.applied else one.condition for one in quote.why},
        "say": {one.promotion: one.say for one in quote.why},
        "short_of": {one.promotion: one.short_of for one in quote.why if one.short_of},
        "used": list(quote.coupons_used),
        "refused": [[one.code, one.reason] for one in quote.coupons_refused],
        "issued": [[one.promotion, one.coupon, one.from_on.isoformat(), one.through.isoformat()]
                   for one in quote.coupons_issued],
        "gifts": [[one.promotion, one.sku, one.units] for one in quote.gifts],
        "prizes": [[one.prize, one.line, one.points] for one in quote.prizes],
        "prizes_refused": [[one.code, one.reason] for one in quote.prizes_refused],
        "certificates": [[one.code, one.amount_minor, one.left_minor] for one in quote.certificates],
        "certificates_refused": [[one.code, one.reason] for one in quote.certificates_refused],
        "from_wallet": quote.from_wallet_minor,
        "uses": {use.name: use.amount for use in quote.uses},
        "shared_uses": {use.name: use.amount for use in quote.shared_uses},
        "messages": {place: [one.text for one in quote.messages if one.place == place]
                     for place in places if any(one.place == place for one in quote.messages)},
        "tier": None if quote.tier is None else msgspec.to_builtins(quote.tier),
    }  # fmt: skip
