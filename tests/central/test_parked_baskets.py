"""Baskets at head office: kept once, shown to the partner's tills alone, given to one of them, gone after the day."""

from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from central.backups.restoring import note_restore
from central.coalition.streams import revoke_till
from central.database.tables import parked_basket
from central.ports import writing
from central.tills.parked_baskets import forget_baskets
from central.verify.books import verify_books
from sync.desk import DeskAsk
from sync.parked import ParkedRow
from sync.parked_office import OfficeBasket, OfficeTaken, OfficeTold
from tests.central.tills import DAY, MINUTE, NOW, Centre, Till

BODY = msgspec.Raw(b'{"sale":{"basket":{"currency":"EUR","lines":[]}}}')


@pytest.fixture
def tills(centre: Centre) -> tuple[Till, Till, Till]:
    """Of two stores of one partner, and of a store of another."""
    return centre.till("S1"), centre.till("S3"), centre.till("S2")


def ask(centre: Centre, till: Till, what: Any, **more: Any) -> Any:
    asked = DeskAsk(
        till_id=till.head.till_id, epoch=1, key_no=1, counter=0, sent_at_ms=centre.now, what=what, **more
    )
    return centre.store.take_desk_ask(asked, centre.now)


def park(centre: Centre, till: Till, park_id: str = "P1", body: msgspec.Raw = BODY, **more: Any) -> OfficeTold:
    """Leave one; `more`: facts of it."""
    row = ParkedRow(
        park_id=park_id, parked_at_ms=centre.now, lines=2, amount_minor=1_250, currency="EUR", note="blue jacket",
        cashier="4", has_card=True,
    )  # fmt: skip
    basket = OfficeBasket(row=row, body=body, **{"until_ms": NOW + 600 * MINUTE, **more})
    told: OfficeTold = ask(centre, till, "park", about=park_id, basket=basket).basket
    return told


def resume(centre: Centre, till: Till, of: Till, resume_id: str = "U1", park_id: str = "P1") -> OfficeTold:
    told: OfficeTold = ask(
        centre, till, "resume", about=park_id, of_till=of.head.till_id, resume_id=resume_id
    ).basket
    return told


def seen(centre: Centre, till: Till) -> list[tuple[str, str, str, int]]:
    listed = ask(centre, till, "parked").parked
    return [(one.till_id, one.store, one.row.park_id, one.row.amount_minor) for one in listed]


def test_a_basket_is_seen_and_resumed_at_another_store_of_the_partner(centre: Centre, tills: Any) -> None:
    one, two, stranger = tills
    assert park(centre, one).outcome == "kept"
    assert park(centre, one).outcome == "kept"  # its answer was lost
    assert seen(centre, one) == seen(centre, two) == [(one.head.till_id, "S1", "P1", 1_250)]
    assert seen(centre, stranger) == []
    assert resume(centre, stranger, one).outcome == "unknown"
    given = resume(centre, two, one)
    assert (given.outcome, bytes(given.body), given.parked_at_ms) == ("given", bytes(BODY), NOW)
    assert resume(centre, two, one) == given  # its answer was lost
    assert seen(centre, two) == []
    assert verify_books(centre.engine).violations == ()


def test_only_one_till_is_given_it(centre: Centre, tills: Any) -> None:
    one, two, _ = tills
    park(centre, one)
    assert resume(centre, one, one).outcome == "given"
    late = resume(centre, two, one, "U2")
    assert (late.outcome, late.taken_by) == ("taken", one.head.till_id)
    assert resume(centre, one, one, "U3").outcome == "taken"  # at the same till it would be a second sale
    assert park(centre, one).outcome == "kept"  # a retry that comes late brings nothing back
    assert seen(centre, two) == []


