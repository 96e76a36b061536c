"""`tallypoint central people-key` from the command line: what it prints, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest

from central.members.people import People
from central.ports import SystemRandomness, open_engine, writing
from sync.desk import Person
from tests.tallypoint.test_central_card_keys import Office, office  # noqa: F401


@pytest.fixture
def kept(office: Office) -> People:  # noqa: F811
    """Somebody under the first key."""
    people = People((office.folder / "people.key").read_bytes(), office.folder / "people.key")
    engine = open_engine(f"sqlite:///{office.folder / 'central.db'}")
    with writing(engine) as tx:
        (owner,) = tx.exec_driver_sql("SELECT account_id FROM account").scalars()
        people.keep(tx, owner, Person(name="Ana Silva", phone="600700800"), SystemRandomness(), 1)
    engine.dispose()
    return people


def reseal(folder: Path, people: People) -> int:
    engine = open_engine(f"sqlite:///{folder / 'central.db'}")
    with writing(engine) as tx:
        done = people.reseal(tx, SystemRandomness())
    engine.dispose()
    return done


def test_the_keys_are_made_listed_and_retired(office: Office, kept: People) -> None:  # noqa: F811
    told = "Key 1 of personal data, newest: 1 people under it; 0 tills seal to it"
    assert office.says("people-key", "list") == (0, told)
    status, told = office.says("people-key", "new")
    assert status == 0 and told.startswith("Key 2 of personal data is made.") and "Back it up now." in told
    key = office.folder / "people-2.key"
    assert key.stat().st_mode & 0o777 == 0o600 and len(key.read_bytes()) == 32
    first, second = office.says("people-key", "list")[1].splitlines()
    assert first == "Key 1 of personal data, in force: 1 people under it"
    assert second.startswith("Key 2 of personal data, newest, made 20")
    assert second.endswith(": 0 people under it; 0 tills seal to it")
    assert "Key 2 of personal data is to replace 1, which keeps 1 still." in office.says("doctor")[1]

    for more in ((), ("--force",)):
        status, told = office.says("people-key", "retire", "1", *more)
        assert status == 2 and "1 people are still kept under this key" in told
    assert reseal(office.folder, kept) == 1
    assert office.data("people-key", "retire", "1") == {"retired": "1"}
    first, second = office.data("people-key", "list")["keys"]
    assert (first["people"], second["people"], first["retired_ms"] > 0) == (0, 1, True)
    assert office.says("people-key", "retire", "2")[0] == 2
    assert office.says("people-key", "retire", "3")[0] == 2


def test_the_doctor_misses_a_file_that_somebody_is_kept_under(office: Office, kept: People) -> None:  # noqa: F811
    def missed() -> list[str]:
        _, told = office.says("doctor", "--json")
        found: list[dict[str, Any]] = json.loads(told)["ailments"]
        return [one["about"] for one in found if one["code"] == "key.missing"]

    assert missed() == []
    office.says("people-key", "new")
    (office.folder / "people-2.key").unlink()
    assert missed() == ["people-2.key"]
    (office.folder / "people.key").unlink()
    assert missed() == ["people-2.key", "people.key"]
