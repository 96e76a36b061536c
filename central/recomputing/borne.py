"""Who bears what: each thing that went wrong while a till was alone, with its receipt, its partner and its sum.

Whoever pays is decided by the contract, not here: what is withheld stands in the statements as `suspense:offline`, and
these rows are the receipts behind it, with the failures beside them that move no money between partners by themselves.
Source: offline-redemption.md "Who bears what"; docs/spending.md.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, Row, case, func, select

from central.coalition.registry import all_terms
from central.database.rows import find
from central.database.tables import (
    certificate,
    console_user,
    event,
    flag,
    posting,
    quarantine,
    release,
    store_partner,
    till,
)
from central.posting.posting import stored_heads
from loyalty.amounts import micro_to_minor
from loyalty.certificates import UNSOLD, Certificate
from loyalty.facts.events import Event
from loyalty.facts.receipts import Receipt
from loyalty.facts.reversals import Return
from loyalty.lots import EventRef
from loyalty.pricing.effects import Effect
from loyalty.settling.money import OPERATOR
from loyalty.terms import Terms, terms_on

Failure = Literal[
    "uncovered", "spent_after_reclaim", "over_lease", "lease_reclaimed", "rolled_back", "limit_overshot",
    "budget_overshot", "decision_differs", "programme_unknown", "issuer_over_limit",
    "certificate_uncovered", "certificate_used",
]  # fmt: skip
State = Literal["withheld", "released", "at risk", "borne", "margin call"]
OF_SPENDING: tuple[Failure, ...] = ("spent_after_reclaim", "over_lease", "uncovered")
OVER_LIMIT: tuple[Failure, ...] = ("limit_overshot", "budget_overshot")
OF_CERTIFICATES: tuple[Failure, ...] = ("certificate_uncovered", "certificate_used")
OF_VERSION: tuple[Failure, ...] = ("decision_differs", "programme_unknown")
ROLLED_BACK = ("sync.fork", "sync.rewind", "sync.clone")
_PAID = ("net_minor", "lines_minor")
MOST = 500  # rows of a kind, the newest


class Borne(msgspec.Struct, frozen=True, kw_only=True):
    """One failure and who bears it.

    Attributes:
        partner_id: the bearer; `operator` where head office does.
        seq: of the event; 0 for a till as a whole.
        points: what the failure is about; `open_points` of these are still without cover.
        amount_minor: what the open points would have been reimbursed with, or what the failure cost, at the contract's
            price, each row rounded by itself.
        operator_minor: the operator's share of it.
        state: `withheld` while points are without cover, `released` once none is, `at risk` while a till may still
            bring spends of a lease that was taken back, `borne` where nothing is to come any more, `margin call` for an
            issuer beyond its limit, see `central.settlement.exposure`.
    """

    cause: Failure
    partner_id: str
    till_id: str
    epoch: int
    seq: int
    receipt_id: str
    business_date: str
    points: int
    open_points: int
    amount_minor: int
    operator_minor: int
    state: State


class _Decided(msgspec.Struct):
    """What is read of a detail, which is still there once its goods were let go."""

    programme_version: str = ""
    effects: tuple[Effect, ...] = ()


def borne_by(tx: Connection, partner_id: str, currency: str) -> tuple[Borne, ...]:
    """What one partner, or the operator, bears, by business date and receipt; the newest `MOST` of each kind."""
    prices = _Prices(tx, currency)
    found: list[Borne] = []
    if partner_id != OPERATOR:
        found += _withheld(tx, partner_id, prices)
        found += _of_nobody(tx, partner_id, prices)
        found += _reclaimed(tx, partner_id, prices)
        found += _of_certificates(tx, partner_id)
        found += _rolled_back(tx, partner_id, {(one.till_id, one.epoch) for one in found if one.cause == "rolled_back"})
    found += [one for one in _over_limits(tx, prices) if one.partner_id == partner_id]
    found += [one for one in _of_versions(tx) if one.partner_id == partner_id]
    return tuple(sorted(found, key=lambda one: (one.business_date, one.till_id, one.epoch, one.seq, one.cause)))


class _Prices:
    """Points at contract prices, rounded to minor units."""

    def __init__(self, tx: Connection, currency: str) -> None:
        self._terms = all_terms(tx)
        self._by_id = {one.terms_id: one for one in self._terms}
        self._currency = currency

    def reimbursed(self, terms: Terms | None, points: int) -> dict[str, int]:
        """What a redemption of these points is reimbursed with, and the operator's share where nothing covers it."""
        paid, shared = (terms.reimburse_micro, terms.uncovered_micro) if terms else (0, 0)
        return {"amount_minor": self._minor(points * paid), "operator_minor": self._minor(points * shared)}

    def funded(self, terms: Terms | None, points: int) -> int:
        """What an issuer owes once these points are redeemed."""
        return self._minor(points * terms.funding_micro) if terms else 0

    def of_id(self, terms_id: str) -> Terms | None:
        return self._by_id.get(terms_id)

    def on(self, partner_id: str, day: str) -> Terms | None:
        return terms_on(self._terms, partner_id, date.fromisoformat(day)) if day else None

    def _minor(self, micro: int) -> int:
        return micro_to_minor(micro, self._currency)


