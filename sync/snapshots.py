"""The members of a lane as chunks that many tills share: what a till begins from, and what it compares itself with.

A span is a fixed part of all account numbers; a chunk is what one span held at one moment, named by the SHA-256 of its
bytes, so that it can be fetched in parts, kept, and taken once. The manifest, made for one till, lists the chunks and
says of each which events of that till are in it (`own_seq`), for a shared chunk cannot. What changed since comes in
pages. Two stores of the same rows agree on their digest: the XOR of a hash of each row, in the form that all share.

Source: sync.md section 3; house.md "A shared snapshot chunk leaves own_seq out".
"""

import hashlib
import struct
import zlib
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Annotated, Any

import msgspec

from loyalty.members import PublishedMember
from loyalty.trouble import Refusal
from sync.chain import Hex64
from sync.framing import inflate, open_signed, pack, sha256
from sync.keys import PublicKeys, Signer
from sync.lanes import open_body, seal_body
from sync.refusals import BadBody, NotOurAnswer, PageRefused, TooLarge
from sync.wire import (
    CHUNK_TAG,
    DIGEST_ANSWER_TAG,
    SNAPSHOT_TAG,
    ChunkHeader,
    Count,
    DigestAnswer,
    PageHeader,
    Short,
)

ID_BITS = 53  # account numbers are drawn evenly below 2**53
MAX_RAW_BYTES = 8 * 1024 * 1024
_PACKED = msgspec.msgpack.Encoder()
_TOKEN_BYTES = 16
_ZLIB, _LAST_BLOCK = b"\x78\xda", b"\x03\x00"  # what a stream begins with; an empty block that ends it (RFC 1950, 1951)
_STRATEGIES = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY)


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Part `part` of 2**bits equal parts of all account numbers; with `home`, of that store's own members only."""

    home: Short = ""
    bits: Annotated[int, msgspec.Meta(ge=0, le=20)] = 0
    part: Count = 0

    @property
    def first(self) -> int:
        """Its lowest account number."""
        return self.part << (ID_BITS - self.bits)

    @property
    def last(self) -> int:
        """Its highest account number; the last part has all above, too."""
        if self.part == (1 << self.bits) - 1:
            return 2**63 - 1
        return ((self.part + 1) << (ID_BITS - self.bits)) - 1

    def has(self, account_id: int) -> bool:
        """Whether an account number lies in it."""
        return self.first <= account_id <= self.last


def part_of(account_id: int, bits: int) -> int:
    """The part of 2**bits in which an account number lies."""
    return min(account_id >> (ID_BITS - bits), (1 << bits) - 1)


class ChunkMark(msgspec.Struct, frozen=True, kw_only=True):
    """A chunk as a manifest names it.

    Attributes:
        sha256: of its bytes as they travel; `wire_bytes` of them, `raw_bytes` inflated.
        as_of: the number of the lane up to which changes are in it.
        own_seq: the last event of the asking till that is in its rows.
    """

    span: Span
    sha256: Hex64
    rows: Count
    wire_bytes: Count
    raw_bytes: Annotated[int, msgspec.Meta(ge=0, le=MAX_RAW_BYTES)]
    as_of: Count
    own_seq: Count


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What one till fetches, in this order: its own store's members, then everybody.

    Attributes:
        as_of: the least of the chunks', from which pages go on.
        version: of the lane when this was made; it never falls.
        block_no: the newest block then.
        expires_ms: from when on another is to be asked for.
        generation: of the centre, as of `sync.wire.Page`.
    """

    as_of: Count
    version: Count
    block_no: Count
    expires_ms: int
    chunks: tuple[ChunkMark, ...] = ()
    generation: Count = 0


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """How far a till is in its snapshot: no manifest before the first came; `done` are the chunks it has taken."""

    manifest: Manifest | None = None
    done: tuple[ChunkMark, ...] = ()

    def next_chunk(self) -> ChunkMark | None:
        """The first chunk of the manifest whose span is not done; none when all are.

        A chunk that was replaced since it was taken need not come again: pages bring what changed.
        """
        taken = {mark.span for mark in self.done}
        return next((mark for mark in self.manifest.chunks if mark.span not in taken), None) if self.manifest else None

    def as_of(self) -> int:
        """From which number pages must go on, once everything is done."""
        spans = {mark.span for mark in self.manifest.chunks} if self.manifest else set()
        least = min((mark.as_of for mark in self.done if mark.span in spans), default=None)
        return least if least is not None else (self.manifest.as_of if self.manifest else 0)


class ChunkRows(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a chunk: rows ascending by account, without `own_seq`; and accounts of the span that are left
    `apart` because no row of theirs is right for every till: pages bring them."""

    rows: tuple[PublishedMember, ...] = ()
    apart: tuple[int, ...] = ()


