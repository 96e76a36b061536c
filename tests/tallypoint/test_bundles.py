"""A support bundle says what whoever helps must know, and nothing of a person, a card or a key."""

import json
import logging
import os
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import yaml

from central.login import create_user
from central.ports import Settings, SystemRandomness, read_key, writing
from central.upkeep.chore_notes import Ran, note_runs
from edge.identity import make_folder, write_identity_file
from loyalty.cards.cards import CardRules, card_token, read_card
from tallypoint.bundle import scrub
from tallypoint.cli import main
from tallypoint.logs import keep_log
from tests.central.tills import ANNA, CARD_KEY, CARDS, NOW, Centre, told
from tests.edge.rim import CARD, Rim, commit
from tests.edge.test_room import fill
from tests.support.small_disks import small_disk

CODE = "7ABC-9DEF-1GHJ-2KMN"
LOGGED = (
    f"card {ANNA} of anna@home.example, code {CODE}, till {'ab' * 16}, Authorization: Bearer s3cr3t-pos,"
    " 2037 2157 2738 3"
)


def contents(path: Path) -> dict[str, str]:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with zipfile.ZipFile(path) as bundle:
        return {name: bundle.read(name).decode() for name in bundle.namelist()}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The handlers a test adds to the root are gone after it."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    for handler in set(root.handlers) - set(before):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


def test_of_head_office(tmp_path: Path, central_url: str) -> None:
    folder = tmp_path / "data"
    settings = Settings(data_dir=str(folder))
    keys = [read_key(folder / name, SystemRandomness()) for name in (settings.signing_key, settings.card_key)]
    centre = Centre(central_url)
    anna, till = centre.member(ANNA, birthday_mmdd="11-26"), centre.till()
    token = card_token(CARD_KEY, read_card(msgspec.convert(CARDS, CardRules), ANNA))
    till.sell("R-4711", 1_000, told(anna), token=token)
    till.upload()
    create_user(centre.engine, login="bartholomea", password="a long enough one", role="head_office", now_ms=NOW)
    with writing(centre.engine) as tx:
        note_runs(tx, {("seal", "done"): Ran(runs=3, last_ms=NOW)})
    centre.engine.dispose()
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "serve.log").write_text("2026-11-26 seal failed: OSError\n" + LOGGED + "\n")
    file = tmp_path / "central.yaml"
    told_settings = {
        "data_dir": str(folder), "database_url": central_url, "log_dir": str(tmp_path / "log"),
        "alert_mail_to": "boss@shop.example", "smtp_user": "postmaster", "smtp_password_file": "/etc/smtp-secret",
        "alert_webhook": "https://hooks.example/T0ken", "workers": 7,
    }  # fmt: skip
    file.write_text(yaml.safe_dump(told_settings))
    assert main(["central", "bundle", "--settings", str(file), "--to", str(tmp_path / "b.zip")]) == 0
    parts = contents(tmp_path / "b.zip")
    assert sorted(parts) == [
        "chores.json", "counts.json", "doctor.json", "log.txt", "metrics.txt", "schema.json", "settings.json",
        "versions.json",
    ]  # fmt: skip
    counts = json.loads(parts["counts.json"])
    assert (counts["member"], counts["card"], counts["console_user"], counts["event"]) == (1, 1, 1, 1)
    assert json.loads(parts["settings.json"])["workers"] == 7
    assert json.loads(parts["settings.json"])["database_url"] == "<set>"
    assert "account_id" in "".join(json.loads(parts["schema.json"])["posting"])
    assert "flask" in {name.lower() for name in json.loads(parts["versions.json"])["packages"]}
    assert 'chore_runs_total{chore="seal",outcome="done"} 3' in parts["metrics.txt"]
    assert "seal failed: OSError" in parts["log.txt"]
    assert {"ailments", "facts"} <= set(json.loads(parts["doctor.json"]))
    whole = "".join(parts.values())
    secrets = (
        ANNA, token, "11-26\"", "bartholomea", "anna@home.example", CODE, "s3cr3t-pos", "boss@shop.example",
        "postmaster",
        "smtp-secret", "T0ken", "2037 2157 2738 3", "R-4711", till.secret.hex(), till.identity.genesis, till.code,
        *(key.hex() for key in keys), "ab" * 16,
    )  # fmt: skip
    assert [secret for secret in secrets if secret in whole] == []


def test_of_a_till_that_does_not_run(tmp_path: Path) -> None:
    folder = tmp_path / "till"
    make_folder(folder)
    rim = Rim(folder, in_files=True)
    write_identity_file(folder, rim.identity)
    rim.post("/v1/receipts", commit())
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "till.log").write_text(f"{LOGGED}\nthe reader on /dev/ttyS0 is silent\n")
    file = tmp_path / "till.yaml"
    told_settings = {
        "data_dir": str(folder), "pos_token": "letmein-please", "listen_port": 1, "log_dir": str(tmp_path / "log"),
        "shop_name": "Café Anna Kowalska", "shop_address": ["ul. Długa 7"], "members_every_s": 9,
    }  # fmt: skip
    file.write_text(yaml.safe_dump(told_settings))
    assert main(["edge", "bundle", "--settings", str(file), "--to", str(tmp_path / "b.zip")]) == 0
    parts = contents(tmp_path / "b.zip")
    journal = json.loads(parts["journal.db.json"])
    assert journal["rows"]["event"] == 2
    assert "payload BLOB" in journal["schema"]["event"]
    assert json.loads(parts["cache.db.json"])["rows"]["member"] == 1
    assert json.loads(parts["settings.json"])["members_every_s"] == 9
    assert "/dev/ttyS0 is silent" in parts["log.txt"]
    assert {"name": "journal.db", "mode": "600"}.items() <= next(
        one for one in json.loads(parts["files.json"]) if one["name"] == "journal.db"
    ).items()
    assert any(one["code"] == "service.silent" for one in json.loads(parts["doctor.json"])["ailments"])
    whole = "".join(parts.values())
    identity = rim.identity
    secrets = (
        CARD, ANNA, CODE, "letmein-please", "Kowalska", "Długa", "espresso", identity.seed, identity.granted.genesis,
        identity.granted.card_key, "anna@home.example", "s3cr3t-pos",
    )  # fmt: skip
    assert [secret for secret in secrets if secret in whole] == []


