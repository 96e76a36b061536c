"""Whoever opens a row of the worklist is told what it is and what to do."""

import re
from pathlib import Path

import pytest

from central.intake.quarantine import REUSED
from central.worklist.causes import OTHERWISE, WHY, why
from loyalty.facts.events import UnknownEvent
from loyalty.trouble import InvariantBroken
from sync.refusals import CloneSuspected, CodeUsed, ForkFound, Replayed, RewindFound
from sync.wire import BEYOND_RETENTION

ROOT = Path(__file__).resolve().parents[2]
WRITTEN = re.compile(r'(?:cause=|raise_alarm\(tx, |strike\(\w+, |\.flag\((?:\w+, )?|findings=\(\()"([a-z_.]+)"')


def written_causes() -> set[str]:
    """Every cause that stands as a word in the code of ledger and head office."""
    files = [path for folder in ("central", "loyalty") for path in (ROOT / folder).rglob("*.py")]
    return {cause for path in files for cause in WRITTEN.findall(path.read_text("utf-8"))}


def test_every_cause_that_stands_in_the_code_has_a_sentence_of_its_own() -> None:
    found = written_causes()
    assert {"batch_quarantined", "close_differs", "event.out_of_range", "lease_not_proven", "no_terms"} <= found
    assert sorted(cause for cause in found if cause not in WHY) == []


@pytest.mark.parametrize("cause", [ForkFound.code, RewindFound.code, CloneSuspected.code, Replayed.code, CodeUsed.code,
                                   UnknownEvent.code, InvariantBroken.code, REUSED, BEYOND_RETENTION])  # fmt: skip
def test_every_alarm_of_a_stopped_till_or_a_spent_code_has_a_sentence_of_its_own(cause: str) -> None:
    assert why(cause) != OTHERWISE


def test_what_nobody_wrote_a_sentence_for_is_told_in_general() -> None:
    assert why("something_new") == OTHERWISE
