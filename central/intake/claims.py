"""Receipts claimed later: decided here, one after the other, so that each is granted once in the whole programme.

A claim is looked at once its receipt has arrived, or given up when it has not within the grace. What is granted is
worked out from the receipt's own bytes (`loyalty.facts.claiming`) and written as a fact of head office; goods that come
back before or after take their points with them. Source: docs/members.md "A receipt claimed later"; fraud-privacy.md 1.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Row, bindparam, or_, select, update

from central.coalition.programmes import compiled, current_programme
from central.database.asking import ask, ask_first, tell
from central.database.rows import find, put
from central.database.tables import account, event, receipt_claim, reversed_
from central.intake.claimed_receipts import find_receipt, labels_of, mark_of
from central.members.accounts import survivor_of
from central.ports import Randomness, reading, replayable, writing
from central.posting.account_facts import AccountFacts
from central.posting.fixed_receipts import fixed_at
from central.posting.posting import stored_heads
from central.streams.evidence import payloads_of
from central.worklist.worklist import raise_flags, told_before
from loyalty.facts.centre_events import ClaimSettled
from loyalty.facts.claiming import claimed_points
from loyalty.facts.events import read_head
from loyalty.facts.member_events import Claimed
from loyalty.facts.receipts import Receipt, ReceiptDetail, read_detail
from loyalty.facts.return_voids import standing_returns
from loyalty.facts.returned_lines import ReturnLine
from loyalty.facts.reversals import ReturnDetail, Void
from loyalty.ledger.books import NOBODY, Flag
from loyalty.lots import EventRef
from loyalty.moments import DAY_MS
from loyalty.pricing.earning import Earned
from loyalty.programme.member_rules import ClaimRules
from loyalty.trouble import Trouble

STREAM = "claims"
AT_ONCE = 50
_PLACE = ("till_id", "epoch", "seq")
_PARTS = tuple[Earned, ...]
_HERE = tuple(receipt_claim.c[name] == bindparam(f"in_{name}") for name in _PLACE)
_ONE = select(receipt_claim).where(*_HERE)
_DUE = (
    select(*(receipt_claim.c[name] for name in _PLACE))
    .where(or_(receipt_claim.c.state == "asked", receipt_claim.c.due == 1))
    .order_by(receipt_claim.c.looked_at_ms, receipt_claim.c.asked_at_ms, *(receipt_claim.c[name] for name in _PLACE))
    .limit(AT_ONCE)
)


class No(Exception):
    """Why a claim is refused: a word for the till, and figures for the worklist."""

    def __init__(self, reason: str, **figures: int | str) -> None:
        super().__init__(reason)
        self.reason, self.figures = reason, figures


class NotYet(Exception):
    """Its receipt has not arrived."""


def settle_claims(engine: Engine, now_ms: int, randomness: Randomness, grace_days: int) -> int:
    """Decide the next claims, and look again at those whose goods came back; how many."""
    done = 0
    for ref in _due(engine):
        done += _settle(engine, ref, now_ms, randomness, grace_days)
    return done


@replayable
def _due(engine: Engine) -> Sequence[EventRef]:
    """In the order in which they were asked; those that wait for their receipt come again and again."""
    with reading(engine) as tx:
        return [EventRef(till_id=row.till_id, epoch=row.epoch, seq=row.seq) for row in ask(tx, _DUE)]


@replayable
def _settle(engine: Engine, ref: EventRef, now_ms: int, randomness: Randomness, grace_days: int) -> bool:
    with writing(engine) as tx:
        # Whoever decides claims holds this stream, so no receipt is granted twice.
        facts = AccountFacts(tx, STREAM, now_ms, randomness)
        row = ask_first(tx, _ONE, _named(ref))
        assert row is not None
        if row.state != "asked" and not row.due:
            return False
        deciding = _Deciding(tx, row, now_ms)
        try:
            deciding.decide(facts)
        except NotYet:
            if now_ms - row.asked_at_ms < grace_days * DAY_MS:
                deciding.looked()
                return False
            deciding.refuse(No("receipt_unknown"))
        except No as no:
            deciding.refuse(no)
        return True


class _Deciding:
    """One claim."""

    def __init__(self, tx: Connection, row: Row[Any], now_ms: int) -> None:
        self._tx, self._row, self._now_ms = tx, row, now_ms
        self._ref = EventRef(till_id=row.till_id, epoch=row.epoch, seq=row.seq)
        self._told: int | None = None

    def decide(self, facts: AccountFacts) -> None:
        """Grant what it earns, or what is left of it. Raises: No, NotYet."""
        sale = self._sale_of_before() if self._row.state == "granted" else self._find_sale()
        _keep_others_from(self._tx, sale)
        receipt, detail, lines, is_void = _with_returns(self._tx, sale)
        if self._row.state == "asked":
            self._check(sale, receipt)
            if is_void:
                raise No("voided")
        earned: _PARTS = () if is_void else self._points(receipt, detail, lines)
        if self._row.state == "asked" and lines and not earned:
            raise No("returned")
        if self._told is not None and not lines and self._told != sum(part.points for part in earned):
            self._flag("claim_points_differ", till_points=self._told, centre_points=sum(one.points for one in earned))
        self._write(facts, sale, receipt, detail, earned)

    def looked(self) -> None:
        """Others come first the next time."""
        self._keep(looked_at_ms=self._now_ms)

    def refuse(self, no: No) -> None:
        """Keep why, and tell the worklist: a receipt that is brought twice is how points are stolen. What was granted
        before stays so, for a person to look at."""
        if self._row.state == "granted":
            self._keep(due=0)
            self._flag("claim_stands", reason=no.reason, points=self._row.points, **no.figures)
            return
        self._keep(state="refused", reason=no.reason, due=0, decided_at_ms=self._now_ms)
        self._flag("claim_refused", reason=no.reason, **no.figures)

    def _flag(self, cause: str, **figures: int | str) -> None:
        shown = find(self._tx, event, [msgspec.structs.asdict(self._ref)])
        about = {self._ref: {**shown[0]._mapping, "account_id": self._owner()}}
        # Goods may come back in parts: a row that is settled says nothing of the next.
        told = told_before(self._tx, self._ref, cause)
        raise_flags(self._tx, [Flag(of=self._ref, cause=cause, figures=figures)], about, self._now_ms, told=told)

    def _find_sale(self) -> Row[Any]:
        head = read_head(payloads_of(self._tx, [self._ref])[self._ref])
        assert isinstance(head, Claimed)
        self._told = head.points
        sale = find_receipt(self._tx, head)
        if sale is None:
            raise NotYet
        if sale.state == "quarantined":
            raise No("receipt_set_aside")
        return sale

    def _sale_of_before(self) -> Row[Any]:
        key = {"till_id": self._row.of_till, "epoch": self._row.of_epoch, "seq": self._row.of_seq}
        return find(self._tx, event, [key])[0]

    def _check(self, sale: Row[Any], receipt: Receipt) -> None:
        """What the programme lets be claimed. Raises: No."""
        programme = current_programme(self._tx)
        rules = programme.members.claims if programme else ClaimRules()
        if rules is None:
            raise No("not_offered")
        if receipt.account_id is not None or receipt.card_token is not None or sale.account_id:
            raise No("has_card")
        of = {"of_till": sale.till_id, "of_epoch": sale.epoch, "of_seq": sale.seq}
        mark = mark_of(receipt, labels_of(self._tx, sale.till_id))
        same = [*find(self._tx, receipt_claim, [of], (), receipt_claim.c.state == "granted"),
                *find(self._tx, receipt_claim, [{"mark": mark}], (), receipt_claim.c.state == "granted")]  # fmt: skip
        if same:
            raise No("claimed", by_till=same[0].till_id, by_claim=same[0].event_id)
        asked_on = date.fromisoformat(self._row.business_date)
        sold_on = receipt.place.business_date
        if not sold_on <= asked_on <= sold_on + timedelta(days=rules.within_days):
            raise No("too_old", sold_on=sold_on.isoformat(), within_days=rules.within_days)
        day = {"account_id": self._row.account_id, "business_date": self._row.business_date}
        if len(find(self._tx, receipt_claim, [day], ["seq"], receipt_claim.c.state == "granted")) >= (
            rules.per_card_per_day
        ):
            raise No("too_many", per_card_per_day=rules.per_card_per_day)
        owner = find(self._tx, account, [{"account_id": self._owner()}], ["status"])
        if not owner or owner[0].status == "closed":
            raise No("member_gone")

    def _points(self, receipt: Receipt, detail: ReceiptDetail, lines: Sequence[ReturnLine]) -> _PARTS:
        rules = compiled(self._tx, [detail.programme_version]).get(detail.programme_version)
        if rules is None:
            raise No("not_priceable", version=detail.programme_version)
        try:
            return claimed_points(rules, receipt, detail, lines)
        except Trouble as trouble:
            raise No("not_priceable", code=trouble.code) from None

    def _write(
        self, facts: AccountFacts, sale: Row[Any], receipt: Receipt, detail: ReceiptDetail, earned: _PARTS
    ) -> None:
        before = msgspec.json.decode(self._row.granted, type=_PARTS)
        more, less = _difference(earned, before)
        if more or less:
            fact = ClaimSettled(
                receipt_id=f"claim:{self._ref.till_id}:{self._ref.epoch}:{self._ref.seq}:{self._row.facts + 1}",
                account_id=self._owner(),
                on=receipt.place.business_date,
                at_partner_id=receipt.place.partner_id,
                of=EventRef(till_id=sale.till_id, epoch=sale.epoch, seq=sale.seq),
                by=self._ref,
                granted=more,
                reversed=less,
                clamp=detail.rules.clawback_short == "clamp",
            )
            facts.post([fact])
        self._keep(
            state="granted",
            due=0,
            points=sum(part.points for part in earned),
            granted=msgspec.json.encode(earned).decode(),
            facts=self._row.facts + bool(more or less),
            of_till=sale.till_id,
            of_epoch=sale.epoch,
            of_seq=sale.seq,
            mark=mark_of(receipt, labels_of(self._tx, sale.till_id)),
            decided_at_ms=self._row.decided_at_ms or self._now_ms,
        )

    def _keep(self, **values: Any) -> None:
        told = {f"to_{name}": value for name, value in values.items()}
        tell(self._tx, _becoming(tuple(values)), {**_named(self._ref), **told})

    def _owner(self) -> int:
        """The account that it is for, the one that it lives on in where it was merged."""
        return survivor_of(self._tx, self._row.account_id)


def _keep_others_from(tx: Connection, sale: Row[Any]) -> None:
    """Whoever takes goods of an anonymous sale back locks the sale, and so do we."""
    put(tx, event, [dict(sale._mapping)], {"checked": "keep"})


def _with_returns(tx: Connection, sale: Row[Any]) -> tuple[Receipt, ReceiptDetail, Sequence[ReturnLine], bool]:
    """The receipt, what came back of it, and whether it was voided. Raises: No, where it cannot be read any more."""
    of = EventRef(till_id=sale.till_id, epoch=sale.epoch, seq=sale.seq)
    key = {"account_id": NOBODY, "of_till": of.till_id, "of_epoch": of.epoch, "of_seq": of.seq}
    by = [EventRef(till_id=row.by_till, epoch=row.by_epoch, seq=row.by_seq) for row in find(tx, reversed_, [key])]
    heads = stored_heads(tx, [of, *by])
    heads |= {ref: one.fact for ref, one in fixed_at(tx, by).items()}
    receipt = heads.get(of)
    try:
        if not isinstance(receipt, Receipt):
            raise No("not_priceable")
        detail = read_detail(receipt)
        returns = standing_returns(head for ref, head in heads.items() if ref != of)
        lines = [line for head in returns for line in msgspec.json.decode(head.detail, type=ReturnDetail).lines]
    except (Trouble, msgspec.MsgspecError):
        raise No("not_priceable") from None
    return receipt, detail, lines, any(isinstance(head, Void) for head in heads.values())


def _difference(earned: _PARTS, before: _PARTS) -> tuple[_PARTS, _PARTS]:
    """What is to be granted and what to be taken back, so that what was granted before becomes what it should be."""
    wanted, had = _sums(earned), _sums(before)
    steps = {key: wanted.get(key, 0) - had.get(key, 0) for key in sorted(wanted.keys() | had.keys())}
    more = tuple(_part(key, points) for key, points in steps.items() if points > 0)
    return more, tuple(_part(key, -points) for key, points in steps.items() if points < 0)


def _sums(parts: _PARTS) -> Mapping[tuple[str, date], int]:
    sums: dict[tuple[str, date], int] = {}
    for part in parts:
        key = part.issuer_id, part.valid_through
        sums[key] = sums.get(key, 0) + part.points
    return sums


def _part(key: tuple[str, date], points: int) -> Earned:
    return Earned(issuer_id=key[0], valid_through=key[1], points=points)


def _named(ref: EventRef) -> Mapping[str, Any]:
    return {f"in_{name}": getattr(ref, name) for name in _PLACE}


@cache
def _becoming(names: tuple[str, ...]) -> Any:
    """Writes these columns of a claim."""
    return update(receipt_claim).where(*_HERE).values({name: bindparam(f"to_{name}") for name in names})
