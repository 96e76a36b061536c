"""Pages down: which page may follow on what a till has, and its bytes.

A lane is a feed of rows that the till keeps: the hotlist, the programme, the members (own store first). Its
cursor is the centre's own and opaque; its version is a number that never falls, so that an old page served
again by somebody on the way is recognised.

Source: sync.md section 3.
"""

import zlib
from typing import TypeVar

import msgspec

from sync.framing import inflate, open_signed, pack, sha256
from sync.keys import PublicKeys, Signer
from sync.refusals import BadBody, NotOurAnswer, PageRefused, TooLarge
from sync.wire import PAGE_TAG, Lane, Page, PageHeader

T = TypeVar("T", bound=msgspec.Struct)

MAX_PAGE_RAW_BYTES = 8 * 1024 * 1024
CLOCK_MENDED_MS = 3_600_000  # a clock goes back so far when it is set right, or to winter time by somebody's hand


class LaneState(msgspec.Struct, frozen=True, kw_only=True):
    """How far a till is in a lane. `version` is of the last complete run, `expires_ms` 0 means never."""

    cursor: str = ""
    version: int = 0
    expires_ms: int = 0


def apply_page(page: Page, lane: Lane, state: LaneState) -> LaneState:
    """The lane's state once the page is taken; the caller writes rows and state in one transaction.

    A page in the middle of a run leaves version and expiry alone, since the run is not complete.

    Raises:
        PageRefused: another lane, another cursor, a version below the till's (rollback), or no progress.
    """
    if page.lane != lane:
        raise PageRefused(f"Asked for {lane}, got {page.lane}.", lane=page.lane)
    if page.from_cursor != ("" if page.restart else state.cursor):
        raise PageRefused(f"The page of {lane} does not begin where this till stands; asking again.", lane=lane)
    if page.version < state.version:
        raise PageRefused(
            f"The page of {lane} is version {page.version}, older than {state.version} which this till has.",
            lane=lane,
            version=page.version,
            have=state.version,
        )
    if page.more and page.to_cursor == page.from_cursor:
        raise PageRefused(f"The page of {lane} promises more but does not move on.", lane=lane)
    if page.more:
        return LaneState(cursor=page.to_cursor, version=state.version, expires_ms=state.expires_ms)
    return LaneState(cursor=page.to_cursor, version=page.version, expires_ms=page.expires_ms)


def is_expired(state: LaneState, wall_ms: int, taken_ms: int = 0) -> bool:
    """Whether the lane is too old to rely on: caps tighten and a warning shows, prices never lapse.

    Args:
        taken_ms: the wall clock as the last page came. A clock that was put back since makes nothing younger: it cannot
            tell, until the next page comes.
    """
    return state.expires_ms > 0 and not taken_ms - CLOCK_MENDED_MS <= wall_ms < state.expires_ms


def seal_page(page: Page, *, till_id: str, answers: str, now_ms: int, signer: Signer) -> bytes:
    """A page as signed bytes, in answer to the request whose SHA-256 is `answers`.

    Raises:
        TooLarge: over 8 MiB; the store should have made a smaller page.
    """
    raw = msgspec.json.encode(page)
    if len(raw) > MAX_PAGE_RAW_BYTES:
        raise TooLarge("A page must stay below 8 MiB.", bytes=len(raw))
    return seal_body(PAGE_TAG, raw, till_id=till_id, answers=answers, now_ms=now_ms, signer=signer)


def open_page(data: bytes, *, till_id: str, answers: str, keys: PublicKeys) -> tuple[PageHeader, Page]:
    """A page whose signature and body hold and which answers our own request.

    Raises:
        BadEnvelope, BadSignature, NotOurAnswer, TooLarge, BadBody.
    """
    return open_body(PAGE_TAG, "page", Page, data, till_id=till_id, answers=answers, keys=keys)


def seal_body(tag: bytes, raw: bytes, *, till_id: str, answers: str, now_ms: int, signer: Signer) -> bytes:
    """JSON that a signed header binds, compressed, in answer to the request whose SHA-256 is `answers`."""
    body = zlib.compress(raw, 6)
    header = PageHeader(
        key_no=signer.key_no,
        answers=answers,
        server_at_ms=now_ms,
        till_id=till_id,
        raw_bytes=len(raw),
        body_sha256=sha256(body),
    )
    return pack(tag, header, signer, body)


def open_body(
    tag: bytes, name: str, kind: type[T], data: bytes, *, till_id: str, answers: str, keys: PublicKeys
) -> tuple[PageHeader, T]:
    """What `seal_body` sealed, its signature and body checked; `name` is its kind in a sentence.

    Raises:
        BadEnvelope, BadSignature, NotOurAnswer, TooLarge, BadBody.
    """
    header, body = open_signed(tag, data, PageHeader, keys)
    if header.answers != answers or header.till_id != till_id:
        raise NotOurAnswer(f"This {name} answers another request.", till_id=header.till_id)
    if header.raw_bytes > MAX_PAGE_RAW_BYTES:
        raise TooLarge(f"A {name} must stay below 8 MiB.", bytes=header.raw_bytes)
    raw = inflate(body, header.body_sha256, header.raw_bytes)
    try:
        return header, msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as trouble:
        raise BadBody(f"The body is not a {name}: {trouble}") from None
