"""Small builders for kernel tests: what a test does not speak of has a plain default."""

from collections.abc import Iterable
from datetime import date
from typing import Any

import msgspec

from loyalty.baskets import Basket, Line, Place, Tender
from loyalty.facts.events import Event
from loyalty.facts.receipts import Funded, Receipt
from loyalty.facts.reversals import Return, Void
from loyalty.ledger.books import Books, Posted
from loyalty.ledger.postings import post_event
from loyalty.lots import FOREVER, EventRef, Lot, LotKey, Slice
from loyalty.members import MemberView, Use, WalletItem
from loyalty.pricing.earning import Earned
from loyalty.pricing.leases import Authority, Redemption
from loyalty.pricing.quotes import Quote, quote_basket
from loyalty.programme.compiled import Compiled, compile_programme
from loyalty.programme.programme import Programme, programme_from
from loyalty.terms import Terms

MONDAY_NOON_MS = 1_772_452_800_000  # 2026-03-02 12:00 UTC, a Monday
A_FLOAT = Authority(kind="float", points=1_000_000, lease_id="float-1")


def day(text: str) -> date:
    return date.fromisoformat(text)


def line(number: int, amount_minor: int, **facts: Any) -> Line:
    """Line `number` for `amount_minor`; its sku is `sku<number>` unless said."""
    return Line(line=number, amount_minor=amount_minor, **{"sku": f"sku{number}"} | facts)


def basket(*lines: Line, **facts: Any) -> Basket:
    return Basket(**{"receipt_id": "R1", "currency": "EUR", "lines": lines} | facts)


def cash(amount_minor: int) -> Tender:
    return Tender(kind="cash", amount_minor=amount_minor)


def place(**facts: Any) -> Place:
    """Till T1 of store S1 of partner acme, at noon on Monday 2 March 2026, UTC."""
    usual = {
        "partner_id": "acme",
        "store_id": "S1",
        "till_id": "T1",
        "channel": "store",
        "sold_at_ms": MONDAY_NOON_MS,
        "offset_min": 0,
        "business_date": date(2026, 3, 2),
    }
    return Place(**usual | facts)


def programme(*promotions: dict[str, Any], **facts: Any) -> Programme:
    """A programme in EUR of these promotions, read as a document would be."""
    return programme_from({"id": "club", "currency": "EUR", "promotions": list(promotions), **facts})


def compiled(*promotions: dict[str, Any], **facts: Any) -> Compiled:
    return compile_programme(programme(*promotions, **facts))


def promotion(promotion_id: str, *then: dict[str, Any], **facts: Any) -> dict[str, Any]:
    return {"id": promotion_id, "then": list(then), **facts}


def percent_off(percent_bp: int, **of: Any) -> dict[str, Any]:
    return {"kind": "percent_off", "percent_bp": percent_bp, "of": of}


def amount_off(amount_minor: int, per: str = "basket", **of: Any) -> dict[str, Any]:
    return {"kind": "amount_off", "amount_minor": amount_minor, "per": per, "of": of}


def earn(points: int, per_minor: int, **of: Any) -> dict[str, Any]:
    return {"kind": "earn", "points": points, "per_minor": per_minor, "of": of}


def multiply(times_percent: int, **of: Any) -> dict[str, Any]:
    return {"kind": "multiply_points", "times_percent": times_percent, "of": of}


def spend(at_least_minor: int, **of: Any) -> dict[str, Any]:
    return {"kind": "spend", "at_least_minor": at_least_minor, "of": of}


def quantity(at_least_milli: int, **of: Any) -> dict[str, Any]:
    return {"kind": "quantity", "at_least_milli": at_least_milli, "of": of}


SPENDING = {"step_points": 100, "step_minor": 50}


def set_price(unit_price_minor: int, **of: Any) -> dict[str, Any]:
    return {"kind": "set_price", "unit_price_minor": unit_price_minor, "of": of}


