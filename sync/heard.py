"""Who speaks, and whether they are heard: what a till sent is opened by its keys; then its state, epoch and count.

Source: sync.md sections 2 and 3; docs/protocol.md.
"""

from typing import TypeVar

from sync.envelope import OpenedBatch, open_batch
from sync.framing import check_signature, split
from sync.keys import PublicKey
from sync.ports import CentreStore, TillRecord
from sync.refusals import BadEnvelope, KeyRetired, Replayed, Revoked, Suspended, TillLeft, UnknownTill
from sync.verdicts import LaterEpoch, OlderEpoch, refusal_for
from sync.versions import Versions
from sync.wire import TillMessage

M = TypeVar("M", bound=TillMessage)

REVOKED_RETRY_S = 3_600  # a revoked till otherwise hammers the service


def open_said(
    tag: bytes,
    data: bytes,
    kind: type[M],
    store: CentreStore,
    versions: Versions,
    *,
    is_upload: bool = False,
    may_be_replaced: bool = False,
    may_be_over: bool = False,
) -> tuple[M, TillRecord]:
    """A message, and what is known of the till that signed it.

    Args:
        is_upload: read in old versions too.
        may_be_replaced, may_be_over: whether a key speaks that has been replaced; or one whose time is over altogether.
    Raises:
        BadEnvelope, BadSignature, BadBody, UnknownTill, KeyRetired, Revoked.
    """
    parts = split(data)
    message = versions.read(parts, kind, is_upload=is_upload)
    till = _known_till(store, message.till_id)
    check_signature(tag, parts, till.keys.find(message.key_no))
    if parts.body:
        raise BadEnvelope("This message has nothing behind its signature.")
    key = till.keys.key(message.key_no)
    if key is None or may_be_over:
        return message, till
    if key.is_revoked or (key.is_replaced and not may_be_replaced):
        raise KeyRetired("This till has a newer key, or this one was revoked; ask head office.")
    _check_enrolment(key, message, till)
    return message, till


def open_ask(
    tag: bytes, data: bytes, kind: type[M], store: CentreStore, now_ms: int, versions: Versions
) -> tuple[M, TillRecord]:
    """What a till asks to be told; one that is suspended still hears, but not one that may have been revoked since."""
    ask, till = open_said(tag, data, kind, store, versions)
    if till.state != "suspended" or till.is_undecided:
        check_state(till)
    check_epoch(ask, till)
    take_count(ask, till, store, now_ms)
    return ask, till


def open_sent_batch(data: bytes, store: CentreStore, versions: Versions) -> tuple[OpenedBatch, TillRecord]:
    """A batch, and what is known of the till that signed it. Raises: as `open_batch`, and UnknownTill."""
    asked: list[TillRecord] = []

    def key_of(till_id: str, key_no: int) -> str | None:
        asked.append(_known_till(store, till_id))
        return asked[-1].keys.find(key_no)

    return open_batch(data, key_of, versions), asked[-1]


def _known_till(store: CentreStore, till_id: str) -> TillRecord:
    till = store.till(till_id)
    if till is None:
        raise UnknownTill("This till is not enrolled here; enrol it with a new code.", till_id=till_id)
    return till


def check_state(till: TillRecord) -> None:
    """Refuse whoever may not upload. Raises: Revoked, Suspended, TillLeft."""
    if till.state == "revoked":
        raise _revoked()
    if till.state == "suspended":
        raise Suspended("This till's uploads wait for a decision at head office; nothing is lost.")
    if till.state == "left":
        raise TillLeft("This till gave its place back; enrol it with a new code.")


def _check_enrolment(key: PublicKey, message: TillMessage, till: TillRecord) -> None:
    """The key of an earlier enrolment speaks for no later one, and of one that was revoked for none at all: whoever
    stole the machine has it. Raises: Revoked, KeyRetired."""
    if key.epoch == till.epoch:
        return
    if key.is_stopped:
        raise _revoked()
    if message.epoch == till.epoch:
        raise KeyRetired("This key is of an earlier enrolment of the till; what it says for this one is not heard.")


def _revoked() -> Revoked:
    return Revoked("This till was revoked; ask head office.", retry_after_s=REVOKED_RETRY_S)


def keep_retired(opened: OpenedBatch, till: TillRecord, data: bytes, now_ms: int, store: CentreStore) -> None:
    """A key that was replaced counts up to where it was; what it signs beyond is kept aside, as whoever stole it would
    sign. Raises: KeyRetired, Revoked."""
    header, key = opened.header, till.keys.key(opened.header.key_no)
    if key is None:
        return
    try:
        _check_enrolment(key, header, till)
    except (Revoked, KeyRetired) as refused:
        store.quarantine(till.till_id, header.epoch, refused.code, data, now_ms)
        raise
    if not (key.is_revoked or key.is_replaced):
        return
    if not key.is_revoked and (header.epoch != key.epoch or header.last_seq <= key.until_seq):
        return
    store.quarantine(till.till_id, header.epoch, KeyRetired.code, data, now_ms)
    raise KeyRetired("This till has a newer key, or this one was revoked; what it sent is kept aside.")


def check_epoch(message: TillMessage, till: TillRecord) -> None:
    """Refuse what is not of the till's present epoch; the refusal says which way."""
    if message.epoch != till.epoch:
        raise refusal_for(OlderEpoch() if message.epoch < till.epoch else LaterEpoch())


def take_count(message: TillMessage, till: TillRecord, store: CentreStore, now_ms: int) -> None:
    """Note the number of a request; none is heard twice. Raises: Replayed."""
    if message.epoch == till.epoch and not store.take_counter(till.till_id, till.epoch, message.counter, now_ms):
        store.alarm(Replayed.code, till.till_id, now_ms)
        raise Replayed("This request was seen before; count on from the last one.", need=till.counter)
