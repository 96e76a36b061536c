"""Enrolling a till from the command line against a running head office, and both sides' comparison code."""

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
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


def test_a_till_that_listens_on_an_address_of_version_6_is_asked_under_one(tmp_path, capsys):
    settings = tmp_path / "till.yaml"
    settings.write_text(f"data_dir: {tmp_path / 'till'}\nlisten_host: '::1'\nlisten_port: 1\n", "utf-8")
    assert main(["edge", "status", "--settings", str(settings)]) == 3
    assert "http://[::1]:1/v1/status" in capsys.readouterr().err


def test_the_status_of_a_till_that_does_not_run_says_how_to_start_it(tmp_path, capsys):
    settings = tmp_path / "till.yaml"
    settings.write_text(yaml.safe_dump({"data_dir": str(tmp_path / "till"), "listen_port": 1}))
    assert main(["edge", "status", "--settings", str(settings)]) == 3
    assert "tallypoint edge serve" in capsys.readouterr().err


class Stranger(BaseHTTPRequestHandler):
    """Another program on the till's port."""

    status, body = 200, b"<html>a router</html>"

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Nothing to the tests' output."""


@pytest.fixture
def stranger(monkeypatch) -> Iterator[int]:
    """Its port. A proxy that the environment names is not asked: nobody answers there."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server = HTTPServer(("127.0.0.1", 0), Stranger)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [(200, b"<html>a router</html>", "is no till"), (200, b"[]", "is no till"), (401, b"", "HTTP status 401")],
)
def test_what_answers_on_the_tills_port_and_is_no_till_is_told_by_the_doctor(
    status, body, why, stranger, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(Stranger, "status", status)
    monkeypatch.setattr(Stranger, "body", body)
    settings = tmp_path / "till.json"
    settings.write_text(json.dumps({"data_dir": str(tmp_path / "till"), "listen_port": stranger}))
    assert main(["edge", "doctor", "--settings", str(settings), "--json"]) == 1
    first = json.loads(capsys.readouterr().out)["ailments"][0]
    assert first["code"] == "service.silent"
    assert why in first["say"]


def test_a_command_that_is_not_told_which_till_says_how_to_name_it(capsys, monkeypatch):
    monkeypatch.delenv("TALLYPOINT_TILL_DATA_DIR", raising=False)
    assert main(["edge", "doctor"]) == 3
    assert "with --settings" in capsys.readouterr().err
