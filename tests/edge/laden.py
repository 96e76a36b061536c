"""A programme with a little of everything for till and counter, and short ways to lay codes on it.

With a card one point a euro; a coupon for the next visit from 20.00 on, worth 2.00; three cheap teas and no more;
pots at half price while 10.00 of a budget last. 100 points are worth 1.00, a mug is a prize for 300.
"""

from typing import Any

from edge.cache.cache import Cache
from edge.journal.journal import Journal, open_epoch
from edge.ports import Settings
from edge.sale.asks import CommitAsk, SaleAsk
from edge.sale.certificate_names import code_token
from edge.sale.till import Till
from loyalty.baskets import Basket, CertificateAsk, Line
from loyalty.members import PublishedMember, WalletItem
from loyalty.programme.programme import read_programme
from tests.edge.counter import ANA, NOON_MS, FakeClock, identity, published

DAY_MS = 86_400_000
OTHER_TILL = "cd" * 16
PROGRAMME = """
id: laden
currency: EUR
cards: {ranges: [{kind: ean13, prefix: "299"}]}
spending:
  step_points: 1
  step_minor: 1
  offline: {sale_points: 500, card_points: 800, till_points: 5000}
coupons:
  - {id: next-visit, name: 2.00 off, good_after_days: 1, good_for_days: 30}
  - {id: yours, name: A cake for you, holder: personal, good_for_days: 10}
prizes: [{id: mug, points: 300, of: {sku: [mug]}, name: A mug}]
certificates: {sold: {tags: [gift-card]}, wallet: true}
promotions:
  - {id: base, who: {card: true}, then: [{kind: earn, points: 1, per_minor: 100}]}
  - id: come-again
    when: [{kind: spend, at_least_minor: 2000}]
    then: [{kind: issue_coupon, coupon: next-visit}]
  - {id: came-again, trigger: {kind: coupon, coupon: next-visit}, then: [{kind: amount_off, amount_minor: 200}]}
  - {id: asked, trigger: {kind: event, event: survey}, who: {card: true}, then: [{kind: issue_coupon, coupon: yours}]}
  - id: cake
    trigger: {kind: coupon, coupon: yours}
    then: [{kind: percent_off, percent_bp: 10000, of: {sku: [cake]}}]
  - {id: joined, trigger: {kind: event, event: enrolment}, then: [{kind: points, points: 100}]}
  - {id: tea, limits: {times_in_all: 3}, then: [{kind: amount_off, amount_minor: 100, of: {sku: [tea]}}]}
  - {id: pots, limits: {budget_minor: 1000}, then: [{kind: percent_off, percent_bp: 5000, of: {sku: [pot]}}]}
  - {id: party, valid: {birthday: {days_before: 1}}, then: [{kind: points, points: 50}]}
  - {id: years, valid: {anniversary: {}}, then: [{kind: points, points: 70}]}
  - id: untaxed
    when: [{kind: spend, at_least_minor: 1000, tax: out, of: {sku: [wine]}}]
    then: [{kind: amount_off, amount_minor: 50, of: {sku: [wine]}}]
  - id: help-yourself
    where: {till_kinds: [self-service]}
    then: [{kind: amount_off, amount_minor: 10, of: {sku: [bread]}}]
"""


BARE = """
id: bare
currency: EUR
cards: {ranges: [{kind: ean13, prefix: "299"}]}
"""


def laden_till(clock: FakeClock, till_id: str = OTHER_TILL) -> Till:
    """A till in memory with this programme and Ana's 1,000 points; nothing of what other tills did has come to it."""
    journal = Journal.open(":memory:", identity(till_id=till_id), clock)
    open_epoch(journal, "enrolled")
    cache = Cache.open(":memory:", identity(till_id=till_id), clock)
    cache.load_programme(read_programme(PROGRAMME))
    cache.load_members([published("ana")])
    settings = Settings(data_dir="-")
    return Till(journal=journal, cache=cache, clock=clock, settings=settings, identity=identity(till_id=till_id))


def laying(
    *goods: tuple[str, int], card: str | None = ANA, days: int = 0, certificates: tuple[tuple[str, int], ...] = (),
    hold_id: str | None = None, tax_bp: int = 0, **basket: Any,
) -> SaleAsk:  # fmt: skip
    """Goods as (sku, minor units), so many days after the fifth of March, with whatever else a basket may have."""
    lines = tuple(
        Line(line=n, sku=sku, amount_minor=minor, tax_bp=tax_bp) for n, (sku, minor) in enumerate(goods, start=1)
    )
    laid = tuple(CertificateAsk(code=code, amount_minor=minor) for code, minor in certificates)
    made = Basket(receipt_id="quote", currency="EUR", lines=lines, certificates=laid, **basket)
    return SaleAsk(basket=made, card=card, sold_at_ms=NOON_MS + days * DAY_MS, hold_id=hold_id)


def committed(receipt_id: str, ask: SaleAsk, **more: Any) -> CommitAsk:
    return CommitAsk(sale=ask, receipt_id=receipt_id, **more)


def with_stored(certificate: str = "", minor: int = 0, wallet_minor: int = 0, **more: Any) -> PublishedMember:
    """Ana with a certificate of her own, by its code, and money in her wallet."""
    token = code_token(identity().card_key, certificate)
    item = WalletItem(code=token, kind="certificate", account_id=1, balance_minor=minor)
    return published("ana", wallet=(item,) if certificate else (), stored_minor=wallet_minor, **more)