def buy_get(buy_units: int, get_units: int = 1, **facts: Any) -> dict[str, Any]:
    return {"kind": "buy_get", "buy_units": buy_units, "get_units": get_units, **facts}


def bundle(*parts: tuple[int, dict[str, Any]], **facts: Any) -> dict[str, Any]:
    """Parts are `(units, selector)`."""
    return {"kind": "bundle", "parts": [{"units": units, "of": of} for units, of in parts], **facts}


def scale(*steps: dict[str, int], **facts: Any) -> dict[str, Any]:
    return {"kind": "scale", "steps": list(steps), **facts}


def fixed(points: int, per: str = "basket", **of: Any) -> dict[str, Any]:
    """A fixed number of points."""
    return {"kind": "points", "points": points, "per": per, "of": of}


def gift(sku: str, **facts: Any) -> dict[str, Any]:
    return {"kind": "gift", "items": [{"sku": sku}], **facts}


def issue(coupon_id: str) -> dict[str, Any]:
    return {"kind": "issue_coupon", "coupon": coupon_id}


def cap(most: int, of: str, per: str = "receipt", **facts: Any) -> dict[str, Any]:
    return {"most": most, "of": of, "per": per, **facts}


BY_COUPON = {"trigger": {"kind": "coupon", "coupon": "five"}}


def coupon(code: str, **facts: Any) -> WalletItem:
    """A coupon of the kind `five`, in the hand of whoever brings it unless said."""
    return WalletItem(**{"code": code, "kind": "coupon", "of": "five"} | facts)


def certificate(code: str, balance_minor: int, **facts: Any) -> WalletItem:
    return WalletItem(code=code, kind="certificate", balance_minor=balance_minor, **facts)


def member(**facts: Any) -> MemberView:
    """Account 7 with nothing used yet."""
    return MemberView(**{"account_id": 7, "counters": ()} | facts)


def use(name: str, amount: int = 1) -> Use:
    return Use(name=name, amount=amount)


def quote(rules: Compiled, *lines: Line, view: MemberView | None = None, **facts: Any) -> Quote:
    """A quote for these lines; `facts` go to the basket, but for what `quote_basket` takes besides, and `place`."""
    beside = ("authority", "bearer", "explain", "language", "shared")
    own = {name: facts.pop(name) for name in beside if name in facts}
    where = facts.pop("place", place())
    return quote_basket(rules, basket(*lines, **facts), where, view, **own)


def off(asked: Quote) -> list[int]:
    """Minor units off each line."""
    return [row.discount_minor for row in asked.lines]


def taken(benefit: dict[str, Any], *lines: Line, view: MemberView | None = None, **options: Any) -> list[int]:
    """Minor units off each line under a single promotion of this benefit; `options` are the programme's."""
    return off(quote(compiled(promotion("own", benefit), options=options), *lines, view=view))


def off_by(asked: Quote) -> dict[str, int]:
    """Minor units off by promotion."""
    sums: dict[str, int] = {}
    for effect in asked.effects:
        if effect.amount_minor:
            sums[effect.promotion] = sums.get(effect.promotion, 0) + effect.amount_minor
    return sums


def points_each(asked: Quote) -> list[int]:
    """Points of each line."""
    return [row.points_earned for row in asked.lines]


def points_by(asked: Quote) -> dict[str, dict[int, int]]:
    """Points by promotion and line number; line 0 is the receipt as a whole."""
    sums: dict[str, dict[int, int]] = {}
    for effect in asked.effects:
        if effect.points:
            of_line = sums.setdefault(effect.promotion, {})
            of_line[effect.line] = of_line.get(effect.line, 0) + effect.points
    return sums


def steps_of(uses: Iterable[Use]) -> dict[str, int]:
    """Uses as a mapping."""
    return {one.name: one.amount for one in uses}


