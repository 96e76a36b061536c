"""What may go wrong, and how much of it in one run: a swarm, so that some runs know nothing of a fault and others much.

Source: reliability.md section 2.
"""

from collections.abc import Collection
from random import Random

import msgspec

from loyalty.trouble import Refusal

# Of each message, the greatest rate; the sentence is for the help and the page.
LINE = {
    "loss": (0.3, "a request is lost"),
    "swallow": (0.3, "a request is taken and its answer is lost"),
    "duplicate": (0.2, "a request arrives again, later"),
    "delay": (0.2, "a request or its answer takes up to three minutes, so that others overtake it"),
    "stale": (0.1, "an earlier answer comes instead"),
    "corrupt": (0.1, "a byte of the request or the answer is changed"),
    "portal": (0.1, "somebody else answers: a captive portal, a proxy"),
}
# In one run, the greatest number for each till, or for all of them together.
OF_TILLS = {
    "partition": (2.0, "a till is without its line for hours"),
    "crash": (3.0, "a till's process or machine ends in the middle of a write, and starts from what was durable"),
    "disk": (3.0, "a till's disk refuses a write"),
    "clock": (1.0, "a till's wall clock is set, up to three hours either way"),
    "rewind": (0.4, "a till's disk is put back from an image, identity and all"),
    "clone": (0.2, "a till's disk is copied to a second machine, and both sell"),
}
OF_ALL = {
    "store": (2, "a store is without its line"),
    "outage": (2, "the centre is down"),
    "centre-crash": (6, "the centre's process ends in the middle of a request"),
    "centre-disk": (4, "the centre's disk refuses a commit"),
    "upgrade": (2, "the centre is upgraded by a version; the tills stay as they are"),
    "restore": (2, "the centre is put back from a backup, and the restore is noted"),
}
KINDS: tuple[str, ...] = (*LINE, *OF_TILLS, *OF_ALL)
_OFF = 0.35  # how often a run knows nothing of a fault


class UnknownFault(Refusal):
    code = "fleet.unknown_fault"


class Swarm(msgspec.Struct, frozen=True, kw_only=True):
    """One run's faults: the rate of each of the line's, how often each of the others."""

    rates: dict[str, float]
    counts: dict[str, int]


def read_kinds(text: str) -> tuple[str, ...]:
    """`all`, `none`, or names with commas between. Raises: UnknownFault."""
    if text == "all":
        return KINDS
    names = [name.strip() for name in text.split(",") if name.strip() and text != "none"]
    if unknown := sorted(set(names) - set(KINDS)):
        raise UnknownFault(f"There is no fault {', '.join(unknown)}; choose among {', '.join(KINDS)}, all and none.")
    return tuple(kind for kind in KINDS if kind in names)


def draw_swarm(dice: Random, kinds: Collection[str], tills: int) -> Swarm:
    """A run's own mixture of the faults that may happen; where few are named, each of them does.

    Args:
        kinds: what may happen, names of `KINDS`.
    """
    is_named = len(kinds) < len(KINDS)
    rates, counts = {}, {}
    for kind in KINDS:
        # Drawn whether or not it may happen, so that leaving one out changes no other.
        part, off = dice.random(), dice.random() < _OFF
        if is_named:
            part, off = 0.5 + part / 2, False
        if kind not in kinds or off:
            part = 0.0
        if kind in LINE:
            rates[kind] = LINE[kind][0] * part
        elif part:
            most = OF_TILLS[kind][0] * tills if kind in OF_TILLS else OF_ALL[kind][0]
            counts[kind] = max(1, round(most * part))
    return Swarm(rates=rates, counts=counts)