# Spends that nothing covered


def _withheld(tx: Connection, partner_id: str, prices: _Prices) -> list[Borne]:
    p = posting.c
    claimed = case((p.target == "pending", p.amount), else_=0)
    still = case((p.target == "pending", p.amount), else_=-p.amount)
    given_up = case((p.target == "expired", p.amount), else_=0)
    of = (p.of_till, p.of_epoch, p.of_seq, p.at_terms_id)
    sums = select(*of, func.sum(claimed).label("points"), func.sum(still).label("open_points"),
                  func.sum(given_up).label("given_up"))  # fmt: skip
    rows = tx.execute(sums.where(p.unit == "claim", p.at_partner_id == partner_id).group_by(*of)).all()
    refs = [EventRef(till_id=row.of_till, epoch=row.of_epoch, seq=row.of_seq) for row in rows]
    events = {_ref(row): row for row in find(tx, event, [msgspec.structs.asdict(ref) for ref in refs])}
    causes = _causes(tx, refs)
    back = _stopped(tx)
    found = [
        Borne(
            cause="rolled_back" if (ref.till_id, ref.epoch) in back else causes.get(ref, "uncovered"),
            partner_id=partner_id,
            **msgspec.structs.asdict(ref),
            receipt_id=events[ref].receipt_id,
            business_date=events[ref].business_date,
            points=int(row.points),
            open_points=int(row.open_points),
            **prices.reimbursed(prices.of_id(row.at_terms_id), int(row.open_points) or int(row.given_up)),
            state=_standing(int(row.open_points), int(row.given_up)),
        )
        for ref, row in zip(refs, rows, strict=True)
        if ref in events
    ]
    # What is still withheld before what is over, the newest first.
    return sorted(found, key=lambda one: (one.open_points > 0, one.business_date), reverse=True)[:MOST]


def _standing(open_points: int, given_up: int) -> State:
    """What is without cover, what was written off and is borne for good, and what was covered."""
    if open_points:
        return "withheld"
    return "borne" if given_up else "released"


def _causes(tx: Connection, refs: Iterable[EventRef]) -> dict[EventRef, Failure]:
    """Why a spend was not covered: the failure that the till is nearest to blame for comes first."""
    told: dict[EventRef, set[str]] = {}
    for row in find(tx, flag, [msgspec.structs.asdict(ref) for ref in refs]):
        told.setdefault(_ref(row), set()).add(row.cause)
    return {ref: next((one for one in OF_SPENDING if one in causes), "uncovered") for ref, causes in told.items()}


def _of_nobody(tx: Connection, partner_id: str, prices: _Prices) -> list[Borne]:
    """Spends that stand for no account: no points can ever cover them, so nothing is claimed."""
    rows = _flags(tx, ("uncovered",), flag.c.partner_id == partner_id, flag.c.account_id == 0)
    found = []
    for row in rows:
        told = msgspec.json.decode(row.figures)
        points = int(told["asked"]) - int(told["covered"])
        sums = prices.reimbursed(prices.on(partner_id, row.business_date), points)
        # What nobody can claim, the operator has no share in.
        found.append(_of_flag(row, partner_id, points=points, open_points=points, **{**sums, "operator_minor": 0}))
    return found


