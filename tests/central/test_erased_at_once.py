"""Who a member is arrives at the moment in which they are erased, on the engine where both may write."""

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from central.corrections.erasing import erase_member
from central.database.tables import person
from central.keys.card_keys import KeyRing
from central.members.people import People
from central.ports import reading, writing
from central.tills.desk_asks import answer_desk
from sync.desk import DeskAsk, Person, seal_person
from tests.central.test_at_once import AtOnce
from tests.central.test_member_events import NEW, enrolled, token
from tests.central.tills import CARD_KEY, Centre

pytestmark = pytest.mark.postgresql


@pytest.fixture
def centre(lent_postgres: str) -> Iterator[Centre]:
    made = Centre(lent_postgres)
    yield made
    made.engine.dispose()


def test_nothing_of_a_member_is_kept_that_comes_while_they_are_erased(centre: Centre) -> None:
    till, people = centre.till(), People(b"P" * 32)
    with reading(centre.engine) as tx:
        to = people.sealing_key(tx)
    sealed = seal_person(Person(name="Cleo"), to, b"7" * 32, till_id=till.head.till_id, about="E-1")
    till.append(enrolled(till, "E-1", NEW, sealed_sha256=sealed.sha256))
    till.upload()
    ask = DeskAsk(
        till_id=till.head.till_id, epoch=1, key_no=1, counter=9, sent_at_ms=centre.now, what="sealed", about="E-1",
        sealed=sealed,
    )  # fmt: skip

    def brought() -> object:
        with writing(centre.engine) as tx:
            return answer_desk(tx, ask, people, KeyRing(CARD_KEY), centre.now, centre.random).refused

    at_once = AtOnce(centre, brought)
    with writing(centre.engine) as tx:
        erase_member(tx, centre.account_of(token(NEW)), by="ana", now_ms=centre.now, randomness=centre.random)
        at_once.wait_for_locks()
    at_once.join()
    assert at_once.results == ["members.erased"]
    assert centre.rows(select(person)) == []