def test_a_bundle_writes_over_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "b.zip").write_text("mine")
    assert main(["central", "init", "--data", str(tmp_path / "office")]) == 0
    assert main(["central", "bundle", "--data", str(tmp_path / "office"), "--to", str(tmp_path / "b.zip")]) == 2
    assert "(bundle.exists)" in capsys.readouterr().err
    assert (tmp_path / "b.zip").read_text() == "mine"


def test_where_no_file_can_be_made_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["central", "init", "--data", str(tmp_path / "office")]) == 0
    assert main(["central", "bundle", "--data", str(tmp_path / "office"), "--to", str(tmp_path / "no" / "b.zip")]) == 2
    assert "(bundle.nowhere)" in capsys.readouterr().err


def test_of_a_head_office_whose_database_does_not_open(tmp_path: Path) -> None:
    office = tmp_path / "office"
    assert main(["central", "init", "--data", str(office)]) == 0
    (office / "central.db").write_bytes(b"no database " * 1_000)
    assert main(["central", "bundle", "--data", str(office), "--to", str(tmp_path / "b.zip")]) == 0
    parts = contents(tmp_path / "b.zip")
    assert json.loads(parts["doctor.json"])["ailments"][0]["code"] == "database.away"
    assert json.loads(parts["database.json"]) == {"trouble": "DatabaseError"}
    assert {"versions.json", "settings.json", "log.txt"} <= parts.keys()


@pytest.mark.parametrize(
    "text, scrubbed",
    [
        ("card 2900000000018 read", "card <number> read"),
        ("2900000000018: no such card", "<number>: no such card"),
        ('{"card":2900000000018}', '{"card":<number>}'),
        ("tel +48 601 234 567", "tel <number>"),
        ("tel:601234567", "tel:<number>"),
        ("postgresql+psycopg://ann:s3cret@db/shop", "postgresql+psycopg://<login>@db/shop"),
        ("password=hunter22 here", "password <secret> here"),
        ("Authorization: Bearer abc", "authorization <secret>"),
        ("to a.b+c@shop.example.", "to <address>."),
        (CODE, "<code>"),
        ("till 0123456789abcdef0123456789abcdef", "till <hex>"),
        ("2026-11-26 18:05:12,123 done in 1234567 ms", "2026-11-26 18:05:12,123 done in 1234567 ms"),
        ("block 12 at 127.0.0.1:8700", "block 12 at 127.0.0.1:8700"),
    ],
)  # fmt: skip
def test_what_is_scrubbed_and_what_is_left(text: str, scrubbed: str) -> None:
    assert scrub(text) == scrubbed


def test_a_service_goes_on_where_no_log_can_be_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log").write_text("a file, where a folder should be")
    keep_log(str(tmp_path / "log"), "till", 2)
    logging.getLogger("edge.test").warning("loud")
    said = capsys.readouterr().err
    assert f"no log is kept in {tmp_path / 'log'}: File exists" in said
    assert "loud" in said


def test_a_bundle_for_which_there_is_no_room_says_so_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with small_disk(tmp_path / "disk", 1) as disk:
        fill(disk / "somebody-elses.log")
        asked = ["edge", "bundle", "--settings", str(tmp_path / "till.yaml"), "--to", str(disk / "b.zip")]
        (tmp_path / "till.yaml").write_text(yaml.safe_dump({"data_dir": str(tmp_path / "till"), "listen_port": 1}))
        assert main(asked) == 2
        assert "No space left on device. Name a file on another disk." in capsys.readouterr().err
        assert [path.name for path in disk.iterdir()] == ["somebody-elses.log"]


def test_a_log_is_for_the_service_alone_and_old_files_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep_log(str(tmp_path / "log"), "till", 2)
    logging.getLogger("edge.test").info("quiet")
    logging.getLogger("edge.test").warning("loud")
    logging.getLogger("apscheduler.x").warning("chatter")
    file = tmp_path / "log" / "till.log"
    text = file.read_text()
    assert "INFO edge.test: quiet" in text and "chatter" not in text
    assert "quiet" not in capsys.readouterr().err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (handler,) = [one for one in logging.getLogger().handlers if getattr(one, "baseFilename", "") == str(file)]
    for day in ("2026-11-20", "2026-11-21", "2026-11-22"):
        (tmp_path / "log" / f"till.log.{day}").write_text("old")
    handler.doRollover()  # type: ignore[attr-defined]
    assert len(os.listdir(tmp_path / "log")) == 3
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
