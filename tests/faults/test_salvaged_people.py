"""Who new members are is found in a damaged journal wherever it can be read: in the new one, and in the signed file."""

import os
import sqlite3
from datetime import date
from pathlib import Path
from random import Random

import pytest

from edge.identity import write_identity_file
from edge.opening import SALVAGED, OpenedJournal, open_journal
from edge.ports import Settings
from loyalty.baskets import Place as Where
from loyalty.facts.member_events import Enrolled
from sync.desk import Person, Sealed, open_person, seal_person
from sync.exports import open_export
from sync.keys import exchange_public
from tests.edge.counter import NOON_MS, TILL_ID, FakeClock, identity
from tests.faults.lengths import rounds
from tests.faults.scenes import Place, ask_of, prepare

MEMBERS = 12
OFFICE = bytes(range(32))  # head office's key for personal data, which no till has
People = dict[str, str]


def who(n: int) -> Person:
    return Person(name=f"Member {n}", phone=f"+4815552{n:04d}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a till at which twelve members joined between its sales; two of them head office has."""
    prepare(tmp_path / "till", "sell")
    place = Place(tmp_path / "till")
    for n in range(MEMBERS):
        place.till.commit(ask_of(2 * n))
        _join(place, n)
    with place.journal.writing():
        place.journal.members.sealed_taken("E-0", "", NOON_MS)
        place.journal.members.sealed_taken("E-5", "", NOON_MS)
    place.journal.checkpoint()
    place.close()
    write_identity_file(tmp_path / "till", identity())
    return tmp_path / "till"


def _join(place: Place, n: int) -> None:
    sealed = seal_person(who(n), exchange_public(OFFICE), os.urandom(32), till_id=TILL_ID, about=f"E-{n}")
    where = Where(
        partner_id="fresh", store_id="s1", till_id=TILL_ID, channel="pos", sold_at_ms=NOON_MS, offset_min=0,
        business_date=date(2026, 3, 5),
    )
    event = Enrolled(
        receipt_id=f"E-{n}", place=where, card_token=f"{n:032x}", kind="ean13", sealed_sha256=sealed.sha256
    )
    with place.journal.writing():
        place.journal.append(event)
        place.journal.members.keep_sealed(f"E-{n}", sealed)


def harm(folder: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(folder / "journal.db") as db:
        assert db.execute(statement, values).rowcount == 1
    db.close()


def without_first_page(folder: Path) -> None:
    whole = (folder / "journal.db").read_bytes()
    (folder / "journal.db").write_bytes(bytes(4_096) + whole[4_096:])


def salvaged(folder: Path) -> People:
    """Opened again: who is known now, by event, as head office alone can read it; the file says the same."""
    opened = open_again(folder)
    assert opened.why == SALVAGED
    here = dict(opened.journal.members.sealed_waiting(-1))
    opened.journal.close()
    (path,) = folder.glob("salvage-1-*.export")
    file = open_export(path.read_bytes(), lambda till, key: identity().signer.public)
    assert {one.about: one.sealed for one in file.people} == here
    assert b"Member" not in path.read_bytes()
    return {event_id: read(event_id, sealed) for event_id, sealed in here.items()}


def open_again(folder: Path) -> OpenedJournal:
    return open_journal(Settings(data_dir=str(folder)), identity(), FakeClock(), lambda bits: 0)


def read(event_id: str, sealed: Sealed) -> str:
    return open_person(sealed, OFFICE, till_id=TILL_ID, about=event_id).name


EVERYBODY = {f"E-{n}": f"Member {n}" for n in range(MEMBERS)}


def test_everybody_is_found_without_the_first_page_and_brought_once_more(folder: Path) -> None:
    without_first_page(folder)
    assert salvaged(folder) == EVERYBODY


def test_a_row_whose_id_is_damaged_is_found_by_the_event_that_names_it(folder: Path) -> None:
    harm(folder, "UPDATE sealed SET event_id = 'E-?' WHERE event_id = 'E-3'")
    without_first_page(folder)
    assert salvaged(folder) == EVERYBODY


def test_a_row_that_says_something_else_than_its_event_is_not_kept(folder: Path) -> None:
    harm(folder, "UPDATE sealed SET body = replace(body, substr(body, 9, 2), '00') WHERE event_id = 'E-3'")
    without_first_page(folder)
    assert salvaged(folder) == {key: name for key, name in EVERYBODY.items() if key != "E-3"}


def test_who_joined_by_an_event_that_is_lost_is_kept_for_head_office_may_have_it(folder: Path) -> None:
    """The chain breaks at the event before: what follows hangs in the air, and the event itself says nothing."""
    harm(folder, "UPDATE event SET payload = ? WHERE receipt_id = 'E-3'", b"{}")
    assert salvaged(folder) == EVERYBODY


def test_what_lies_only_in_the_log_is_found(folder: Path) -> None:
    place = Place(folder)
    _join(place, MEMBERS)
    db, wal = (folder / "journal.db").read_bytes(), (folder / "journal.db-wal").read_bytes()
    place.close()
    (folder / "journal.db").write_bytes(bytes(4_096) + db[4_096:])
    (folder / "journal.db-wal").write_bytes(bytes(32) + wal[32:])
    assert salvaged(folder) == {**EVERYBODY, "E-12": "Member 12"}


def test_whatever_bit_turns_over_nobody_is_believed_who_was_not_sealed_and_hardly_anybody_is_missing(
    folder: Path,
) -> None:
    whole = (folder / "journal.db").read_bytes()
    dice, times, missing = Random("people"), 0, 0
    for _ in range(rounds(40, 1_000)):
        for pattern in ("journal*", "damaged-*/*", "salvage-*", "identity*"):
            for path in folder.glob(pattern):
                path.unlink()
        write_identity_file(folder, identity())
        # The pages behind the first are flipped, and the first is gone, so that each of them is a salvage.
        at, bit = dice.randrange(4_096, len(whole)), 1 << dice.randrange(8)
        harmed = bytearray(whole)
        harmed[:4_096], harmed[at] = bytes(4_096), harmed[at] ^ bit
        (folder / "journal.db").write_bytes(harmed)
        opened = open_again(folder)
        here = dict(opened.journal.members.sealed_waiting(-1))
        found = {event_id for event_id in EVERYBODY if opened.journal.find(event_id)}
        opened.journal.close()
        # Of a member whose event is there, the row is the one that was sealed, or is not kept.
        assert all(read(one, here[one]) == EVERYBODY[one] for one in found & set(here)), (at, bit)
        times, missing = times + 1, missing + MEMBERS - len(found & set(here))
    print(f"{times} salvages, {missing} of {times * MEMBERS} members without a name or an event")
    assert missing < times * MEMBERS // 4
