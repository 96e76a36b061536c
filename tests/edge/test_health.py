"""How a till says that it is: status, metrics, chores and their watchdog."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge.line.chores import ChainBroken, Chore, Chores, check_chain, chores_of
from edge.ports import Instant
from loyalty.members import MemberRow, PublishedMember
from tests.edge.rim import Rim, commit, quote


@pytest.fixture
def rim(tmp_path: Path) -> Rim:
    return Rim(tmp_path)


def test_a_till_tells_what_waits_to_be_sent_and_for_how_long(rim: Rim):
    rim.post("/v1/receipts", commit(sold_at="2026-03-05T09:00:00+01:00"))  # rung up long before it was paid
    rim.journal.outbox.take_ack(ack(rim, 1))
    rim.clock.move(90_000)
    told = rim.client.get("/v1/status").json
    assert told["ready"] is True
    assert told["stream"] == {
        "till_id": "0123456789abcdef0123456789abcdef", "epoch": 1, "head_seq": 2, "acked_seq": 1, "backlog": 1,
        "oldest_unsent_s": 90, "left_unsent": 0,
    }  # fmt: skip
    assert (told["float_points"], told["open_holds"], told["members"]) == (5000, 0, 1)
    assert (told["store_id"], told["partner_id"], told["label"]) == ("S1", "verde", "3")
    assert told["now"] == "2026-03-05T18:31:30.000+01:00"
    assert {lane["lane"]: lane["age_s"] for lane in told["lanes"]}["members"] == 90
    assert told["last_close"] is None


def test_a_till_tells_that_it_is_offline_and_what_it_closed_last(rim: Rim):
    rim.offline = True
    rim.post("/v1/receipts", commit())
    rim.post("/v1/day-close", {"business_date": "2026-03-05"})
    told = rim.client.get("/v1/status").json
    assert (told["line"]["offline"], told["last_close"]) == (True, "2026-03-05")


def test_a_till_without_a_programme_is_not_ready(tmp_path: Path):
    told = Rim(tmp_path, with_programme=False).client.get("/v1/status").json
    assert (told["ready"], told["programme_version"]) == (False, "")


def test_the_metrics_are_lines_that_prometheus_reads(rim: Rim):
    rim.post("/v1/receipts", commit())
    rim.health.incident("internal.error")
    lines = rim.client.get("/metrics").text.splitlines()
    for line in (
        "# TYPE tallypoint_till_backlog_events gauge",
        "tallypoint_till_backlog_events 2",
        "tallypoint_till_float_points 5000",
        "tallypoint_till_offline 0",
        'tallypoint_till_lane_expired{lane="hotlist"} 0',
        "# TYPE tallypoint_till_incidents_total counter",
        'tallypoint_till_incidents_total{code="internal.error"} 1',
    ):
        assert line in lines
    types = [line for line in lines if line.startswith("# TYPE")]
    assert len(types) == len(set(types))


def test_a_payment_card_is_counted_wherever_it_was_sent(rim: Rim):
    visa = "4242424242424242"
    rim.post("/v1/cards/identify", {"card": visa, "keyed": True})
    rim.post("/v1/quotes", quote(card=f"%B{visa}^DOE/JANE^29011010000?"))
    assert rim.client.get("/v1/balance", query_string={"card": visa}).json["code"] == "card.payment_card"
    rim.post("/v1/receipts/R9/void", {})  # another refusal, of something else
    assert rim.client.get("/v1/status").json["payment_cards"] == 3
    told = rim.client.get("/metrics").text
    for line in (
        "tallypoint_till_payment_cards_total 3",
        'tallypoint_till_refusals_total{code="card.payment_card"} 3',
        'tallypoint_till_refusals_total{code="receipt.unknown"} 1',
    ):
        assert line in told.splitlines()
    assert "4242" not in told


def test_nothing_of_a_member_is_in_status_or_metrics(rim: Rim):
    rim.post("/v1/receipts", commit())
    told = rim.client.get("/v1/status").text + rim.client.get("/metrics").text
    for secret in ("8903", "2012345678903", "account", "336320646e03bdfce172226500ed0ef9"):
        assert secret not in told


# Chores


def test_the_chain_check_walks_what_was_not_sent_and_names_the_event_that_was_changed(rim: Rim):
    rim.post("/v1/receipts", commit())
    rim.post("/v1/receipts", commit(receipt_id="R2"))
    assert check_chain(rim.journal, rim.identity) == 3
    with rim.journal.writing():
        database = rim.journal._database
        changed = "CAST(replace(CAST(payload AS TEXT), 'R1', 'R9') AS BLOB)"
        database.writer.execute(f"UPDATE event SET payload = {changed} WHERE seq = 2")
    with pytest.raises(ChainBroken) as broken:
        check_chain(rim.journal, rim.identity)
    assert (broken.value.code, broken.value.figures) == ("journal.chain_broken", {"seq": 2})


def test_every_chore_of_a_till_runs(rim: Rim):
    rim.post("/v1/receipts", commit())
    chores = chores_of(rim.journal, rim.cache, rim.identity, rim.clock)
    assert [chore.name for chore in chores] == ["give_back", "prune", "members", "checkpoint", "chain"]
    for chore in chores:
        chore.do()
    assert rim.client.get("/v1/receipts/R1").status_code == 200


def test_a_failing_chore_is_counted_and_comes_again(rim: Rim):
    def fail() -> None:
        raise OSError("no")

    chores = Chores((Chore(name="fails", every_s=3600, do=fail),), uplink=None, clock=rim.clock)
    chores.start()
    try:
        run_now(chores, "fails")
        wait_for(lambda: chores.runs().get(("fails", "failed")) == 1)
        run_now(chores, "fails")
        wait_for(lambda: chores.runs().get(("fails", "failed")) == 2)
    finally:
        chores.stop()


def test_status_and_metrics_say_when_a_chore_was_last_done_and_that_it_fails(rim: Rim):
    outcomes = [None, OSError("no")]

    def do() -> None:
        if trouble := outcomes.pop(0):
            raise trouble

    chores = Chores((Chore(name="prune", every_s=3600, do=do),), uplink=None, clock=rim.clock)
    rim.health._last_runs = chores.last
    assert rim.client.get("/v1/status").json["chores"] == [{"chore": "prune", "done_age_s": None, "failing": "",
                                                                "late": False}]  # fmt: skip
    chores.start()
    try:
        run_now(chores, "prune")
        wait_for(lambda: chores.runs().get(("prune", "done")) == 1)
        rim.clock.move(90_000)
        run_now(chores, "prune")
        wait_for(lambda: chores.runs().get(("prune", "failed")) == 1)
    finally:
        chores.stop()
    assert rim.client.get("/v1/status").json["chores"] == [{"chore": "prune", "done_age_s": 90, "failing": "OSError",
                                                            "late": False}]  # fmt: skip
    lines = rim.client.get("/metrics").text.splitlines()
    assert 'tallypoint_till_chore_age_seconds{chore="prune"} 90' in lines
    assert 'tallypoint_till_chore_failing{chore="prune"} 1' in lines


def test_a_chore_that_hangs_is_late_after_three_of_its_turns_and_one_that_fails_is_not(rim: Rim):
    gate = threading.Event()
    chores = Chores(
        (Chore(name="hangs", every_s=20, do=gate.wait), Chore(name="well", every_s=3600, do=dict)),
        uplink=None, clock=rim.clock,
    )  # fmt: skip
    rim.health._last_runs = chores.last
    chores.start()
    try:
        run_now(chores, "hangs")
        rim.clock.move(120_000)
        assert {name: ran.is_late for name, ran in chores.last().items()} == {"hangs": False, "well": False}
        rim.clock.move(1_000)
        assert {name: ran.is_late for name, ran in chores.last().items()} == {"hangs": True, "well": False}
        assert 'tallypoint_till_chore_late{chore="hangs"} 1' in rim.client.get("/metrics").text
        gate.set()
        wait_for(lambda: chores.runs().get(("hangs", "done")) == 1)
        assert not chores.last()["hangs"].is_late
    finally:
        gate.set()
        chores.stop()


def test_after_a_step_of_the_clock_every_chore_is_timed_anew(rim: Rim):
    chores = Chores((Chore(name="prune", every_s=3600, do=dict),), uplink=None, clock=rim.clock)
    chores.start()
    try:
        job = chores._scheduler.get_job("prune")
        far = job.next_run_time.replace(year=2100)
        job.modify(next_run_time=far)
        chores.look(at(mono_ms=0, wall_ms=0), at(mono_ms=10_000, wall_ms=12_000))
        assert chores._scheduler.get_job("prune").next_run_time == far  # two seconds are no step
        chores.look(at(mono_ms=0, wall_ms=0), at(mono_ms=10_000, wall_ms=-3_600_000))
        assert chores._scheduler.get_job("prune").next_run_time.year < 2100
        assert chores.runs()["watchdog", "clock_step"] == 1
    finally:
        chores.stop()


def test_the_watchdog_raises_a_dead_uplink(rim: Rim):
    class Dead:
        started = 0

        def status(self) -> Any:
            return SimpleNamespace(alive=self.started > 0)

        def start(self) -> None:
            self.started += 1

    uplink = Dead()
    chores = Chores((), uplink=uplink, clock=rim.clock)  # type: ignore[arg-type]
    for _ in range(2):
        chores.look(at(mono_ms=0, wall_ms=0), at(mono_ms=1, wall_ms=1))
    assert uplink.started == 1
    assert chores.runs() == {("watchdog", "uplink_raised"): 1}


def ack(rim: Rim, seq: int) -> Any:
    head = type(rim.journal.head())(
        till_id=rim.identity.till_id, epoch=1, seq=seq, hash=rim.journal.outbox.hash_at(seq)
    )
    return SimpleNamespace(head=head, generation=1, block_no=0, block_hash="", flagged=())


def at(*, mono_ms: int, wall_ms: int) -> Instant:
    return Instant(mono_ms=mono_ms, wall_ms=wall_ms, boot="boot-1")


def run_now(chores: Chores, name: str) -> None:
    chores._scheduler.get_job(name).modify(next_run_time=datetime.now(UTC))


def test_members_are_counted_once_for_as_long_as_none_come(tmp_path: Path):
    rim, asked = Rim(tmp_path), []
    rim.cache._database.writer.set_trace_callback(asked.append)
    assert [rim.client.get("/v1/status").json["members"] for _ in range(3)] == [1, 1, 1]
    assert [one for one in asked if "count(*)" in one] == ["SELECT count(*) FROM member"]
    rim.cache.load_members([PublishedMember(row=MemberRow(account_id=78, version=1), cards=("ab" * 16,))])
    assert rim.client.get("/v1/status").json["members"] == 2


def wait_for(is_so: Callable[[], bool]) -> None:
    for _ in range(500):
        if is_so():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never came to be")