def test_an_id_is_not_used_for_another_basket(centre: Centre, tills: Any) -> None:
    one, two, _ = tills
    park(centre, one)
    other = msgspec.Raw(b'{"sale":{"basket":{"currency":"EUR","lines":[1]}}}')
    assert park(centre, one, body=other).outcome == "reused"
    assert park(centre, two, body=other).outcome == "kept"  # ids are a till's own
    assert len(seen(centre, one)) == 2


def test_what_was_withdrawn_before_it_came_does_not_come_any_more(centre: Centre, tills: Any) -> None:
    one, two, _ = tills
    assert resume(centre, one, one, "withdrawn:P1").outcome == "unknown"
    assert park(centre, one).outcome == "reused"
    assert seen(centre, one) == []
    assert resume(centre, two, two, "U1", "P-nobody").outcome == "unknown"


def test_after_the_day_nothing_of_it_is_left(centre: Centre, tills: Any) -> None:
    one, two, _ = tills
    park(centre, one, until_ms=NOW + 9 * DAY)  # its clock is wrong: 36 hours at most
    centre.now = NOW + 36 * 60 * MINUTE + 1
    assert seen(centre, two) == []
    assert resume(centre, two, one).outcome == "expired"
    with writing(centre.engine) as tx:
        assert forget_baskets(tx, centre.now) == 1
    assert centre.rows(select(parked_basket.c.body, parked_basket.c.note)) == [(b"", "")]
    with writing(centre.engine) as tx:
        assert forget_baskets(tx, centre.now + DAY + 1) == 0
    assert centre.rows(select(parked_basket.c.park_id)) == []


def test_a_till_leaves_a_hundred_at_most(centre: Centre, tills: Any) -> None:
    one, two, _ = tills
    assert {park(centre, one, f"P{n}").outcome for n in range(100)} == {"kept"}
    assert park(centre, one, "P100").outcome == "full"
    assert park(centre, two, "P100").outcome == "kept"
    resume(centre, two, one, park_id="P7")
    assert park(centre, one, "P100").outcome == "kept"


# After a restore


def put_back(centre: Centre) -> int:
    """This very database is put back, as if it were a backup; the generation that begins."""
    with writing(centre.engine) as tx:
        return note_restore(tx, centre.now)


def say(centre: Centre, till: Till, generation: int, *had: tuple[Till, str, str]) -> None:
    """A till tells which baskets it has."""
    resumed = tuple(OfficeTaken(till_id=of.head.till_id, park_id=one, resume_id=name) for of, one, name in had)
    assert ask(centre, till, "resumed", resumed=resumed, generation=generation).took


def test_nothing_is_given_away_before_every_till_of_the_partner_was_heard(centre: Centre, tills: Any) -> None:
    one, two, stranger = tills
    park(centre, one)
    park(centre, stranger, "P9")
    generation = put_back(centre)
    assert (seen(centre, two), resume(centre, two, one).outcome) == ([], "resting")
    assert resume(centre, one, one).outcome == "resting"  # nor to the till that parked it
    say(centre, one, generation)
    assert resume(centre, two, one).outcome == "resting"
    say(centre, two, generation - 1)  # of another generation: it has not heard yet
    assert resume(centre, two, one).outcome == "resting"
    say(centre, two, generation)
    assert seen(centre, two) == [(one.head.till_id, "S1", "P1", 1_250)]
    assert resume(centre, two, one).outcome == "given"
    # The other partner's still rests: its till was not heard.
    assert resume(centre, stranger, stranger, "U9", "P9").outcome == "resting"
    say(centre, stranger, generation)
    assert resume(centre, stranger, stranger, "U9", "P9").outcome == "given"


def test_what_was_resumed_since_the_backup_is_given_to_nobody_else(centre: Centre, tills: Any) -> None:
    one, two, _ = tills
    park(centre, one)
    generation = put_back(centre)
    say(centre, one, generation)
    say(centre, two, generation, (one, "P1", "U1"))
    assert (seen(centre, one), resume(centre, one, one, "U2").outcome) == ([], "taken")
    assert resume(centre, one, one, "U2").taken_by == two.head.till_id
    assert resume(centre, two, one, "U1").outcome == "given"  # a retry of the one who has it
    assert park(centre, one).outcome == "kept"  # left once more by the till that parked it
    assert seen(centre, one) == []
    assert centre.flags() == []