class _Column(msgspec.Struct, frozen=True, array_like=True):
    """How a field's values were packed, one of a row each: 0 for the default, else a whole number less `base` plus one,
    or the place in `known` plus one; in so many planes of a byte a row, the highest first."""

    name: str
    planes: Annotated[int, msgspec.Meta(ge=0, le=8)]
    base: int = 0
    known: tuple[Any, ...] = ()


class _Head(msgspec.Struct, frozen=True, array_like=True):
    """What a chunk begins with; its planes and the tokens of its cards follow."""

    rows: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
    columns: tuple[_Column, ...]
    apart: tuple[int, ...]


def encode_chunk(chunk: ChunkRows) -> tuple[bytes, int]:
    """A chunk as it travels, and how long it is inflated. The same rows make the same bytes.

    Raises:
        TooLarge: over 8 MiB inflated.
    """
    pieces = _pieces_of(chunk)
    raw_bytes = sum(map(len, pieces))
    if raw_bytes > MAX_RAW_BYTES:
        raise TooLarge("A chunk of members must stay below 8 MiB.", bytes=raw_bytes)
    return _deflated(pieces), raw_bytes


def _deflated(pieces: Sequence[bytes]) -> bytes:
    """One zlib stream of all pieces, each with a code of its own: a seventh less than with one for all.

    Columns whose values come as if drawn are shorter without a look for what was there before, and others with it, so
    each piece is written in the ways there are, and the shortest taken.
    """
    parts = (min((_alone(piece, how) for how in _STRATEGIES), key=len) for piece in pieces)
    return b"".join((_ZLIB, *parts, _LAST_BLOCK, zlib.adler32(b"".join(pieces)).to_bytes(4, "big")))


