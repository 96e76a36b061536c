"""A centre over a real database, and tills that enrol, sell with the kernel and send sealed batches."""

import hashlib
import itertools
from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import select

from central.coalition.programmes import publish
from central.coalition.registry import load_coalition
from central.coalition.slots import NewSlot, open_slot
from central.database.tables import account, card, flag
from central.members.members import create_account, issue_card
from central.migrations import upgrade
from central.ports import open_engine, reading, writing
from central.recomputing.recompute import Recomputed, recompute_pending
from central.tills.store import SqlCentreStore
from loyalty.baskets import Basket, Line, Place
from loyalty.cards.card_keys import one_card_key
from loyalty.cards.cards import CardRules
from loyalty.facts.events import Event, TillClose, encode
from loyalty.facts.receipts import Charged, Receipt, close_receipt
from loyalty.facts.reversals import Return, ReturnLine, close_return, close_void
from loyalty.lots import EventRef, Slice
from loyalty.members import MemberView, Use
from loyalty.pricing.leases import NO_AUTHORITY, Authority, lease_authority
from loyalty.pricing.quotes import Quote, quote_basket
from loyalty.programme.compiled import compile_programme
from loyalty.programme.programme import programme_from
from sync.blocks import BlockMark
from sync.centre_session import CentreSession
from sync.chain import ZERO_HASH, StreamHead, next_head
from sync.enrolment import fingerprint, make_claim, read_identity
from sync.envelope import Sender, Unsent, seal_batch
from sync.framing import open_signed, pack, sha256
from sync.keys import Signer, one_key
from sync.lanes import open_page
from sync.wire import (
    ACK_TAG,
    ASK_TAG,
    BATCH_PATH,
    ENROL_PATH,
    GRANT_TAG,
    HELLO_ANSWER_TAG,
    HELLO_PATH,
    HELLO_TAG,
    LEASE_ANSWER_TAG,
    LEASE_ASK_TAG,
    LEASE_PATH,
    PAGE_PATH,
    PROBLEM_TAG,
    Ack,
    Grant,
    Hello,
    HelloAnswer,
    Lanes,
    LeaseAnswer,
    LeaseAsk,
    Page,
    PageAsk,
    Problem,
)

NOW = 1_772_452_800_000  # 2026-03-02 12:00 UTC, a Monday
TODAY = date(2026, 3, 2)
MINUTE = 60_000
DAY = 24 * 60 * MINUTE
CARD_KEY = bytes(range(32))
CARDS = {"ranges": [{"kind": "ean13", "prefix": "290"}]}
# EAN-13 numbers of the programme's range, check digits worked out by hand.
ANNA, BEN = "2900000000018", "2900000000025"

COALITION: dict[str, Any] = {
    "currency": "EUR",
    "partners": [
        {
            "partner_id": "acme",
            "stores": [{"store_id": "S1"}, {"store_id": "S3"}],
            "terms": [
                {"terms_id": "acme-1", "from_on": "2026-01-01", "funding_micro": 10_000, "reimburse_micro": 9_000},
            ],
        },
        {
            "partner_id": "bolt",
            "stores": [{"store_id": "S2"}],
            "terms": [
                {"terms_id": "bolt-1", "from_on": "2026-01-01", "funding_micro": 9_000, "reimburse_micro": 8_000},
            ],
        },
    ],
}  # fmt: skip
# One point a euro; ten percent off milk once a member; a point is worth a cent.
PROGRAMME: dict[str, Any] = {
    "id": "club",
    "currency": "EUR",
    "cards": CARDS,
    "spending": {
        "step_points": 1,
        "step_minor": 1,
        "offline": {"sale_points": 500, "card_points": 1000, "till_points": 2000},
    },
    "promotions": [
        {"id": "base", "who": {"card": True}, "then": [{"kind": "earn", "points": 1, "per_minor": 100}]},
        {
            "id": "milk",
            "who": {"card": True},
            "limits": {"times": 1},
            "then": [{"kind": "percent_off", "percent_bp": 1000, "of": {"sku": ["milk"]}}],
        },
    ],
}


