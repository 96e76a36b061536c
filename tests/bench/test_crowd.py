"""The members that a bench's till knows: each in one chunk, spread over all numbers, and in the file that is copied."""

from pathlib import Path

import pytest

from bench import crowd, lookup
from edge.cache.cache import Cache
from edge.ports import SystemClock
from loyalty.cards.cards import Card, card_token
from sync.snapshots import ID_BITS, Span

COUNTS = [1_000, 1_024, 4_097, 10_000]


@pytest.mark.parametrize("count", COUNTS)
def test_every_member_is_in_one_chunk_and_chunks_are_of_about_a_thousand(count: int):
    told = list(crowd.marks(crowd.bits_for(count), count))
    rows = [row for mark in told for row in crowd.chunk(mark.span, count).rows]
    assert rows == [crowd.member(n, count) for n in range(count)]
    assert all(mark.span.has(row.row.account_id) for mark in told for row in crowd.chunk(mark.span, count).rows)
    assert 500 <= count / len(told) <= 2_048


def test_account_numbers_lie_evenly_over_all_there_are():
    numbers = [crowd.member(n, 1_000).row.account_id for n in range(1_000)]
    assert numbers == sorted(set(numbers))
    assert (numbers[0], numbers[500], numbers[-1]) == (
        1,
        (1 << (ID_BITS - 1)) + 1,
        9_007_199_254_740_992 * 999 // 1_000 + 1,
    )
    assert Span(bits=1, part=0).has(numbers[499]) and Span(bits=1, part=1).has(numbers[500])


def test_a_cache_is_made_once_and_then_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(crowd.tempfile, "gettempdir", lambda: str(tmp_path))
    assert crowd.laid_out(tmp_path / "first.db", 3_000) > 0
    assert crowd.laid_out(tmp_path / "second.db", 3_000) == 0
    ours = card_token(crowd.identity().card_key, Card(kind="ean13", number=crowd.CARD, last4="8903"))
    for path in (tmp_path / "first.db", tmp_path / "second.db"):
        cache = Cache.open(path, crowd.identity(), SystemClock(), on_swap=lambda: None)
        assert cache.counts()["member"] == cache.counts()["card"] == 3_000
        assert cache.member(ours) == crowd.member(crowd.OURS, 3_000)
        assert all(cache.member(one) for one in lookup.drawn(3_000))
        assert cache.snapshot() is None and cache.heard_ms("members") > 0
        cache.close()
    assert path.stat().st_mode & 0o777 == 0o600
