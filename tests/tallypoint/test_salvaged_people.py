"""A member who joined at a till whose disk was damaged is whole at head office: by the line, or by the salvage file."""

from pathlib import Path

import pytest
from sqlalchemy import select

from central.database.tables import person
from central.ports import reading
from central.verify.books import verify_books
from edge.identity import read_identity_file
from edge.line.counter_line import SEALED_AT_ONCE
from edge.line.enrol import JOURNAL_FILE
from edge.line.exporting import take_answers
from edge.line.sending_left import SendLeft
from edge.opening import SALVAGED, OpenedJournal, open_journal
from sync.desk import Person
from tallypoint.in_process import NOWHERE
from tests.tallypoint.test_carried_people import imported, who, world
from tests.tallypoint.test_members_and_cards import ANA, Coalition, Counter

__all__ = ["world"]
BEA = {"name": "Bea Costa", "phone": "+351 912 000 111", "email": "", "birthday": ""}


def damaged(world: Coalition, counter: Counter) -> OpenedJournal:
    """The first page of its journal is gone; the service starts over it."""
    node, settings = counter.node, counter.node.till.settings
    node.journal.checkpoint()
    node.journal.close()
    node.cache.close()
    path = settings.folder / JOURNAL_FILE
    path.write_bytes(bytes(4_096) + path.read_bytes()[4_096:])
    identity = read_identity_file(settings.folder)
    assert identity is not None
    opened = open_journal(settings, identity, world.clock, lambda bits: 5)
    assert opened.why == SALVAGED
    return opened


def file_of(world: Coalition) -> bytes:
    (path,) = (world.folder / "one").glob("salvage-*.export")
    return path.read_bytes()


def test_the_salvage_file_brings_who_they_are_and_its_answer_settles_it(world: Coalition) -> None:
    one, _ = world.counters
    world.down = True
    ana, bea = one.enrol(enrol_id="E-1", person=ANA), one.enrol(enrol_id="E-2", person=BEA)
    one.enrol(enrol_id="E-3")  # nameless of their own will
    opened = damaged(world, one)
    assert [about for about, _ in opened.journal.members.sealed_waiting(-1)] == ["E-1", "E-2"]
    done = imported(world, file_of(world))
    assert (done.taken, done.apart, done.people, done.people_wait) == (1, 0, 2, 0)
    assert (who(world, ana.card_token), who(world, bea.card_token)) == (Person(**ANA), Person(**BEA))
    settled = take_answers(opened.journal, opened.identity, done.answers, world.clock.wall_ms())
    assert (settled.people, opened.journal.members.sealed_waiting(-1)) == (2, [])
    opened.journal.close()
    assert imported(world, file_of(world)).people == 2
    with reading(world.engine) as tx:
        assert len(tx.execute(select(person)).all()) == 2
    assert verify_books(world.engine).violations == ()


def test_by_the_line_they_come_from_the_epoch_that_the_till_gave_itself(world: Coalition) -> None:
    one, two = world.counters
    world.down = True
    made = one.enrol(enrol_id="E-1", person=ANA)
    damaged(world, one).journal.close()
    again = Counter(world, "S1", "one")
    world.counters = (again, two)
    world.down = False
    world.level()
    till = again.node.till
    SendLeft(
        journal=again.node.journal, identity=till.identity, folder=till.settings.folder, clock=world.clock,
        url=NOWHERE, exchange=lambda url, body, _deadline_ms: world.exchange(url, body), is_offline=lambda: False,
    ).send()  # fmt: skip
    assert again.line.bring_sealed() == 1
    assert who(world, made.card_token) == Person(**ANA)
    assert again.node.journal.members.sealed_waiting(-1) == []


def test_those_whose_event_head_office_lacks_keep_nobody_behind_them_waiting(world: Coalition) -> None:
    """More of them than are brought at once wait before the one that can be taken."""
    one, _ = world.counters
    one.enrol(enrol_id="E-0", person=ANA)
    journal = one.node.journal
    ((_, sealed),) = journal.members.sealed_waiting(-1)
    with journal.writing():
        journal.members.sealed_taken("E-0", "members.erased", 0)  # which forgets it
        for n in range(SEALED_AT_ONCE + 5):
            journal.members.keep_sealed(f"lost-{n}", sealed)
    made = one.enrol(enrol_id="E-1", person=BEA)
    world.sync(one.node)
    assert [one.line.bring_sealed() for _ in range(2)] == [0, 1]
    assert who(world, made.card_token) == Person(**BEA)
    assert len(journal.members.sealed_waiting(-1)) == SEALED_AT_ONCE + 5
    assert one.line.bring_sealed() == 0  # from the first again


@pytest.mark.parametrize("place", ["journal.db", "salvage file"])
def test_nothing_of_them_stands_in_clear(place: str, world: Coalition) -> None:
    one, _ = world.counters
    world.down = True
    one.enrol(enrol_id="E-1", person=ANA)
    damaged(world, one).journal.close()
    data = file_of(world) if place == "salvage file" else Path(world.folder / "one" / JOURNAL_FILE).read_bytes()
    for secret in (b"Ana", b"Silva", b"912 345", b"912345", b"example.org"):
        assert secret not in data and secret.hex().encode() not in data