class Drawn:
    """The same bytes in every run, never twice the same in one."""

    def __init__(self, seed: str) -> None:
        self._seed, self._turns = seed, itertools.count(1)

    def bytes(self, n: int) -> bytes:
        return hashlib.shake_256(f"{self._seed}:{next(self._turns)}".encode()).digest(n)


class CentreClock:
    """The centre's clock, as its services ask it: it stands where the test put it."""

    def __init__(self, centre: "Centre") -> None:
        self._centre = centre

    def wall_ms(self) -> int:
        return self._centre.now

    def mono_ms(self) -> int:
        return self._centre.now


class Centre:
    """Database, store and session of a centre whose clock stands until it is moved."""

    def __init__(self, url: str) -> None:
        self.now = NOW
        self.random = Drawn("centre")
        self.engine = open_engine(url)
        upgrade(self.engine)
        self.signer = Signer(b"C" * 32)
        self.store = SqlCentreStore(self.engine, self.random, card_key=CARD_KEY)
        self.session = CentreSession(self.signer, self.random.bytes)
        with writing(self.engine) as tx:
            load_coalition(tx, COALITION, NOW)
            publish(tx, msgspec.json.encode(PROGRAMME), NOW)

    def till(self, store_id: str = "S1") -> "Till":
        return Till(self, store_id)

    def member(self, number: str = ANNA, **facts: Any) -> int:
        """A registered member with a card."""
        with writing(self.engine) as tx:
            account_id = create_account(tx, self.random, self.now, **facts)
            rules = msgspec.convert(CARDS, CardRules)
            keys = one_card_key(CARD_KEY)
            issue_card(tx, account_id, number, rules=rules, keys=keys, randomness=self.random, now_ms=self.now)
        return account_id

    def rows(self, query: Any) -> list[tuple[Any, ...]]:
        with reading(self.engine) as connection:
            return [tuple(row) for row in connection.execute(query)]

    def flags(self) -> list[tuple[int, str]]:
        """(seq, cause) of the worklist, alarms (seq 0) first."""
        return self.rows(select(flag.c.seq, flag.c.cause).order_by(flag.c.seq, flag.c.cause))  # type: ignore[return-value]

    def figures(self, cause: str) -> dict[str, Any]:
        (row,) = self.rows(select(flag.c.figures).where(flag.c.cause == cause))
        return msgspec.json.decode(row[0])

    def recompute(self) -> Recomputed:
        return recompute_pending(self.engine, 500, self.now)

    def version(self, account_id: int) -> int:
        return self.rows(select(account.c.version).where(account.c.account_id == account_id))[0][0]

    def account_of(self, token: str) -> int:
        return self.rows(select(card.c.account_id).where(card.c.card_token == token))[0][0]