def refused(asked: Quote) -> list[tuple[str, str]]:
    """Codes refused, with their reasons."""
    return [(one.code, one.reason) for one in asked.coupons_refused]


def key(valid_through: str = "", issuer_id: str = "acme", terms_id: str = "acme-1") -> LotKey:
    return LotKey(
        valid_through=day(valid_through) if valid_through else FOREVER, issuer_id=issuer_id, terms_id=terms_id
    )


def lot(points: int, valid_through: str = "", issuer_id: str = "acme", terms_id: str = "acme-1") -> Lot:
    return Lot(key=key(valid_through, issuer_id, terms_id), points=points)


def part(points: int, valid_through: str = "", issuer_id: str = "acme", terms_id: str = "acme-1") -> Slice:
    return Slice(key=key(valid_through, issuer_id, terms_id), points=points)


def earned(points: int, issuer_id: str = "acme", valid_through: str = "2026-12-31") -> Earned:
    return Earned(issuer_id=issuer_id, valid_through=day(valid_through), points=points)


def ref(seq: int, till_id: str = "T1") -> EventRef:
    return EventRef(till_id=till_id, epoch=1, seq=seq)


TERMS = tuple(
    Terms(terms_id=f"{partner}-1", partner_id=partner, from_on=date(2026, 1, 1), funding_micro=9_500)
    for partner in ("acme", "bolt", "core")
)


def sale(receipt_id: str, *granted: Earned, spent: int = 0, funded: tuple[Funded, ...] = (), **facts: Any) -> Receipt:
    """A receipt head of account 7 that grants and spends; 10.00 paid in money unless said."""
    paid = redemption(spent) if spent else None
    usual = {"receipt_id": receipt_id, "place": place(), "net_minor": 1000, "account_id": 7}
    return Receipt(**usual | {"earned": granted, "redemption": paid, "funded": funded} | facts)


def redemption(points: int, **facts: Any) -> Redemption:
    """Points spent on a float, each worth a minor unit."""
    usual = {"points": points, "amount_minor": points, "authority": "float", "lease_id": "float-1"}
    return Redemption(**usual | facts)


def take_back(return_id: str, of: EventRef | None, *back: Earned, restored: int = 0, **facts: Any) -> Return:
    usual = {"receipt_id": return_id, "place": place(), "net_minor": 0, "of": of, "account_id": 7}
    return Return(**usual | {"reversed": back, "restored_points": restored} | facts)


def void(of: EventRef, receipt_id: str = "R1") -> Void:
    return Void(receipt_id=f"void:{receipt_id}", place=place(), of=of, account_id=7)


def books(period_no: int = 1) -> Books:
    return Books(TERMS, period_no)


def post(on: Books, event: Event, seq: int, account_id: int | None = 7, till_id: str = "T1") -> Posted:
    """Post one event and fold it in."""
    posted = post_event(event, ref(seq, till_id), account_id, on)
    on.take(posted)
    return posted


def moves(posted: Posted) -> list[str]:
    """Postings in a few words: `issued>available 10 acme`; those of claims are in `claims`."""
    return [f"{row.source}>{row.target} {row.amount} {row.key.issuer_id}"
            for row in posted.postings if row.unit != "claim"]  # fmt: skip


def claims(posted: Posted) -> list[tuple[str, int, str, int]]:
    """Reimbursement that is withheld, or not any more where points are below 0: partner, points, terms, period."""
    return [(row.at_partner_id, row.amount if row.target == "pending" else -row.amount, row.at_terms_id,
             row.origin_period_no) for row in posted.postings if row.unit == "claim"]  # fmt: skip


def held(on: Books, account_id: int = 7) -> dict[str, int]:
    """Points available by issuer."""
    found: dict[str, int] = {}
    for row in on.lots(account_id):
        found[row.key.issuer_id] = found.get(row.key.issuer_id, 0) + row.points
    return found


def bytes_of(value: Any) -> bytes:
    return msgspec.json.encode(value)
