"""What happens at the tills: sales with and without cards, points spent, goods that come back, retries, closes.

What customers want besides is in `counter`, `gifts` and `parked`.
"""

from collections import deque
from collections.abc import Callable, Mapping
from itertools import accumulate
from random import Random
from typing import Any

from msgspec.structs import replace

from edge.day.day import close_day
from edge.sale.asks import (
    Asked,
    CommitAsk,
    Committed,
    HoldAsk,
    ReturnAsk,
    SaleAsk,
    TakenBack,
    Unreturned,
    VoidAsk,
    Voided,
    VoidExchangeAsk,
    VoidReturnAsk,
)
from edge.sale.exchanging import ExchangeAsk, exchange
from edge.sale.taking_back import take_back, void_receipt
from edge.sale.till import Till
from edge.sale.voiding_returns import void_exchange, void_return
from loyalty.baskets import Basket, CertificateSale, Line
from loyalty.facts.receipts import Receipt
from loyalty.facts.returned_lines import ReturnLine
from loyalty.lots import EventRef
from sync.chain import StreamHead
from tallypoint.fleet.asking import First, Supervisor
from tallypoint.fleet.counter import Counter
from tallypoint.fleet.customers import VOUCHER, Customers, Kept, worth
from tallypoint.fleet.gifts import Gifts, LaidDown, moved
from tallypoint.fleet.grants import Authorities
from tallypoint.fleet.machine import Machine
from tallypoint.fleet.parked import Parking
from tallypoint.fleet.record import Place, Record, Told

# What a POS does, and how often; and where speed is the question, most of it selling.
USUAL = {
    "sale": 70, "spend": 12, "hold": 9, "return": 4, "void": 3, "again": 4, "close": 1, "join": 3, "card": 3,
    "consent": 3, "confirm": 1, "claim": 3, "gift_order": 3, "gift_sale": 3, "gift_pay": 5, "gift_lay": 7,
    "gift_settle": 6, "gift_back": 3, "exchange": 2, "unreturn": 4, "park": 4, "resume": 6,
}  # fmt: skip
SELDOM = {
    "sale": 1_890, "spend": 50, "hold": 2, "return": 20, "void": 14, "again": 10, "close": 4, "join": 1, "card": 1,
    "consent": 1, "confirm": 1, "claim": 1, "gift_order": 1, "gift_sale": 1, "gift_pay": 1, "gift_lay": 1,
    "gift_settle": 1, "gift_back": 1, "exchange": 1, "unreturn": 3, "park": 1, "resume": 1,
}  # fmt: skip
AT_HOME = 0.95  # of their sales
ANYWHERE = 0.5  # of parked baskets
MUCH_MINOR = 20_000  # on a certificate: several sales
_KEPT = 40  # receipts that a POS may still take back, void or ask for again
_BASKETS = 64
_LAID = 4  # baskets on the counter with a certificate beside them; who waits longer has left


