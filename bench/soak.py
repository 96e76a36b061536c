"""`python -m bench.soak MINUTES`: a till at work for so long, all its screens lit; memory, threads and files stay flat.

A head office and four tills as processes of their own, as in the demo. One of the tills is watched: eight screens
listen to it, a scanner reads cards through a pseudo-terminal, sales are quoted, paid, voided and taken back, and it
keeps sending events and fetching pages. Every ten seconds what it and head office hold is read from /proc; at the end
a line is laid through what came after the warm-up, and the exit status is 1 where one of the till's rises.
"""

import argparse
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from urllib.parse import urlsplit

import msgspec
from rich.console import Console

from tallypoint.demo.shop import Shop, open_shop
from tallypoint.demo.story import Story

SCREENS = 8
EVERY_S = 10.0
# Of its database that head office keeps in memory: so little that it is full from the start. With what it has usually,
# its memory grows with the file for hours, and a leak of the same size would not show.
CENTRE_CACHE_MIB = 1
WARM_UP = 0.5  # of the run: what is remembered of amounts, goods and pages has its bounds, and comes up to them slowly
SALES_PER_S = 2.0
SCAN_EVERY = 5  # sales
# What the line may rise by over the part that is looked at: noise of the sampling, not of the process.
MOST_RISE = {"rss_kib": 2_048.0, "threads": 2.0, "descriptors": 2.0}


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What a process held so many seconds after the beginning."""

    at_s: float
    rss_kib: int
    threads: int
    descriptors: int


class Trend(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of a process after the warm-up: its bounds, its mean, and how far the fitted line rises or falls."""

    name: str
    least: int
    most: int
    mean: float
    rise: float
    per_hour: float

    @property
    def is_flat(self) -> bool:
        """Whether it does not rise beyond the noise; that it falls is no leak."""
        return self.rise <= MOST_RISE[self.name]


def sample(pid: int, at_s: float) -> Sample:
    """What a process holds now. Linux only."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines())
    return Sample(
        at_s=at_s,
        rss_kib=int(status["VmRSS"].split()[0]),
        threads=int(status["Threads"]),
        descriptors=len(os.listdir(f"/proc/{pid}/fd")),
    )


def trends(samples: Sequence[Sample], warm_up: float = WARM_UP) -> list[Trend]:
    """Lines through what came after the warm-up, at least three samples of it."""
    from_s = samples[0].at_s + warm_up * (samples[-1].at_s - samples[0].at_s)
    seen = [one for one in samples if one.at_s >= from_s]
    if len(seen) < 3:
        raise ValueError(f"{len(seen)} samples after the warm-up tell nothing; run for longer")
    return [_trend(name, [one.at_s for one in seen], [getattr(one, name) for one in seen]) for name in MOST_RISE]


def slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Of the straight line with the least squares."""
    middle_x, middle_y = fmean(xs), fmean(ys)
    over = sum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True))
    return over / sum((x - middle_x) ** 2 for x in xs)


def _trend(name: str, at_s: Sequence[float], values: Sequence[int]) -> Trend:
    per_s = slope(at_s, values)
    return Trend(
        name=name,
        least=min(values),
        most=max(values),
        mean=fmean(values),
        rise=per_s * (at_s[-1] - at_s[0]),
        per_hour=per_s * 3_600,
    )


