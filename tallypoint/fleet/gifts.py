"""Gift certificates at one POS: activated, topped up, blocked; selling and paying with them is a sale's."""

from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from edge.certificates import CertificateOrder, order_certificate
from loyalty.members import Use
from tallypoint.fleet.asking import First
from tallypoint.fleet.customers import Customers
from tallypoint.fleet.machine import Machine
from tallypoint.fleet.record import Record, Told

USED = "certificate:"
Moved = tuple[tuple[str, int], ...]


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
        """One that is about, as soon as there are any."""
        return self._dice.choice(self._customers.gifts) if self._customers.gifts else "GCNOBODYS"

    def order(self) -> Callable[[Machine], None]:
        """A certificate is activated or topped up with money taken outside a sale, or blocked."""
        what: Any = self._dice.choice(("activate", "activate", "activate", "top_up", "top_up", "block"))
        code = self.new_code() if what == "activate" else self.some_code()
        amount = 0 if what == "block" else self._dice.randrange(500, 5_000)
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
