"""Pages down: what may follow on what a till has, and what may not."""

import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.trouble import Refusal
from sync.framing import pack, sha256
from sync.keys import one_key
from sync.lanes import LaneState, apply_page, is_expired, open_page, seal_page
from sync.refusals import BadBody, NotOurAnswer, PageRefused, TooLarge
from sync.wire import PAGE_TAG, Page, PageHeader
from tests.sync.memory import CENTRE, NOON, TILL_A, TILL_B

KEYS = one_key(CENTRE.public)
ASKED = "1" * 64

# The till is in the hotlist at cursor c5, version 5, which expires at 900.
PAGES = """
    lane      from to  version more restart  outcome
    hotlist   c5   c6  6       no   no       c6 6
    hotlist   c5   c6  6       yes  no       c6 5          the run is not complete
    hotlist   c5   c5  5       no   no       c5 5          nothing new
    hotlist   -    c7  7       no   yes      c7 7          begun anew
    hotlist   c5   c4  4       no   no       refused       rollback
    hotlist   -    c4  4       no   yes      refused       rollback, begun anew
    hotlist   c4   c6  6       no   no       refused       not where we stand
    hotlist   c5   c6  6       no   yes      refused       a restart begins at the beginning
    hotlist   c5   c5  6       yes  no       refused       more, but does not move
    members   c5   c6  6       no   no       refused       another lane
"""


def page(lane="hotlist", start="", to="c1", version=1, more=False, restart=False, rows=()) -> Page:
    return Page(
        lane=lane,
        from_cursor=start,
        to_cursor=to,
        version=version,
        more=more,
        restart=restart,
        expires_ms=1_000,
        rows=tuple(msgspec.Raw(row) for row in rows),
    )


def test_a_page_is_taken_only_where_it_follows():
    state = LaneState(cursor="c5", version=5, expires_ms=900)
    for line in PAGES.strip().splitlines()[1:]:
        lane, start, to, version, more, restart, *outcome = line.split()
        came = page(lane, start.replace("-", ""), to, int(version), more == "yes", restart == "yes")
        if outcome[0] == "refused":
            with pytest.raises(PageRefused):
                apply_page(came, "hotlist", state)
        else:
            after = apply_page(came, "hotlist", state)
            assert [after.cursor, str(after.version)] == outcome[:2], line
            assert after.expires_ms == (900 if more == "yes" else 1_000), line


def test_a_lane_expires_at_its_instant_or_never():
    assert not is_expired(LaneState(expires_ms=900), 899)
    assert is_expired(LaneState(expires_ms=900), 900)
    assert not is_expired(LaneState(expires_ms=0), NOON)


def test_a_clock_that_was_put_back_makes_a_lane_no_younger():
    lane = LaneState(expires_ms=NOON + 900)
    assert not is_expired(lane, NOON - 3_600_000, taken_ms=NOON)
    assert is_expired(lane, NOON - 3_600_001, taken_ms=NOON)
    assert not is_expired(LaneState(expires_ms=0), NOON - 3_600_001, taken_ms=NOON)


def sealed(came: Page) -> bytes:
    return seal_page(came, till_id=TILL_A, answers=ASKED, now_ms=NOON, signer=CENTRE)


def test_rows_arrive_byte_for_byte():
    data = sealed(page(rows=(b'{"token":"00ff","since":1}', b"[1, 2]", b"null")))
    header, came = open_page(data, till_id=TILL_A, answers=ASKED, keys=KEYS)
    assert [bytes(row) for row in came.rows] == [b'{"token":"00ff","since":1}', b"[1, 2]", b"null"]
    assert header.server_at_ms == NOON


def test_a_page_for_another_till_or_another_request_is_refused():
    for till_id, answers in ((TILL_B, ASKED), (TILL_A, "2" * 64)):
        with pytest.raises(NotOurAnswer):
            open_page(sealed(page()), till_id=till_id, answers=answers, keys=KEYS)


def lie(body: bytes, raw_bytes: int) -> bytes:
    header = PageHeader(
        key_no=1, answers=ASKED, server_at_ms=NOON, till_id=TILL_A, raw_bytes=raw_bytes, body_sha256=sha256(body)
    )
    return pack(PAGE_TAG, header, CENTRE, body)


def test_a_page_that_inflates_to_something_else_is_refused():
    with pytest.raises(BadBody):
        open_page(lie(zlib.compress(bytes(50_000_000)), 100), till_id=TILL_A, answers=ASKED, keys=KEYS)
    with pytest.raises(BadBody):
        open_page(lie(zlib.compress(b"[]"), 2), till_id=TILL_A, answers=ASKED, keys=KEYS)
    with pytest.raises(TooLarge):
        open_page(lie(zlib.compress(b"[]"), 9 * 1024 * 1024), till_id=TILL_A, answers=ASKED, keys=KEYS)


@given(st.data())
def test_a_page_with_a_flipped_bit_is_refused(data):
    body = bytearray(sealed(page(rows=(b'{"token":"00ff"}',))))
    bit = data.draw(st.integers(0, 8 * len(body) - 1))
    body[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Refusal):
        open_page(bytes(body), till_id=TILL_A, answers=ASKED, keys=KEYS)