def _alone(piece: bytes, strategy: int) -> bytes:
    """A piece as whole blocks of a stream, which look back to no other piece."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, 8, strategy)
    return packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH)


def decode_chunk(data: bytes, mark: ChunkMark) -> ChunkRows:
    """The rows of a chunk whose bytes are those that the manifest names.

    Raises:
        BadBody: other bytes, or no chunk; or rows outside its span.
    """
    raw = inflate(data, mark.sha256, mark.raw_bytes)
    try:
        chunk = _rows_of(raw)
    except (msgspec.MsgspecError, IndexError, ValueError, KeyError, TypeError, RecursionError) as trouble:
        raise BadBody(f"The body is not a chunk of members: {trouble}") from None
    if not all(mark.span.has(member.row.account_id) for member in chunk.rows):
        raise BadBody("A chunk of members holds rows of another part.", part=mark.span.part)
    return chunk


def _pieces_of(chunk: ChunkRows) -> list[bytes]:
    """Head, planes of each column, tokens. What is drawn at random (account numbers, tokens) is bytes; of a column
    that says the same of everybody there are none."""
    plain = [msgspec.to_builtins(member) for member in chunk.rows]
    ids = [member.row.account_id for member in chunk.rows]
    values: dict[str, list[Any]] = {
        "account_id": [one - before for before, one in zip([0, *ids], ids, strict=False)],
        "cards": [len(member.cards) for member in chunk.rows],
        **{f"row.{name}": column for name, column in _by_name([one["row"] for one in plain]).items()},
        **_by_name(plain),
    }
    columns, planes = [], []
    for name, column in values.items():
        packed, bytes_of = _pack(name, column)
        columns.append(packed)
        planes += bytes_of
    head = _PACKED.encode(_Head(len(ids), tuple(columns), tuple(sorted(chunk.apart))))
    tokens = b"".join(bytes.fromhex(token) for member in chunk.rows for token in member.cards)
    return [len(head).to_bytes(4, "big") + head, *planes, tokens]


def _by_name(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    names = sorted({name for row in rows for name in row} - {"account_id", "own_seq", "row", "cards"})
    return {name: [row.get(name) for row in rows] for name in names}


def _pack(name: str, values: Sequence[Any]) -> tuple[_Column, list[bytes]]:
    said = [one for one in values if one is not None]
    if said and all(type(one) is int for one in said):
        base = min(said)
        known: tuple[Any, ...] = ()
        codes = [0 if one is None else one - base + 1 for one in values]
    else:
        base = 0
        places: dict[bytes, int] = {}
        codes = [0 if one is None else places.setdefault(_PACKED.encode(one), len(places) + 1) for one in values]
        known = tuple(msgspec.msgpack.decode(one) for one in places)
    width = (max(codes, default=0).bit_length() + 7) // 8
    together = b"".join(code.to_bytes(width, "big") for code in codes)
    return _Column(name, width, base, known), [together[at::width] for at in range(width)]


def _rows_of(raw: bytes) -> ChunkRows:
    at = 4 + int.from_bytes(raw[:4], "big")
    head = msgspec.msgpack.decode(raw[4:at], type=_Head)
    values: dict[str, list[Any]] = {}
    for column in head.columns:
        end = at + column.planes * head.rows
        values[column.name] = _unpack(column, raw[at:end], head.rows)
        at = end
    ids = accumulate(values.pop("account_id"))
    counts = values.pop("cards")
    if sum(counts) * _TOKEN_BYTES != len(raw) - at:
        raise ValueError("its columns differ in length")
    members: list[dict[str, Any]] = []
    for account_id, count in zip(ids, counts, strict=True):
        tokens = raw[at : at + count * _TOKEN_BYTES].hex()
        at += count * _TOKEN_BYTES
        cards = [tokens[i : i + 2 * _TOKEN_BYTES] for i in range(0, len(tokens), 2 * _TOKEN_BYTES)]
        members.append({"row": {"account_id": account_id}, "cards": cards})
    for name, column_values in values.items():
        whose, _, field = name.rpartition(".")
        for member, value in zip(members, column_values, strict=True):
            if value is not None:
                (member[whose] if whose else member)[field] = value
    return ChunkRows(rows=msgspec.convert(members, tuple[PublishedMember, ...]), apart=head.apart)


def _unpack(column: _Column, planes: bytes, rows: int) -> list[Any]:
    """A value that a column does not say is none: the field's default, as in a message."""
    if len(planes) != column.planes * rows:
        raise ValueError("it ends within a column")
    together = bytearray(8 * rows)
    for plane in range(column.planes):
        together[8 - column.planes + plane :: 8] = planes[plane * rows : (plane + 1) * rows]
    codes = struct.unpack(f">{rows}Q", together)
    if column.known:
        said = [None, *column.known]
        return [said[code] for code in codes]
    less = column.base - 1
    return [code + less if code else None for code in codes]


# Digests


def shared_form(member: PublishedMember, span: Span) -> PublishedMember:
    """A row as every till has it that shares the span: without what is said to one till alone."""
    row = member.row
    if member.home and not span.home:
        row = msgspec.structs.replace(row, counters=None, lapsing_later=())
    row = msgspec.structs.replace(row, own_seq=0) if row.own_seq else row
    if row is member.row:
        return member
    return msgspec.structs.replace(member, row=row, home=member.home and bool(span.home))


