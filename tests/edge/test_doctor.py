"""The doctor of a till: it looks at the files while the service sells, and when it does not start."""

import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge import doctor
from edge.doctor import Examined, examine
from edge.identity import TillIdentity, make_folder, write_identity_file
from edge.ports import Settings
from tallypoint.cli import main
from tests.edge.rim import Rim, commit

HOUR = 3_600_000


@pytest.fixture
def rim(tmp_path: Path) -> Rim:
    make_folder(tmp_path)
    made = Rim(tmp_path, in_files=True)
    write_identity_file(tmp_path, made.identity)
    made.post("/v1/receipts", commit())
    return made


def look(rim: Rim, folder: Path, later_ms: int = 0, **status: Any) -> Examined:
    told: Any = rim.client.get("/v1/status").json
    told["line"] |= status.pop("line", {})
    settings = Settings(data_dir=str(folder), centre_url="https://centre.example")
    return examine(settings, rim.clock.now().wall_ms + later_ms, told | status)


def codes(said: Examined) -> set[str]:
    return {one.code for one in said.ailments} - {"sqlite.old"}


def test_a_sound_till_has_nothing_and_the_facts_say_where_it_stands(rim: Rim, tmp_path: Path) -> None:
    said = look(rim, tmp_path)
    assert codes(said) == set()
    assert not said.is_ill
    assert {name: said.facts[name] for name in ("epoch", "head_seq", "acked_seq", "backlog")} == {
        "epoch": 1, "head_seq": 2, "acked_seq": 0, "backlog": 2,
    }  # fmt: skip


def test_looking_changes_no_file_and_empties_no_log(rim: Rim, tmp_path: Path) -> None:
    def sizes() -> dict[str, tuple[int, bytes]]:
        return {path.name: (path.stat().st_mode, path.read_bytes()) for path in tmp_path.iterdir()
                if path.is_file() and not path.name.endswith("-shm")}  # fmt: skip

    before = sizes()
    look(rim, tmp_path)
    assert sizes() == before


def test_the_queue_ages_from_wrong_to_danger(rim: Rim, tmp_path: Path) -> None:
    for hours, level in ((3, None), (4, "wrong"), (167, "wrong"), (168, "danger")):
        said = [one for one in look(rim, tmp_path, hours * HOUR).ailments if one.code == "queue.old"]
        assert [one.level for one in said] == ([level] if level else [])
    assert said[0].say == "2 events are not acknowledged, the oldest for 168 hours."


def test_an_event_that_was_changed_after_it_was_written_is_named(rim: Rim, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "journal.db") as other:
        other.execute(
            "UPDATE event SET payload = CAST(replace(CAST(payload AS TEXT), 'R1', 'R9') AS BLOB) WHERE seq = 2"
        )
    (broken,) = [one for one in look(rim, tmp_path).ailments if one.level == "danger"]
    assert (broken.code, broken.about) == ("journal.chain_broken", "event 2")


def test_a_journal_that_is_gone_or_is_none(rim: Rim, tmp_path: Path) -> None:
    rim.journal.close()
    (tmp_path / "journal.db").write_bytes(b"these are no pages of a database" * 200)
    said = look_stopped(rim, tmp_path)
    assert {"journal.unreadable", "service.silent"} <= codes(said)
    (tmp_path / "journal.db").unlink()
    assert "journal.missing" in codes(look_stopped(rim, tmp_path))


def look_stopped(rim: Rim, folder: Path) -> Examined:
    return examine(Settings(data_dir=str(folder)), rim.clock.now().wall_ms, None)


def test_a_stopped_stream_resting_leases_and_what_an_earlier_enrolment_left(rim: Rim, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "journal.db") as other:
        other.execute("UPDATE stream SET suspended = 'sync.fork', leases_suspended = 'clock.went_back'")
    found = {one.code: one for one in look(rim, tmp_path).ailments}
    assert found["stream.suspended"].level == "danger"
    assert "clock.went_back" in found["leases.rest"].say
    assert "central resume" in found["stream.suspended"].do
    with sqlite3.connect(tmp_path / "journal.db") as other:
        other.execute("UPDATE stream SET suspended = 'sync.beyond_retention'")
    found = {one.code: one for one in look(rim, tmp_path).ailments}
    assert "resume" not in found["stream.suspended"].do and "enrol this till anew" in found["stream.suspended"].do
    with sqlite3.connect(tmp_path / "journal.db") as other:
        other.execute("UPDATE stream SET suspended = 'sync.revoked', leases_suspended = 'sync.revoked'")
    found = {one.code: one for one in look(rim, tmp_path).ailments}
    assert "serves no cards" in found["till.revoked"].say
    assert not {"stream.suspended", "leases.rest"} & found.keys()
    later = rim.identity.granted
    write_identity_file(tmp_path, TillIdentity(
        seed=rim.identity.seed, install_id="x", granted=type(later)(**{
            name: getattr(later, name) for name in later.__struct_fields__} | {"epoch": 2})))  # fmt: skip
    assert "journal.other_till" in codes(look(rim, tmp_path))


