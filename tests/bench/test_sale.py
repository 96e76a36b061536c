"""The benches of a till at work: each state is what it says, and nothing that is asked meanwhile fails."""

import socket

from bench import sale, swap
from bench.sale import ASKS, STATES, black_hole


def test_a_sale_is_measured_in_every_state():
    rows = list(sale.rows(2_000, sales=2, rounds=1))
    measured = [row for row in rows if row.beside == "its p99.9"]
    assert [row.what.split(";")[0] for row in measured] == [f"{ask}, {state}" for state in STATES for ask in ASKS]
    assert all(0 < row.ours_us <= row.beside_us for row in measured)
    assert [row.budget for row in rows if row.budget] == ["P7"]
    beside_quiet = [row for row in rows if row.beside == "quiet"]
    assert len(beside_quiet) == (len(STATES) - 1) * len(ASKS)


def test_no_quote_fails_while_a_snapshot_is_swapped_in():
    judged, chunks, quotes = swap.rows(3_000)
    assert (judged.budget, judged.at_most) == ("P9", 4.0)
    assert judged.ours_us > 0 and chunks.ours_us > judged.ours_us
    assert "none failed" in quotes.what and int(quotes.what.split()[0].replace(",", "")) > 0


def test_a_black_hole_takes_what_comes_and_never_answers():
    with black_hole() as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=5) as line:
            line.sendall(b"POST / HTTP/1.1\r\n\r\n")
            line.settimeout(0.3)
            try:
                came = line.recv(1)
            except TimeoutError:
                came = None
    assert came is None