class Pos:
    """The POS of one till. It is a system of its own, so it remembers what it was told when its till does not.

    Args:
        customers: who come with what they carry; `home`: card numbers of those who mostly come here.
        card_share: how many of a hundred sales have a card; `doings`: what it does, and how often.
    """

    def __init__(
        self, name: str, store_id: str, dice: Random, customers: Customers, parking: Parking, home: tuple[str, ...],
        card_share: int, doings: Mapping[str, int], record: Record, authority: Authorities,
    ) -> None:  # fmt: skip
        self.name, self._store_id = name, store_id
        self._dice, self._customers, self._card_share = dice, customers, card_share
        self._home = home
        counter, self._gifts = Counter(name, dice, customers, record), Gifts(name, dice, customers, record)
        self._parking = parking
        self._beside: dict[str, Callable[[], Any]] = {
            "join": counter.join, "card": counter.card, "consent": counter.consent, "confirm": counter.confirm,
            "claim": counter.claim, "gift_order": self._gifts.some_order,
        }  # fmt: skip
        self._record, self._authority = record, authority
        self._baskets = [_lines(dice) for _ in range(_BASKETS)]
        self.does(doings)
        self._sold: deque[tuple[CommitAsk, Receipt, Place]] = deque(maxlen=_KEPT)
        self._reversed: set[str] = set()
        self._backs: deque[tuple[CommitAsk, Receipt, str]] = deque(maxlen=_KEPT)  # returns that may be undone
        self._exchanges: dict[str, tuple[str, CommitAsk, Receipt]] = {}  # by the sale's id: what came back for it
        self._laid: deque[LaidDown] = deque(maxlen=_LAID)
        self._numbers = 0

    def does(self, doings: Mapping[str, int]) -> None:
        """Have it do these things from now on, each so often."""
        self._doings, self._weights = list(doings), list(accumulate(doings.values()))

    def next_doing(self) -> Any:
        """One thing to do at a machine's till; it may be done again after a crash, with the same ids."""
        what = self._dice.choices(self._doings, cum_weights=self._weights)[0]
        if what in ("return", "void", "again", "exchange") and not self._sold:
            what = "sale"
        if what == "unreturn" and not self._backs:
            what = "return" if self._sold else "sale"
        if what == "gift_settle" and not self._laid:
            what = "gift_pay"
        return (self._beside.get(what) or getattr(self, f"_{what}"))()

    def gift(self) -> Any:
        """A gift certificate with much on it."""
        return self._gifts.order("activate", MUCH_MINOR)

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
        sold, receipt, _ = self._dice.choice(self._sold)
        return self._bring(sold, receipt, sold.sale.basket.lines[: self._dice.randrange(1, 4)])

    def _gift_back(self) -> Any:
        """A certificate that was sold here comes back, used or not; the other goods stay."""
        sales = [(sold, receipt) for sold, receipt, _ in self._sold if receipt.certificates_sold]
        if not sales:
            return self._gift_sale()
        sold, receipt = self._dice.choice(sales)
        return self._bring(sold, receipt, sold.sale.basket.lines[-1:])

    def _bring(self, sold: CommitAsk, receipt: Receipt, lines: tuple[Line, ...]) -> Any:
        return_id, supervisor, at = self._id("b"), Supervisor(), First()

        def do(machine: Machine) -> None:
            if self._is_done_with(receipt):
                return
            asked = _back(sold, return_id, lines, at.ms(machine))
            back = supervisor.send(lambda said: take_back(machine.till, replace(asked, override=said)))
            self._came_back(sold, receipt, back, approved=supervisor.said is not None)
            self._backs.append((sold, receipt, return_id))

        return do

    def _unreturn(self) -> Any:
        """The last return was a mistake."""
        last, supervisor, at = self._backs[-1], Supervisor(), First()
        sold, receipt, return_id = last

        def do(machine: Machine) -> None:
            undone = supervisor.send(
                lambda said: void_return(
                    machine.till, VoidReturnAsk(return_id=return_id, sold_at_ms=at.ms(machine), override=said)
                )
            )
            self._stays(sold, receipt, undone, approved=supervisor.said is not None)
            self._backs = deque((one for one in self._backs if one is not last), maxlen=_KEPT)

        return do

    def _exchange(self) -> Any:
        (sold, receipt, _), ids = self._dice.choice(self._sold), [self._id(letter) for letter in "xbr"]
        count, supervisor, at = self._dice.randrange(1, 4), Supervisor(), First()
        lines = self._dice.choice(self._baskets)

        def do(machine: Machine) -> None:
            if self._is_done_with(receipt):
                return
            back = _back(sold, ids[1], sold.sale.basket.lines[:count], at.ms(machine))
            basket = Basket(receipt_id="", currency="EUR", lines=lines)
            sale = SaleAsk(basket=basket, card=sold.sale.card, sold_at_ms=at.ms(machine))
            ask = CommitAsk(sale=sale, receipt_id=ids[2])
            done = supervisor.send(
                lambda said: exchange(
                    machine.till, ExchangeAsk(exchange_id=ids[0], back=replace(back, override=said), sale=ask)
                )
            )
            self._came_back(sold, receipt, done.back, approved=supervisor.said is not None)
            self._sold_by(machine, ask, done.sold)
            self._exchanges[ids[2]] = (ids[0], sold, receipt)

        return do

    def _void(self) -> Any:
        (sold, receipt, _), supervisor, at = self._sold[-1], Supervisor(), First()

        def do(machine: Machine) -> None:
            if receipt.receipt_id in self._reversed:
                return
            if receipt.receipt_id in self._exchanges:
                exchange_id, back, of = self._exchanges[receipt.receipt_id]
                both = supervisor.send(
                    lambda said: void_exchange(
                        machine.till, VoidExchangeAsk(exchange_id=exchange_id, sold_at_ms=at.ms(machine), override=said)
                    )
                )
                self._voided(sold, receipt, both.sold, approved=supervisor.said is not None)
                self._stays(back, of, both.back, approved=supervisor.said is not None)
                return
            voided = supervisor.send(
                lambda said: void_receipt(
                    machine.till, VoidAsk(receipt_id=receipt.receipt_id, sold_at_ms=at.ms(machine), override=said)
                )
            )
            self._voided(sold, receipt, voided, approved=supervisor.said is not None)

        return do

    def _voided(self, sold: CommitAsk, receipt: Receipt, voided: Voided, *, approved: bool) -> None:
        self._gone(receipt)
        earned, spent = _points(receipt)
        who, void = self._customers.who(sold.sale.card), voided.void
        told = Told(
            _place(voided.head), "void", void.receipt_id, who, spent - earned,
            of=(_ref(void.of), receipt.receipt_id),
            gifts=moved((*void.uses, *void.shared_uses), taken_off=void.certificates_back),
            approved=approved, named=receipt.account_id or 0,
        )  # fmt: skip
        if self._record.tell(told):
            self._record.trade(self._customers.person_of(who), earned=0, spent=-spent)

    def _gift_sale(self) -> Any:
        """A certificate is sold among other goods."""
        lines, code, amount = self._dice.choice(self._baskets), self._gifts.new_code(), self._dice.randrange(500, 5_000)
        goods = (*lines, Line(line=9, sku=VOUCHER, amount_minor=amount))
        basket = Basket(
            receipt_id="", currency="EUR", lines=goods, certificates_sold=(CertificateSale(line=9, code=code),)
        )
        receipt_id, at, card = self._id("r"), First(), self._some_card()

        def do(machine: Machine) -> None:
            sale = SaleAsk(basket=basket, card=card, sold_at_ms=at.ms(machine))
            ask = CommitAsk(sale=sale, receipt_id=receipt_id)
            if self._sold_by(machine, ask, machine.till.commit(ask)):
                self._customers.gifts.append(code)

        return do

    def _gift_pay(self) -> Any:
        """Goods are paid with a certificate, as far as the quote says that it may."""
        laid = self._gifts.lay_down(self._dice.choice(self._baskets), self._some_card(), self._id("r"))
        return lambda machine: self._sold_by(machine, *laid.pay(machine))

    def _gift_lay(self) -> Any:
        """The same is quoted alone: the customer looks for something else, and pays later or not at all."""
        laid = self._gifts.lay_down(self._dice.choice(self._baskets), self._some_card(), self._id("r"))

        def do(machine: Machine) -> None:
            laid.quote(machine)
            self._laid.append(laid)

        return do

    def _gift_settle(self) -> Any:
        """What was quoted a while ago is paid."""
        laid = self._dice.choice(self._laid)

        def do(machine: Machine) -> None:
            self._sold_by(machine, *laid.pay(machine))
            self._laid = deque((one for one in self._laid if one is not laid), maxlen=_LAID)

        return do

    def _park(self) -> Any:
        lines, card, anywhere = self._dice.choice(self._baskets), self._some_card(), self._dice.random() < ANYWHERE
        return self._parking.lay_aside(self._id("p"), lines, card, anywhere=anywhere)

    def _resume(self) -> Any:
        aside, resume_id, receipt_id = self._parking.some(self._dice, self._store_id), self._id("u"), self._id("r")
        at = First()

        def do(machine: Machine) -> None:
            if aside is None:
                return
            sale = self._parking.take_up(machine, aside, resume_id, at.ms(machine))
            ask = CommitAsk(sale=sale, receipt_id=receipt_id)
            self._sold_by(machine, ask, machine.till.commit(ask))

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
            self._record.tell(Told(_place(closed.head), "close", closed.close.receipt_id))

        return do

    # What was told

    def _sold_by(self, machine: Machine, ask: CommitAsk, told: Committed) -> bool:
        """Note what a sale answered; whether that is new."""
        receipt, basket = told.receipt, ask.sale.basket
        earned, spent = _points(receipt)
        who = self._customers.who(ask.sale.card)
        gifts = moved((*receipt.uses, *receipt.shared_uses), put_on=receipt.certificates_sold)
        place = _place(told.head)
        new = Told(
            place, "sale", receipt.receipt_id, who, earned - spent, spent, gifts=gifts, named=receipt.account_id or 0
        )
        if not self._record.tell(new):
            return False
        if not spent and not basket.certificates and earned != (worth(basket.lines) if who else 0):
            self._record.wrongs.append(f"worth: {receipt.receipt_id} earned {earned} points for {worth(basket.lines)}")
        self._record.pay(machine.name, new, machine.clock.true_ms(), machine.heard_of)
        self._record.trade(self._customers.person_of(who), earned=earned, spent=spent)
        if receipt.redemption is not None:
            paid = receipt.redemption
            whose = (machine.identity.till_id, machine.identity.epoch)
            if machine.suspect or machine.has_suspect_peer():
                self._record.doubled += spent
            else:
                self._authority.spent(whose, paid.lease_id if paid.authority != "float" else "", spent)
        self._sold.append((ask, receipt, place))
        if not who and not gifts:
            self._customers.keep(Kept(self.name, receipt.place, receipt.receipt_id, basket.lines, receipt.net_minor))
        return True

    def _came_back(self, sold: CommitAsk, receipt: Receipt, back: TakenBack, *, approved: bool) -> None:
        self._gone(receipt)
        one, who = back.returned, self._customers.who(sold.sale.card)
        earned, gone = sum(part.points for part in one.earned), sum(part.points for part in one.reversed)
        of = (_ref(one.of), receipt.receipt_id) if one.of else None
        told = Told(
            _place(back.head), "return", one.receipt_id, who, earned + one.restored_points - gone,
            restored=one.restored_points, of=of, approved=approved, named=receipt.account_id or 0,
            gifts=moved((*one.uses, *one.shared_uses), taken_off=one.certificates_back),
        )  # fmt: skip
        if self._record.tell(told):
            self._record.trade(self._customers.person_of(who), earned=earned, spent=-one.restored_points)

    def _stays(self, sold: CommitAsk, receipt: Receipt, back: Unreturned, *, approved: bool) -> None:
        """A return was undone: what it took is there again, what it gave back is spent again."""
        self._reversed.discard(receipt.receipt_id)
        one, who = back.void, self._customers.who(sold.sale.card)
        given, anew = sum(part.points for part in one.earned), sum(part.points for part in one.reversed)
        told = Told(
            _place(back.head), "return", one.receipt_id, who, given - anew - one.spent_points, one.spent_points,
            restored=-one.spent_points, of=(_ref(one.of), receipt.receipt_id) if one.of else None, approved=approved,
            named=receipt.account_id or 0, gifts=moved((*one.uses, *one.shared_uses), put_on=one.certificates_again),
        )  # fmt: skip
        if self._record.tell(told):
            self._record.trade(self._customers.person_of(who), earned=0, spent=one.spent_points)

    def _is_done_with(self, receipt: Receipt) -> bool:
        """Whether goods of a receipt came back, or it was claimed: then only a void undoes it."""
        return receipt.receipt_id in self._reversed or receipt.receipt_id in self._customers.claimed

    def _gone(self, receipt: Receipt) -> None:
        self._reversed.add(receipt.receipt_id)
        self._customers.came_back(receipt.receipt_id)

    def _some_card(self, *, with_card: bool = False) -> str | None:
        has_card = self._dice.randrange(100) < self._card_share or with_card
        is_home = bool(self._home) and self._dice.random() < AT_HOME
        if not has_card:
            return None
        return self._dice.choice(self._home) if is_home else self._dice.choice(self._customers.cards).number

    def _basket(self, *, with_card: bool = False) -> Any:
        lines, card = self._dice.choice(self._baskets), self._some_card(with_card=with_card)
        basket = Basket(receipt_id="", currency="EUR", lines=lines)
        at: list[int] = []

        def ask(machine: Machine) -> SaleAsk:
            at.append(machine.clock.now().wall_ms)  # a retry says the time of the first try
            return SaleAsk(basket=basket, card=card, sold_at_ms=at[0])

        return ask

    def _id(self, letter: str) -> str:
        self._numbers += 1
        return f"{self.name}-{letter}{self._numbers}"


