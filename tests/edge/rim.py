"""A till with its counter, small enough to read: a programme in euro, one member, a float to spend from."""

from pathlib import Path
from typing import Any

from edge.cache.cache import Cache
from edge.counter.desk import Desk
from edge.devices.peripherals import Peripherals
from edge.devices.readers import Readers
from edge.identity import TillIdentity
from edge.journal.journal import Journal, open_epoch
from edge.line.uplink import Uplink
from edge.ports import Clock, Instant, Settings
from edge.sale.till import Till
from edge.web.health import Health
from edge.web.http import till_app
from loyalty.cards.cards import Card, card_token
from loyalty.members import MemberRow, PublishedMember
from loyalty.programme.programme import Programme, read_programme
from sync.keys import Signer
from sync.wire import Grant, Identity, SignedGrant

CARD = "2012345678903"  # of the member below
STRANGER = "2099999999998"  # in our range, but nobody knows it
GOODS = "4006381333931"
PAYMENT = "4111111111111111"
TILL = "0123456789abcdef0123456789abcdef"

PROGRAMME = """
id: rim
name: Bonus Verde
currency: EUR
lifetime: {months: 12, end_of: month}
cards:
  ranges: [{kind: ean13, prefix: "20"}]
spending:
  step_points: 100
  step_minor: 100
  offline: {sale_points: 1000, card_points: 2000, till_points: 5000}
promotions:
  - id: coffee
    name: Coffee week
    then: [{kind: percent_off, percent_bp: 2000, of: {category: [[Coffee]]}}]
    messages: [{place: customer, text: {en: "Coffee week: you save {saved}", pl: "Tydzień kawy: {saved} taniej"}}]
  - id: base
    who: {card: true}
    then: [{kind: earn, points: 1, per_minor: 10}]
  - id: basket-30
    who: {card: true}
    when: [{kind: spend, at_least_minor: 3000}]
    then: [{kind: multiply_points, times_percent: 200}]
    messages: [{place: customer, case: missed, text: {en: "Only {short_of} more and your points double"}}]
"""


def programme() -> Programme:
    return read_programme(PROGRAMME)


def identity() -> TillIdentity:
    centre = Signer(bytes(31) + b"\x01", 1)
    granted = Identity(
        till_id=TILL, epoch=1, key_no=1, genesis="11" * 32, partner_id="verde", store_id="S1", label="3",
        centre_public_key=centre.public, centre_key_no=1, card_key="22" * 32, card_key_id="1", server_at_ms=0,
    )  # fmt: skip
    return TillIdentity(seed="33" * 32, install_id="44" * 16, granted=granted)


def member(balance_points: int = 1240) -> PublishedMember:
    token = card_token(identity().card_key, Card(kind="ean13", number=CARD, last4="8903"))
    row = MemberRow(account_id=77, version=3, balance_points=balance_points, tier="gold", counters=())
    return PublishedMember(row=row, cards=(token,), language="en")


def a_float(now_ms: int, points: int = 5000) -> SignedGrant:
    grant = Grant(
        lease_id="float-1", grant_no=1, till_id=TILL, epoch=1, key_no=1, account_id=None, points=points,
        spend_for_s=86_400, settle_until_ms=now_ms + 2 * 86_400_000, granted_at_ms=now_ms,
    )  # fmt: skip
    return SignedGrant(grant=grant, signed=b"signed")


def settings(folder: Path, **more: Any) -> Settings:
    return Settings(**{"data_dir": str(folder), "shop_name": "Café Central", "offset_min": 60, **more})


def line(no: int, sku: str, amount_minor: int, **more: Any) -> dict[str, Any]:
    return {"line": no, "sku": sku, "amount_minor": amount_minor, **more}


def basket(*lines: dict[str, Any], currency: str = "EUR") -> dict[str, Any]:
    coffee = line(1, "espresso", 1000, name="Espresso beans 1 kg", category=["Coffee"])
    return {"currency": currency, "lines": list(lines) or [coffee, line(2, "bread", 250, name="Rye bread")]}


def quote(**more: Any) -> dict[str, Any]:
    return {"quote_id": "Q1", "card": CARD, "basket": basket(), "sold_at": "2026-03-05T18:30:00+01:00", **more}


def commit(**more: Any) -> dict[str, Any]:
    return {**quote(), "receipt_id": "R1", "tenders": [{"kind": "cash", "amount_minor": 1050}], **more}


class HandClock:
    """A clock that stands until it is moved."""

    def __init__(self, wall_ms: int = 1_772_731_800_000) -> None:  # 2026-03-05 17:30 UTC
        self.mono_ms, self.wall_ms = 1_000_000, wall_ms

    def now(self) -> Instant:
        return Instant(mono_ms=self.mono_ms, wall_ms=self.wall_ms, boot="boot-1")

    def move(self, ms: int) -> None:
        self.mono_ms += ms
        self.wall_ms += ms


class Rim:
    """A till behind its Flask client, in memory unless in files; `offline` and the clock are the test's to set."""

    def __init__(self, folder: Path, *, with_programme: bool = True, in_files: bool = False, **more: Any) -> None:
        self.clock, self.identity, self.offline = HandClock(), identity(), False
        self.settings = settings(folder, **more)
        self.journal = Journal.open(folder / "journal.db" if in_files else ":memory:", self.identity, self.clock)
        open_epoch(self.journal, "enrolled")
        self.cache = Cache.open(folder / "cache.db" if in_files else ":memory:", self.identity, self.clock)
        if with_programme:
            furnish(self.journal, self.cache, self.clock)
        parts = {"journal": self.journal, "cache": self.cache, "clock": self.clock, "settings": self.settings}
        till = Till(**parts, identity=self.identity, is_offline=lambda: self.offline)
        self.uplink = Uplink(**parts, identity=self.identity, random_bits=lambda bits: 0)
        self.desk = Desk(
            till=till,
            identity=self.identity,
            settings=self.settings,
            clock=self.clock,
            is_offline=lambda: self.offline,
        )
        self.readers = Readers(self.desk, ())
        self.peripherals = Peripherals(self.settings, self.desk)
        self.health = Health(
            desk=self.desk, journal=self.journal, uplink=self.uplink, readers=self.readers.health, chores=dict,
            peripherals=self.peripherals,
        )  # fmt: skip
        self.app = till_app(self.desk, self.health, self.readers, self.peripherals)
        self.client = self.app.test_client()

    def post(self, path: str, body: Any, **headers: str) -> Any:
        return self.client.post(path, json=body, headers=headers)


def furnish(journal: Journal, cache: Cache, clock: Clock) -> None:
    """The programme, the member, and a float of 5,000 points."""
    cache.load_programme(programme())
    cache.load_members([member()])
    now = clock.now()
    with journal.writing():
        journal.promises.take_grants([a_float(now.wall_ms)], now)