class ScreenListener:
    """A screen: it reads the events of a till and counts them, beats left out."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname and parts.port
        self.states = 0
        self.ended = False
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=30)
        self._socket.sendall(f"GET /events HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        left = b""
        try:
            while came := self._socket.recv(65_536):
                *lines, left = (left + came).split(b"\n")
                self.states += sum(line == b"event: screen" for line in lines)
        except OSError:
            pass  # we hung up, or the till did: either way it listens no more
        self.ended = True

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def soak(minutes: float, folder: Path, console: Console, sales_per_s: float = SALES_PER_S) -> int:
    """Run, tell, judge. Returns: the exit status."""
    os.environ["TALLYPOINT_CENTRAL_SQLITE_CACHE_MIB"] = str(CENTRE_CACHE_MIB)
    shop = open_shop(folder, 7, console)
    listeners: list[ScreenListener] = []
    try:
        shop.start()
        watched = {name: shop.served[name] for name in (shop.tills[0].label, "centre")}
        pids = {name: served.process.pid for name, served in watched.items() if served.process}
        listeners = [ScreenListener(shop.tills[0].client.url) for _ in range(SCREENS)]
        samples, work = _work(shop, pids, minutes * 60, sales_per_s, console)
        shop.wait_until_synced()
        lit = [one for one in listeners if not one.ended]
        console.print(f"{work}; {len(lit)} of {SCREENS} screens still listen, each saw", highlight=False)
        console.print(f"  {', '.join(f'{one.states:,}' for one in listeners)} states", highlight=False)
        flat = [_tell(name, trends(of), console) for name, of in samples.items()]
        return 0 if flat[0] and len(lit) == SCREENS else 1
    finally:
        for one in listeners:
            one.close()
        shop.stop()


def _work(
    shop: Shop, pids: dict[str, int], seconds: float, sales_per_s: float, console: Console
) -> tuple[dict[str, list[Sample]], str]:
    """Ring up at the watched till, now and then at another one; look at the processes every ten seconds."""
    story, day = Story(7, shop.cards), shop.days[0]
    samples: dict[str, list[Sample]] = {name: [] for name in pids}
    begun = time.monotonic()
    look_at = 0.0
    sales = scans = 0
    while (now_s := time.monotonic() - begun) < seconds:
        if now_s >= look_at:
            for name, pid in pids.items():
                samples[name].append(sample(pid, now_s))
            if len(samples[shop.tills[0].label]) % 30 == 1:
                console.print(f"  {now_s / 60:4.1f} min, {sales:,} sales: {_brief(samples)}", highlight=False)
            look_at += EVERY_S
        card = None
        if sales % SCAN_EVERY == 0:
            card, scans = shop.scan(), scans + 1
        story.ring_up(shop.tills[0 if sales % 10 else 1 + sales // 10 % 3], day, may_spend=True, card=card)
        sales += 1
        time.sleep(max(0.0, sales / sales_per_s - (time.monotonic() - begun)))
    for name, pid in pids.items():
        samples[name].append(sample(pid, time.monotonic() - begun))
    return samples, f"{seconds / 60:g} minutes, {sales:,} sales, {scans:,} cards scanned"


def _brief(samples: dict[str, list[Sample]]) -> str:
    return "; ".join(
        f"{name} {of[-1].rss_kib / 1024:.1f} MiB, {of[-1].threads} threads, {of[-1].descriptors} descriptors"
        for name, of in samples.items()
    )


def _tell(name: str, found: Iterable[Trend], console: Console) -> bool:
    flat = True
    for one in found:
        verdict = "flat" if one.is_flat else f"RISES by more than {MOST_RISE[one.name]:g}"
        console.print(
            f"{name:<8} {one.name:<12} {one.least:>9,} to {one.most:>9,}, mean {one.mean:>11,.1f}, "
            f"line {one.rise:>+9,.1f} ({one.per_hour:>+10,.1f} an hour)  {verdict}",
            highlight=False,
            soft_wrap=True,
        )
        flat &= one.is_flat
    return flat


def main(arguments: list[str] | None = None) -> int:
    """Read the minutes, soak, clear up."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description="A till at work, watched for leaks.")
    parser.add_argument("minutes", type=float, help="how long; thirty is a soak, one tries the driver")
    parser.add_argument("--sales", type=float, default=SALES_PER_S, help="a second (default %(default)s)")
    asked = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="tallypoint-soak-"))
    try:
        return soak(asked.minutes, folder, Console(), asked.sales)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
