"""What happens at the tills: sales with and without cards, points spent, goods that come back, retries, closes."""

from collections import deque
from collections.abc import Mapping
from importlib import resources
from random import Random
from typing import Any

from edge.asks import Asked, CommitAsk, Committed, HoldAsk, ReturnAsk, SaleAsk, TakenBack, VoidAsk
from edge.day import close_day
from edge.taking_back import take_back, void_receipt
from edge.till import Till
from loyalty.baskets import Basket, Line
from loyalty.check_digits import gs1_digit
from loyalty.programme import Programme, read_programme
from loyalty.receipts import Receipt
from loyalty.returned_lines import ReturnLine
from sync.chain import StreamHead
from tallypoint.fleet.grants import Authorities
from tallypoint.fleet.machine import Machine
from tallypoint.fleet.record import Kind, Place, Record, Told

CARD_PREFIX = "299071234"
PARTNERS = ("anchor", "birch")
# What a POS does, and how often; and where speed is the question, most of it selling.
USUAL = {"sale": 70, "spend": 12, "hold": 4, "return": 4, "void": 3, "again": 4, "close": 1}
SELDOM = {"sale": 1_900, "spend": 50, "hold": 2, "return": 20, "void": 14, "again": 10, "close": 4}
AT_HOME = 0.95  # of their sales
_KEPT = 40  # receipts that a POS may still take back, void or ask for again
_BASKETS = 64


def fleet_programme() -> Programme:
    """The programme as it ships."""
    return read_programme((resources.files("tallypoint.fleet") / "programme.yaml").read_text("utf-8"))


def coalition(stores: int) -> dict[str, Any]:
    """Two partners under the same terms, who share the stores."""
    return {
        "currency": "EUR",
        "partners": [
            {
                "partner_id": partner,
                "stores": [{"store_id": store_name(n)} for n in range(stores) if n % len(PARTNERS) == place],
                "terms": [
                    {"terms_id": f"{partner}-1", "from_on": "2000-01-01", "funding_micro": 10_000,
                     "reimburse_micro": 9_400}
                ],
            }
            for place, partner in enumerate(PARTNERS)
        ],
    }  # fmt: skip


def store_name(number: int) -> str:
    """The id of a store."""
    return f"store-{number}"


def card_numbers(count: int) -> tuple[str, ...]:
    """So many card numbers of the programme."""
    bodies = (f"{CARD_PREFIX}{n:03d}" for n in range(count))
    return tuple(body + gs1_digit(body) for body in bodies)


