"""`tallypoint central card-key` from the command line: what it prints, and what it refuses."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from tallypoint.cli import main

SHIPPED = Path(__file__).parents[2] / "tallypoint"
CARD = "2037215727383"


class Office:
    """Runs actions of `central` on one folder."""

    def __init__(self, folder: Path, capsys: Any, monkeypatch: Any) -> None:
        self.folder, self._capsys, self._monkeypatch = folder, capsys, monkeypatch

    def says(self, *arguments: str, typed: str = "") -> tuple[int, str]:
        self._monkeypatch.setattr("sys.stdin", io.StringIO(typed + "\n"))
        status = main(["central", *arguments, "--data", str(self.folder)])
        told = self._capsys.readouterr()
        return status, (told.out + told.err).strip()

    def data(self, *arguments: str, typed: str = "") -> Any:
        status, told = self.says(*arguments, "--json", typed=typed)
        assert status == 0, told
        return json.loads(told)


@pytest.fixture
def office(tmp_path: Path, capsys: Any, monkeypatch: Any) -> Office:
    made = Office(tmp_path / "office", capsys, monkeypatch)
    made.says("init")
    made.says("coalition", str(SHIPPED / "coalitions" / "harbour.yaml"))
    made.says("publish", str(SHIPPED / "programmes" / "harbour.yaml"))
    (tmp_path / "members.csv").write_text(f"card\n{CARD}\n")
    made.says("members", str(tmp_path / "members.csv"))
    return made


def test_the_keys_are_made_listed_and_retired(office: Office) -> None:
    assert office.says("card-key", "list") == (0, "Card key 1, newest: 0 tills hold it")
    status, told = office.says("card-key", "new")
    assert status == 0 and told.startswith("Card key 2 is made.")
    key = office.folder / "programme-card-2.key"
    assert key.stat().st_mode & 0o777 == 0o600 and len(key.read_bytes()) == 32
    first, second = office.says("card-key", "list")[1].splitlines()
    assert first == "Card key 1, in force: 0 tills hold it; 1 cards have no newer name"
    assert second.startswith("Card key 2, newest, made 20") and second.endswith(": 0 tills hold it")
    status, told = office.says("card-key", "retire", "1")
    assert status == 2 and "1 cards have no name under a newer key" in told
    status, told = office.says("card-key", "retire", "1", "--force")
    assert (status, told) == (
        0, "Card key 1 is retired. 1 cards have no newer name; tills do not know them until `card-key name`."
    )  # fmt: skip
    assert office.says("card-key", "list")[1].startswith("Card key 1, retired")


def test_a_card_is_named_again_by_its_number_and_no_number_is_printed(office: Office) -> None:
    office.says("card-key", "new")
    status, told = office.says("card-key", "name", typed=CARD)
    assert status == 0 and "is known to tills again" in told and CARD not in told
    assert office.data("card-key", "list")["keys"][0]["cards_without"] == 0
    assert office.data("card-key", "retire", "1") == {
        "retired": "1", "cards_without": 0, "certificates": 0, "certificates_minor": 0
    }  # fmt: skip
    assert office.says("card-key", "name", typed="2037215727390")[0] == 2  # nobody's, and its check digit is wrong


def test_a_file_of_numbers_names_all_cards_at_once(office: Office, tmp_path: Path) -> None:
    office.says("card-key", "new")
    told = office.data("members", str(tmp_path / "members.csv"))
    assert (told["made"], told["named"], len(told["set_aside"])) == (0, 1, 1)
    assert office.data("card-key", "list")["keys"][0]["cards_without"] == 0
    assert office.data("members", str(tmp_path / "members.csv"))["named"] == 0


def test_a_card_is_blocked_and_served_again_whichever_key_it_was_named_under(office: Office) -> None:
    office.says("card-key", "new")
    assert office.says("block", "--reason", "lost", typed=CARD)[0] == 0
    office.says("card-key", "name", typed=CARD)
    assert office.says("lift", typed=CARD)[0] == 0
    assert office.says("lift", typed=CARD)[0] == 2
    history = office.data("history", "card", typed=CARD)
    assert history["cards"] == 1
