"""A basket parked at one store and resumed at another through head office: with the line, without it, unheard."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from central.backups.restoring import note_restore
from central.ports import writing
from edge.api.bodies import ParkBody, ResumeBody
from edge.day.desk import DayDesk
from edge.journal.parked_kept import KeptBasket
from edge.parking.at_office import ParkedOffice
from loyalty.programme.programme import programme_from
from sync.desk import DESK_PATH
from sync.transport import LineDown
from sync.wire import Answer
from tallypoint.in_process import StoryClock
from tests.central.tills import ANNA, COALITION, NOW, PROGRAMME
from tests.tallypoint.test_card_keys import Shops
from tests.tallypoint.test_members_and_cards import HOUR, Coalition, Counter, read, refused
from tests.tallypoint.test_nothing_in_clear import leaks, written

COUPON = "SPRING-4711"


class Street(Coalition):
    """Whose counters' answers may be lost: head office hears what is asked, and is not heard."""

    loses = False

    def exchange(self, url: str, body: bytes) -> Answer:
        answer = super().exchange(url, body)
        if self.loses and url.endswith(DESK_PATH):
            raise LineDown("The answer was lost.")
        return answer


class Counted(Counter):
    """A counter that parks."""

    def __init__(self, world: Coalition, store_id: str, label: str) -> None:
        super().__init__(world, store_id, label)
        till = self.node.till
        self.office = ParkedOffice(
            self.node.journal, till.identity, world.clock, self.node.uplink.ask_desk, till.settings.offset_min
        )
        self.day = DayDesk(self.desk, None, self.office)
        self.till_id = till.identity.till_id

    def park(self, park_id: str = "P1", **more: Any) -> Any:
        lines = [{"line": 1, "sku": "bread", "name": "Bread", "amount_minor": 1_250}]
        body = {"park_id": park_id, "note": "blue jacket", "card": ANNA, "coupons": [COUPON], "anywhere": True,
                "basket": {"currency": "EUR", "lines": lines}, **more}  # fmt: skip
        return self.day.park(read(ParkBody, body))

    def resume(self, of: "Counted", resume_id: str = "U1", park_id: str = "P1", office: bool = True) -> Any:
        body = {"resume_id": resume_id, "till_id": of.till_id, "office": office}
        return self.day.resume(park_id, read(ResumeBody, body))

    def seen(self) -> list[tuple[str, bool]]:
        return [(one.park_id, one.office) for one in self.day.parked(training=False).parked]

    def kept(self, park_id: str = "P1") -> KeptBasket:
        found = self.node.journal.parked.find(park_id)
        assert found
        return found


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Street]:
    there = Street(tmp_path, StoryClock(NOW), COALITION)
    there.publish(programme_from(PROGRAMME))
    there.counters = (Counted(there, "S1", "one"), Counted(there, "S3", "far"), Counted(there, "S2", "other partner's"))
    there.level()
    yield there
    there.close()


def test_it_is_resumed_at_another_store_with_its_card_and_goods(world: Street, tmp_path: Path):
    one, far, stranger = world.counters
    assert one.park().scan_again == 1
    assert one.park().replayed is True
    assert one.seen() == far.seen() == [("P1", True)]
    assert stranger.seen() == []
    listed = far.day.parked(training=False)
    assert (listed.office_heard, listed.parked[0].till, listed.parked[0].amount_minor) == (True, "S1, one", 1_250)
    back = far.resume(one)
    assert (back.note, back.scan_again, back.replayed) == ("blue jacket", 1, False)
    assert (back.sale.basket.lines[0].sku, len(back.sale.card)) == ("bread", 32)
    assert far.resume(one).replayed is True
    assert refused(far.resume, of=one, resume_id="U2") == "parked.taken"
    assert refused(one.resume, of=one, resume_id="U3") == "parked.taken"
    assert refused(stranger.resume, of=one) == "parked.unknown"
    assert one.seen() == far.seen() == []
    assert leaks(written(tmp_path), (ANNA, COUPON)) == set()


def test_without_a_line_it_is_refused_and_parked_here_instead(world: Street):
    one, far, _ = world.counters
    world.down = True
    assert refused(one.park) == "parked.no_line"
    assert refused(one.park, anywhere=False) == "parked.id_reused"  # nobody knows yet what became of the first
    one.park("P2", anywhere=False)
    assert one.seen() == [("P2", False)]
    assert refused(one.resume, of=one) == "parked.no_line"
    assert one.day.parked(training=False).office_heard is False
    world.down = False
    world.level()
    assert one.office.settle() == 1
    assert one.kept().state == "dropped"
    assert far.seen() == []
    assert one.resume(one, "U9", "P2", office=False).sale.basket.lines[0].amount_minor == 1_250


