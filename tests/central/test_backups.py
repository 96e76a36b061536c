"""A backup can be put back whole, only whole, only by whoever knows its passphrase, and only where nothing is."""

import json
import sqlite3
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import make_url

from central.backups import backups, old_backups
from central.backups.backups import BackupFailed, make_backup
from central.backups.old_backups import forget_backups, forget_cut_short
from central.backups.postgres_programs import ProgramFailed, ProgramMissing, find_program
from central.backups.restoring_backups import (
    BackupDamaged,
    NewerBackup,
    NotEmpty,
    OtherEngine,
    WrongPassphrase,
    read_backup,
    restore_backup,
)
from central.backups.sealed_files import CHUNK, Hardness, Sealing, ShortPassphrase
from central.keys.card_keys import make_card_key, ring_of
from central.keys.centre_keys import NEXT, centre_signer, rotate_centre_key
from central.migrations import upgrade
from central.ports import Settings, SystemRandomness, open_engine, read_key, reading
from central.streams.sealing import Sealer, newest_block
from tallypoint.cli import main
from tests.central.test_worker import elsewhere
from tests.central.tills import NOW, Centre, CentreClock

PASSPHRASE = "harbour rope barrel lamp tide"


@pytest.fixture
def settings(tmp_path: Path, central_url: str) -> Settings:
    return Settings(data_dir=str(tmp_path / "data"), database_url=central_url)


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[Settings], Settings]:
    """Empty places for a restore of what these settings name."""

    def make(settings: Settings) -> Settings:
        if make_url(settings.url).get_backend_name() == "sqlite":
            return Settings(data_dir=str(tmp_path / "restored"))
        return Settings(data_dir=str(tmp_path / "restored"), database_url=request.getfixturevalue("fresh_postgres")())

    return make


@pytest.fixture
def backup(settings: Settings, central_url: str, tmp_path: Path) -> Path:
    """A backup of a centre that sealed one block."""
    centre = Centre(central_url)
    for name in (settings.signing_key, settings.card_key):
        read_key(settings.folder / name, SystemRandomness())
    till = centre.till()
    till.sell("R1", 1000)
    till.upload()
    Sealer(centre.engine, centre.signer, CentreClock(centre)).seal()
    folder, manifest = make_backup(
        settings, centre.engine, tmp_path / "backups", PASSPHRASE, randomness=SystemRandomness(), now_ms=NOW
    )
    assert folder == tmp_path / "backups" / "2026-03-02T120000Z"
    assert (manifest.block_no, manifest.generation, manifest.schema) == (1, 0, "0001")
    centre.engine.dispose()
    return folder


def test_what_was_backed_up_is_there_again_with_its_keys_for_their_owner_alone(
    settings: Settings, backup: Path, place: Callable[[Settings], Settings]
) -> None:
    there = place(settings)
    manifest, now = restore_backup(there, backup, PASSPHRASE, now_ms=NOW)
    assert now == NOW // 1000
    for name in (settings.signing_key, settings.card_key):
        assert (there.folder / name).read_bytes() == (settings.folder / name).read_bytes()
        assert stat.S_IMODE((there.folder / name).stat().st_mode) == 0o600
    engine = open_engine(there.url)
    with reading(engine) as tx:
        assert newest_block(tx).hash == manifest.block_hash
    engine.dispose()
    assert [path.name for path in there.folder.iterdir() if "unfinished" in path.name] == []


def test_nothing_secret_lies_in_a_backup_in_clear(settings: Settings, backup: Path) -> None:
    assert sorted(path.name for path in backup.iterdir()) == ["database", "keys", "manifest.json", "manifest.mac"]
    together = b"".join(path.read_bytes() for path in backup.iterdir())
    for secret in (
        b"receipt.v1",
        b"account_id",
        b"SQLite format",
        b"PGDMP",
        (settings.folder / settings.signing_key).read_bytes(),
    ):
        assert secret not in together
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in backup.iterdir())
    # And nothing was left beside the data.
    assert [path.name for path in settings.folder.iterdir() if path.name.startswith("backup-")] == []


