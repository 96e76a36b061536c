"""What a till's tests share: cards, a programme, and short ways to say a sale.

One point for each whole euro; with a card milk is a tenth cheaper, coffee half price once a month. 100 points are
worth 1 euro. Offline at most 500 points a sale and 800 a card.
"""

from typing import Any

from edge.identity import TillIdentity
from edge.ports import Instant
from edge.sale.asks import CommitAsk, HoldAsk, ReturnAsk, SaleAsk, VoidAsk
from edge.sale.till import Till
from loyalty.baskets import Basket, Line
from loyalty.cards.cards import Card, card_token
from loyalty.facts.reversals import ReturnLine
from loyalty.members import MemberRow, PublishedMember
from sync.keys import Signer
from sync.wire import Grant, Identity, SignedGrant

CENTRE = Signer(b"C" * 32)
TILL_ID = "ab" * 16
NOON_MS = 1_772_712_000_000  # 2026-03-05 12:00 UTC
ANA = "2990000000019"
BEN = "2990000000026"
BLOCKED = "2990000000095"
VISA = "4111111111111111"
GOODS = "5901234123457"
ACCOUNTS = {"ana": (1, ANA), "ben": (2, BEN)}

RULES = """
id: corner-shop
currency: EUR
cards: {ranges: [{kind: ean13, prefix: "299"}]}
promotions:
  - {id: base, who: {card: true}, then: [{kind: earn, points: 1, per_minor: 100}]}
  - id: milk
    who: {card: true}
    then: [{kind: percent_off, percent_bp: 1000, of: {sku: [milk]}}]
    messages: [{place: receipt, text: {en: "You saved {saved} on milk", pl: "Zaoszczędzono {saved} na mleku"}}]
  - id: coffee
    who: {card: true}
    limits: {times: 1, per: month}
    then: [{kind: percent_off, percent_bp: 5000, of: {sku: [coffee]}}]
"""
SPENDING = "spending: {step_points: 1, step_minor: 1"
PROGRAMME = RULES + SPENDING + ", offline: {sale_points: 500, card_points: 800, till_points: 5000}}\n"
ALONE = RULES + SPENDING + "}\n"


class FakeClock:
    """Two clocks that move only when told."""

    def __init__(self) -> None:
        self.mono_ms, self.wall_ms, self.boot = 1_000_000, NOON_MS, "boot 1"

    def now(self) -> Instant:
        return Instant(mono_ms=self.mono_ms, wall_ms=self.wall_ms, boot=self.boot)

    def pass_ms(self, ms: int) -> None:
        self.mono_ms += ms
        self.wall_ms += ms

    def reboot(self, wall_ms: int = 0) -> None:
        """Start the machine again, `wall_ms` later by the wall clock."""
        self.boot += "'"
        self.mono_ms = 0
        self.wall_ms += wall_ms


def identity(epoch: int = 1, till_id: str = TILL_ID) -> TillIdentity:
    granted = Identity(
        till_id=till_id,
        epoch=epoch,
        key_no=1,
        genesis="0f" * 32,
        partner_id="fresh",
        store_id="s1",
        label="till 1",
        centre_public_key=CENTRE.public,
        centre_key_no=1,
        card_key="1e" * 32,
        card_key_id="1",
        server_at_ms=NOON_MS,
    )
    return TillIdentity(seed="2d" * 32, install_id="install", granted=granted)


def token(number: str) -> str:
    return card_token(identity().card_key, Card(kind="ean13", number=number, last4=number[-4:]))


def published(name: str, *, points: int = 1_000, version: int = 1, **more: Any) -> PublishedMember:
    """A member as head office tells of them; `more` are other facts, of the row or beside it."""
    account_id, number = ACCOUNTS[name]
    beside = {fact: more.pop(fact) for fact in ("language", "closed") if fact in more}
    row = MemberRow(account_id=account_id, version=version, balance_points=points, **{"counters": (), **more})
    return PublishedMember(row=row, cards=(token(number),), **beside)


def grant_float(till: Till, points: int, grant_no: int = 1, spend_for_s: int = 86_400) -> None:
    now = till.clock.now()
    grant = Grant(
        lease_id=f"float {grant_no}",
        grant_no=grant_no,
        till_id=TILL_ID,
        epoch=1,
        key_no=1,
        account_id=None,
        points=points,
        spend_for_s=spend_for_s,
        settle_until_ms=now.wall_ms + 7 * 86_400_000,
        granted_at_ms=now.wall_ms,
    )
    with till.journal.writing():
        till.journal.promises.take_grants([SignedGrant(grant=grant, signed=b"signed")], now)


def line(number: int, sku: str, amount_minor: int, quantity_milli: int = 1000) -> Line:
    return Line(line=number, sku=sku, amount_minor=amount_minor, quantity_milli=quantity_milli)


def sale(*lines: Line, card: str | None = ANA, points: int = 0, **more: Any) -> SaleAsk:
    """A basket at noon; bread for ten euros where no lines are given."""
    goods = lines or (line(1, "bread", 1_000),)
    basket = Basket(receipt_id="quote", currency="EUR", lines=goods, points_to_spend=points)
    return SaleAsk(basket=basket, card=card, sold_at_ms=NOON_MS, **more)


def commit(receipt_id: str, ask: SaleAsk | None = None, **more: Any) -> CommitAsk:
    return CommitAsk(sale=ask or sale(), receipt_id=receipt_id, **more)


def hold(hold_id: str, points: int, card: str = ANA) -> HoldAsk:
    return HoldAsk(hold_id=hold_id, card=card, points=points)


def void(receipt_id: str) -> VoidAsk:
    return VoidAsk(receipt_id=receipt_id, sold_at_ms=NOON_MS)


def back(return_id: str, of: str | None, *lines: tuple[int, int, int], **more: Any) -> ReturnAsk:
    """Lines as (line, thousandths, what the POS pays out)."""
    rows = tuple(ReturnLine(line=no, quantity_milli=milli, amount_minor=minor) for no, milli, minor in lines)
    return ReturnAsk(return_id=return_id, of=of, lines=rows, sold_at_ms=NOON_MS, **more)
