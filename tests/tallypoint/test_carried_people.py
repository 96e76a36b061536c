"""A member who joined at a till without a line is whole at head office once the till's file was carried there."""

import base64
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select

from central.database.tables import person
from central.intake.imports import Imported, import_file
from central.keys.people_keys import make_people_key
from central.members.members import account_of
from central.ports import Settings, reading
from central.verify.books import verify_books
from edge.api.member_bodies import FindBody
from edge.line.enrol import JOURNAL_FILE
from edge.line.exporting import Exported, NothingToExport, OtherFile, covers, export, take_answers
from loyalty.programme.programme import programme_from
from loyalty.trouble import Refusal
from sync.desk import Person
from sync.exports import open_export
from tallypoint.in_process import StoryClock
from tests.central.tills import COALITION, NOW, PROGRAMME
from tests.tallypoint.test_members_and_cards import ANA, Coalition, Counter, read

SECRETS = ("Ana Silva", "Silva", "912 345 678", "912345678", "Ana@example.org", "ana@example.org", "example.org")


@pytest.fixture
def world(tmp_path: Path, central_url: str) -> Iterator[Coalition]:
    there = Coalition(tmp_path, StoryClock(NOW), COALITION, central_url)
    there.publish(programme_from({**PROGRAMME, "members": {"numbers_at_once": 120}}))
    there.counters = (Counter(there, "S1", "one"), Counter(there, "S2", "two"))
    there.level()
    yield there
    there.close()


def exported(world: Coalition, counter: Counter) -> Exported:
    node = counter.node
    node.journal.checkpoint()
    return export(world.folder / node.till.settings.label, node.till.identity, world.clock.wall_ms())


def imported(world: Coalition, data: bytes) -> Imported:
    return import_file(
        data, session=world._session, store=world._store, signer=world.signer, now_ms=world.clock.wall_ms()
    )


def settle(world: Coalition, counter: Counter, done: Imported) -> int:
    node = counter.node
    return take_answers(node.journal, node.till.identity, done.answers, world.clock.wall_ms()).people


def who(world: Coalition, card_token: str) -> Person | None:
    with reading(world.engine) as tx:
        owner = account_of(tx, card_token)
        assert owner is not None
        return world.people.read(tx, owner)


def test_the_file_brings_who_they_are_and_nobody_on_the_way_can_read_it(world: Coalition) -> None:
    one, two = world.counters
    world.down = True
    made = one.enrol(enrol_id="E-1", person=ANA)
    one.sell("R-1", 1_000, made.card_number)
    told = exported(world, one)
    assert (told.events, told.people) == (2, 1)
    file = open_export(told.data, lambda _till, _key: one.node.till.identity.signer.public)
    # The file as it lies on the stick, and each part of it unpacked, in every way a name might be written.
    plain = [told.data, *file.batches, *(msgspec.json.encode(one) for one in file.people)]
    plain += [bytes.fromhex(one.sealed.body) for one in file.people]
    plain += [zlib.decompress(packed) for packed in _inflatable(file.batches)]
    for secret in SECRETS:
        for written in (secret.encode(), secret.encode().hex().encode(), base64.b64encode(secret.encode())[:-4]):
            assert not any(written.lower() in piece.lower() for piece in plain), secret

    done = imported(world, told.data)
    assert (done.taken, done.apart, done.people, done.people_wait) == (1, 0, 1, 0)
    assert who(world, made.card_token) == Person(**ANA)
    assert settle(world, one, done) == 1
    assert one.node.journal.members.sealed_waiting(9) == []
    with pytest.raises(NothingToExport):
        exported(world, one)
    # The line comes back: they are found, have their birthday and their points, and nothing comes twice.
    world.down = False
    world.level()
    found = two.members.find(read(FindBody, {"phone": "00351912345678"})).found
    assert [each.card_token for each in found] == [made.card_token]
    assert two.node.till.balance(made.card_number).view.balance_points == 10
    assert imported(world, told.data).people == 1
    with reading(world.engine) as tx:
        assert len(tx.execute(select(person)).all()) == 1
    assert verify_books(world.engine).violations == ()