# Leases and tills


def _reclaimed(tx: Connection, partner_id: str, prices: _Prices) -> list[Borne]:
    """Leases that were taken back: spends that the till made and never brought are its partner's loss."""
    came: dict[str, int] = {}
    for row in _flags(tx, ("spent_after_reclaim",), flag.c.partner_id == partner_id):
        told = msgspec.json.decode(row.figures)
        came[told["lease_id"]] = came.get(told["lease_id"], 0) + int(told["points"])
    found = []
    for row in _flags(tx, ("lease_reclaimed",), flag.c.partner_id == partner_id):
        told = msgspec.json.decode(row.figures)
        points = int(told["points"])
        left = max(0, points - came.get(told["lease_id"], 0))
        sums = prices.reimbursed(prices.on(partner_id, row.business_date), left)
        one = _of_flag(row, partner_id, points=points, open_points=left, **sums)
        found.append(msgspec.structs.replace(one, state="at risk" if left else "released"))
    return found


def _stopped(tx: Connection) -> set[tuple[str, int]]:
    """Streams of which two histories were seen: a till that was put back in time, or that there are two of."""
    proven = select(quarantine.c.till_id, quarantine.c.epoch).where(quarantine.c.code.in_(ROLLED_BACK)).distinct()
    return {(row.till_id, row.epoch) for row in tx.execute(proven)}


def _rolled_back(tx: Connection, partner_id: str, known: set[tuple[str, int]]) -> list[Borne]:
    """Tills that went back in time and of whose spends none is without cover so far."""
    owners = {
        row.till_id: row.partner_id
        for row in tx.execute(
            select(till.c.till_id, store_partner.c.partner_id)
            .join_from(till, store_partner, store_partner.c.store_id == till.c.store_id)
            .order_by(store_partner.c.from_on)
        )
    }
    return [
        Borne(
            cause="rolled_back", partner_id=partner_id, till_id=till_id, epoch=epoch, seq=0, receipt_id="",
            business_date="", points=0, open_points=0, amount_minor=0, operator_minor=0, state="at risk",
        )
        for till_id, epoch in sorted(_stopped(tx) - known)
        if owners.get(till_id) == partner_id
    ]  # fmt: skip


# Certificates


def _of_certificates(tx: Connection, partner_id: str) -> list[Borne]:
    """Certificates that were spent twice, whose partner waits for money to come onto them, and those of which something
    was spent before their sale was undone. Nothing of it is on a statement."""
    rows = _flags(tx, OF_CERTIFICATES, flag.c.partner_id == partner_id)
    told = {row: msgspec.json.decode(row.figures) for row in rows}
    codes = [{"code": figures["code"]} for figures in told.values()]
    held = {row.code: msgspec.json.decode(row.kept, type=Certificate) for row in find(tx, certificate, codes)}
    found = []
    for row, figures in told.items():
        now = held.get(figures["code"], UNSOLD)
        if row.cause == "certificate_used":
            # Once that is undone itself, whoever bought it has paid for it once more.
            lost = int(figures["used_minor"]) if any(off.by == _ref(row) for off in now.taken_off) else 0
            states: tuple[State, State] = ("borne", "released")
        else:
            lost = sum(one.owed_minor for one in now.spends if one.of == _ref(row))
            states = ("withheld", "released")
        one = _of_flag(row, partner_id, points=0, open_points=0, amount_minor=lost, operator_minor=0)
        found.append(msgspec.structs.replace(one, state=states[not lost]))
    return found


# Limits and versions


def _over_limits(tx: Connection, prices: _Prices) -> list[Borne]:
    """Promotions granted beyond their limit: honoured, and whoever funds them pays for them."""
    rows = _flags(tx, OVER_LIMIT)
    details = _details(tx, rows)
    found = []
    for row in rows:
        told = msgspec.json.decode(row.figures)
        promotion = told.get("promotion") or told.get("counter", "").partition(":")[2]
        for payer, (minor, points) in _granted(details.get(_ref(row)), promotion, row.partner_id).items():
            worth = minor + prices.funded(prices.on(payer, row.business_date), points)
            found.append(_of_flag(row, payer, points=points, open_points=0, amount_minor=worth, operator_minor=0))
    return found