def test_a_basket_whose_answer_was_lost_is_withdrawn_or_parked_by_a_retry(world: Street):
    one, far, _ = world.counters
    world.loses = True
    assert refused(one.park) == "parked.no_line"
    assert one.kept().state == "unsure"
    world.loses = False
    assert far.seen() == [("P1", True)]  # until the till is heard again
    assert one.office.settle() == 1
    assert (one.kept().state, far.seen()) == ("dropped", [])
    world.loses = True
    assert refused(one.park, park_id="P2") == "parked.no_line"
    world.loses = False
    assert one.park("P2").replayed is False  # the same id again
    assert (one.kept("P2").state, far.seen()) == ("office", [("P2", True)])
    assert one.office.settle() == 0


def test_a_basket_that_is_gone_before_it_could_be_withdrawn_stays_with_who_has_it(world: Street):
    one, far, _ = world.counters
    world.loses = True
    assert refused(one.park) == "parked.no_line"
    world.loses = False
    far.resume(one)
    assert one.office.settle() == 0
    assert one.kept().state == "office"
    assert refused(one.resume, of=one) == "parked.taken"


def test_an_answer_to_resuming_that_is_lost_is_asked_for_again(world: Street):
    one, far, _ = world.counters
    one.park()
    world.loses = True
    assert refused(far.resume, of=one) == "parked.no_line"
    world.loses = False
    assert far.resume(one).sale.basket.lines[0].amount_minor == 1_250
    assert refused(one.resume, of=one) == "parked.taken"


def test_its_own_till_takes_it_back_or_throws_it_away(world: Street):
    one, far, _ = world.counters
    one.park()
    assert one.resume(one, office=False).note == "blue jacket"
    assert far.seen() == []
    one.park("P2")
    one.day.drop("P2", training=False)
    assert (one.kept("P2").state, far.seen()) == ("dropped", [])
    one.park("P3")
    far.resume(one, park_id="P3")
    with pytest.raises(Exception, match="has resumed this basket"):
        one.day.drop("P3", training=False)


def test_after_the_day_it_is_gone(world: Street):
    one, far, _ = world.counters
    one.park()
    # It is 16:00. The shop's day ends at midnight, and five hours later it is over for certain.
    assert (world.clock.wall_ms() - NOW) // HOUR == 4
    world.clock.move(13 * HOUR - 60_000)
    for counter in world.counters:
        world.sync(counter.node)
    assert far.seen() == [("P1", True)]
    world.clock.move(120_000)
    assert far.seen() == []
    assert refused(far.resume, of=one) == "parked.gone"


def test_in_training_it_lies_at_the_till_and_nobody_hears_of_it(world: Street):
    one, far, _ = world.counters
    one.park(training=True)
    assert far.seen() == one.seen() == []
    assert [row.park_id for row in one.day.parked(training=True).parked] == ["P1"]


# After head office was put back from a backup


class Office:
    """Head office's database, put back as it was at one moment."""

    def __init__(self, world: Street, folder: Path) -> None:
        self.world, self.folder = world, folder

    def put_back(self, backup: sqlite3.Connection) -> None:
        url = self.world.engine.url.database
        self.world.engine.dispose()
        assert url
        with sqlite3.connect(url) as there:
            backup.backup(there)
        with writing(self.world.engine) as tx:
            note_restore(tx, self.world.clock.wall_ms())

    def backup(self) -> sqlite3.Connection:
        copy = sqlite3.connect(":memory:")
        with sqlite3.connect(str(self.world.engine.url.database)) as there:
            there.backup(copy)
        return copy


def heard(world: Street, *counters: Counted) -> None:
    """Head office is heard again by these tills, and their chores run."""
    for _ in range(2):
        world.clock.move(2 * 60_000)
        for counter in counters:
            world.sync(counter.node)
            counter.office.settle()


def test_a_basket_that_was_resumed_before_head_office_was_put_back_is_not_given_out_again(
    world: Street, tmp_path: Path
):
    one, far, stranger = world.counters
    office = Office(world, tmp_path)
    one.park()
    one.park("P2")
    backup = office.backup()
    assert far.resume(one).sale.basket.lines[0].amount_minor == 1_250
    world.clock.move(HOUR)
    office.put_back(backup)
    assert refused(one.resume, of=one, resume_id="U2") == "parked.resting"
    heard(world, one, stranger)
    assert refused(one.resume, of=one, resume_id="U2") == "parked.resting"  # the till that has it was not heard yet
    heard(world, far)
    assert refused(one.resume, of=one, resume_id="U2") == "parked.taken"
    assert one.seen() == far.seen() == [("P2", True)]
    assert one.resume(one, "U3", "P2").sale.basket.lines[0].amount_minor == 1_250
    assert far.resume(one).replayed is True


