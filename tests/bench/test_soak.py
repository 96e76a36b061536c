"""What a soak calls flat: lines through samples, worked by hand, and what is read of a process."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from flask import Flask, Response

from bench.soak import Sample, ScreenListener, Trend, sample, slope, trends
from edge.web.server import WebServer


def of(*values: tuple[int, int, int]) -> list[Sample]:
    """(KiB, threads, descriptors), ten seconds apart."""
    return [
        Sample(at_s=10.0 * n, rss_kib=kib, threads=threads, descriptors=files)
        for n, (kib, threads, files) in enumerate(values)
    ]


def by_name(found: list[Trend]) -> dict[str, Trend]:
    return {one.name: one for one in found}


def test_the_line_has_the_least_squares():
    assert slope([0, 1, 2], [5, 5, 5]) == 0
    assert slope([0, 10, 20], [1, 2, 3]) == pytest.approx(0.1)
    # (-1, 0, 1) against (1, 0, 2): -1 + 2 over 2.
    assert slope([0, 1, 2], [1, 0, 2]) == pytest.approx(0.5)


def test_the_warm_up_does_not_count():
    found = by_name(trends(of((1_000, 5, 9), (50_000, 20, 30), *[(60_000, 20, 31)] * 3), warm_up=0.5))
    assert (found["rss_kib"].least, found["rss_kib"].rise, found["rss_kib"].is_flat) == (60_000, 0, True)
    assert (found["threads"].most, found["descriptors"].mean) == (20, 31)


def test_what_rises_steadily_is_found_and_what_only_shakes_is_not():
    leaks = by_name(trends(of(*[(60_000 + 800 * n, 20 + n, 30 + n) for n in range(10)]), warm_up=0))
    assert [(one.rise, one.is_flat) for one in leaks.values()] == [
        (pytest.approx(7_200), False), (pytest.approx(9), False), (pytest.approx(9), False),
    ]  # fmt: skip
    assert leaks["rss_kib"].per_hour == pytest.approx(80 * 3_600)
    shakes = trends(of(*[(60_000 + 3_000 * (n % 2), 20 + n % 2, 30 + n % 3) for n in range(12)]), warm_up=0)
    assert all(one.is_flat for one in shakes)
    falls = trends(of(*[(60_000 - 800 * n, 40 - n, 60 - n) for n in range(10)]), warm_up=0)
    assert all(one.is_flat for one in falls)


def test_too_few_samples_tell_nothing():
    with pytest.raises(ValueError, match="2 samples"):
        trends(of(*[(1, 1, 1)] * 3), warm_up=0.5)


HOLDS_A_THREAD_AND_A_FILE = """
import os, sys, threading
os.open(os.devnull, os.O_RDONLY)
threading.Thread(target=threading.Event().wait, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_process_is_read_as_it_is_now():
    # Another process: in this one, threads and files of other tests come and go.
    command = [sys.executable, "-S", "-c", HOLDS_A_THREAD_AND_A_FILE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        seen = sample(process.pid, 1.0)
        process.communicate()
    assert (seen.at_s, seen.threads, seen.descriptors) == (1.0, 2, 4)
    assert seen.rss_kib > 5_000


def test_a_screen_counts_states_and_says_when_it_was_left():
    app, seen = Flask("screens"), threading.Event()

    @app.get("/events")
    def events() -> Response:
        def told() -> Iterator[bytes]:
            yield b"retry: 300\nevent: screen\ndata: {}\n\n"
            yield b"event: beat\ndata:\n\n"
            yield b"event: screen\ndata: {}\n\n"
            seen.wait(10)

        return Response(told(), mimetype="text/event-stream")

    server = WebServer(app, host="127.0.0.1", port=0, threads=1)
    server.start()
    screen = ScreenListener(server.url)
    until = time.monotonic() + 10
    while screen.states < 2 and time.monotonic() < until:
        time.sleep(0.01)
    assert (screen.states, screen.ended) == (2, False)
    seen.set()
    server.stop()
    screen._thread.join(10)
    assert (screen.states, screen.ended) == (2, True)
    screen.close()