def test_what_an_earlier_epoch_left_is_on_its_way_or_kept_apart_for_a_person(rim: Rim, tmp_path: Path) -> None:
    later = msgspec.structs.replace(rim.identity.granted, epoch=2)
    write_identity_file(tmp_path, msgspec.structs.replace(rim.identity, granted=later))
    with sqlite3.connect(tmp_path / "journal.db") as other:
        other.execute("CREATE TEMP TABLE next AS SELECT * FROM stream")
        other.execute("UPDATE next SET epoch = 2")
        other.execute("INSERT INTO stream SELECT * FROM next")
    (left,) = [one for one in look(rim, tmp_path).ailments if one.code.startswith("queue.")]
    assert (left.level, left.code) == ("wrong", "queue.left_behind")
    assert left.say == "2 events of an earlier epoch were never acknowledged."
    with sqlite3.connect(tmp_path / "journal.db") as other:
        other.execute("UPDATE stream SET kept_apart = 'sync.unknown_epoch' WHERE epoch = 1")
    (left,) = [one for one in look(rim, tmp_path).ailments if one.code.startswith("queue.")]
    assert (left.level, left.code, left.about) == ("advice", "queue.kept_apart", "sync.unknown_epoch")


def test_what_the_running_service_tells(rim: Rim, tmp_path: Path) -> None:
    line = {"clock_offset_ms": -121_000, "offline": True, "since": "2026-03-05T18:00:00Z", "last_error": "line.down"}
    reader = {"name": "front", "state": "down", "trouble": "no such port"}
    printer = {"state": "down", "waiting": 3, "trouble": "no such port", "paper": "unknown"}
    pole = {"state": "down", "trouble": "no such port"}
    chores = [{"chore": "chain", "done_age_s": 900, "failing": "journal.chain_broken"},
              {"chore": "prune", "done_age_s": None, "failing": ""}]  # fmt: skip
    parts = {"readers": [reader], "chores": chores, "printer": printer, "pole_display": pole}
    found = {one.code: one for one in look(rim, tmp_path, line=line, **parts).ailments}
    assert found["printer.down"].say == "The receipt printer does not answer; 3 receipts wait: no such port."
    assert "display.down" in found
    low = {"state": "up", "waiting": 0, "trouble": "", "paper": "low"}
    assert {one.code for one in look(rim, tmp_path, printer=low).ailments} >= {"printer.paper_low"}
    assert found["clock.off"].say == "This machine's clock is off by 121 s."
    assert found["line.offline"].level == "advice"
    assert (found["reader.down"].about, found["chore.failing"].about) == ("front", "chain")
    assert "at its port in the settings: readers," in found["reader.down"].do
    assert found["chore.failing"].level == "danger"


def test_a_certificate_that_is_not_believed_points_to_the_clock(rim: Rim, tmp_path: Path) -> None:
    line = {"offline": True, "since": "2026-03-05T18:00:00Z", "last_error": "line.untrusted"}
    found = {one.code: one for one in look(rim, tmp_path, line=line, now="2019-01-01T00:00:09+01:00").ailments}
    assert found["line.untrusted"].level == "wrong"
    assert "it says 2019-01-01T00:00:09+01:00" in found["line.untrusted"].do
    assert "line.offline" not in found


@pytest.mark.parametrize("code", ["sync.unknown_till", "sync.bad_signature"])
def test_a_till_that_head_office_does_not_know_is_not_said_to_have_no_line(rim: Rim, tmp_path: Path, code: str) -> None:
    line = {"offline": True, "since": "2026-03-05T18:00:00Z", "last_error": code}
    found = {one.code: one for one in look(rim, tmp_path, line=line).ailments}
    assert (found["till.unknown"].level, "line.offline" in found) == ("wrong", False)
    assert code in found["till.unknown"].say and "restored" in found["till.unknown"].do


