"""A till's events carried in files from one command line to the other, and a till that leaves."""

import json
from pathlib import Path

import pytest
import yaml

from central.ports import Settings
from central.service import CentralService
from edge.identity import read_identity_file
from edge.journal.journal import Journal
from edge.ports import SystemClock
from loyalty.facts.events import Opened
from tallypoint.cli import main

SHIPPED = Path(__file__).parents[2] / "tallypoint"


def said(capsys, *arguments: str) -> dict:
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def place(tmp_path, capsys):
    """Head office on a port of its own, and an enrolled till that has never spoken: folder, till folder, settings."""
    folder = tmp_path / "office"
    said(capsys, "central", "coalition", str(SHIPPED / "coalitions" / "harbour.yaml"), "--data", str(folder))
    service = CentralService(Settings(data_dir=str(folder)), port=0)
    service.start()
    shown = said(capsys, "central", "init", "--data", str(folder))["fingerprint"]
    slot = said(capsys, "central", "slot", "--store", "leith", "--label", "3", "--data", str(folder))
    settings = tmp_path / "till.yaml"
    settings.write_text(yaml.safe_dump({"data_dir": str(tmp_path / "till"), "centre_url": service.url}))
    assert main(["edge", "enrol", "--settings", str(settings), "--code", slot["code"], "--fingerprint", shown]) == 0
    capsys.readouterr()
    yield folder, tmp_path / "till", str(settings)
    service.stop()


def write_events(till: Path, count: int) -> None:
    """Events of a service that never reached head office."""
    identity = read_identity_file(till)
    assert identity is not None
    journal = Journal.open(till / "journal.db", identity, SystemClock())
    for n in range(count):
        with journal.writing():
            journal.append(Opened(receipt_id=f"extra:{n}", reason="enrolled"))
    journal.close()


def test_events_go_to_head_office_in_a_file_and_the_till_may_leave(place, tmp_path, capsys):
    folder, till, settings = place
    write_events(till, 2)
    file = tmp_path / "stick" / "lane3.export"
    file.parent.mkdir()
    assert main(["edge", "leave", "--settings", settings]) == 2
    assert "leave.unsent" in capsys.readouterr().err
    assert main(["edge", "export", "--settings", settings, "--to", str(file)]) == 0
    assert "3 events in 1 batches" in capsys.readouterr().out
    done = said(capsys, "central", "import", str(file), "--data", str(folder))
    assert (done["taken"], done["apart"], done["answers"]) == (1, 0, f"{file}.ack")
    assert main(["edge", "import-ack", "--settings", settings, f"{file}.ack"]) == 0
    assert "everything up to event 3 of epoch 1" in capsys.readouterr().out
    assert main(["edge", "export", "--settings", settings, "--to", str(file)]) == 2
    assert "export.nothing" in capsys.readouterr().err
    assert main(["edge", "leave", "--settings", settings]) == 0
    assert "has left" in capsys.readouterr().out
    assert sorted(path.name for path in till.iterdir()) == ["service.lock"]


def test_a_till_leaves_with_its_file_and_head_office_waits_for_it(place, tmp_path, capsys):
    folder, _, settings = place
    file = tmp_path / "lane3.export"
    assert main(["edge", "export", "--settings", settings, "--to", str(file)]) == 0
    assert main(["edge", "leave", "--settings", settings, "--exported", str(file)]) == 0
    assert f"waits for 1 events in {file}" in capsys.readouterr().out
    assert said(capsys, "central", "status", "--data", str(folder))["worklist"] == {"till_left": 1}
    assert said(capsys, "central", "import", str(file), "--data", str(folder))["taken"] == 1


def test_a_file_that_is_none_of_ours_is_refused(place, tmp_path, capsys):
    folder, _, settings = place
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0 and so on")
    assert main(["central", "import", str(tmp_path / "photo.jpg"), "--data", str(folder)]) == 2
    assert "sync.bad_envelope" in capsys.readouterr().err
    assert main(["edge", "import-ack", "--settings", settings, str(tmp_path / "photo.jpg")]) == 2
    assert main(["edge", "import-ack", "--settings", settings, str(tmp_path / "nothing")]) == 2
