"""Who belongs to the coalition: partners, their stores, and the terms that each agreed to."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any

import msgspec
from sqlalchemy import Connection, bindparam, select

from central.coalition.new_terms import booked_before
from central.coalition.settings import get_setting
from central.database.asking import ask, ask_one
from central.database.rows import put
from central.database.tables import partner, period, setting, store, store_partner, terms
from loyalty.amounts import Whole, exponent_of
from loyalty.moments import utc_date
from loyalty.terms import Terms, check_terms
from loyalty.trouble import Refusal

LONG_AGO = date(1970, 1, 1)
OPERATOR_MOST = "operator_most_minor"


class BadCoalition(Refusal):
    code = "coalition.malformed"
    status = 422


class StoreEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A store of a partner, from a date on."""

    store_id: str
    name: str = ""
    from_on: date = LONG_AGO


class TermsEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`loyalty.terms.Terms` without the partner, who is named around it."""

    terms_id: str
    from_on: date
    fee_micro: int = 0
    funding_micro: int = 0
    advance_micro: int = 0
    reimburse_micro: int = 0
    expiry_back_micro: int = 0
    refunds_fee: bool = False
    uncovered_micro: int = 0


class PartnerEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A retailer with its stores and dated terms.

    Attributes:
        limit_minor: how far its points may expose the operator.
        expected_redemption_bp: the share of its points that is expected to be redeemed.
        shares_defaults: its weight among the partners that agreed to share what another does not pay; 0: it did not.
    """

    partner_id: str
    name: str = ""
    limit_minor: Whole | None = None
    expected_redemption_bp: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 10_000
    shares_defaults: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0
    stores: tuple[StoreEntry, ...] = ()
    terms: tuple[TermsEntry, ...] = ()


class Coalition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The coalition file: one currency, its partners; `operator_most_minor` is the most that the operator bears of what
    one of them does not pay before those that agreed share it, none for all of it."""

    currency: str
    partners: tuple[PartnerEntry, ...]
    operator_most_minor: Whole | None = None


def load_coalition(tx: Connection, document: Mapping[str, Any], now_ms: int) -> Coalition:
    """Take partners, stores and terms from a document; the same document again changes nothing.

    Raises:
        BadCoalition: unknown words, another currency than before, or terms that were changed after the fact, or that
            would have priced what is booked already.
        BadTerms, UnknownCurrency: as the kernel says.
    """
    try:
        coalition = msgspec.convert(document, Coalition)
    except msgspec.ValidationError as trouble:
        raise BadCoalition(f"The coalition file says something we do not know: {trouble}") from None
    exponent_of(coalition.currency)
    if get_setting(tx, "currency", coalition.currency) != coalition.currency:
        raise BadCoalition("The currency of a coalition cannot change; start a new centre for another one.")
    put(tx, setting, [{"name": "currency", "value": coalition.currency}], "nothing")
    _take_terms(tx, coalition, utc_date(now_ms))
    for one in coalition.partners:
        put(tx, store, [{"store_id": s.store_id, "name": s.name or s.store_id} for s in one.stores], {"name": "given"})
        owned = [{"store_id": s.store_id, "from_on": s.from_on.isoformat(), "partner_id": one.partner_id}
                 for s in one.stores]  # fmt: skip
        put(tx, store_partner, owned, {"partner_id": "given"})
    put(tx, period, [{"period_no": 1, "state": "open", "opened_at_ms": now_ms}], "nothing")
    return coalition


def _take_terms(tx: Connection, coalition: Coalition, today: date) -> None:
    new = [Terms(partner_id=one.partner_id, **msgspec.structs.asdict(entry))
           for one in coalition.partners for entry in one.terms]  # fmt: skip
    check_terms(new)
    known = {one.terms_id: one for one in all_terms(tx)}
    for one in new:
        if known.get(one.terms_id, one) != one:
            # Lots carry the id of their terms, so another price under the same id would change the past.
            raise BadCoalition(
                f"Terms {one.terms_id} are in force with other prices; write new terms with a new id and a later date.",
                terms_id=one.terms_id,
            )
        if one.terms_id not in known and (day := booked_before(tx, one, {*known.values(), *new}, today)):
            raise BadCoalition(
                f"Terms {one.terms_id} begin on {one.from_on}, and points of {one.partner_id} are booked without them"
                f" up to {day}; let them begin on a later day, best one that is still to come.",
                terms_id=one.terms_id,
            )
    names = [{"partner_id": one.partner_id, "name": one.name or one.partner_id, "limit_minor": one.limit_minor,
              "expected_redemption_bp": one.expected_redemption_bp, "shares_defaults": one.shares_defaults}
             for one in coalition.partners]  # fmt: skip
    told = ("name", "limit_minor", "expected_redemption_bp", "shares_defaults")
    put(tx, partner, names, dict.fromkeys(told, "given"))
    most = "" if coalition.operator_most_minor is None else str(coalition.operator_most_minor)
    put(tx, setting, [{"name": OPERATOR_MOST, "value": most}], {"value": "given"})
    put(tx, terms, [_terms_row(one) for one in new], "nothing")


def _terms_row(one: Terms) -> dict[str, Any]:
    return {**msgspec.structs.asdict(one), "from_on": one.from_on.isoformat(), "refunds_fee": int(one.refunds_fee)}


_TERMS = select(terms)


def all_terms(connection: Connection) -> tuple[Terms, ...]:
    """The terms of all partners."""
    return tuple(_terms(row._mapping) for row in ask(connection, _TERMS))


def _terms(row: Any) -> Terms:
    return Terms(**{**row, "from_on": date.fromisoformat(row["from_on"]), "refunds_fee": bool(row["refunds_fee"])})


_OWNER = (
    select(store_partner.c.partner_id)
    .where(store_partner.c.store_id == bindparam("store"), store_partner.c.from_on <= bindparam("day"))
    .order_by(store_partner.c.from_on.desc())
    .limit(1)
)


def partner_of(connection: Connection, store_id: str, on: str) -> str:
    """The partner a store belongs to on a date (ISO); "" where it belongs to none."""
    return ask_one(connection, _OWNER, {"store": store_id, "day": on}) or ""