def test_what_hangs_is_told_though_nothing_of_it_fails(rim: Rim, tmp_path: Path) -> None:
    chores = [{"chore": "checkpoint", "done_age_s": 961, "failing": "", "late": True}]
    line = {"offline": False, "last_contact": "2026-03-05T17:29:59+01:00"}
    now = "2026-03-05T19:30:00+01:00"
    found = {one.code: one for one in look(rim, tmp_path, chores=chores, line=line, now=now).ailments}
    assert found["chore.late"].about == "checkpoint"
    assert found["line.silent"].level == "wrong"
    line["last_contact"] = "2026-03-05T17:30:01+01:00"
    assert "line.silent" not in codes(look(rim, tmp_path, line=line, now=now))


def test_a_ballast_that_was_used_up_and_a_tail_that_cannot_be_written(rim: Rim, tmp_path: Path) -> None:
    found = {one.code: one for one in look(rim, tmp_path, ballast=False, tail_trouble="no such disk").ailments}
    assert found["ballast.gone"].level == "wrong"
    assert found["tail.failing"].say == "The tail is not kept: no such disk."


def test_a_till_without_a_programme_is_in_danger(rim: Rim, tmp_path: Path) -> None:
    assert codes(look(rim, tmp_path, ready=False)) == {"programme.none"}


def test_a_hotlist_that_lapsed(rim: Rim, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "cache.db") as other:
        now_ms = rim.clock.now().wall_ms
        other.execute(
            "INSERT INTO lane (lane, cursor, version, expires_ms, taken_ms) VALUES ('hotlist', '1', 1, ?, 1)"
            " ON CONFLICT (lane) DO UPDATE SET expires_ms = excluded.expires_ms",
            (now_ms - 5 * HOUR,),
        )
    (lapsed,) = [one for one in look(rim, tmp_path).ailments if one.code == "lane.expired"]
    assert (lapsed.about, "5 hours" in lapsed.say) == ("hotlist", True)


def test_a_hotlist_of_a_machine_whose_clock_was_put_back_counts_as_lapsed(rim: Rim, tmp_path: Path) -> None:
    now_ms = rim.clock.now().wall_ms
    with sqlite3.connect(tmp_path / "cache.db") as other:
        other.execute(
            "INSERT INTO lane (lane, cursor, version, expires_ms, taken_ms) VALUES ('hotlist', '1', 1, ?, ?)"
            " ON CONFLICT (lane) DO UPDATE SET expires_ms = excluded.expires_ms, taken_ms = excluded.taken_ms",
            (now_ms + 100 * HOUR, now_ms + 30 * HOUR),
        )
    (lapsed,) = [one for one in look(rim, tmp_path).ailments if one.code == "lane.expired"]
    assert lapsed.say == (
        "It counts as lapsed: by the clock of this machine it came 30 hours from now; offline caps are tightened."
    )


@pytest.mark.parametrize("name", ["journal.db", "cache.db", "identity.json"])
def test_files_that_others_may_read(rim: Rim, tmp_path: Path, name: str) -> None:
    os.chmod(tmp_path / name, 0o640)
    found = {(one.code, one.about) for one in look(rim, tmp_path).ailments}
    assert ("file.readable_by_others", name) in found


def test_a_folder_that_others_may_enter_and_one_without_a_till(tmp_path: Path) -> None:
    (tmp_path / "till").mkdir(mode=0o755)
    os.chmod(tmp_path / "till", 0o755)
    said = examine(Settings(data_dir=str(tmp_path / "till")), 0, None)
    assert {one.code for one in said.ailments} >= {"file.readable_by_others", "till.not_enrolled", "service.silent"}


@pytest.mark.parametrize("free_mb, level", [(31, "danger"), (99, "danger"), (499, "wrong"), (500, None)])
def test_room_for_the_journal(
    rim: Rim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_mb: int, level: str | None
) -> None:
    usage = type("Usage", (), {"free": free_mb * 1_000_000})
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage)
    found = [one.level for one in look(rim, tmp_path).ailments if one.code == "disk.low"]
    assert found == ([level] if level else [])


def test_the_command_looks_at_a_till_that_does_not_run(tmp_path: Path, capsys) -> None:
    settings = tmp_path / "till.json"
    settings.write_text(json.dumps({"data_dir": str(tmp_path / "till"), "listen_port": 1}))
    assert main(["edge", "doctor", "--settings", str(settings), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert {"service.silent", "till.not_enrolled"} <= {one["code"] for one in said["ailments"]}
    assert main(["edge", "doctor", "--settings", str(settings)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "Something is wrong."
