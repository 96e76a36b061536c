"""The doctor of head office: each thing that can be wrong, made wrong, is named with what to do."""

import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from central import migrations
from central.backups.backups import make_backup
from central.coalition.streams import LOST, stop_stream
from central.database.tables import stream, waiting
from central.intake.quarantine import items, key_named, write_off
from central.keys.card_keys import make_card_key, ring_of
from central.keys.centre_keys import NEXT, rotate_centre_key
from central.members.card_change import retire_card_key
from central.migrations import upgrade
from central.ports import Settings, SystemRandomness, open_engine, read_key, writing
from central.streams.sealing import Sealer
from central.upkeep import doctor
from central.upkeep.ailments import Ailment, worst_first
from central.upkeep.chore_notes import Ran, note_runs
from central.upkeep.chores import EVERY_S
from central.upkeep.doctor import Examined, examine
from central.worklist.worklist import raise_alarm, raise_flags
from loyalty.ledger.books import Flag
from loyalty.lots import EventRef
from sync.wire import BATCH_PATH
from tallypoint.cli import main
from tests.central.tills import DAY, NOW, Centre, CentreClock, Till

ADVICE = {"blocks.no_copies", "backup.none", "sqlite.old"}


class Ward:
    """A centre that is well but for what a test does to it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.settings = Settings(data_dir=str(folder / "data"), database_url=url, disk_free_mb=1)
        for name in (self.settings.signing_key, self.settings.card_key):
            read_key(self.settings.folder / name, SystemRandomness())
        self.settings.folder.chmod(0o700)
        self.centre = Centre(url)
        self.till: Till = self.centre.till()
        self.till.sell("R1", 1_000)
        self.till.upload()
        self.all_ran(NOW)

    def all_ran(self, at_ms: int) -> None:
        with writing(self.centre.engine) as tx:
            note_runs(tx, {(chore, "done"): Ran(runs=1, last_ms=at_ms) for chore in EVERY_S})

    def look(self, now_ms: int = NOW, **settings: object) -> Examined:
        told = {name: getattr(self.settings, name) for name in Settings.__struct_fields__} | settings
        return examine(Settings(**told), self.centre.engine, now_ms)

    def codes(self, now_ms: int = NOW, **settings: object) -> set[str]:
        return {one.code for one in self.look(now_ms, **settings).ailments} - ADVICE


@pytest.fixture
def ward(tmp_path: Path, central_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ward]:
    # The clock of these tests stands in the past, and the database's own does not.
    monkeypatch.setattr(doctor, "CLOCKS_APART_MS", 10**15)
    made = Ward(tmp_path, central_url)
    yield made
    made.centre.engine.dispose()


def test_a_sound_head_office_is_given_advice_only(ward: Ward) -> None:
    said = ward.look()
    assert {one.code for one in said.ailments} <= ADVICE
    assert not said.is_ill
    assert (said.facts["generation"], said.facts["newest_block"]) == (0, 0)


def test_what_is_worst_comes_first() -> None:
    found = [Ailment(level=level, code=code, say="", do="")  # type: ignore[arg-type]
             for level, code in (("advice", "a"), ("wrong", "b"), ("danger", "c"), ("wrong", "d"))]  # fmt: skip
    assert [one.code for one in worst_first(found)] == ["c", "b", "d", "a"]


@pytest.mark.parametrize("name", ["centre-signing.key", "programme-card.key"])
def test_keys_that_others_may_read_or_that_are_gone_or_malformed(ward: Ward, name: str) -> None:
    key = ward.settings.folder / name
    key.chmod(0o640)
    assert ward.codes() == {"file.readable_by_others"}
    key.chmod(0o600)
    key.write_bytes(b"short")
    assert ward.codes() == {"key.malformed"}
    key.unlink()
    assert ward.codes() == {"key.missing"}
    assert not key.exists()  # the doctor makes none


def test_a_key_that_is_not_the_one_of_the_last_rotation(ward: Ward) -> None:
    key = ward.settings.folder / ward.settings.signing_key
    before = key.read_bytes()
    rotate_centre_key(ward.settings, ward.centre.engine, SystemRandomness(), NOW)
    assert ward.codes() == set()
    after = key.read_bytes()
    key.write_bytes(before)
    assert ward.codes() == {"key.other"}
    waits = key.with_name(key.name + NEXT)  # the next start brings that to its end
    waits.write_bytes(after)
    waits.chmod(0o644)
    assert ward.codes() == {"file.readable_by_others"}


def test_a_change_of_the_card_key_is_told_until_the_old_one_is_retired_and_a_key_that_is_gone_is_danger(
    ward: Ward,
) -> None:
    centre, settings = ward.centre, ward.settings
    centre.member()
    make_card_key(settings, centre.engine, SystemRandomness(), NOW)
    (told,) = [one for one in ward.look().ailments if one.code == "card_key.change"]
    assert (told.level, told.about) == ("advice", "1")
    assert told.say == "Card key 2 is to replace 1; 1 tills do not hold it."
    later = settings.folder / "programme-card-2.key"
    later.chmod(0o644)
    assert ward.codes() == {"card_key.change", "file.readable_by_others"}
    later.chmod(0o600)
    later.rename(later.with_suffix(".away"))
    assert ward.codes() == {"card_key.change", "key.missing"}
    later.with_suffix(".away").rename(later)
    retire_card_key(centre.engine, ring_of(settings, SystemRandomness()), "1", NOW, force=True)
    assert ward.codes() == set()


def test_a_folder_that_others_may_enter(ward: Ward) -> None:
    ward.settings.folder.chmod(0o755)
    (found,) = [one for one in ward.look().ailments if one.level != "advice"]
    assert (found.code, found.do) == ("file.readable_by_others", f"chmod 700 {ward.settings.folder}")


def test_a_sqlite_file_is_made_for_its_owner_alone_and_missed_where_it_is_not(tmp_path: Path) -> None:
    ward = Ward(tmp_path, f"sqlite:///{tmp_path / 'data' / 'central.db'}")
    file = tmp_path / "data" / "central.db"
    assert file.stat().st_mode & 0o077 == 0
    os.chmod(file, 0o644)
    assert ward.codes() == {"file.readable_by_others"}
    ward.centre.engine.dispose()


def test_little_room_is_wrong_and_very_little_is_danger(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    for free_mb, level in ((999, "wrong"), (199, "danger"), (1_000, None)):
        usage = type("Usage", (), {"free": free_mb * 1_000_000})
        monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _, usage=usage: usage)
        found = [one.level for one in ward.look(disk_free_mb=1_000).ailments if one.code == "disk.low"]
        assert found == ([level] if level else [])


def test_chores_that_nobody_does_that_are_late_and_that_fail(ward: Ward) -> None:
    # A chore of every 2 s is late after 96 s, one of every 30 s after 180 s.
    assert ward.codes(NOW + 92_000) == set()
    (empty,) = [one for one in ward.look(NOW + 97_000).ailments if one.level != "advice"]
    assert (empty.level, empty.code, empty.say) == ("danger", "house.empty", "Nobody keeps house.")
    with writing(ward.centre.engine) as tx:
        quick = EVERY_S.keys() - {"arrived"}
        note_runs(tx, {(chore, "done"): Ran(runs=1, last_ms=NOW + 181_000) for chore in quick})
    (late,) = [one for one in ward.look(NOW + 181_000).ailments if one.level != "advice"]
    assert (late.code, late.about) == ("chore.late", "arrived")
    with writing(ward.centre.engine) as tx:
        note_runs(tx, {("seal", "failed"): Ran(runs=1, last_ms=NOW + 182_000, trouble="CopyFailed: no room")})
    (failing,) = [one for one in ward.look(NOW + 182_000).ailments if one.code == "chore.failing"]
    assert (failing.level, failing.about, "no room" in failing.say) == ("danger", "seal", True)


def test_a_chore_is_not_late_because_somebody_has_just_begun_to_keep_house(tmp_path: Path, central_url: str) -> None:
    settings = Settings(data_dir=str(tmp_path / "data"), database_url=central_url)
    engine = open_engine(central_url)
    upgrade(engine)
    with writing(engine) as tx:
        note_runs(tx, {(chore, "begun"): Ran(runs=1, last_ms=NOW) for chore in EVERY_S})
    settings.folder.mkdir(mode=0o700)
    found = {one.code for one in examine(settings, engine, NOW + 30_000).ailments}
    assert not found & {"chore.late", "house.empty"}
    assert "house.empty" in {one.code for one in examine(settings, engine, NOW + 97_000).ailments}
    engine.dispose()


def test_a_silent_till_is_named_with_what_it_had_left_and_that_its_hotlist_lapsed(ward: Ward) -> None:
    ward.till.sell("R2", 1_000)
    ward.till.hello()
    ward.all_ran(NOW + 4 * DAY)
    assert "till.silent" not in ward.codes(NOW + DAY)
    (silent,) = [one for one in ward.look(NOW + 4 * DAY).ailments if one.code == "till.silent"]
    assert silent.about == "S1 Lane"
    assert silent.say == "Not heard for 96 hours. It had 1 events to send. Its hotlist has lapsed."


def test_events_that_were_announced_and_stay_away(ward: Ward) -> None:
    ward.till.sell("R2", 1_000)
    ward.till.hello()
    (gap,) = [one for one in ward.look().ailments if one.code == "till.gap"]
    assert gap.say == "It announced 1 events that are not here."
    ward.till.hello(oldest_unsent_s=5 * 3600 + 59)
    (gap,) = [one for one in ward.look().ailments if one.code == "till.gap"]
    assert gap.say == "It announced 1 events that are not here, the oldest for 5 hours."
    ward.till.upload()
    assert "till.gap" not in ward.codes()


@pytest.mark.parametrize(("free_mb", "level"), [(500, None), (499, "wrong"), (100, "wrong"), (99, "danger")])
def test_a_tills_disk_that_fills_is_told_before_it_refuses_sales(ward: Ward, free_mb: int, level: str | None) -> None:
    assert "till.disk_low" not in ward.codes()  # it has not said
    ward.till.hello(disk_free_mb=free_mb)
    assert [one.level for one in ward.look().ailments if one.code == "till.disk_low"] == ([level] if level else [])


def test_a_stopped_stream_is_danger_and_what_it_sends_is_kept_apart(ward: Ward) -> None:
    with writing(ward.centre.engine) as tx:
        stop_stream(tx, ward.till.identity.till_id, 1, "sync.fork")
    (stopped,) = [one for one in ward.look().ailments if one.level == "danger"]
    assert (stopped.code, stopped.say) == ("till.stopped", "Its stream is stopped: sync.fork.")
    assert ward.till.identity.till_id in stopped.do
    ward.till.sell("R2", 1_000)
    ward.centre.session.answer(ward.centre.now, BATCH_PATH, ward.till.batch(), ward.centre.store)
    assert "quarantine" in {one.code for one in ward.look().ailments}
    with writing(ward.centre.engine) as tx:
        (item,) = items(tx)
        key = key_named(tx, item.name)
        write_off(tx, key, note="a test", by="ana", user_id="1", now_ms=NOW, randomness=ward.centre.random)
    assert "quarantine" not in {one.code for one in ward.look().ailments}


def test_a_till_that_a_restore_lost_is_let_go_on_or_revoked_and_not_enrolled_anew(ward: Ward) -> None:
    with writing(ward.centre.engine) as tx:
        stop_stream(tx, ward.till.identity.till_id, 1, LOST)
    (stopped,) = [one for one in ward.look().ailments if one.level == "danger"]
    assert (stopped.code, stopped.say) == ("till.stopped", "Its stream is stopped: enrolment_lost.")
    assert "resume" in stopped.do and "revoke it if it was stolen" in stopped.do and "enrol" not in stopped.do


def test_a_tills_clock_that_is_off_and_leases_that_rest(ward: Ward) -> None:
    ward.till.sell("R2", 1_000)
    ward.till.send(ward.till.batch(clock_error_ms=-121_000))
    ward.till.sent = ward.till.head.seq
    (clock,) = [one for one in ward.look().ailments if one.code == "till.clock"]
    assert clock.say == "Its clock is off by 121 s."
    with writing(ward.centre.engine) as tx:
        tx.execute(update(stream).values(leases_suspended="clock.went_back"))
    assert "till.leases_rest" in ward.codes()


def test_rows_that_wait_too_long_and_blocks_that_were_lost(ward: Ward) -> None:
    with writing(ward.centre.engine) as tx:
        for cause, days in (("uncovered", 8), ("returned_twice", 6)):
            of = EventRef(till_id="f" * 32, epoch=1, seq=1)
            raise_flags(tx, [Flag(of=of, cause=cause, figures={})], {}, NOW - days * DAY)
        raise_alarm(tx, "block_lost", "blocks", NOW)
        raise_alarm(tx, "code_used", "f" * 32, NOW)
    found = {one.code: one for one in ward.look().ailments}
    assert found["alarm.block_lost"].level == "danger"
    assert found["alarm.code_used"].level == "wrong"
    assert found["worklist.old"].say == "Rows of uncovered are open, the oldest for more than 7 days."


def test_an_alarm_is_told_of_each_till_and_lost_blocks_once(ward: Ward) -> None:
    tills = ward.till, ward.centre.till("S2")
    with writing(ward.centre.engine) as tx:
        for till in tills:
            raise_alarm(tx, "batch_quarantined", till.head.till_id, NOW)
            raise_alarm(tx, "block_differs", till.head.till_id, NOW)
    found = [(one.code, one.about) for one in ward.look().ailments if one.code.startswith("alarm.")]
    assert found == [
        ("alarm.block_differs", ""), ("alarm.batch_quarantined", "S1 Lane"), ("alarm.batch_quarantined", "S2 Lane"),
    ]  # fmt: skip


def test_copies_of_blocks_that_stay_behind_and_a_folder_that_is_not_there(ward: Ward, tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    assert ward.codes(block_copies=str(copies)) == {"folder.missing"}
    copies.mkdir()
    Sealer(ward.centre.engine, ward.centre.signer, CentreClock(ward.centre)).seal()
    ward.all_ran(NOW + 200_000)
    assert ward.codes(NOW + 100_000, block_copies=str(copies)) == set()
    assert ward.codes(NOW + 121_000, block_copies=str(copies)) == {"blocks.copies_behind"}
    Sealer(ward.centre.engine, ward.centre.signer, CentreClock(ward.centre), copies).seal()
    assert ward.codes(NOW + 121_000, block_copies=str(copies)) == set()


def test_a_backup_that_is_due_is_danger_where_it_was_asked_for(ward: Ward, tmp_path: Path) -> None:
    assert ward.codes(backup_hours=26) == {"backup.due"}
    make_backup(
        ward.settings, ward.centre.engine, tmp_path / "to", "harbour rope barrel", randomness=SystemRandomness(),
        now_ms=NOW,
    )  # fmt: skip
    ward.all_ran(NOW + 27 * 3_600_000)
    assert ward.codes(NOW + 26 * 3_600_000, backup_hours=26) <= {"till.silent"}
    assert "backup.due" in ward.codes(NOW + 26 * 3_600_000 + 1, backup_hours=26)


def test_returns_that_wait_beyond_the_grace(ward: Ward) -> None:
    row = {"till_id": "a" * 32, "epoch": 1, "seq": 1, "of_till": "b" * 32, "of_epoch": 1, "of_seq": 1,
           "since_ms": NOW - 8 * DAY - 1}  # fmt: skip
    with writing(ward.centre.engine) as tx:
        tx.execute(waiting.insert().values(row))
    assert ward.codes() == {"waiting.overdue"}


def test_a_console_behind_tls_marks_its_cookies(ward: Ward) -> None:
    assert ward.codes(public_url="https://loyalty.example") == {"console.insecure_cookies"}
    assert ward.codes(public_url="https://loyalty.example", secure_cookies=True) == set()


@pytest.mark.postgresql
def test_clocks_that_are_apart_are_noticed(fresh_postgres, tmp_path: Path) -> None:
    ward = Ward(tmp_path, fresh_postgres())
    assert "clock.apart" in ward.codes()  # our clock stands in March, the database's does not
    ward.centre.engine.dispose()


def test_without_a_programme_nobody_can_quote(tmp_path: Path, central_url: str) -> None:
    settings = Settings(data_dir=str(tmp_path / "data"), database_url=central_url)
    settings.folder.mkdir(mode=0o700)
    engine = open_engine(central_url)
    upgrade(engine)
    assert "programme.none" in {one.code for one in examine(settings, engine, NOW).ailments}
    engine.dispose()


def test_the_command_prints_one_screen_and_its_status_says_whether_anything_is_wrong(tmp_path: Path, capsys) -> None:
    data = ["--data", str(tmp_path / "office")]
    assert main(["central", "doctor", *data]) == 2
    assert "(central.not_here)" in capsys.readouterr().err
    assert main(["central", "init", *data]) == 0
    capsys.readouterr()
    assert main(["central", "doctor", *data]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("version ")
    assert lines[1].startswith("!! ") and "Nobody keeps house." in lines[1]
    assert lines[-1] == "Something is wrong."
    assert main(["central", "doctor", *data, "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["ill"] is True
    assert {"house.empty", "programme.none"} <= {one["code"] for one in said["ailments"]}


@pytest.fixture
def office(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The folder of a head office that was set up and does not run."""
    folder = tmp_path / "office"
    assert main(["central", "init", "--data", str(folder)]) == 0
    capsys.readouterr()
    return folder


