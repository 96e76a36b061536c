"""A run and what it reports; a seed run twice must come to the very same bytes."""

import gc
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from central.verify.books import verify_books
from sync.keys import one_key, remembering
from tallypoint.fleet.evidence import Centre
from tallypoint.fleet.oracle import Oracle, TillDisks
from tallypoint.fleet.world import Fleet, Plan

AGAIN = "digest: the second run of the seed came to other bytes"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One seed.

    Attributes:
        transactions: what POS systems did; `told`: answers that stand for an event.
        events: events of tills that exist somewhere = applied + flagged + quarantined + pending.
        pending: not at the centre: on the disk of a machine that was switched off for good.
        forgotten: written and gone with a disk that was put back to before them; in no other figure.
        lost: told and nowhere. `duplicated`: posted more often than once. `stuck`: tills not level after the healing.
        overspent: points that nobody had; `bound`: what could be at most.
        faults: by kind, how often. `seen`: answers of the centre by kind and status, refusals and faults by code.
        digest: of the trace. `replay`: the command that does it again.
    """

    seed: int
    tills: int
    transactions: int
    told: int
    events: int
    applied: int
    flagged: int
    quarantined: int
    pending: int
    forgotten: int
    lost: int
    duplicated: int
    stuck: int
    overspent: int
    bound: int
    recomputed: int
    faults: dict[str, int]
    seen: dict[str, int]
    digest: str
    seconds: float
    replay: str
    violations: tuple[str, ...]


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """A seed that did not come to its end."""

    seed: int
    replay: str
    violations: tuple[str, ...]


def run_seed(plan: Plan, *, twice: bool = False) -> Report:
    """Play a seed, judge it, and play it again where asked."""
    begun = time.monotonic()
    with remembering(), _seldom_tidied():
        fleet = Fleet(plan)
        fleet.play()
        digest = fleet.time.digest()
        report = judge(fleet)
        fleet.office.disk.give_back()
        if twice:
            again = Fleet(plan)
            again.play()
            again.office.disk.give_back()
            if again.time.digest() != digest:
                report = msgspec.structs.replace(report, violations=(*report.violations, AGAIN))
    return msgspec.structs.replace(report, seconds=round(time.monotonic() - begun, 3))


@contextmanager
def _seldom_tidied() -> Iterator[None]:
    """Most of what a history makes lives until its end, so Python looks for what is in use no more once in 200,000
    objects instead of 700, and at the end: a tenth of the time was that."""
    usual = gc.get_threshold()
    gc.set_threshold(200_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.collect()


def run_each(plan: Plan, count: int, *, twice: bool) -> Iterator[Report | Broken]:
    """So many seeds from the plan's on, whatever becomes of any of them."""
    for seed in range(plan.seed, plan.seed + count):
        one = msgspec.structs.replace(plan, seed=seed)
        try:
            yield run_seed(one, twice=twice)
        except Exception:  # noqa: BLE001 - whatever it was is the finding, and the next seed has its turn
            yield Broken(seed=seed, replay=replay_of(one), violations=(f"broken: {traceback.format_exc()}",))


def run_seeds(
    plan: Plan, count: int, *, twice: bool, told: Callable[[Report | Broken], None]
) -> Iterator[Report | Broken]:
    """So many seeds from the plan's on; the first that fails or breaks off is the last."""
    for one in run_each(plan, count, twice=twice):
        told(one)
        yield one
        if one.violations:
            return


def judge(fleet: Fleet) -> Report:
    """Hold a history that was played against its record."""
    plan, record = fleet.plan, fleet.record
    cards = frozenset(fleet.cards) | fleet.customers.numbers
    behind = fleet.behind()
    centre = Centre(fleet.office.disk.connection, cards)
    fleet.grants.read()
    oracle = Oracle(
        record,
        centre,
        _disks(fleet),
        granted=fleet.grants.floats(),
        odd_tills=fleet.mishaps.odd_tills,
        cards=cards,
        stuck=behind,
        heard=fleet.consents_heard(),
    )
    judged = oracle.judge()
    violations = judged.violations
    if not plan.is_big:
        verified = verify_books(fleet.office.engine, one_key(fleet.office.signer.public))
        violations += tuple(
            f"books: {one.code}: {one.about}: {one.wanted} / {one.found}" for one in verified.violations
        )
    return Report(
        seed=plan.seed,
        tills=plan.tills,
        transactions=plan.transactions,
        told=len(record.told),
        events=judged.events,
        applied=judged.applied,
        flagged=judged.flagged,
        quarantined=judged.quarantined,
        pending=judged.pending,
        forgotten=judged.forgotten,
        lost=judged.lost,
        duplicated=judged.duplicated,
        stuck=len(behind),
        overspent=judged.overspent,
        bound=judged.bound,
        recomputed=fleet.recomputed,
        faults=dict(sorted(fleet.faults.items())),
        seen=dict(sorted((fleet.talk.seen + record.refused).items())),
        digest=fleet.time.digest(),
        seconds=0.0,
        replay=replay_of(plan),
        violations=violations,
    )


def replay_of(plan: Plan) -> str:
    """The command that plays a seed again."""
    return (
        f"tallypoint fleet --tills {plan.tills} --transactions {plan.transactions} --seed {plan.seed}"
        f" --faults {plan.said_faults} --twice --json"
    )


def _disks(fleet: Fleet) -> list[TillDisks]:
    disks = [
        TillDisks(one.name, one.identity.till_id, one.identity.epoch, True, one.disk.writer, one.cache_disk.writer)
        for one in fleet.machines
    ]
    return disks + [
        TillDisks(name, image.identity.till_id, image.identity.epoch, False, image.journal, image.cache)
        for name, image in fleet.retired
    ]
