"""A fleet under faults keeps every promise, and a seed is a history that can be played again."""

import json
import os
import subprocess
import sys
from collections import Counter

import pytest
from sqlalchemy import text

from central.ports import reading, writing
from edge.journal.troubles import JournalBroken
from tallypoint import cli
from tallypoint.fleet.disk import CentreDisk, Crashed, Peril
from tallypoint.fleet.faults import KINDS, UnknownFault, draw_swarm, read_kinds
from tallypoint.fleet.run import run_seed
from tallypoint.fleet.world import Plan

SEEDS = range(1, 13)


def plan(seed: int, *, tills: int = 3, transactions: int = 40, faults: tuple[str, ...] = KINDS) -> Plan:
    return Plan(tills=tills, transactions=transactions, seed=seed, faults=faults)


@pytest.fixture(scope="module")
def reports():
    return [run_seed(plan(seed)) for seed in SEEDS]


def test_whatever_goes_wrong_no_answer_is_lost_or_posted_twice_and_all_come_level(reports):
    for report in reports:
        assert report.violations == ()
        assert (report.lost, report.duplicated, report.stuck) == (0, 0, 0)
        assert report.events == report.applied + report.flagged + report.quarantined + report.pending
        assert report.told > 20
        assert report.overspent <= report.bound


def test_every_fault_happened_and_the_centre_gave_every_kind_of_answer(reports):
    happened, seen = Counter(), Counter()
    for report in reports:
        happened.update(report.faults)
        seen.update(report.seen)
    assert set(happened) == set(KINDS)
    for answer in ("hello 200", "batch 200", "page 200", "batch 409", "page 409", "sync.replayed", "lease 200"):
        assert seen[answer], answer


def test_without_faults_everything_is_applied():
    report = run_seed(plan(1, faults=()))
    assert report.faults == {}
    assert (report.events, report.quarantined, report.pending, report.forgotten) == (
        report.applied + report.flagged, 0, 0, 0)  # fmt: skip
    assert report.violations == ()