def test_another_passphrase_opens_nothing(
    settings: Settings, backup: Path, place: Callable[[Settings], Settings]
) -> None:
    with pytest.raises(WrongPassphrase):
        restore_backup(there := place(settings), backup, "harbour rope barrel lamp tidy", now_ms=NOW)
    assert not there.folder.exists()


@pytest.mark.parametrize("name", ["database", "keys"])
@pytest.mark.parametrize("how", ["flipped", "cut", "gone"])
def test_a_part_that_was_changed_cut_or_lost_is_noticed_before_anything_is_restored(
    settings: Settings, backup: Path, place: Callable[[Settings], Settings], name: str, how: str
) -> None:
    part = backup / name
    data = bytearray(part.read_bytes())
    if how == "gone":
        part.unlink()
    else:
        data[len(data) // 2] ^= 1
        part.write_bytes(data if how == "flipped" else data[:-1])
    with pytest.raises(BackupDamaged):
        restore_backup(there := place(settings), backup, PASSPHRASE, now_ms=NOW)
    assert not there.folder.exists()


def test_a_manifest_that_was_changed_is_not_believed(backup: Path) -> None:
    said = json.loads((backup / "manifest.json").read_text())
    said["block_no"] = 7
    (backup / "manifest.json").write_text(json.dumps(said))
    with pytest.raises(WrongPassphrase, match="manifest was changed"):
        read_backup(backup, PASSPHRASE)


def test_only_an_empty_place_is_restored_into(
    settings: Settings, backup: Path, place: Callable[[Settings], Settings], tmp_path: Path
) -> None:
    before = sorted((path.name, path.stat().st_size) for path in settings.folder.iterdir())
    with pytest.raises(NotEmpty):
        restore_backup(settings, backup, PASSPHRASE, now_ms=NOW)
    # The database is still there, though the folder is another one.
    with pytest.raises(NotEmpty):
        restore_backup(elsewhere(settings, tmp_path), backup, PASSPHRASE, now_ms=NOW)
    assert sorted((path.name, path.stat().st_size) for path in settings.folder.iterdir()) == before
    there = place(settings)
    restore_backup(there, backup, PASSPHRASE, now_ms=NOW)
    with pytest.raises(NotEmpty):
        restore_backup(there, backup, PASSPHRASE, now_ms=NOW)


def test_a_backup_of_one_engine_is_not_put_into_another(
    settings: Settings, backup: Path, fresh_postgres, tmp_path: Path
) -> None:
    is_sqlite = make_url(settings.url).get_backend_name() == "sqlite"
    other = Settings(data_dir=str(tmp_path / "other"), database_url=fresh_postgres() if is_sqlite else "")
    with pytest.raises(OtherEngine):
        restore_backup(other, backup, PASSPHRASE, now_ms=NOW)


def test_a_database_of_a_later_version_is_refused_before_it_is_restored(
    settings: Settings, backup: Path, place: Callable[[Settings], Settings]
) -> None:
    said = json.loads((backup / "manifest.json").read_text())
    said["schema"] = "9999"
    text = json.dumps(said).encode()
    sealing = Sealing(PASSPHRASE, Hardness(**said["hardness"]))
    (backup / "manifest.json").write_bytes(text)
    (backup / "manifest.mac").write_text(sealing.mac(text))
    with pytest.raises(NewerBackup):
        restore_backup(there := place(settings), backup, PASSPHRASE, now_ms=NOW)
    assert not there.folder.exists()


def test_a_restore_that_is_followed_by_another_of_the_same_backup_begins_a_later_generation(
    settings: Settings, backup: Path, place: Callable[[Settings], Settings], tmp_path: Path
) -> None:
    _, first = restore_backup(place(settings), backup, PASSPHRASE, now_ms=NOW)
    if make_url(settings.url).get_backend_name() == "sqlite":
        again = Settings(data_dir=str(tmp_path / "again"))
        assert restore_backup(again, backup, PASSPHRASE, now_ms=NOW + 60_000)[1] == first + 60


@pytest.mark.parametrize("cut_short", [False, True])
def test_a_centre_whose_key_was_rotated_comes_back_under_its_new_key(
    settings: Settings, place: Callable[[Settings], Settings], tmp_path: Path, cut_short: bool
) -> None:
    engine = open_engine(settings.url)
    upgrade(engine)
    random = SystemRandomness()
    old = read_key(settings.folder / settings.signing_key, random)
    read_key(settings.folder / settings.card_key, random)
    notice = rotate_centre_key(settings, engine, random, NOW)
    if cut_short:  # as if it had been killed before the new key took the old one's place
        key = settings.folder / settings.signing_key
        key.rename(key.with_name(key.name + NEXT))
        key.write_bytes(old)
    folder, _ = make_backup(settings, engine, tmp_path / "to", PASSPHRASE, randomness=random, now_ms=NOW)
    engine.dispose()
    there = place(settings)
    restore_backup(there, folder, PASSPHRASE, now_ms=NOW)
    restored = open_engine(there.url)
    signer = centre_signer(there, restored, random)
    assert (signer.public, signer.key_no) == (notice.public, 2)
    restored.dispose()


def test_every_card_key_is_in_the_backup_and_comes_back_for_its_owner_alone(
    settings: Settings, place: Callable[[Settings], Settings], tmp_path: Path
) -> None:
    engine = open_engine(settings.url)
    upgrade(engine)
    random = SystemRandomness()
    read_key(settings.folder / settings.signing_key, random)
    assert [make_card_key(settings, engine, random, NOW) for _ in range(2)] == ["2", "3"]
    with reading(engine) as tx:
        before = ring_of(settings, random).read(tx)
    folder, _ = make_backup(settings, engine, tmp_path / "to", PASSPHRASE, randomness=random, now_ms=NOW)
    sealed = b"".join(path.read_bytes() for path in folder.iterdir())
    assert not any(form in sealed for one in before.keys for form in (one.secret, one.key.encode()))
    engine.dispose()
    there = place(settings)
    restore_backup(there, folder, PASSPHRASE, now_ms=NOW)
    restored = open_engine(there.url)
    with reading(restored) as tx:
        assert ring_of(there, random).read(tx) == before
    restored.dispose()
    for name in ("programme-card-2.key", "programme-card-3.key"):
        assert stat.S_IMODE((there.folder / name).stat().st_mode) == 0o600
    (there.folder / "programme-card-3.key").rename(tmp_path / "programme-card-3.key")
    lonely = Settings(data_dir=str(tmp_path), database_url=there.database_url)
    with pytest.raises(NotEmpty) as refused:
        restore_backup(lonely, folder, PASSPHRASE, now_ms=NOW)
    assert "programme-card-3.key" in refused.value.say


def test_a_key_that_is_changed_while_a_backup_is_made_spoils_it(
    settings: Settings, central_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    centre = Centre(central_url)
    for name in (settings.signing_key, settings.card_key):
        read_key(settings.folder / name, SystemRandomness())
    describe = backups._described

    def rotated_meanwhile(tx):
        (settings.folder / settings.signing_key).write_bytes(bytes(32))
        return describe(tx)

    monkeypatch.setattr(backups, "_described", rotated_meanwhile)
    with pytest.raises(BackupFailed, match="do it again"):
        make_backup(settings, centre.engine, tmp_path / "to", PASSPHRASE, randomness=SystemRandomness(), now_ms=NOW)
    assert list((tmp_path / "to").iterdir()) == []
    centre.engine.dispose()


def test_of_two_backups_in_one_second_the_first_is_whole(
    settings: Settings, central_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    centre = Centre(central_url)
    for name in (settings.signing_key, settings.card_key):
        read_key(settings.folder / name, SystemRandomness())

    def back_up() -> Path:
        return make_backup(
            settings, centre.engine, tmp_path / "to", PASSPHRASE, randomness=SystemRandomness(), now_ms=NOW
        )[0]

    describe = backups._described

    def meanwhile(tx):
        monkeypatch.setattr(backups, "_described", describe)
        with pytest.raises(BackupFailed, match="is being made"):
            back_up()
        return describe(tx)

    monkeypatch.setattr(backups, "_described", meanwhile)
    folder = back_up()
    assert list((tmp_path / "to").iterdir()) == [folder]
    assert read_backup(folder, PASSPHRASE)[0].made_at_ms == NOW
    centre.engine.dispose()


def test_a_damaged_database_makes_no_backup(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'data' / 'central.db'}"
    centre = Centre(url)
    settings = Settings(data_dir=str(tmp_path / "data"))
    for name in (settings.signing_key, settings.card_key):
        read_key(settings.folder / name, SystemRandomness())
    with sqlite3.connect(tmp_path / "data" / "central.db") as direct:
        direct.execute("PRAGMA writable_schema = 1")
        direct.execute("UPDATE sqlite_schema SET rootpage = 999999 WHERE name = 'event'")
    with pytest.raises(Exception, match=r"damaged|malformed|cannot be made"):
        make_backup(settings, centre.engine, tmp_path / "to", PASSPHRASE, randomness=SystemRandomness(), now_ms=NOW)
    assert list((tmp_path / "to").iterdir()) == []
    centre.engine.dispose()


def test_a_short_passphrase_is_refused() -> None:
    with pytest.raises(ShortPassphrase):
        Sealing("elevenchars", Hardness(salt="00" * 16))


@pytest.mark.parametrize("length", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_what_was_sealed_opens_to_the_same_bytes_at_every_length(tmp_path: Path, length: int) -> None:
    sealing = Sealing(PASSPHRASE, Hardness(salt="0a" * 16, n=2**10))
    plain = bytes(range(256)) * (length // 256 + 1)
    with (tmp_path / "part").open("wb") as file:
        sealing.seal("part", (plain[:length][at : at + 70_000] for at in range(0, length, 70_000)), file)
    with (tmp_path / "part").open("rb") as file:
        assert b"".join(sealing.open("part", file)) == plain[:length]
    # A file under another name is sealed by another key.
    with (tmp_path / "part").open("rb") as file, pytest.raises(BackupDamaged):
        list(sealing.open("other", file))


def test_chunks_cannot_be_left_out_at_the_end_or_moved(tmp_path: Path) -> None:
    sealing = Sealing(PASSPHRASE, Hardness(salt="0a" * 16, n=2**10))
    with (tmp_path / "part").open("wb") as file:
        sealing.seal("part", (b"a" * CHUNK, b"b" * CHUNK, b"c"), file)
    whole, step = (tmp_path / "part").read_bytes(), CHUNK + 16 + 4
    for broken in (whole[: 2 * step], whole[step : 2 * step] + whole[:step] + whole[2 * step :], b"", whole[:-1]):
        (tmp_path / "part").write_bytes(broken)
        with (tmp_path / "part").open("rb") as file, pytest.raises(BackupDamaged):
            list(sealing.open("part", file))


def test_a_program_that_is_missing_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ProgramMissing, match="postgresql-client"):
        find_program("pg_dump_of_tomorrow")


@pytest.mark.postgresql
def test_what_pg_dump_says_is_passed_on_and_no_folder_is_left(fresh_postgres, tmp_path: Path, monkeypatch) -> None:
    settings = Settings(data_dir=str(tmp_path / "data"), database_url=fresh_postgres())
    centre = Centre(settings.url)
    for name in (settings.signing_key, settings.card_key):
        read_key(settings.folder / name, SystemRandomness())
    monkeypatch.setenv("PGOPTIONS", "-c no_such_setting=1")
    with pytest.raises(ProgramFailed, match="no_such_setting"):
        make_backup(settings, centre.engine, tmp_path / "to", PASSPHRASE, randomness=SystemRandomness(), now_ms=NOW)
    assert list((tmp_path / "to").iterdir()) == []
    centre.engine.dispose()


def made_on(target: Path, *names: str) -> None:
    for name in names:
        (target / name).mkdir(parents=True)
        (target / name / "manifest.json").write_text("{}")


def test_backups_older_than_was_said_go_and_the_newest_stays_however_old(tmp_path: Path) -> None:
    # 2026-03-20 12:00 UTC
    now_ms = 1_774_008_000_000
    made_on(tmp_path, "2026-03-01T023000Z", "2026-03-07T115959Z", "2026-03-07T120000Z", "2026-03-19T023000Z",
            "notes", "2026-03-02", "2026-03-01T023000Z.old")  # fmt: skip
    assert forget_backups(tmp_path, 13, now_ms) == ("2026-03-01T023000Z", "2026-03-07T115959Z")
    left = ["2026-03-01T023000Z.old", "2026-03-02", "2026-03-07T120000Z", "2026-03-19T023000Z", "notes"]
    assert sorted(path.name for path in tmp_path.iterdir()) == left
    year = 365 * 86_400_000
    assert forget_backups(tmp_path, 13, now_ms + year) == ("2026-03-07T120000Z",)
    assert forget_backups(tmp_path, 13, now_ms + 2 * year) == ()


def test_a_backup_that_cannot_be_deleted_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_on(tmp_path, "2026-03-01T023000Z", "2026-03-19T023000Z")

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(old_backups.shutil, "rmtree", refuse)
    with pytest.raises(BackupFailed, match="2026-03-01T023000Z cannot be deleted"):
        forget_backups(tmp_path, 1, NOW + 365 * 86_400_000)
    # What is left of it is no backup any more.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2026-03-01T023000Z.unfinished", "2026-03-19T023000Z"]


def test_what_a_killed_backup_left_goes_a_day_later_and_not_before(tmp_path: Path) -> None:
    data, target = tmp_path / "data", tmp_path / "to"
    data.mkdir()
    made_on(target, "2026-03-19T023000Z", "2026-03-19T023000Z.unfinished")
    for name in ("backup-x1.db", "backup-x1.db-wal", "central.db"):
        (data / name).write_bytes(b"people")
    written_ms = max(int(path.stat().st_mtime * 1000) for path in (*data.iterdir(), *target.iterdir()))
    forget_cut_short(data, target, written_ms)
    assert len(list(data.iterdir())) == 3 and len(list(target.iterdir())) == 2
    forget_cut_short(data, target, written_ms + 86_400_001)
    assert [path.name for path in data.iterdir()] == ["central.db"]
    assert [path.name for path in target.iterdir()] == ["2026-03-19T023000Z"]


def test_both_are_commands_and_the_second_says_what_to_do_next(tmp_path: Path, capsys) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text(f"{PASSPHRASE}\n")
    said = ["--passphrase-file", str(secret), "--data"]
    assert main(["central", "init", "--data", str(tmp_path / "a"), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["fingerprint"]
    made_on(tmp_path / "to", "2020-01-01T000000Z")
    backup = ["central", "backup", "--to", str(tmp_path / "to"), *said, str(tmp_path / "a"), "--json"]
    assert main(backup) == 0
    assert json.loads(capsys.readouterr().out)["deleted"] == []
    time.sleep(1)  # backups are named by the second
    assert main([*backup, "--keep-days", "13"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["deleted"] == ["2020-01-01T000000Z"]
    with pytest.raises(SystemExit):
        main([*backup, "--keep-days", "0"])
    capsys.readouterr()
    assert made["fingerprint"] == shown
    assert main(["central", "restore", "--from", made["folder"], *said, str(tmp_path / "b")]) == 0
    told = capsys.readouterr().out
    assert "tallypoint central verify" in told and "enrolment_lost" in told
    assert 0 < told.find("central revoke") < told.index("central serve")
    assert main(["central", "init", "--data", str(tmp_path / "b"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fingerprint"] == shown
    assert main(["central", "restore", "--from", made["folder"], *said, str(tmp_path / "b")]) == 2
    assert "(backup.not_empty)" in capsys.readouterr().err
