"""Gift certificates at one POS: activated, topped up, blocked, laid down to be paid with; the rest is a sale's."""

from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from edge.sale.asks import CommitAsk, Committed, SaleAsk
from edge.sale.certificates import CertificateOrder, order_certificate
from loyalty.baskets import Basket, CertificateAsk, Line
from loyalty.members import Use
from loyalty.trouble import Refusal
from tallypoint.fleet.asking import First
from tallypoint.fleet.customers import Customers
from tallypoint.fleet.machine import Machine
from tallypoint.fleet.record import Record, Told

USED = "certificate:"
NOT_COVERED = "certificate.not_covered"
GO_ROUND = 3  # certificates with much on them that go from hand to hand, so that two tills see one at a time
Moved = tuple[tuple[str, int], ...]


class LaidDown:
    """A basket with a certificate laid against it: quoted, and paid then or later."""

    def __init__(self, basket: Basket, card: str | None, receipt_id: str) -> None:
        self._basket, self._card, self._receipt_id, self._at = basket, card, receipt_id, First()
        self._ask: CommitAsk | None = None

    def quote(self, machine: Machine) -> CommitAsk:
        """What the certificate may pay now, which a till that has the line has head office set aside."""
        sale = SaleAsk(basket=self._basket, card=self._card, sold_at_ms=self._at.ms(machine))
        quote = machine.till.quote(sale).quote
        self._ask = CommitAsk(
            sale=sale, receipt_id=self._receipt_id, programme_version=quote.programme_version, digest=quote.digest
        )
        return self._ask

    def pay(self, machine: Machine) -> tuple[CommitAsk, Committed]:
        """Pay as it was quoted, and where less is covered by now, as it is quoted then."""
        ask = self._ask or self.quote(machine)
        try:
            return ask, machine.till.commit(ask)
        except Refusal as no:
            if no.code != NOT_COVERED:
                raise
        ask = self.quote(machine)
        return ask, machine.till.commit(ask)


class Gifts:
    """What a POS does to certificates beside its sales."""

    def __init__(self, name: str, dice: Random, customers: Customers, record: Record) -> None:
        self._name, self._dice, self._customers, self._record = name, dice, customers, record
        self._numbers = 0

    def new_code(self) -> str:
        """A code that nobody has had."""
        self._numbers += 1
        return f"GC{self._name.replace('-', '')}N{self._numbers}".upper()

    def some_code(self) -> str:
        """One that is about, as soon as there are any; often one of the first."""
        gifts = self._customers.gifts
        among = gifts[:GO_ROUND] if self._dice.random() < 0.6 else gifts
        return self._dice.choice(among) if among else "GCNOBODYS"

    def lay_down(self, lines: tuple[Line, ...], card: str | None, receipt_id: str) -> LaidDown:
        """A basket that is to be paid with a certificate, as far as there is money on it or with a part of it."""
        part = self._dice.choice((0, 0, self._dice.randrange(100, 2_500)))
        asked = CertificateAsk(code=self.some_code(), amount_minor=part)
        return LaidDown(
            Basket(receipt_id="", currency="EUR", lines=lines, certificates=(asked,)), card, receipt_id
        )

    def some_order(self) -> Callable[[Machine], None]:
        """A certificate is activated or topped up with money taken outside a sale, or blocked."""
        what: Any = self._dice.choice(("activate", "activate", "activate", "top_up", "top_up", "block"))
        return self.order(what, 0 if what == "block" else self._dice.randrange(500, 5_000))

    def order(self, what: Any, amount: int) -> Callable[[Machine], None]:
        """One of these, with so much money."""
        code = self.new_code() if what == "activate" else self.some_code()
        self._numbers += 1
        event_id = f"{self._name}-o{self._numbers}"
        at = First()

        def do(machine: Machine) -> None:
            ask = CertificateOrder(
                sold_at_ms=at.ms(machine), request_id=event_id, action=what, code=code, amount_minor=amount,
                currency="EUR", reason="lost" if what == "block" else "",
            )  # fmt: skip
            done = order_certificate(machine.till, ask).written
            if done is None:
                self._record.wrongs.append(f"certificate: {event_id} was asked and not written")
                return
            head, token = done.head, self._customers.gift_token(code)
            place = (head.till_id, head.epoch, head.seq, head.hash)
            told = Told(place, "certificate", event_id, gifts=((token, amount),) if amount else ())
            if not self._record.tell(told):
                return
            if what == "activate":
                self._customers.gifts.append(code)
            elif what == "block":
                self._record.blocked_gifts[place] = token

        return do


def moved(uses: Iterable[Use], put_on: Iterable[Any] = (), taken_off: Iterable[Any] = ()) -> Moved:
    """Minor units that an answer says came onto certificates, and went off them below 0."""
    sums: dict[str, int] = {}
    for use in uses:
        if use.name.startswith(USED):
            token = use.name.removeprefix(USED)
            sums[token] = sums.get(token, 0) + use.amount
    for sign, sold in ((1, put_on), (-1, taken_off)):
        for one in sold:
            sums[one.code] = sums.get(one.code, 0) + sign * one.amount_minor
    return tuple(sorted(sums.items()))
