"""Histories of tills that spend points without the line: `python -m tests.loyalty.long_overspend [COUNT] [FIRST_SEED]`.

Prints for each set of faults how many histories overspent, how many beyond the bound, and by how much at most; ends
with 1 where a bound that must hold did not, or where the control did not break it.
"""

import sys
from dataclasses import dataclass

from tests.loyalty.overspend_world import Rules, World

COUNT = 20_000
LEASES = Rules()
FLOATS = Rules(floats=True)
RECLAIMS = Rules(reclaims=True)
BOTH = Rules(floats=True, reclaims=True)
UNNOTICED = Rules(rollbacks=True, detects=False)
NOTICED = Rules(rollbacks=True)


@dataclass
class Tally:
    """Histories: how many there were, overspent, did so beyond floats and reclaimed points, and beyond what rewound
    disks forgot besides; the most that any went beyond the bound; and in how many the books told another sum."""

    histories: int = 0
    overspent: int = 0
    beyond: int = 0
    unexplained: int = 0
    most_beyond: int = 0
    misbooked: int = 0


def tally(rules: Rules, count: int, first: int = 0) -> Tally:
    """Play histories of seeds that follow each other."""
    found = Tally()
    for seed in range(first, first + count):
        world = World(seed, rules)
        world.run()
        found.histories += 1
        found.overspent += world.overspent > 0
        found.beyond += world.overspent > world.bound
        found.unexplained += world.overspent > world.bound + world.forgotten
        found.most_beyond = max(found.most_beyond, world.overspent - world.bound)
        # A rewound disk has lost events, so its books cannot know everything.
        truly = {account: world.spent[account] - world.earned[account] for account in (1, 2)}
        if not rules.rollbacks:
            found.misbooked += any(world.missing(account) != sum_ for account, sum_ in truly.items())
    return found


def main(count: int = COUNT, first: int = 0) -> int:
    """Play all sets of faults, tell, and judge."""
    named = {"leases alone": LEASES, "floats": FLOATS, "reclaims": RECLAIMS, "floats and reclaims": BOTH,
             "disks go back, unnoticed": UNNOTICED, "disks go back, noticed": NOTICED}  # fmt: skip
    bad = False
    for name, rules in named.items():
        one = tally(rules, count, first)
        print(f"{name:26} {one.histories} histories, {one.overspent} overspent, {one.beyond} beyond the bound"
              f" (by {max(0, one.most_beyond)} at most), {one.unexplained} beyond what disks forgot,"
              f" {one.misbooked} misbooked", flush=True)  # fmt: skip
        bad |= bool(one.unexplained or one.misbooked or (one.beyond and not rules.rollbacks))
        bad |= rules is LEASES and one.overspent > 0
        bad |= rules is UNNOTICED and not one.beyond
    return int(bad)


if __name__ == "__main__":
    sys.exit(main(*(int(one) for one in sys.argv[1:3])))