def row_hash(member: PublishedMember, span: Span) -> int:
    """64 bits that stand for a row; rows that differ to any till that shares the span have others."""
    told = msgspec.json.encode(shared_form(member, span))
    return int.from_bytes(hashlib.blake2b(told, digest_size=8).digest(), "big")


def digest_of(hashes: Iterable[int]) -> int:
    """What a set of rows comes to, in any order."""
    digest = 0
    for one in hashes:
        digest ^= one
    return digest


# As bytes


def seal_manifest(manifest: Manifest, *, till_id: str, answers: str, now_ms: int, signer: Signer) -> bytes:
    """A manifest as signed bytes, in answer to the request whose SHA-256 is `answers`."""
    raw = msgspec.json.encode(manifest)
    return seal_body(SNAPSHOT_TAG, raw, till_id=till_id, answers=answers, now_ms=now_ms, signer=signer)


def open_manifest(data: bytes, *, till_id: str, answers: str, keys: PublicKeys) -> tuple[PageHeader, Manifest]:
    """A manifest whose signature and body hold and which answers our own request.

    Raises:
        BadEnvelope, BadSignature, NotOurAnswer, TooLarge, BadBody.
    """
    return open_body(SNAPSHOT_TAG, "manifest", Manifest, data, till_id=till_id, answers=answers, keys=keys)


def seal_part(part: bytes, *, chunk: str, start: int, till_id: str, answers: str, now_ms: int, signer: Signer) -> bytes:
    """Some bytes of a chunk, from `start` on, as a signed answer."""
    header = ChunkHeader(
        key_no=signer.key_no,
        answers=answers,
        server_at_ms=now_ms,
        till_id=till_id,
        sha256=chunk,
        start=start,
        body_sha256=sha256(part),
    )
    return pack(CHUNK_TAG, header, signer, part)


def open_part(
    data: bytes, *, chunk: ChunkMark, start: int, answers: str, keys: PublicKeys
) -> tuple[ChunkHeader, bytes]:
    """Bytes of the chunk that was asked for, right after those at hand.

    Raises:
        BadEnvelope, BadSignature, NotOurAnswer, BadBody.
        PageRefused: none, or more than the chunk has.
    """
    header, part = _answering(data, chunk, start, answers, keys)
    if sha256(part) != header.body_sha256:
        raise BadBody("The bytes are not those that were signed; ask again.")
    if not part or start + len(part) > chunk.wire_bytes:
        raise PageRefused("The chunk is not as long as its manifest says.", start=start)
    return header, part


def open_begun(data: bytes, *, chunk: ChunkMark, start: int, answers: str, keys: PublicKeys) -> bytes:
    """The bytes of a chunk in an answer that broke off; none where not even its header came, or where that does not
    prove itself or answers another request. Nothing proves the bytes but the chunk's own name."""
    try:
        return _answering(data, chunk, start, answers, keys)[1]
    except Refusal:
        return b""


def _answering(
    data: bytes, chunk: ChunkMark, start: int, answers: str, keys: PublicKeys
) -> tuple[ChunkHeader, bytes]:
    header, part = open_signed(CHUNK_TAG, data, ChunkHeader, keys)
    if header.answers != answers or header.sha256 != chunk.sha256 or header.start != start:
        raise NotOurAnswer("These bytes answer another request.", start=header.start)
    return header, part


def open_digest(data: bytes, *, answers: str, keys: PublicKeys) -> DigestAnswer:
    """The centre's digest of a span, in answer to our own request. Raises: BadEnvelope, BadSignature, NotOurAnswer."""
    said, _ = open_signed(DIGEST_ANSWER_TAG, data, DigestAnswer, keys)
    if said.answers != answers:
        raise NotOurAnswer("This digest answers another request.")
    return said
