"""A till that is killed in the middle of an exchange, a resume or a close has done all of it or nothing, and a retry
does it once."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from edge.sale.till import Till
from tests.edge.conftest import OpenTill
from tests.edge.counter import TILL_ID
from tests.edge.killed_day import act

ROOT = Path(__file__).parents[2]
EVENTS = {"exchange": ["x-back", "x-sale"], "resume": [], "close": ["till_close:2026-03-05"]}
MOST = 12  # statements of the longest of them


def killed(folder: Path, what: str, n: int) -> bool:
    """Whether it was done before the end."""
    command = [sys.executable, "-m", "tests.edge.killed_day", str(folder), what, str(n)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == -9, done.stderr
    return done.stdout == "done\n"


@pytest.mark.parametrize("what", ["exchange", "resume", "close"])
def test_all_of_it_or_nothing_and_once(till: Till, open_till: OpenTill, tmp_path: Path, what: str) -> None:
    act(till, "prepare")
    before = till.journal.head().seq
    till.journal.close()
    till.cache.close()
    outcomes: Counter[bool] = Counter()
    for n in range(1, MOST):
        was_done = killed(tmp_path, what, n)
        outcomes[was_done] += 1
        again = open_till()
        journal, basket = again.journal, again.journal.parked.find("P1")
        written = [entry.event.receipt_id for entry in journal.entries_after(before)]
        assert written == (EVENTS[what] if was_done else [])
        assert (journal.exchanges.find("x") is not None) == (was_done and what == "exchange")
        wanted = {"resume": "taken", "close": "expired"}.get(what, "open") if was_done else "open"
        assert basket is not None and basket.state == wanted
        journal.close()
        again.cache.close()
        if was_done:
            break
    assert outcomes[True] == 1 and outcomes[False] >= 2
    till = open_till()
    act(till, what)
    assert [entry.event.receipt_id for entry in till.journal.entries_after(before)] == EVENTS[what]
    assert what != "resume" or till.journal.parked.find("P1").taken_by == TILL_ID