def _granted(detail: _Decided | None, promotion: str, partner_id: str) -> dict[str, tuple[int, int]]:
    """Money off and points of one promotion on one receipt, by who pays; nobody's where the detail was erased."""
    sums: dict[str, tuple[int, int]] = {}
    for effect in detail.effects if detail else ():
        if effect.promotion == promotion:
            minor, points = sums.get(effect.funded_by or partner_id, (0, 0))
            sums[effect.funded_by or partner_id] = minor + effect.amount_minor, points + effect.points
    return sums or {partner_id: (0, 0)}


def _of_versions(tx: Connection) -> list[Borne]:
    """Receipts that come out otherwise, or under a version that was never published: whoever published it bears it."""
    rows = _flags(tx, OF_VERSION)
    heads = stored_heads(tx, {_ref(row) for row in rows})
    sales = stored_heads(tx, {head.of for head in heads.values() if isinstance(head, Return) and head.of})
    published = publishers(tx)
    found = []
    for row in rows:
        told, head = msgspec.json.decode(row.figures), heads.get(_ref(row))
        lost = lost_minor(told, head)
        version = version_of(head) or version_of(sales.get(head.of) if isinstance(head, Return) and head.of else None)
        # A version that head office never published came to the till by another way, which is its partner's.
        bearer = published.get(version, row.partner_id)
        found.append(_of_flag(row, bearer, points=0, open_points=0, amount_minor=lost, operator_minor=0))
    return found


def lost_minor(told: Mapping[str, Any], head: Event | None) -> int:
    """What a finding cost the store, by its figures: of a sale too little was taken, by the till's own sum or by the
    prices it worked out; of a return too much was paid out. Below 0 the customer lost it."""
    lost = sum(int(told.get(f"centre_{name}", 0)) - int(told.get(f"till_{name}", 0)) for name in _PAID)
    return -lost if isinstance(head, Return) else lost


def version_of(head: Event | None) -> str:
    """The programme that an event was decided under; "" where its detail names none, or is gone."""
    try:
        return msgspec.json.decode(getattr(head, "detail", b""), type=_Decided).programme_version
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""


def publishers(tx: Connection) -> dict[str, str]:
    """Who published each version: the partner of the person who did, or the operator."""
    people = tx.execute(select(console_user.c.login, console_user.c.partner_id))
    of_login = {row.login: row.partner_id for row in people}
    rows = tx.execute(select(release.c.version, release.c.published_by).order_by(release.c.no))
    return {row.version: of_login.get(row.published_by, "") or OPERATOR for row in rows}


# Reading


def _flags(tx: Connection, causes: Iterable[Failure], *conditions: Any) -> list[Row[Any]]:
    chosen = select(flag).where(flag.c.cause.in_(tuple(causes)), flag.c.seq > 0, *conditions)
    newest = chosen.order_by(flag.c.raised_at_ms.desc(), flag.c.till_id, flag.c.epoch, flag.c.seq, flag.c.n)
    return list(tx.execute(newest.limit(MOST)))


def _of_flag(row: Row[Any], partner_id: str, **sums: int) -> Borne:
    return Borne(
        cause=row.cause, partner_id=partner_id, till_id=row.till_id, epoch=row.epoch, seq=row.seq,
        receipt_id=row.receipt_id, business_date=row.business_date, state="borne", **sums,
    )  # fmt: skip


def _details(tx: Connection, rows: Iterable[Row[Any]]) -> Mapping[EventRef, _Decided]:
    """The details of the receipts among these; those that were erased or are malformed left out."""
    found = {}
    for ref, head in stored_heads(tx, {_ref(row) for row in rows}).items():
        if isinstance(head, Receipt):
            try:
                found[ref] = msgspec.json.decode(head.detail, type=_Decided)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                continue  # recomputing has put it on the worklist by itself
    return found


def _ref(row: Row[Any]) -> EventRef:
    return EventRef(till_id=row.till_id, epoch=row.epoch, seq=row.seq)