def _inflatable(batches: tuple[bytes, ...]) -> list[bytes]:
    found = []
    for batch in batches:
        at = batch.find(b"\x78")
        while at >= 0:
            try:
                zlib.decompress(batch[at:])
            except zlib.error:
                at = batch.find(b"\x78", at + 1)
            else:
                found.append(batch[at:])
                break
    assert len(found) == len(batches)  # each batch was looked into
    return found


def test_who_was_left_when_only_events_had_gone_up_goes_in_a_file_of_its_own(world: Coalition) -> None:
    one, _ = world.counters
    made = one.enrol(enrol_id="E-1", person=ANA)
    world.clock.move(1)
    world.sync(one.node)  # the event goes; what is sealed has a chore of its own
    told = exported(world, one)
    assert (told.batches, told.people) == (0, 1)
    done = imported(world, told.data)
    assert (done.taken, done.people) == (0, 1) and who(world, made.card_token) == Person(**ANA)
    assert settle(world, one, done) == 1


def test_answers_to_another_till_settle_nobody_here(world: Coalition) -> None:
    one, two = world.counters
    for counter in (one, two):
        counter.enrol(enrol_id="E-1", person=ANA)  # under the same id
        world.sync(counter.node)
    done = imported(world, exported(world, one).data)
    with pytest.raises(OtherFile):
        settle(world, two, done)
    assert len(two.node.journal.members.sealed_waiting(9)) == 1


def test_what_belongs_to_no_event_of_the_till_is_not_kept_and_waits(world: Coalition) -> None:
    one, _ = world.counters
    one.enrol(enrol_id="E-1", person=ANA)
    world.sync(one.node)
    with one.node.journal.writing():
        ((_, sealed),) = one.node.journal.members.sealed_waiting(9)
        one.node.journal.members.keep_sealed("E-2", sealed)  # an event that head office does not have
    done = imported(world, exported(world, one).data)
    assert (done.people, done.people_wait) == (1, 1)
    assert settle(world, one, done) == 1
    assert [about for about, _ in one.node.journal.members.sealed_waiting(9)] == ["E-2"]


def test_a_person_who_was_put_into_another_file_is_not_believed(world: Coalition) -> None:
    """The till's signature covers all of it: nothing can be swapped on the way."""
    one, _ = world.counters
    one.enrol(enrol_id="E-1", person=ANA)
    data = bytearray(exported(world, one).data)
    data[-10] ^= 1
    with pytest.raises(Refusal):
        imported(world, bytes(data))
    with reading(world.engine) as tx:
        assert tx.execute(select(person)).all() == []


def test_a_file_covers_a_till_that_leaves_only_with_everybody_in_it(world: Coalition) -> None:
    one, _ = world.counters
    world.down = True
    one.enrol(enrol_id="E-1", person=ANA)
    whole = exported(world, one).data
    identity = one.node.till.identity
    assert covers(one.node.journal, identity, whole)
    ((_, sealed),) = one.node.journal.members.sealed_waiting(9)
    with one.node.journal.writing():
        one.node.journal.members.keep_sealed("E-2", sealed)
    assert not covers(one.node.journal, identity, whole)
    assert (world.folder / "one" / JOURNAL_FILE).exists()


def test_a_file_of_before_a_new_key_of_personal_data_is_opened_after_it(world: Coalition) -> None:
    one, _ = world.counters
    world.down = True
    made = one.enrol(enrol_id="E-1", person=ANA)
    told = exported(world, one)
    settings = Settings(data_dir=str(world.folder))
    make_people_key(settings, world.engine, world.randomness, world.clock.wall_ms())
    assert imported(world, told.data).people == 1
    assert who(world, made.card_token) == Person(**ANA)
    with reading(world.engine) as tx:
        assert tx.execute(select(person.c.key_id)).scalar_one() == "2"
