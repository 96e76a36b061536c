"""The command line as a whole: help, missing parts, troubles and their exit status."""

import importlib
import json
import os

import pytest

from tallypoint import cli


@pytest.fixture
def without_central(monkeypatch):
    """A till's machine, where nothing of head office is installed."""
    found = importlib.import_module

    def look(name: str, *rest):
        if name == "tallypoint.central.command":
            raise ModuleNotFoundError("No module named 'sqlalchemy'", name="sqlalchemy")
        return found(name, *rest)

    monkeypatch.setattr(importlib, "import_module", look)


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["--help"])
    assert left.value.code == 0
    shown = capsys.readouterr().out
    for command in ("demo", "quote", "programme", "replay", "fleet", "settle", "edge", "central"):
        assert command in shown


def test_help_on_a_till_leaves_out_what_is_not_installed_there(without_central, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["--help"])
    assert left.value.code == 0
    assert "head office" not in capsys.readouterr().out


def test_a_command_whose_parts_are_missing_says_how_to_install_them(without_central, capsys):
    assert cli.main(["central", "status"]) == 3
    assert "EXTRA=central" in capsys.readouterr().err


def test_a_trouble_is_told_as_data_too_when_data_is_asked_for(capsys):
    assert cli.main(["replay", "none.csv", "--map", "nowhere.yaml", "--json"]) == 2
    told = capsys.readouterr()
    assert json.loads(told.out)["code"] == "replay.bad_map"
    assert "replay.bad_map" in told.err


@pytest.mark.parametrize("asked", ["edge", "central"])
def test_somebody_who_may_not_open_the_folder_is_told_whose_it_is(asked, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("identity.json", "central.db"):
        (folder / name).write_bytes(b"{}")
    monkeypatch.setenv("TALLYPOINT_TILL_DATA_DIR", str(folder))
    monkeypatch.setenv("TALLYPOINT_CENTRAL_DATA_DIR", str(folder))
    assert cli.main([asked, "doctor"]) == 1  # and all that it imports is there
    folder.chmod(0)
    if is_root := os.geteuid() == 0:
        os.seteuid(65_534)  # root may open everything
    try:
        assert cli.main([asked, "doctor"]) == 3
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o700)
    told = capsys.readouterr().err
    assert "(command.not_allowed)" in told
    assert "give the files back with `chown`" in told