def _back(sold: CommitAsk, return_id: str, lines: tuple[Line, ...], at_ms: int) -> ReturnAsk:
    """Lines of a sale come back whole."""
    return ReturnAsk(
        return_id=return_id, of=sold.receipt_id, sold_at_ms=at_ms,
        lines=tuple(ReturnLine(line=one.line, quantity_milli=one.quantity_milli) for one in lines),
    )  # fmt: skip


def _paid_with(till: Till, sale: SaleAsk, receipt_id: str, points: int, hold_id: str) -> CommitAsk:
    """A sale that is quoted with points and will be committed as quoted."""
    basket = Basket(receipt_id="", currency="EUR", lines=sale.basket.lines, points_to_spend=points)
    sale = SaleAsk(basket=basket, card=sale.card, sold_at_ms=sale.sold_at_ms, hold_id=hold_id or None)
    quote = till.quote(sale).quote
    return CommitAsk(sale=sale, receipt_id=receipt_id, programme_version=quote.programme_version, digest=quote.digest)


def _points(receipt: Receipt) -> tuple[int, int]:
    return sum(part.points for part in receipt.earned), receipt.redemption.points if receipt.redemption else 0


def _ref(of: EventRef) -> tuple[str, int, int]:
    return (of.till_id, of.epoch, of.seq)


def _place(head: StreamHead) -> Place:
    return (head.till_id, head.epoch, head.seq, head.hash)


def _lines(dice: Random) -> tuple[Line, ...]:
    return tuple(
        Line(line=n, sku=dice.choice(("milk", "bread", "tea", "soap")), amount_minor=dice.randrange(50, 3_000))
        for n in range(1, dice.randrange(2, 5))
    )
