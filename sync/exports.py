"""A till's batches in one signed file, for a person to carry, and the centre's answers in another.

    u16 length ‖ ExportHeader as JSON ‖ 64-byte signature of the till ‖ (u32 length ‖ batch or CarriedPerson) …
    u16 length ‖ ExportAnswer as JSON ‖ 64-byte signature of the centre ‖ (u16 status ‖ u32 length ‖ answer) …

Each batch is as it would be sent, and each answer as it would come back, so the file adds no authority: it only holds
together what belongs together. Who new members are is in it as it would go with the line: sealed to head office, and
bound to the event that it belongs to. Source: sync.md section 7; DECISIONS 16.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from sync.chain import Epoch, Hex32, Hex64
from sync.desk import Sealed
from sync.framing import KeyLookup, check_signature, open_signed, pack, sha256, split
from sync.keys import PublicKeys, Signer
from sync.refusals import BadBody
from sync.versions import OURS, Versions
from sync.wire import PROTO, Answer, CentreMessage, Count, Short

EXPORT_TAG = b"TP-EXPORT1\0"
EXPORT_ANSWER_TAG = b"TP-EXPORTED1\0"
Why = Literal["export", "salvage"]


class CarriedPerson(msgspec.Struct, frozen=True, kw_only=True):
    """Who a new member is, and the till's event it belongs to."""

    about: Short
    sealed: Sealed


class TakenPerson(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one: as of `sealed` in `sync.desk.DeskAnswer`."""

    about: Short
    took: bool = False
    refused: Short = ""


class ExportHeader(msgspec.Struct, frozen=True, kw_only=True):
    """Who wrote the file, and what is in it. `epoch` is the till's present one; batches may be of earlier ones, and so
    may `people`, who come after them."""

    proto: Count = PROTO
    till_id: Hex32
    epoch: Epoch
    key_no: Count
    made_at_ms: int
    why: Why
    batches: Count
    body_sha256: Hex64
    people: Count = 0


class ExportAnswer(CentreMessage, frozen=True, kw_only=True):
    """What the centre made of a file: `answers` is the SHA-256 of its bytes; one answer for each batch, in order, and
    one for each of its people. `till_id` is whose it was, "" where nobody was in it."""

    batches: Count
    body_sha256: Hex64
    till_id: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{32})?\Z")] = ""
    people: tuple[TakenPerson, ...] = ()


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """A file that the till signed; each batch, and each person, is judged for itself."""

    header: ExportHeader
    batches: tuple[bytes, ...]
    people: tuple[CarriedPerson, ...]


def seal_export(
    batches: Sequence[bytes], *, till_id: str, epoch: int, made_at_ms: int, why: Why, signer: Signer,
    people: Sequence[CarriedPerson] = (),
) -> bytes:  # fmt: skip
    """The bytes of an export file."""
    parts = [*batches, *map(msgspec.json.encode, people)]
    body = b"".join(len(one).to_bytes(4, "big") + one for one in parts)
    header = ExportHeader(
        till_id=till_id, epoch=epoch, key_no=signer.key_no, made_at_ms=made_at_ms, why=why, batches=len(batches),
        body_sha256=sha256(body), people=len(people),
    )  # fmt: skip
    return pack(EXPORT_TAG, header, signer, body)


def open_export(data: bytes, key_lookup: KeyLookup, versions: Versions = OURS) -> Export:
    """What is in a file.

    Raises:
        BadEnvelope, UnknownProto, BadSignature, BadBody.
    """
    parts = split(data)
    header = versions.read(parts, ExportHeader, is_upload=True)
    check_signature(EXPORT_TAG, parts, key_lookup(header.till_id, header.key_no))
    _check_body(parts.body, header.body_sha256)
    found = _parted(parts.body, header.batches + header.people)
    try:
        people = tuple(msgspec.json.decode(one, type=CarriedPerson) for one in found[header.batches :])
    except msgspec.MsgspecError as trouble:
        raise BadBody(f"The file holds somebody who cannot be read: {trouble}") from None
    return Export(header=header, batches=found[: header.batches], people=people)


def seal_answers(
    export: bytes, answers: Sequence[Answer], *, now_ms: int, signer: Signer, till_id: str = "",
    people: Sequence[TakenPerson] = (),
) -> bytes:  # fmt: skip
    """The bytes of an answer file; `till_id` is said with `people`."""
    body = b"".join(
        one.status.to_bytes(2, "big") + len(one.body).to_bytes(4, "big") + one.body for one in answers
    )  # fmt: skip
    said = ExportAnswer(
        key_no=signer.key_no, answers=sha256(export), server_at_ms=now_ms, batches=len(answers),
        body_sha256=sha256(body), till_id=till_id, people=tuple(people),
    )  # fmt: skip
    return pack(EXPORT_ANSWER_TAG, said, signer, body)


def open_answers(data: bytes, keys: PublicKeys) -> tuple[ExportAnswer, tuple[Answer, ...]]:
    """What the centre signed; each answer is checked for itself by who takes it.

    Raises:
        BadEnvelope, BadSignature, BadBody.
    """
    said, body = open_signed(EXPORT_ANSWER_TAG, data, ExportAnswer, keys)
    _check_body(body, said.body_sha256)
    answers, at = [], 0
    for _ in range(said.batches):
        status, size = int.from_bytes(body[at : at + 2], "big"), int.from_bytes(body[at + 2 : at + 6], "big")
        answers.append(Answer(status=status, body=_cut(body, at + 6, size)))
        at += 6 + size
    _check_end(body, at)
    return said, tuple(answers)


def _parted(body: bytes, count: int) -> tuple[bytes, ...]:
    parts, at = [], 0
    for _ in range(count):
        size = int.from_bytes(body[at : at + 4], "big")
        parts.append(_cut(body, at + 4, size))
        at += 4 + size
    _check_end(body, at)
    return tuple(parts)


def _cut(body: bytes, start: int, size: int) -> bytes:
    if start + size > len(body):
        raise BadBody("The file ends in the middle of a part; copy it again.", bytes=len(body))
    return body[start : start + size]


def _check_body(body: bytes, wanted: str) -> None:
    if sha256(body) != wanted:
        raise BadBody("The file is not the one that was signed; copy it again, whole.", bytes=len(body))


def _check_end(body: bytes, at: int) -> None:
    if at != len(body):
        raise BadBody("The file holds more than its header says; copy it again.", bytes=len(body))