def test_what_was_left_here_and_resumed_since_the_backup_does_not_come_back(centre: Centre, tills: Any) -> None:
    one, two, _ = tills
    generation = put_back(centre)
    say(centre, two, generation, (one, "P1", "U1"))
    assert park(centre, one).outcome == "reused"
    say(centre, one, generation)
    assert resume(centre, one, one, "U2").outcome == "taken"


def test_what_was_left_here_since_the_backup_rests_when_it_is_left_again(centre: Centre, tills: Any) -> None:
    one, two, _ = tills
    generation = put_back(centre)
    assert park(centre, one, again=True).outcome == "kept"
    say(centre, one, generation)
    assert resume(centre, one, one).outcome == "resting"
    # What is parked now, nobody can have had before.
    assert (park(centre, one, "P2").outcome, resume(centre, two, one, "U3", "P2").outcome) == ("kept", "given")
    say(centre, two, generation, (one, "P1", "U1"))
    assert resume(centre, one, one, "U2").outcome == "taken"
    assert park(centre, one, "P3", again=True).outcome == "kept"
    assert resume(centre, two, one, "U4", "P3").outcome == "given"


def test_a_head_office_that_was_never_put_back_waits_for_nobody(centre: Centre, tills: Any) -> None:
    one, two, _ = tills
    assert park(centre, one, again=True).outcome == "kept"
    assert resume(centre, two, one).outcome == "given"


def test_a_till_that_is_not_heard_keeps_baskets_resting_until_their_day_is_over(centre: Centre, tills: Any) -> None:
    one, _, _ = tills
    park(centre, one)
    say(centre, one, put_back(centre))
    centre.now = NOW + 600 * MINUTE
    assert resume(centre, one, one).outcome == "resting"
    centre.now += 1
    assert resume(centre, one, one).outcome == "expired"
    with writing(centre.engine) as tx:
        assert forget_baskets(tx, centre.now) == 1


def test_a_till_that_is_revoked_is_not_waited_for(centre: Centre, tills: Any) -> None:
    one, two, _ = tills
    park(centre, one)
    say(centre, one, put_back(centre))
    assert resume(centre, one, one).outcome == "resting"
    with writing(centre.engine) as tx:
        revoke_till(tx, two.head.till_id, "stolen")
    assert resume(centre, one, one).outcome == "given"


def test_a_second_restore_begins_anew(centre: Centre, tills: Any) -> None:
    one, two, _ = tills
    park(centre, one)
    first = put_back(centre)
    for till in (one, two):
        say(centre, till, first)
    assert seen(centre, one)
    centre.now += DAY // 24
    second = put_back(centre)
    assert second > first and resume(centre, one, one).outcome == "resting"
    for till in (one, two):
        say(centre, till, second)
    assert resume(centre, one, one).outcome == "given"


def test_a_basket_that_two_tills_have_is_on_the_worklist_once(centre: Centre, tills: Any) -> None:
    # A till that head office did not know of, for it was enrolled after the backup, had resumed it.
    one, two, _ = tills
    park(centre, one)
    generation = put_back(centre)
    for till in (one, two):
        say(centre, till, generation)
    assert resume(centre, one, one).outcome == "given"
    late = centre.till("S3")
    for _ in range(2):
        say(centre, late, generation, (one, "P1", "U7"))
    assert [cause for _, cause in centre.flags()] == ["parked_twice"]
    assert centre.figures("parked_twice") == {
        "park_id": "P1", "parked_by": one.head.till_id, "also_at": one.head.till_id
    }  # fmt: skip
    assert verify_books(centre.engine).violations == ()
