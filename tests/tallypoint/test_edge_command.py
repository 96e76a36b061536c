"""Enrolling a till from the command line against a running head office, and both sides' comparison code."""

import json
import re
from pathlib import Path

import pytest
import yaml

from central.ports import Settings
from central.service import CentralService
from tallypoint.cli import main

SHIPPED = Path(__file__).parents[2] / "tallypoint"


def said(capsys, *arguments: str) -> dict:
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def office(tmp_path, capsys):
    """Head office with the demo's coalition, served on a port of its own; its folder and address."""
    folder = tmp_path / "office"
    said(capsys, "central", "coalition", str(SHIPPED / "coalitions" / "harbour.yaml"), "--data", str(folder))
    service = CentralService(Settings(data_dir=str(folder)), port=0)
    service.start()
    yield folder, service.url
    service.stop()


def test_a_till_is_enrolled_and_both_sides_show_the_same_six_digits(office, tmp_path, capsys):
    folder, url = office
    shown = said(capsys, "central", "init", "--data", str(folder))["fingerprint"]
    slot = said(capsys, "central", "slot", "--store", "leith", "--label", "3", "--data", str(folder))
    settings = tmp_path / "till.yaml"
    settings.write_text(yaml.safe_dump({"data_dir": str(tmp_path / "till"), "centre_url": url}))
    asked = ["edge", "enrol", "--settings", str(settings), "--code", slot["code"], "--fingerprint", shown]
    assert main(asked) == 0
    digits = re.search(r"Comparison code (\d{3} \d{3})", capsys.readouterr().out)
    assert digits is not None
    tills = said(capsys, "central", "status", "--data", str(folder))["tills"]
    assert [(till["label"], till["comparison"]) for till in tills] == [("3", digits[1])]
    assert main(asked) == 2
    assert "enrol.already" in capsys.readouterr().err


def test_a_wrong_fingerprint_is_refused_and_nothing_is_kept(office, tmp_path, capsys):
    folder, url = office
    slot = said(capsys, "central", "slot", "--store", "leith", "--label", "3", "--data", str(folder))
    settings = tmp_path / "till.yaml"
    settings.write_text(yaml.safe_dump({"data_dir": str(tmp_path / "till"), "centre_url": url}))
    wrong = said(capsys, "central", "init", "--data", str(tmp_path / "another"))["fingerprint"]
    asked = ["edge", "enrol", "--settings", str(settings), "--code", slot["code"], "--fingerprint", wrong]
    assert main(asked) == 2
    assert not (tmp_path / "till" / "identity.json").exists()


def test_the_status_of_a_till_that_does_not_run_says_how_to_start_it(tmp_path, capsys):
    settings = tmp_path / "till.yaml"
    settings.write_text(yaml.safe_dump({"data_dir": str(tmp_path / "till"), "listen_port": 1}))
    assert main(["edge", "status", "--settings", str(settings)]) == 3
    assert "tallypoint edge serve" in capsys.readouterr().err