class Pos:
    """The POS of one till. It is a system of its own, so it remembers what it was told when its till does not.

    Args:
        cards: the members' card numbers; `home`: of those who mostly come here; `accounts`: account by card token.
        card_share: how many of a hundred sales have a card; `doings`: what it does, and how often.
    """

    def __init__(
        self, name: str, dice: Random, cards: tuple[str, ...], home: tuple[str, ...], accounts: Mapping[str, int],
        card_share: int, doings: Mapping[str, int], record: Record, authority: Authorities,
    ) -> None:  # fmt: skip
        self.name = name
        self._dice, self._cards, self._accounts, self._card_share = dice, cards, accounts, card_share
        self._home = home
        self._record, self._authority = record, authority
        self._baskets = [_lines(dice) for _ in range(_BASKETS)]
        self._doings, self._weights = list(doings), list(doings.values())
        self._sold: deque[tuple[CommitAsk, Receipt, Place]] = deque(maxlen=_KEPT)
        self._reversed: set[str] = set()
        self._numbers = 0

    def next_doing(self) -> Any:
        """One thing to do at a machine's till; it may be done again after a crash, with the same ids."""
        what = self._dice.choices(self._doings, self._weights)[0]
        if what in ("return", "void", "again") and not self._sold:
            what = "sale"
        return getattr(self, f"_{what}")()

    # Each makes up its ids once, so that asking again is a retry

    def _sale(self) -> Any:
        ask_of = self._basket()

        def do(machine: Machine) -> None:
            ask = CommitAsk(sale=ask_of(machine), receipt_id=receipt_id)
            self._sold_by(machine, ask, machine.till.commit(ask))

        receipt_id = self._id("r")
        return do

    def _spend(self) -> Any:
        ask_of, receipt_id = self._basket(with_card=True), self._id("r")
        wanted = self._dice.randrange(1, 120)
        asked: list[CommitAsk] = []

        def do(machine: Machine) -> None:
            if not asked:
                sale = ask_of(machine)
                most = machine.till.quote(sale).quote.redemption.most_points
                asked.append(_paid_with(machine.till, sale, receipt_id, min(wanted, most), ""))
            self._sold_by(machine, asked[0], machine.till.commit(asked[0]))

        return do

    def _hold(self) -> Any:
        ask_of, receipt_id, hold_id = self._basket(with_card=True), self._id("r"), self._id("h")
        wanted, forgets = self._dice.randrange(1, 150), self._dice.random() < 0.3
        asked: list[CommitAsk] = []

        def do(machine: Machine) -> None:
            if not asked:
                sale = ask_of(machine)
                assert sale.card is not None
                held = machine.till.hold(HoldAsk(hold_id=hold_id, card=sale.card, points=wanted, partial=True))
                if forgets:  # the customer left, and the hold lapses
                    return
                asked.append(_paid_with(machine.till, sale, receipt_id, held.points, hold_id))
            self._sold_by(machine, asked[0], machine.till.commit(asked[0]))

        return do

    def _return(self) -> Any:
        (sold, receipt, _), return_id = self._dice.choice(self._sold), self._id("b")
        count = self._dice.randrange(1, 4)

        def do(machine: Machine) -> None:
            if receipt.receipt_id in self._reversed:
                return
            lines = tuple(
                ReturnLine(line=one.line, quantity_milli=one.quantity_milli) for one in sold.sale.basket.lines[:count]
            )
            asked = ReturnAsk(
                return_id=return_id, of=receipt.receipt_id, lines=lines, sold_at_ms=machine.clock.now().wall_ms
            )
            back = take_back(machine.till, asked)
            self._reversed.add(receipt.receipt_id)
            self._came_back(receipt, back)

        return do

    def _void(self) -> Any:
        _, receipt, _ = self._sold[-1]

        def do(machine: Machine) -> None:
            if receipt.receipt_id in self._reversed:
                return
            voided = void_receipt(
                machine.till, VoidAsk(receipt_id=receipt.receipt_id, sold_at_ms=machine.clock.now().wall_ms)
            )
            self._reversed.add(receipt.receipt_id)
            earned, spent = _points(receipt)
            account = self._account(receipt)
            if self._tell("void", voided.void.receipt_id, account, spent - earned, 0, voided.head):
                self._record.trade(account, earned=0, spent=-spent)

        return do

    def _again(self) -> Any:
        """A POS that lost an answer long ago asks for it once more."""
        ask, receipt, place = self._dice.choice(self._sold)

        def do(machine: Machine) -> None:
            again = machine.till.commit(ask)
            if _place(again.head) == place:
                return
            if not machine.forgot:
                self._record.wrongs.append(f"{self.name}: a retry of {receipt.receipt_id} became another event")
            self._sold_by(machine, ask, again)

        return do

    def _close(self) -> Any:
        def do(machine: Machine) -> None:
            today = machine.till.place(Asked(sold_at_ms=machine.clock.now().wall_ms)).business_date
            closed = close_day(machine.till, today)
            self._tell("close", closed.close.receipt_id, 0, 0, 0, closed.head)

        return do

    # What was told

    def _sold_by(self, machine: Machine, ask: CommitAsk, told: Committed) -> None:
        receipt = told.receipt
        earned, spent = _points(receipt)
        account = self._account(receipt)
        if not self._tell("sale", receipt.receipt_id, account, earned - spent, spent, told.head):
            return
        self._record.trade(account, earned=earned, spent=spent)
        if receipt.redemption is not None:
            paid = receipt.redemption
            whose = (machine.identity.till_id, machine.identity.epoch)
            if machine.suspect or machine.has_suspect_peer():
                self._record.doubled += spent
            else:
                self._authority.spent(whose, paid.lease_id if paid.authority != "float" else "", spent)
        self._sold.append((ask, receipt, _place(told.head)))

    def _came_back(self, receipt: Receipt, back: TakenBack) -> None:
        one, account = back.returned, self._account(receipt)
        earned, gone = sum(part.points for part in one.earned), sum(part.points for part in one.reversed)
        points = earned + one.restored_points - gone
        if self._tell("return", one.receipt_id, account, points, 0, back.head):
            self._record.trade(account, earned=earned, spent=-one.restored_points)

    def _tell(self, kind: Kind, event_id: str, account: int, points: int, spent: int, head: StreamHead) -> bool:
        return self._record.tell(Told(_place(head), kind, event_id, account, points, spent))

    def _account(self, receipt: Receipt) -> int:
        return receipt.account_id or self._accounts.get(receipt.card_token or "", 0)

    def _basket(self, *, with_card: bool = False) -> Any:
        lines = self._dice.choice(self._baskets)
        has_card = self._dice.randrange(100) < self._card_share or with_card
        is_home = bool(self._home) and self._dice.random() < AT_HOME
        card = self._dice.choice(self._home if is_home else self._cards) if has_card else None
        basket = Basket(receipt_id="", currency="EUR", lines=lines)
        at: list[int] = []

        def ask(machine: Machine) -> SaleAsk:
            at.append(machine.clock.now().wall_ms)  # a retry says the time of the first try
            return SaleAsk(basket=basket, card=card, sold_at_ms=at[0])

        return ask

    def _id(self, letter: str) -> str:
        self._numbers += 1
        return f"{self.name}-{letter}{self._numbers}"


def _paid_with(till: Till, sale: SaleAsk, receipt_id: str, points: int, hold_id: str) -> CommitAsk:
    """A sale that is quoted with points and will be committed as quoted."""
    basket = Basket(receipt_id="", currency="EUR", lines=sale.basket.lines, points_to_spend=points)
    sale = SaleAsk(basket=basket, card=sale.card, sold_at_ms=sale.sold_at_ms, hold_id=hold_id or None)
    quote = till.quote(sale).quote
    return CommitAsk(sale=sale, receipt_id=receipt_id, programme_version=quote.programme_version, digest=quote.digest)


def _points(receipt: Receipt) -> tuple[int, int]:
    return sum(part.points for part in receipt.earned), receipt.redemption.points if receipt.redemption else 0


def _place(head: StreamHead) -> Place:
    return (head.till_id, head.epoch, head.seq, head.hash)


def _lines(dice: Random) -> tuple[Line, ...]:
    return tuple(
        Line(line=n, sku=dice.choice(("milk", "bread", "tea", "soap")), amount_minor=dice.randrange(50, 3_000))
        for n in range(1, dice.randrange(2, 5))
    )