class Till:
    """An enrolled till: keeps its chain, sells under the published programme, sends what it has."""

    def __init__(
        self, centre: Centre, store_id: str, *, till_id: str = "", seed: str = "", slot: NewSlot | None = None
    ) -> None:
        self.centre = centre
        self.counter = 0
        self.newest_grant = 0  # the till's own word, in lease asks
        if slot is None:
            with writing(centre.engine) as tx:
                slot = open_slot(
                    tx, centre.random, store_id=store_id, label="Lane", now_ms=centre.now, till_id=till_id
                )
        drawn = Drawn(f"till {slot.till_id} {seed}")
        self.install, secret, exchange = drawn.bytes(8).hex(), drawn.bytes(32), drawn.bytes(32)
        claim = make_claim(
            slot.code, Signer(secret), exchange, install_id=self.install, version="1", at_ms=centre.now
        )
        answer = centre.session.answer(centre.now, ENROL_PATH, claim, centre.store)
        assert answer.status == 200, answer.body
        self.code = slot.code
        identity = read_identity(answer.body, claim, exchange, fingerprint(centre.signer.public))
        self.secret = secret
        self.signer = Signer(secret, identity.key_no)
        self.identity = identity
        self.genesis = bytes.fromhex(identity.genesis)
        self.head = StreamHead(till_id=identity.till_id, epoch=identity.epoch)
        self.start = self.head
        self.events: list[Unsent] = []
        self.sent = 0
        self.rules = compile_programme(programme_from(PROGRAMME))

    # Writing events

    def append(self, event: Event | bytes) -> EventRef:
        payload = event if isinstance(event, bytes) else encode(event)
        self.head = next_head(self.head, self.genesis, payload)
        self.events.append(Unsent(seq=self.head.seq, payload=payload, hash=self.head.hash))
        return EventRef(till_id=self.head.till_id, epoch=self.head.epoch, seq=self.head.seq)

    def place(self, on: date = TODAY) -> Place:
        return Place(
            partner_id=self.identity.partner_id,
            store_id=self.identity.store_id,
            till_id=self.identity.till_id,
            channel="store",
            sold_at_ms=NOW + (on - TODAY).days * DAY,
            offset_min=0,
            business_date=on,
        )

    def quote(
        self, receipt_id: str, amount: int, view: MemberView | None, *, spend: int = 0, sku: str = "bread",
        on: date = TODAY, authority: Authority | None = None,
    ) -> tuple[Quote, Basket]:  # fmt: skip
        basket = Basket(
            receipt_id=receipt_id,
            currency="EUR",
            lines=(Line(line=1, sku=sku, amount_minor=amount),),
            points_to_spend=spend,
        )
        floated = Authority(kind="float", points=spend, lease_id="float:1:1") if spend else NO_AUTHORITY
        authority = authority or floated
        return quote_basket(self.rules, basket, self.place(on), view, authority=authority), basket

    def receipt(
        self, receipt_id: str, amount: int, view: MemberView | None = None, *, token: str | None = None,
        spend: int = 0, sku: str = "bread", on: date = TODAY, charged: Sequence[Charged] = (), quoted: str = "",
        authority: Authority | None = None,
    ) -> Receipt:  # fmt: skip
        """A sale of one line, as the kernel closes it; not yet written."""
        quote, basket = self.quote(receipt_id, amount, view, spend=spend, sku=sku, on=on, authority=authority)
        return close_receipt(
            quote, basket, self.place(on), compiled=self.rules, card_token=token, charged=charged, quoted_digest=quoted
        )

    def sell(self, receipt_id: str, amount: int, view: MemberView | None = None, **more: Any) -> EventRef:
        return self.append(self.receipt(receipt_id, amount, view, **more))

    def void(self, ref: EventRef, receipt: Receipt) -> EventRef:
        return self.append(close_void(receipt, ref, self.place()))

    def take_back(self, return_id: str, ref: EventRef, receipt: Receipt, milli: int, earlier: int = 0) -> EventRef:
        before = (ReturnLine(line=1, quantity_milli=earlier),) if earlier else ()
        lines = (ReturnLine(line=1, quantity_milli=milli),)
        return self.append(self.returned(return_id, ref, receipt, lines, before))

    def returned(self, return_id: str, ref: EventRef, receipt: Receipt, lines: Any, earlier: Any = ()) -> Return:
        return close_return(return_id, receipt, ref, self.place(), earlier=earlier, lines=lines)

    def close(self, **figures: int) -> EventRef:
        nothing = dict.fromkeys(
            ("receipts", "voids", "returns", "net_minor", "returned_minor", "points_earned", "points_spent",
             "points_reversed"), 0)  # fmt: skip
        told = {**nothing, "first_seq": 1, "last_seq": self.head.seq, **figures}
        return self.append(TillClose(receipt_id=f"till_close:{TODAY}", place=self.place(), **told))

    # Speaking

    def batch(self, first: int = 0, last: int = 0, **header: Any) -> bytes:
        """Events `first` to `last`, all that were not sent unless said, sealed."""
        first = first or self.sent + 1
        last = last or self.head.seq
        after = StreamHead(
            till_id=self.head.till_id,
            epoch=self.head.epoch,
            seq=first - 1,
            hash=self.events[first - 2].hash if first > 1 else self.start.hash,
        )
        self.counter += 1
        sender = Sender(
            counter=self.counter, sent_at_ms=self.centre.now, clock_error_ms=0, boot="b1", head_seq=self.head.seq,
            cursors=Lanes(), grants=0,
        )  # fmt: skip
        sender = msgspec.structs.replace(sender, **header)
        return seal_batch(after, self.events[first - 1 : last], sender, self.signer).data

    def send(self, data: bytes, path: str = BATCH_PATH) -> Ack | Problem:
        answer = self.centre.session.answer(self.centre.now, path, data, self.centre.store)
        return self._read(ACK_TAG, Ack, answer)

    def upload(self, **header: Any) -> Ack:
        """Send all that was not sent; the centre must take it."""
        ack = self.send(self.batch(**header))
        assert isinstance(ack, Ack), ack
        assert ack.head == self.head
        self.sent = self.head.seq
        return ack

    def hello(
        self, block: BlockMark | None = None, card_keys: tuple[str, ...] = (), **more: Any
    ) -> HelloAnswer | Problem:
        acked = self.events[self.sent - 1].hash if self.sent else self.start.hash
        hello = Hello(
            **self._says(), head_seq=self.head.seq, head_hash=self.head.hash, acked_seq=self.sent, acked_hash=acked,
            install_id=self.install, boot="b1", version="1", backlog=self.head.seq - self.sent, cursors=Lanes(),
            grants=0, block_no=block.block_no if block else 0, block_hash=block.hash if block else ZERO_HASH,
            card_keys=card_keys, **more,
        )  # fmt: skip
        data = pack(HELLO_TAG, hello, self.signer)
        answer = self.centre.session.answer(self.centre.now, HELLO_PATH, data, self.centre.store)
        return self._read(HELLO_ANSWER_TAG, HelloAnswer, answer)

    def page(self, lane: str, cursor: str = "", limit: int = 1000) -> Page:
        data = pack(ASK_TAG, PageAsk(**self._says(), lane=lane, cursor=cursor, limit=limit), self.signer)
        answer = self.centre.session.answer(self.centre.now, PAGE_PATH, data, self.centre.store)
        assert answer.status == 200, answer.body
        keys = one_key(self.centre.signer.public)
        return open_page(answer.body, till_id=self.head.till_id, answers=sha256(data), keys=keys)[1]

    def ask(self, request_id: str, account_id: int, points: int, *, partial: bool = False) -> LeaseAnswer | Problem:
        """Ask for points to be set aside."""
        wanted = LeaseAsk(
            **self._says(), request_id=request_id, account_id=account_id, points=points, partial=partial,
            grants=self.newest_grant,
        )  # fmt: skip
        data = pack(LEASE_ASK_TAG, wanted, self.signer)
        answer = self.centre.session.answer(self.centre.now, LEASE_PATH, data, self.centre.store)
        return self._read(LEASE_ANSWER_TAG, LeaseAnswer, answer)

    def leases(self, said: Any) -> list[Grant]:
        """The holds and leases among the grants of an answer."""
        keys = one_key(self.centre.signer.public)
        grants = [open_signed(GRANT_TAG, data, Grant, keys)[0] for data in said.grants]
        return [grant for grant in grants if grant.kind != "float"]

    def _says(self) -> dict[str, Any]:
        self.counter += 1
        return {"till_id": self.head.till_id, "epoch": self.head.epoch, "key_no": self.signer.key_no,
                "counter": self.counter, "sent_at_ms": self.centre.now}  # fmt: skip

    def _read(self, tag: bytes, kind: Any, answer: Any) -> Any:
        keys = one_key(self.centre.signer.public)
        if answer.status == 200:
            return open_signed(tag, answer.body, kind, keys)[0]
        return open_signed(PROBLEM_TAG, answer.body, Problem, keys)[0]


def under(grant: Grant, *used: int) -> Authority:
    """What a till may spend on a hold or lease, once it has spent these points of its lots."""
    gone = (*used, *[0] * len(grant.slices))
    slices = [Slice(key=one.key, points=one.points - off) for one, off in zip(grant.slices, gone, strict=False)]
    return lease_authority(grant.kind, grant.lease_id, slices, today=TODAY)


def told(account_id: int, version: int = 0, balance: int = 0, counters: Sequence[Use] = ()) -> MemberView:
    """What a row of this version, with nothing of the till's own beside it, tells a quote."""
    return MemberView(
        account_id=account_id,
        version=version,
        balance_points=balance,
        spendable_points=balance,
        counters=tuple(counters),
    )