def test_a_seed_comes_to_the_same_bytes_in_every_process_whatever_its_hash_seed(reports):
    digests = {reports[1].digest}  # of a process, and an engine, that had played another seed before
    for hash_seed in ("0", "7"):
        asked = ["fleet", "--tills", "3", "--transactions", "40", "--seed", "2", "--json"]
        ran = subprocess.run(
            [sys.executable, "-m", "tallypoint.cli", *asked],
            env={**os.environ, "PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        digests.add(json.loads(ran.stdout)["digest"])
    assert len(digests) == 1


def test_what_was_not_committed_on_the_centre_s_disk_is_undone_and_the_next_history_finds_nothing():
    disk = CentreDisk()
    store = text("INSERT INTO store (store_id, name) VALUES (:id, 'a name')")
    with pytest.raises(ZeroDivisionError), writing(disk.engine) as tx:
        tx.execute(store, {"id": "undone"})
        1 / 0  # noqa: B018
    with disk.engine.connect() as left_open:
        left_open.execute(store, {"id": "left open"})
    with writing(disk.engine) as tx:
        tx.execute(store, {"id": "kept"})
    with reading(disk.engine) as connection:
        assert connection.execute(text("SELECT store_id FROM store")).scalars().all() == ["kept"]
    disk.peril = Peril("crash", 1)
    with pytest.raises(Crashed), writing(disk.engine) as tx:
        tx.execute(store, {"id": "crashed"})
    disk.peril = None
    with reading(disk.engine) as connection:
        assert connection.execute(text("SELECT store_id FROM store")).scalars().all() == ["kept"]
    disk.give_back()
    after = CentreDisk()
    assert after.engine is disk.engine
    with reading(after.engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM store")).scalar() == 0


def test_another_seed_is_another_history(reports):
    assert len({report.digest for report in reports}) == len(reports)


def test_the_command_prints_the_promised_figures_and_how_to_replay(capsys):
    status = cli.main(
        ["fleet", "--tills", "2", "--transactions", "20", "--seed", "5", "--faults", "loss,crash", "--twice", "--json"]
    )
    told = json.loads(capsys.readouterr().out)
    assert status == 0
    for name in ("seed", "transactions", "events", "applied", "flagged", "quarantined", "pending", "lost", "duplicated",
                 "stuck", "overspent", "faults", "digest", "seconds", "violations"):  # fmt: skip
        assert name in told
    assert told["replay"] == (
        "tallypoint fleet --tills 2 --transactions 20 --seed 5 --faults loss,crash --twice --json"
    )
    assert set(told["faults"]) <= {"loss", "crash"}


def test_several_seeds_are_played_twice_and_added_up(capsys):
    status = cli.main(
        ["fleet", "--tills", "2", "--transactions", "15", "--seed", "3", "--seeds", "2", "--faults", "none", "--json"]
    )
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert status == 0
    assert (told["seeds"], told["transactions"], told["seed"]) == (2, 30, 4)
    assert "seed 3: good" in shown.err


@pytest.mark.parametrize(
    ("asked", "say"),
    [("--tills 0", "1 or more"), ("--transactions many", "1 or more"), ("--seeds 5-3", "such as 1-50"),
     ("--seeds a-b", "such as 1-50")],
)  # fmt: skip
def test_a_number_that_is_none_is_refused_with_what_to_write(asked, say, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["fleet", *asked.split()])
    assert left.value.code == 2
    assert say in capsys.readouterr().err


def test_faults_are_chosen_by_name():
    assert read_kinds("all") == KINDS
    assert read_kinds("none") == ()
    assert read_kinds("crash, loss") == ("loss", "crash")
    with pytest.raises(UnknownFault):
        read_kinds("loss,lightning")


def test_each_fault_that_is_named_happens_in_every_run():
    import random

    for seed in range(20):
        swarm = draw_swarm(random.Random(seed), ("loss", "rewind"), tills=3)
        assert swarm.rates["loss"] >= 0.15
        assert swarm.counts["rewind"] >= 1
        assert swarm.rates["swallow"] == 0.0


def test_a_range_of_seeds_is_played_to_its_end_whatever_fails(capsys, monkeypatch):
    def play(plan, *, twice):
        if plan.seed == 4:
            raise RuntimeError("the fourth")
        return run_seed(plan, twice=twice)

    monkeypatch.setattr("tallypoint.fleet.run.run_seed", play)
    asked = ["fleet", "--tills", "2", "--transactions", "10", "--seeds", "3-5", "--faults", "none", "--json"]
    status = cli.main(asked)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert status == 1
    assert [line["seed"] for line in lines[:-1]] == [3, 4, 5]
    assert "RuntimeError: the fourth" in lines[1]["violations"][0]
    assert lines[1]["replay"].startswith("tallypoint fleet --tills 2 --transactions 10 --seed 4 ")
    told = lines[-1]
    assert (told["first"], told["last"], told["seeds"], told["transactions"], told["broken"]) == (3, 5, 3, 20, [4])


@pytest.mark.parametrize("asked", [("--seed", "4"), ("--seed", "3", "--seeds", "3")])
def test_a_seed_that_breaks_off_is_named_with_how_to_replay_it(asked, capsys, monkeypatch):
    def play(plan, *, twice):
        if plan.seed == 4:
            raise JournalBroken("of the product's own, which is no refusal of the command's")
        return run_seed(plan, twice=twice)

    monkeypatch.setattr("tallypoint.fleet.run.run_seed", play)
    shape = ["fleet", "--tills", "2", "--transactions", "10", "--faults", "none", *asked]
    assert cli.main([*shape, "--json"]) == 1
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert told["seed"] == 4
    assert "JournalBroken" in told["violations"][0]
    assert told["replay"] == "tallypoint fleet --tills 2 --transactions 10 --seed 4 --faults none --twice --json"
    assert told["replay"] in shown.err
    assert cli.main(shape) == 1
    shown = capsys.readouterr()
    assert "--seed 4 " in shown.err
    assert "violations: 1\n  broken: Traceback" in shown.out


def test_head_office_is_upgraded_under_its_tills_and_rights_go_from_till_to_till(reports):
    seen = Counter()
    for report in reports:
        seen.update(report.seen)
    assert sum(report.faults.get("upgrade", 0) for report in reports) > 0
    for answer in ("rights 200", "snapshot 200", "chunk 200", "digest 200"):
        assert seen[answer], answer
