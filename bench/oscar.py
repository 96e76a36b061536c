"""The engine beside django-oscar on the same offers, in turns.

It is no dependency of ours: an environment is made for it in a temporary folder, with the versions of `peers.txt`, for
the time of one run. Where that cannot be (no network, no pip), the table says so.
"""

import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from bench.children import Child, ChildEnded
from bench.goods import MEMBER, PLACE, basket
from bench.peer_offers import Offer, offers, priced_alike, programme_of
from bench.quote import LINES, SIZES
from bench.rounds import Round, alone, take_turns
from bench.table import Row, compared
from edge.cache.cache import freeze_memory
from loyalty.baskets import Basket
from loyalty.pricing.quotes import quote_basket
from loyalty.programme.compiled import Compiled, compile_programme

HERE = Path(__file__).parent
PEERS = HERE / "peers.txt"
WORKER = HERE / "oscar_worker.py"
INSTALL_TIMEOUT_S = 180
JUDGED = 100
AT_LEAST = 1_000.0  # P6
MOST = 100  # offers; a quote of it takes seconds with these, and as many times longer as there are more
ROUNDS = 5


class CannotInstall(Exception):
    """django-oscar cannot be had on this machine."""


class DifferentTotal(Exception):
    """The two do not come to the same total."""


def rows() -> Iterator[Row]:
    """One row for each number of offers."""
    with tempfile.TemporaryDirectory(prefix="tallypoint-bench-") as folder:
        try:
            python = _install(Path(folder))
            worker = Child([str(python), "-I", str(WORKER)])  # alone: this folder has an `oscar` of its own
        except (CannotInstall, ChildEnded) as trouble:
            yield Row(budget="P6", what="engine and django-oscar", skipped=str(trouble))
            return
        with worker:
            for size in SIZES:
                what = f"engine, {size:,} offers that django-oscar knows too"
                if size > MOST:
                    yield Row(what=what, skipped=f"a quote of django-oscar takes seconds at {MOST:,} already")
                else:
                    yield _row(worker, what, size)


def question(wanted: Basket, of: list[Offer]) -> dict[str, Any]:
    """What the worker is told of a basket and the offers."""
    lines = [
        {"sku": line.sku, "units": line.quantity_milli // 1000, "price_minor": line.unit_price_minor}
        for line in wanted.lines
    ]
    return {"basket": lines, "offers": msgspec.to_builtins(of)}


def _row(worker: Child, what: str, size: int) -> Row:
    bought, of = priced_alike(basket(LINES)), offers(size)
    rules = compile_programme(programme_of(of))
    worker.ask(question(bought, of))
    _check_equal(rules, bought, worker.ask({"calls": 1}), what)
    freeze_memory()
    times = take_turns(
        {
            "engine": alone(lambda: quote_basket(rules, bought, PLACE, MEMBER, explain=False), 50),
            "django-oscar": _of_worker(worker),
        },
        ROUNDS,
    )
    bound = AT_LEAST if size == JUDGED else None
    return compared("P6" if bound else "", what, times, "engine", "django-oscar", faster=True, at_least=bound)


def _check_equal(rules: Compiled, bought: Basket, theirs: dict[str, Any], what: str) -> None:
    quote = quote_basket(rules, bought, PLACE, MEMBER)
    applied = len({effect.promotion for effect in quote.effects})
    if (quote.totals.net_minor, applied) != (theirs["net_minor"], theirs["applied"]):
        raise DifferentTotal(f"{what}: ours {quote.totals.net_minor} by {applied} offers, theirs {theirs}")


def _of_worker(worker: Child) -> Round:
    """Its own clock, so that the way to it does not count."""
    return lambda: worker.ask({"calls": 1})["took_s"][0] * 1e6


def _install(folder: Path) -> Path:
    """Its Python. Raises: CannotInstall."""
    environment = folder / "oscar"
    try:
        venv.create(environment, with_pip=True)
        python = environment / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", PEERS]
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise CannotInstall(f"installing django-oscar took more than {INSTALL_TIMEOUT_S} s") from None
    except (OSError, subprocess.CalledProcessError) as trouble:
        raise CannotInstall(f"no environment for django-oscar: {trouble}") from None
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["pip gave no reason"]
        raise CannotInstall(f"pip: {last[0]}")
    return python
