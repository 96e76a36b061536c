"""Baskets laid aside at one till and taken up again there, or at another till of the store; or laid aside at head
office, and taken up at any till of the partner."""

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from edge.api.bodies import BasketBody, BasketLine, ParkBody
from edge.parking.parking import AWAY, give, park, park_away, read_parked
from edge.sale.asks import SaleAsk
from loyalty.baskets import Basket, Line
from tallypoint.fleet.coalition import partner_of
from tallypoint.fleet.customers import Customers
from tallypoint.fleet.machine import Machine
from tallypoint.fleet.record import Record


class Aside(NamedTuple):
    """A basket that waits, as its POS laid it aside; `token` is the card's, none for no card. `left_by`: the till that
    left it at head office, "" where it lies at the till itself."""

    park_id: str
    store_id: str
    lines: tuple[Line, ...]
    token: str | None
    left_by: str = ""


class Parking:
    """What all POS systems together have laid aside."""

    def __init__(self, customers: Customers, record: Record) -> None:
        self._customers, self._record = customers, record
        self._aside: list[Aside] = []

    def lay_aside(
        self, park_id: str, lines: tuple[Line, ...], card: str | None, *, anywhere: bool
    ) -> Callable[[Machine], None]:
        """Park a basket under an id."""

        def do(machine: Machine) -> None:
            told = [BasketLine(line=one.line, sku=one.sku, amount_minor=one.amount_minor) for one in lines]
            body = BasketBody(currency="EUR", lines=tuple(told))
            asked = ParkBody(basket=body, park_id=park_id, card=card, anywhere=anywhere)
            done = park_away(machine.till, asked, machine.office.leave) if anywhere else park(machine.till, asked)
            if not done.replayed:
                token = self._customers.token_of(card) if card else None
                left_by = machine.identity.till_id if anywhere else ""
                self._aside.append(Aside(park_id, machine.store_id, lines, token, left_by))

        return do

    def some(self, dice: Random, store_id: str) -> Aside | None:
        """One that waits at the store, and does not wait any more: whoever takes it up has one try."""
        owner = partner_of(store_id)
        here = [one for one in self._aside
                if one.store_id == store_id or (one.left_by and partner_of(one.store_id) == owner)]  # fmt: skip
        if not here:
            return None
        chosen = dice.choice(here)
        # Some are asked for twice, as by two cashiers who both saw it on their list: more where more of these are.
        if dice.random() < (0.2 if chosen.left_by else 0.7):
            self._aside.remove(chosen)
        return chosen

    def take_up(self, machine: Machine, aside: Aside, resume_id: str, at_ms: int) -> SaleAsk:
        """The basket as it comes back. Raises: as `edge.parking.over_lan.ParkedLan.bring` and `ParkedOffice.bring`."""
        journal = machine.journal
        before = journal.parked.find(aside.park_id)
        if aside.left_by and (before is None or before.state in AWAY):
            basket = machine.office.bring(aside.park_id, resume_id, aside.left_by)
        elif before is None:
            basket = machine.parked.bring(aside.park_id, resume_id, None)
        else:
            basket = give(journal, aside.park_id, machine.identity.till_id, resume_id)
        who = (machine.name, resume_id)
        may_be_twice = machine.has_suspect_kin() if aside.left_by else machine.has_suspect_peer()
        if self._record.resumed.setdefault(aside.park_id, who) != who and not may_be_twice:
            self._record.wrongs.append(f"parked: {aside.park_id} was taken up twice, by {who} and another")
        sale = read_parked(basket.body).sale
        lines = tuple(Line(line=one.line, sku=one.sku, amount_minor=one.amount_minor) for one in sale.basket.lines)
        if (lines, sale.card) != (aside.lines, aside.token):
            self._record.wrongs.append(f"parked: {aside.park_id} did not come back as it was laid aside")
        return SaleAsk(basket=Basket(receipt_id="", currency="EUR", lines=lines), card=sale.card, sold_at_ms=at_ms)
