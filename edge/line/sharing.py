"""Rights that this till gives to the others of its store, and gets from them; see `sync.rights`.

Each step is one durable transaction with its event: what is given is off this disk before it is sent, what is received
is on it before it is confirmed. Source: offline-redemption.md "Store sharing on a LAN".
"""

import secrets
from collections.abc import Callable
from typing import Any

from edge.identity import TillIdentity
from edge.journal.journal import Journal
from edge.journal.leases_held import Slices
from edge.ports import Clock, Instant
from loyalty.facts.lease_events import LeaseMoved
from loyalty.lots import END_OF_DAY, points_in
from loyalty.moments import utc_date
from loyalty.pricing.leases import spend_slices
from loyalty.trouble import Fault, Refusal
from sync.framing import open_signed
from sync.refusals import BadEnvelope
from sync.rights import (
    MOST_SENT,
    RIGHTS_PATH,
    RightsAsk,
    RightsMessage,
    RightsSent,
    RightsTaken,
    open_rights,
    pack_rights,
)
from sync.wire import GRANT_TAG, Answer, Grant, Peer, SignedGrant

DEADLINE_MS = 1_000  # a customer waits
Exchange = Callable[[str, bytes, int], Answer]


class Sharing:
    """One till's dealings with its peers.

    Args:
        exchange: (url, body, deadline_ms) to the answer; raises a Fault where the line does not hold.
        new_id: a name for an ask that no other ask of this till has.
    """

    def __init__(
        self,
        journal: Journal,
        identity: TillIdentity,
        clock: Clock,
        exchange: Exchange,
        *,
        new_id: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self._new_id = new_id
        self._journal, self._identity, self._clock, self._exchange = journal, identity, clock, exchange
        self._own = (identity.till_id, identity.epoch)

    # Asked by others

    def answer(self, data: bytes) -> bytes:
        """Answer a peer. Raises: BadEnvelope, BadSignature: nothing was done."""
        said = open_rights(data, self._own, self._journal.transfers.peers())
        match said:
            case RightsAsk():
                return self._pack(self._give(said))
            case RightsSent():
                self._take(said, data, self._clock.now())
                return self._pack(self._to(said, RightsTaken, numbers=(said.n,)))
            case RightsTaken():
                self._confirm(said)
                return self._pack(self._to(said, RightsTaken, numbers=()))
        raise BadEnvelope("This is no question that a till answers.")

    def _give(self, ask: RightsAsk) -> RightsSent:
        """Rights of the lease of the account that has most to spare; nothing where that is less than `least`."""
        transfers, now = self._journal.transfers, self._clock.now()
        with self._journal.writing():
            n = transfers.number_of(ask.till_id, ask.epoch, ask.ask_id)
            if n is None:
                n = self._part_with(ask, now)
        return self._sent(n, now) if n else self._to(ask, RightsSent, n=0, ask_id=ask.ask_id)

    def _part_with(self, ask: RightsAsk, now: Instant) -> int:
        held = self._journal.promises.held_on
        spare = [(one.left_after(held(one.lease_id, now)), one)
                 for one in self._journal.leases_of(ask.account_id, now) if one.kind == "lease"]  # fmt: skip
        points, lease = max(spare, key=lambda one: one[0], default=(0, None))
        points = min(points, ask.points)
        if lease is None or points < max(1, ask.least):
            return 0
        slices = spend_slices(
            lease.slices, points, today=utc_date(now.wall_ms), now=None, order="valid_through", expiry=END_OF_DAY
        )
        if not slices:
            return 0
        self._journal.promises.leases.spend(lease.lease_id, slices)
        n = self._journal.transfers.keep_sent(
            to_till=ask.till_id, to_epoch=ask.epoch, ask_id=ask.ask_id, lease_id=lease.lease_id,
            account_id=ask.account_id, slices=slices,
        )  # fmt: skip
        self._write("sent", self._own[1], n, lease.lease_id, ask.account_id, slices, ask.till_id, now)
        return n

    def _sent(self, n: int, now: Instant) -> RightsSent:
        kept = self._journal.transfers.sent(n)
        lease = self._journal.promises.leases.of_id(kept.lease_id, now, 0)
        return RightsSent(
            **self._from(kept.to_till, kept.to_epoch),
            n=n,
            ask_id=kept.ask_id,
            lease_id=kept.lease_id,
            account_id=kept.account_id,
            slices=kept.slices,
            spend_for_s=lease.left_s if lease else 0,
            settle_until_ms=lease.settle_until_ms if lease else 0,
            grants=tuple(one.signed for one in self._journal.promises.kept.of_lease(kept.lease_id)[-MOST_SENT:]),
        )

    def _take(self, sent: RightsSent, data: bytes, asked: Instant) -> None:
        """Credit a transfer, once."""
        if not sent.n:
            return
        with self._journal.writing():
            if self._journal.transfers.keep_received(sent.till_id, sent.epoch, sent.n):
                self._journal.promises.leases.take_sent(sent, data, asked)
                self._journal.promises.kept.keep(self._proofs(sent), asked.wall_ms)
                self._write(
                    "received", sent.epoch, sent.n, sent.lease_id, sent.account_id, sent.slices, sent.till_id, asked
                )

    def _proofs(self, sent: RightsSent) -> list[SignedGrant]:
        """The grants that came with rights, as far as the centre signed them."""
        proofs = []
        for data in sent.grants:
            try:
                grant, _ = open_signed(GRANT_TAG, data, Grant, self._identity.centre_keys)
            except Refusal:
                continue  # the rights stand without: they only could not be shown after a loss
            if grant.lease_id == sent.lease_id:
                proofs.append(SignedGrant(grant=grant, signed=data))
        return proofs

    def _confirm(self, said: RightsTaken) -> None:
        with self._journal.writing():
            self._journal.transfers.confirm(said.till_id, said.numbers)

    # Asking others

    def use_identity(self, identity: TillIdentity) -> None:
        """A key has changed. The other tills hear of it with their next hello and share nothing with us before."""
        self._identity = identity

    def ask(self, account_id: int, points: int, *, least: int) -> int:
        """Get rights to spend points of an account from one of the other tills.

        Returns:
            How many came; 0 where nobody had so many to spare, or nobody answered.
        """
        ask_id = self._new_id()
        for peer in self._journal.transfers.peers():
            asked = self._clock.now()
            message = RightsAsk(
                **self._from(peer.till_id, peer.epoch), ask_id=ask_id, account_id=account_id, points=points, least=least
            )
            got = self._exchanged(peer, message)
            if isinstance(got[0], RightsSent) and got[0].n:
                self._take(got[0], got[1], asked)
                self._exchanged(peer, self._to(got[0], RightsTaken, numbers=(got[0].n,)))
                return points_in(got[0].slices)
        return 0

    def send_again(self) -> int:
        """Send what was not confirmed; how many transfers were confirmed now."""
        confirmed = 0
        peers = {peer.till_id: peer for peer in self._journal.transfers.peers()}
        for n, to_till in self._journal.transfers.unconfirmed():
            if to_till in peers:
                said, _ = self._exchanged(peers[to_till], self._sent(n, self._clock.now()))
                if isinstance(said, RightsTaken) and n in said.numbers:
                    self._confirm(said)
                    confirmed += 1
        return confirmed

    def _exchanged(self, peer: Peer, message: RightsMessage) -> tuple[RightsMessage | None, bytes]:
        """What a peer answered, with its bytes; none where it did not, or not as itself."""
        try:
            answer = self._exchange(f"http://{peer.address}{RIGHTS_PATH}", self._pack(message), DEADLINE_MS)
            if answer.status != 200:
                return None, b""
            said = open_rights(answer.body, self._own, (peer,))
        except (Fault, Refusal):
            return None, b""
        return said, answer.body

    # Words

    def _write(
        self, what: Any, epoch: int, n: int, lease_id: str, account_id: int, slices: Slices, other: str, now: Instant
    ) -> None:
        """`n` counts the donor's transfers in its epoch, and begins at 1 with each."""
        event = LeaseMoved(
            receipt_id=f"{what}:{other}:{epoch}:{n}" if what == "received" else f"{what}:{epoch}:{n}",
            lease_id=lease_id,
            account_id=account_id,
            on=utc_date(now.wall_ms),
            slices=slices,
            what=what,
            other_till=other,
            other_seq=n if what == "received" else 0,
        )
        self._journal.append(event)

    def _to(self, said: RightsMessage, kind: Any, **more: Any) -> Any:
        return kind(**self._from(said.till_id, said.epoch), **more)

    def _from(self, to_till: str, to_epoch: int) -> dict[str, Any]:
        return {"till_id": self._own[0], "epoch": self._own[1], "key_no": self._identity.signer.key_no,
                "to_till": to_till, "to_epoch": to_epoch, "sent_at_ms": self._clock.now().wall_ms}  # fmt: skip

    def _pack(self, message: RightsMessage) -> bytes:
        return pack_rights(message, self._identity.signer)