def test_what_was_parked_and_thrown_away_since_the_backup_is_as_the_tills_know_it(world: Street, tmp_path: Path):
    one, far, stranger = world.counters
    office = Office(world, tmp_path)
    one.park("P1")
    backup = office.backup()
    one.day.drop("P1", training=False)
    one.park("P2")
    one.park("P3")
    far.resume(one, "U3", "P3")
    office.put_back(backup)
    assert refused(far.resume, of=one, park_id="P2") == "parked.unknown"
    heard(world, one, far, stranger)
    assert one.seen() == far.seen() == [("P2", True)]
    assert refused(far.resume, of=one, park_id="P1", resume_id="U4") == "parked.taken"
    assert refused(one.resume, of=one, park_id="P3", resume_id="U5") == "parked.taken"
    assert far.resume(one, "U6", "P2").sale.basket.lines[0].amount_minor == 1_250


def test_what_was_left_unheard_is_withdrawn_once_it_is_known_that_nobody_has_it(world: Street, tmp_path: Path):
    one, far, stranger = world.counters
    office = Office(world, tmp_path)
    world.loses = True
    for park_id in ("P1", "P2"):
        assert refused(one.park, park_id=park_id) == "parked.no_line"
    world.loses = False
    backup = office.backup()
    far.resume(one, "U2", "P2")
    office.put_back(backup)
    heard(world, one, stranger)
    assert (one.kept("P1").state, one.kept("P2").state) == ("unsure", "unsure")
    assert refused(one.day.drop, park_id="P1", training=False) == "parked.resting"
    heard(world, far)
    heard(world, one)
    assert (one.kept("P1").state, one.kept("P2").state) == ("dropped", "office")
    assert refused(far.resume, of=one, resume_id="U3") == "parked.taken"
    assert far.resume(one, "U2", "P2").replayed is True


def test_a_till_tells_a_head_office_that_was_put_back_once(world: Street, tmp_path: Path):
    one, far, stranger = world.counters
    office = Office(world, tmp_path)
    far.office.settle()
    assert far.node.journal.parked.told_to() == 0  # nobody was put back
    for n in range(120):  # more than one message holds
        one.park(f"P{n}")
        far.resume(one, f"U{n}", f"P{n}")
    office.put_back(office.backup())
    heard(world, one, far, stranger)
    generation = far.node.journal.outbox.generation()
    assert generation and far.node.journal.parked.told_to() == generation
    asked: list[str] = []
    far.office = ParkedOffice(
        far.node.journal, far.node.till.identity, world.clock, lambda wanted: asked.append(wanted.what),
        far.node.till.settings.offset_min,
    )  # fmt: skip
    far.office.settle()
    assert asked == []


class Changing(Street, Shops):
    """A street whose card key is changed, within the hours for which a basket waits."""

    def hear(self, *counters: Counter) -> None:
        self.clock.move(HOUR + 1)
        for counter in counters:
            self.sync(counter.node)


def test_a_basket_that_waits_while_the_card_key_is_changed_goes_on_for_the_same_member(tmp_path: Path):
    world = Changing(tmp_path, StoryClock(NOW), COALITION)
    world.publish(programme_from(PROGRAMME))
    one, far = world.counters = (Counted(world, "S1", "one"), Counted(world, "S3", "far"))
    world.level()
    one.sell("R-1", 5_000, ANNA)
    one.park("P0")
    assert world.new_key() == "2"
    world.hear(one, far)
    one.sell("R-2", 1_000, ANNA)
    one.park("P1")
    world.hear(one)
    world.retire("1", force=True)
    world.hear(one, far)
    assert [counter.node.till.identity.card_keys.ids for counter in (one, far)] == [("2",), ("2",)]
    back = far.resume(one)
    assert (back.sale.card, back.show_card) == (world.name(ANNA, 2), False)
    assert far.node.till.balance(back.sale.card).view.balance_points == 60
    far.sell("R-3", 1_250, back.sale.card)
    # What was parked before there was a second key goes on once its card is shown.
    before = far.resume(one, "U0", "P0")
    assert (before.sale.card, before.show_card, before.scan_again) == (None, True, 1)
    world.hear(one, far)
    assert world.points(world.name(ANNA, 2)) == 72
    world.close()
