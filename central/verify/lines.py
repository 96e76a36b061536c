"""The lines of every issued statement worked out once more from the postings of its period.

This shares no line with `loyalty.settling.money` or `loyalty.settling.statements` on purpose: it is what they are held
against. Source: settlement.md section 2, the table of events, "Rounding", "Corrections"; offline-redemption.md "Who
bears what".
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Row, func, select

from central.database import tables as t
from central.verify.violations import Violations

Key = tuple[str, str, str, str, int, int]  # partner, kind, with whom, terms, price, the period it corrects
Step = tuple[str, str, str, str, int, int]  # partner, kind, with whom, terms, price, points
PAID_OUT = ("reimbursement", "expiry", "uncovered", "discount_given", "certificate_taken", "price_delta_given")
# Currencies whose minor unit is no hundredth, by its decimals; ISO 4217, list one.
DECIMALS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
ALWAYS_LISTED = ("funding", "reimbursement")


def check_lines(db: Connection, found: Violations, documents: Iterable[Mapping[str, Any]]) -> None:
    """Hold the lines of statements, as they were frozen, against what the postings come to.

    Args:
        documents: of all statements that still have the bytes that were hashed, whole per partner: a partner with one
            that is damaged must be left out, for later lines build on earlier ones.
    """
    terms = {row.terms_id: row for row in db.execute(select(t.terms))}
    billed: dict[Key, tuple[int, int]] = defaultdict(lambda: (0, 0))
    by_period: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for document in documents:
        by_period[document["period_no"]].append(document)
    for period_no in sorted(by_period):
        moved = _moved(db, period_no, terms, by_period[period_no][0]["currency"])
        for document in by_period[period_no]:
            partner = document["partner_id"]
            wanted = {}
            for key, points in moved.items():
                if key[0] == partner and points and (key[4] or key[1] in ALWAYS_LISTED):
                    wanted[key] = points, _minor(key, billed[key][0] + points, document["currency"]) - billed[key][1]
            told = {_key(line): (line["points"], line["amount_minor"]) for line in document["lines"]}
            for key in sorted(wanted.keys() | told.keys()):
                about = (document["statement_id"], *key[1:])
                found.differs("statement.rebuilt", about, wanted.get(key, (0, 0)), told.get(key, (0, 0)))
            for key, (points, minor) in told.items():
                billed[key] = billed[key][0] + points, billed[key][1] + minor


def _moved(db: Connection, period_no: int, terms: Mapping[str, Row[Any]], currency: str) -> dict[Key, int]:
    """Points by line, or minor units of discounts; negative where earlier ones come back."""
    p = t.posting.c
    by = (p.unit, p.source, p.target, p.issuer_id, p.terms_id, p.at_partner_id, p.at_terms_id, p.priced_by,
          p.origin_period_no)  # fmt: skip
    rows = db.execute(select(*by, func.sum(p.amount).label("amount")).where(p.period_no == period_no).group_by(*by))
    sums: dict[Key, int] = defaultdict(int)
    for row in rows:
        for partner, kind, other, terms_id, price, points in _steps(row, terms, currency):
            sums[partner, kind, other, terms_id, price, row.origin_period_no] += points
    return sums


def _steps(row: Row[Any], terms: Mapping[str, Row[Any]], currency: str) -> Iterator[Step]:
    amount, issuer, at = int(row.amount), row.issuer_id, row.at_partner_id
    if row.terms_id == "stored":
        spent = amount * ((row.target == "redeemed") - (row.source == "redeemed"))
        if issuer != at and spent:
            one = _minor_in_micro(currency)
            yield issuer, "certificate_owed", at, "none", one, spent
            yield at, "certificate_taken", issuer, "none", one, spent
        return
    if row.terms_id == "delta":
        one = _minor_in_micro(currency)
        if issuer != "operator":
            yield issuer, "price_delta_owed", at, "none", one, amount
        yield at, "price_delta_given", issuer, "none", one, amount
        return
    if row.unit == "currency":
        minor = amount if row.target == "redeemed" else -amount
        one = _minor_in_micro(currency)
        yield issuer, "discount_funded", at, "none", one, minor
        yield at, "discount_given", issuer, "none", one, minor
        return
    there = terms.get(row.at_terms_id)
    if row.unit == "claim":
        if row.target == "expired":
            kept = there.reimburse_micro - there.uncovered_micro if there else 0
            yield at, "suspense:offline", "operator", row.at_terms_id, kept, -amount
            yield at, "written_off", "operator", row.at_terms_id, kept, amount
            return
        points = amount if row.target == "pending" else -amount
        paid, shared = (there.reimburse_micro, there.uncovered_micro) if there else (0, 0)
        yield at, "uncovered", "operator", row.at_terms_id, paid, points
        yield at, "suspense:offline", "operator", row.at_terms_id, paid - shared, points
        return
    own = terms.get(row.terms_id)
    if own:
        kept = ("issued", "reversed") if own.refunds_fee else ("issued",)
        fee = (row.target not in kept) - (row.source not in kept)
        held = (row.target not in ("issued", "reversed")) - (row.source not in ("issued", "reversed"))
        lapsed = (row.target == "expired") - (row.source == "expired")
        yield issuer, "fee", "operator", row.terms_id, own.fee_micro, fee * amount
        yield issuer, "advance", "operator", row.terms_id, own.advance_micro, held * amount
        yield issuer, "expiry", "operator", row.terms_id, own.expiry_back_micro, lapsed * amount
    spent = amount * ((row.target == "redeemed") - (row.source == "redeemed"))
    funding = own.funding_micro - own.advance_micro if own else 0
    yield issuer, "funding", at, row.terms_id, funding, spent
    price = (there.funding_micro if row.priced_by == "funding" else there.reimburse_micro) if there else 0
    yield at, "reimbursement", issuer, row.at_terms_id, price, spent


def _minor(key: Key, points: int, currency: str) -> int:
    """Half a minor unit goes away from zero; what the operator pays has a minus."""
    exact, one = points * key[4], _minor_in_micro(currency)
    rounded = (2 * abs(exact) + one) // (2 * one)
    return rounded if (exact > 0) == (key[1] not in PAID_OUT) else -rounded


def _minor_in_micro(currency: str) -> int:
    decimals = next((decimals for decimals, codes in DECIMALS.items() if currency in codes.split()), 2)
    return int(10 ** (6 - decimals))


def _key(line: Mapping[str, Any]) -> Key:
    return (line["partner_id"], line["kind"], line["counterparty_id"], line["terms_id"], line["price_micro"],
            line["origin_period_no"])  # fmt: skip
