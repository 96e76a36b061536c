"""Training: a till in memory beside the real one, which answers alike and of which nothing remains.

It knows the members and programmes that the real till knows, as head office told of them, and has a journal of its
own, a float of its own, and nobody to send to. Its ids are a space of their own. Source: ARTS TrainingModeFlag.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from edge.api.day_answers import TrainingSaid
from edge.identity import TillIdentity
from edge.instants import show_instant
from edge.journal.journal import Journal, open_epoch
from edge.ports import Clock, Instant
from edge.sale.till import Till
from loyalty.facts.receipts import Receipt
from loyalty.facts.reversals import Return, ReturnVoid, Void
from loyalty.moments import DAY_MS
from sync.wire import Grant, SignedGrant

if TYPE_CHECKING:
    from edge.counter.desk import Desk

_FLOAT_POINTS = 1_000_000_000  # the programme's caps bound each sale; the float must not run out while people learn


class Training:
    """The till that is practised at: made when the first ask of training comes, forgotten when it is left.

    Args:
        make: a desk whose till is in memory.
        clock: when practising began is told.
    """

    def __init__(self, make: "Callable[[], Desk]", clock: Clock) -> None:
        self._make, self._clock = make, clock
        self._since_ms = 0
        self._desk: Desk | None = None
        self._lock = threading.Lock()

    def desk(self) -> "Desk":
        """Where training is answered."""
        with self._lock:
            if self._desk is None:
                self._desk, self._since_ms = self._make(), self._clock.now().wall_ms
            return self._desk

    def said(self) -> TrainingSaid:
        """What was practised."""
        with self._lock:
            desk = self._desk
        if desk is None:
            return TrainingSaid(active=False)
        journal = desk.till.journal
        events = [entry.event for entry in journal.entries_after(0)]
        return TrainingSaid(
            active=True,
            since=show_instant(self._since_ms, desk.settings.offset_min),
            receipts=sum(isinstance(event, Receipt) for event in events),
            returns=sum(isinstance(event, Return) for event in events),
            voids=sum(isinstance(event, Void | ReturnVoid) for event in events),
            parked=len(journal.parked.open()),
        )

    def leave(self) -> TrainingSaid:
        """Forget all of it. Returns: what it was; an ask under way still gets its answer."""
        said = self.said()
        with self._lock:
            self._desk = None
        return msgspec.structs.replace(said, active=False)


def till_of_training(till: Till) -> Till:
    """A till in memory with the same programmes, members and supervisors, which speaks to nobody."""
    identity = _practised(till.identity)
    journal = Journal.open(":memory:", identity, till.clock)
    open_epoch(journal, "training")
    now = till.clock.now()
    with journal.writing():
        journal.promises.take_grants([_float_of(identity, now)], now)
    return Till(
        journal=journal,
        cache=till.cache,
        clock=till.clock,
        settings=till.settings,
        identity=identity,
        is_offline=till.is_offline,
        approver=till.approver,
        is_training=True,
    )


def _practised(identity: TillIdentity) -> TillIdentity:
    """The same till in an epoch of no stream, under another nonce: nothing of it could be taken for a real event."""
    granted = msgspec.structs.replace(identity.granted, epoch=1, genesis="00" * 32)
    return msgspec.structs.replace(identity, granted=granted, provisional=0)


def _float_of(identity: TillIdentity, now: Instant) -> SignedGrant:
    grant = Grant(
        lease_id="training",
        grant_no=1,
        till_id=identity.till_id,
        epoch=identity.epoch,
        key_no=identity.granted.key_no,
        account_id=None,
        points=_FLOAT_POINTS,
        spend_for_s=365 * DAY_MS // 1000,
        settle_until_ms=now.wall_ms + 365 * DAY_MS,
        granted_at_ms=now.wall_ms,
    )
    return SignedGrant(grant=grant, signed=b"training")