def first_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The code of what the command names first."""
    assert main(["central", "doctor", "--data", str(folder), "--json"]) == 1
    return str(json.loads(capsys.readouterr().out)["ailments"][0]["code"])


def test_a_database_that_does_not_open_is_what_the_command_says_first(
    office: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (office / "central.db").write_bytes(b"no database " * 1_000)
    assert first_said(office, capsys) == "database.away"
    monkeypatch.setenv("TALLYPOINT_CENTRAL_DATABASE_URL", "postgresql+psycopg://ann:s3cret@127.0.0.1:1/shop")
    assert main(["central", "doctor", "--data", str(office)]) == 1
    shown = capsys.readouterr().out
    assert "Connection refused" in shown.splitlines()[1]
    assert "s3cret" not in shown


def test_a_database_with_damaged_pages_is_named_and_not_a_traceback(
    office: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = office / "central.db"
    with sqlite3.connect(file) as database:
        (size,) = database.execute("PRAGMA page_size").fetchone()
        (page,) = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'block'").fetchone()
    whole = file.read_bytes()
    file.write_bytes(whole[: (page - 1) * size] + b"\xff" * size + whole[page * size :])
    assert first_said(office, capsys) == "database.damaged"


def test_a_database_without_tables_is_named(office: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (office / "central.db").write_bytes(b"")
    assert first_said(office, capsys) == "database.empty"


def test_the_command_leaves_an_older_database_as_it_is(
    office: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    later = tmp_path / "later"
    later.mkdir()
    (later / "0002_x.py").write_text('revision = "0002"\ndown_revision = "0001"\n\n\ndef upgrade():\n    pass\n')
    monkeypatch.setattr(migrations, "VERSIONS", (*migrations.VERSIONS, later))
    assert first_said(office, capsys) == "database.older"
    with sqlite3.connect(office / "central.db") as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
