"""How much of a fault suite runs: a spread of about a minute with the tests, all of it for `make faults`."""

import os
from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")
LONG = bool(os.environ.get("TALLYPOINT_FAULTS_LONG"))


def some(points: Sequence[T], short: int, seed: str) -> Sequence[T]:
    """All points in the long set; in the short one the first, the last and a draw between, in order."""
    if LONG or len(points) <= short:
        return points
    inner = sorted(Random(seed).sample(range(1, len(points) - 1), short - 2))
    return [points[0], *(points[i] for i in inner), points[-1]]


def rounds(short: int, long: int) -> int:
    """How often to draw."""
    return long if LONG else short
