"""Baskets parked at the other tills of the store: their list, and one of them brought here. See `sync.parked`."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from edge.identity import TillIdentity
from edge.journal.journal import Journal
from edge.journal.parked_kept import KeptBasket
from edge.parking.parking import give, read_parked, taken_elsewhere
from edge.ports import Clock
from edge.refusals import ParkedGone, ParkedTaken, ParkedUnheard, ParkedUnknown
from loyalty.trouble import Fault, Refusal
from sync.parked import (
    MOST_LISTED,
    PARKED_PATH,
    TAGS,
    ParkedGiven,
    ParkedListAsk,
    ParkedListed,
    ParkedRow,
    ParkedTake,
)
from sync.refusals import BadEnvelope
from sync.rights import RightsMessage, open_rights, pack_rights
from sync.wire import Answer, Peer

DEADLINE_MS = 1_500  # a cashier waits
PATIENCE_MS = 4_000  # for all of them together; who was not asked by then is unheard
Exchange = Callable[[str, bytes, int], Answer]
Told = TypeVar("Told", bound=RightsMessage)


class Elsewhere(msgspec.Struct, frozen=True, kw_only=True):
    """What lies at the other tills that answered, by till; and what those are called that did not."""

    listed: tuple[ParkedListed, ...] = ()
    unheard: tuple[str, ...] = ()


class ParkedLan:
    """One till's dealings with its peers about parked baskets.

    Args:
        label: what this till is called.
        exchange: (url, body, deadline_ms) to the answer; raises a Fault where the line does not hold.
    """

    def __init__(
        self, journal: Journal, identity: TillIdentity, clock: Clock, exchange: Exchange, label: str = ""
    ) -> None:
        self._journal, self._identity, self._clock, self._exchange = journal, identity, clock, exchange
        self._label = label
        self._own = (identity.till_id, identity.epoch)

    def use_identity(self, identity: TillIdentity) -> None:
        """A key has changed."""
        self._identity = identity

    # Asked by others

    def answer(self, data: bytes) -> bytes:
        """Answer a peer. Raises: BadEnvelope, BadSignature: nothing was done."""
        said = open_rights(data, self._own, self._journal.transfers.peers(), TAGS)
        match said:
            case ParkedListAsk():
                rows = tuple(row_of(one) for one in self._journal.parked.open()[:MOST_LISTED])
                return self._pack(ParkedListed(**self._to(said), rows=rows, label=self._label))
            case ParkedTake():
                return self._pack(self._given(said))
        raise BadEnvelope("This is no question that a till answers.")

    def _given(self, said: ParkedTake) -> ParkedGiven:
        told: dict[str, Any]
        try:
            basket = give(self._journal, said.park_id, said.till_id, said.resume_id)
        except ParkedTaken as taken:
            told = {"outcome": "taken", "taken_by": str(taken.figures.get("till_id", ""))}
        except ParkedGone as gone:
            told = {"outcome": gone.figures["state"]}
        except ParkedUnknown:
            told = {"outcome": "unknown"}
        else:
            told = {"outcome": "given", "body": msgspec.Raw(basket.body), "parked_at_ms": basket.parked_ms}
        return ParkedGiven(**self._to(said), park_id=said.park_id, **told)

    # Asking others

    def elsewhere(self) -> Elsewhere:
        """What lies at the other tills of the store now."""
        listed, unheard = [], []
        until_ms = self._clock.now().mono_ms + PATIENCE_MS
        for peer in self._journal.transfers.peers():
            told = self._asked(peer, ParkedListAsk(**self._from(peer.till_id, peer.epoch)), ParkedListed, until_ms)
            if told is None:
                unheard.append(peer.label or peer.till_id[:8])
            else:
                listed.append(told)
        return Elsewhere(listed=tuple(listed), unheard=tuple(unheard))

    def bring(self, park_id: str, resume_id: str, till_id: str | None) -> KeptBasket:
        """Take a basket from the till where it lies, and keep it here, so that a retry needs nobody.

        Args:
            till_id: where it lies; none to ask them all.
        Raises:
            ParkedUnknown, ParkedGone, ParkedTaken.
            ParkedUnheard: nobody who answered has it, and somebody did not answer.
        """
        unheard = []
        until_ms = self._clock.now().mono_ms + PATIENCE_MS
        peers = [peer for peer in self._journal.transfers.peers() if till_id in (None, peer.till_id)]
        for peer in peers:
            ask = ParkedTake(**self._from(peer.till_id, peer.epoch), park_id=park_id, resume_id=resume_id)
            told = self._asked(peer, ask, ParkedGiven, until_ms)
            if told is None:
                unheard.append(peer.till_id)
            elif told.outcome == "given":
                return self._keep(told, peer.till_id, resume_id)
            elif told.outcome == "taken":
                raise taken_elsewhere(park_id, told.taken_by)
            elif told.outcome != "unknown":
                raise ParkedGone("This basket was thrown away. Ring the goods up again.", park_id=park_id)
        if unheard:
            raise ParkedUnheard(
                "The till where this basket lies does not answer. Try again, or resume it there.",
                park_id=park_id,
                till_id=unheard[0],
            )
        raise ParkedUnknown("No such basket is parked. Look at the list again.", park_id=park_id)

    def _keep(self, told: ParkedGiven, kept_by: str, resume_id: str) -> KeptBasket:
        body = bytes(told.body)
        read_parked(body)  # a basket that cannot be read is refused before it is kept
        basket = KeptBasket(
            park_id=told.park_id,
            ask_sha256="",
            body=body,
            parked_ms=told.parked_at_ms,
            state="taken",
            kept_by=kept_by,
            taken_by=self._own[0],
            resume_id=resume_id,
        )
        with self._journal.writing():
            if (before := self._journal.parked.find(told.park_id)) is not None:
                return before
            self._journal.parked.add(basket)
        return basket

    def _asked(self, peer: Peer, message: RightsMessage, kind: type[Told], until_ms: int) -> Told | None:
        """What a peer answered; none where it did not, or not as itself, or where there was no time left to ask it."""
        if self._clock.now().mono_ms > until_ms:
            return None
        try:
            answer = self._exchange(f"http://{peer.address}{PARKED_PATH}", self._pack(message), DEADLINE_MS)
            said = open_rights(answer.body, self._own, (peer,), TAGS) if answer.status == 200 else None
        except (Fault, Refusal):
            return None
        return said if isinstance(said, kind) else None

    def _to(self, said: RightsMessage) -> dict[str, Any]:
        return self._from(said.till_id, said.epoch)

    def _from(self, to_till: str, to_epoch: int) -> dict[str, Any]:
        return {"till_id": self._own[0], "epoch": self._own[1], "key_no": self._identity.signer.key_no,
                "to_till": to_till, "to_epoch": to_epoch, "sent_at_ms": self._clock.now().wall_ms}  # fmt: skip

    def _pack(self, message: RightsMessage) -> bytes:
        return pack_rights(message, self._identity.signer, TAGS)


def row_of(basket: KeptBasket) -> ParkedRow:
    """A basket as it is listed: of what a POS fills up with zero characters, the letters."""
    parked = read_parked(basket.body)
    return ParkedRow(
        park_id=basket.park_id,
        parked_at_ms=basket.parked_ms,
        lines=len(parked.sale.basket.lines),
        amount_minor=parked.amount_minor,
        currency=parked.sale.basket.currency,
        note=parked.note.replace("\0", ""),
        cashier=parked.sale.cashier.replace("\0", ""),
        has_card=parked.sale.card is not None,
    )
