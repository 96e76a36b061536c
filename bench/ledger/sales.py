"""What tills sell: receipts of ten lines to members, as the kernel closes them, sealed in batches of five hundred."""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from random import Random

import msgspec

from bench.goods import PLACE, basket
from bench.ledger.centre import NOW_MS, Seat, rules
from loyalty.baskets import Basket
from loyalty.facts.events import encode
from loyalty.facts.receipts import Receipt, close_receipt
from loyalty.members import MemberView
from loyalty.pricing.leases import NO_AUTHORITY, Authority
from loyalty.pricing.quotes import quote_basket
from loyalty.programme.compiled import Compiled, compile_programme
from sync.chain import StreamHead, next_head
from sync.envelope import MAX_EVENTS, Sender, Unsent, seal_batch
from sync.wire import Lanes

LINES = 10
BASKETS = 200  # different ones; a shop sells the same few baskets neither
SPENT = (60, 100, 140, 180)  # points of one redemption: what one lot holds, or two


class TooFew(Exception):
    """Not all of five hundred receipts fit into a batch, so it would not be what the budget speaks of."""


class Buyer(msgspec.Struct, frozen=True, kw_only=True):
    """A member as the till was told of them."""

    account_id: int
    version: int
    balance: int


class Till:
    """Sells to its buyers in turn, each once before any comes twice.

    Args:
        spend_percent: of its receipts so many pay with points, too.
        always: buyers that come in every batch besides.
    """

    def __init__(
        self, seat: Seat, buyers: Sequence[Buyer], *, spend_percent: int, always: Sequence[Buyer] = ()
    ) -> None:
        self._seat = seat
        self._draw = Random(f"till {seat.till_id} {spend_percent}")
        self._spend_percent = spend_percent
        self._buyers, self._always = self._turns(buyers), always
        self._head = StreamHead(till_id=seat.till_id, epoch=1)
        self._sent = 0

    def batch(self, receipts: int = MAX_EVENTS) -> bytes:
        """The next receipts, sealed and signed. Raises: TooFew."""
        before = self._head
        whom = [*self._always, *islice(self._buyers, receipts - len(self._always))]
        events = [self._append(encode(self._receipt(one))) for one in self._draw.sample(whom, len(whom))]
        self._sent += 1
        sender = Sender(counter=self._sent, sent_at_ms=NOW_MS, clock_error_ms=0, boot="b1", head_seq=self._head.seq,
                        cursors=Lanes(), grants=10**9)  # fmt: skip
        sealed = seal_batch(before, events, sender, self._seat.signer)
        if sealed.header.last_seq != self._head.seq:
            raise TooFew(f"{sealed.header.last_seq - before.seq} of {receipts}")
        return sealed.data

    def _append(self, payload: bytes) -> Unsent:
        self._head = next_head(self._head, self._seat.genesis, payload)
        return Unsent(seq=self._head.seq, payload=payload, hash=self._head.hash)

    def _receipt(self, buyer: Buyer) -> Receipt:
        spend = self._draw.choice(SPENT) if self._draw.randrange(100) < self._spend_percent else 0
        bought = msgspec.structs.replace(
            _basket(self._draw.randrange(BASKETS)), receipt_id=f"R{self._head.seq + 1}", points_to_spend=spend
        )
        view = MemberView(account_id=buyer.account_id, version=buyer.version, balance_points=buyer.balance,
                          spendable_points=buyer.balance, counters=())  # fmt: skip
        authority = Authority(kind="float", points=spend, lease_id="float:1:1") if spend else NO_AUTHORITY
        place = msgspec.structs.replace(PLACE, till_id=self._seat.till_id)
        quote = quote_basket(_compiled(), bought, place, view, authority=authority)
        return close_receipt(quote, bought, place, compiled=_compiled(), card_token=None)

    def _turns(self, buyers: Sequence[Buyer]) -> Iterator[Buyer]:
        while True:
            yield from self._draw.sample(buyers, len(buyers))


@cache
def _basket(number: int) -> Basket:
    return basket(LINES, seed=number + 1)


@cache
def _compiled() -> Compiled:
    return compile_programme(rules())
