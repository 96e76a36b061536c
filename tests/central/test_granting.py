"""Floats: what tills may let members spend unasked, topped up, and a number known at any moment."""

import msgspec
from sqlalchemy import select

from central.coalition.programmes import publish
from central.database.tables import centre_event, stream
from central.leases.granting import floats_out
from central.ports import reading, writing
from central.streams.own_events import centre_stream_id
from loyalty.facts.events import read_head
from loyalty.facts.lease_events import Granted
from loyalty.programme.compiled import compile_programme
from loyalty.programme.programme import programme_from
from sync.chain import StreamHead, walk
from sync.framing import open_signed
from sync.keys import one_key
from sync.wire import GRANT_TAG, Ack, Grant
from tests.central.tills import PROGRAMME, Centre, Till, told


def grants(centre: Centre, answer) -> list[tuple[int, int, int | None]]:
    opened = [open_signed(GRANT_TAG, data, Grant, one_key(centre.signer.public))[0] for data in answer.grants]
    return [(grant.grant_no, grant.points, grant.account_id) for grant in opened]


def out(centre: Centre) -> int:
    with reading(centre.engine) as connection:
        return floats_out(connection)


def test_a_till_gets_its_float_at_the_first_hello_and_once(centre: Centre) -> None:
    till = centre.till()
    assert grants(centre, till.hello()) == [(1, 2000, None)]
    assert grants(centre, till.hello()) == [(1, 2000, None)]  # told again until the till says it has it
    assert out(centre) == 2000


def test_what_was_spent_on_a_float_is_topped_up_with_the_acknowledgement(centre: Centre) -> None:
    till, anna = centre.till(), centre.member()
    till.hello()
    till.sell("R1", 50_000, told(anna))
    till.sell("R2", 50_000, told(anna, 1, 500), spend=300)
    ack = till.upload()
    assert isinstance(ack, Ack)
    assert grants(centre, ack) == [(1, 2000, None), (2, 300, None)]
    spent = select(stream.c.float_granted, stream.c.float_spent).where(stream.c.till_id == till.head.till_id)
    assert centre.rows(spent) == [(2300, 300)]
    assert out(centre) == 2000


def test_points_that_a_sale_spends_of_its_own_are_not_taken_off_the_float(centre: Centre) -> None:
    own = {**PROGRAMME, "options": {"spends_what_it_earns": True}}
    with writing(centre.engine) as tx:
        publish(tx, msgspec.json.encode(own), centre.now)
    till, anna = centre.till(), centre.member()
    till.rules = compile_programme(programme_from(own))
    till.hello()
    till.sell("R1", 50_000, told(anna), spend=300)  # earns 497 for the 497.00 in money
    till.sell("R2", 10_000, told(anna, 1, 197), spend=250)  # earns 97 for the 97.50, so 153 are the float's
    till.upload()
    spent = select(stream.c.float_granted, stream.c.float_spent).where(stream.c.till_id == till.head.till_id)
    assert centre.rows(spent) == [(2153, 153)]
    assert centre.flags() == []


def test_a_till_that_says_it_spent_more_than_its_float_is_not_granted_more_for_it(centre: Centre) -> None:
    till, anna = centre.till(), centre.member()
    till.hello()
    for n in range(3):
        till.sell(f"R{n}", 1_000_000, told(anna, n, 1_000_000), spend=1_000_000)
        till.upload()
    assert centre.flags()[0] == (0, "float_overspent")
    assert centre.figures("float_overspent") == {"epoch": 1, "spent": 1_000_000, "float_left": 2000}
    spent = select(stream.c.float_granted, stream.c.float_spent).where(stream.c.till_id == till.head.till_id)
    assert centre.rows(spent) == [(8000, 6000)]
    assert out(centre) == 2000


def test_a_new_epoch_starts_with_a_float_of_its_own_and_the_old_one_gets_no_more(centre: Centre) -> None:
    till = centre.till()
    till.hello()
    newer = Till(centre, "S1", till_id=till.head.till_id, seed="again")
    assert till.hello().code == "sync.old_epoch"
    assert grants(centre, newer.hello()) == [(1, 2000, None)]
    assert out(centre) == 4000  # the lost machine may still spend its own


def test_no_float_where_the_programme_keeps_offline_spending_off(centre: Centre) -> None:
    document = {**PROGRAMME, "spending": {"step_points": 1, "step_minor": 1}}
    with writing(centre.engine) as tx:
        publish(tx, msgspec.json.encode(document), centre.now)
    assert grants(centre, centre.till().hello()) == []
    assert out(centre) == 0


def test_grants_are_events_in_a_chain_of_the_centres_own(centre: Centre) -> None:
    till, anna = centre.till(), centre.member()
    till.hello()
    till.sell("R1", 50_000, told(anna, 0, 500), spend=120)
    till.upload()
    own = centre_stream_id(f"grants:{till.head.till_id}")
    rows = centre.rows(select(centre_event.c.payload, centre_event.c.hash).where(centre_event.c.till_id == own)
                       .order_by(centre_event.c.seq))  # fmt: skip
    ((genesis, head),) = centre.rows(select(stream.c.genesis, stream.c.hash).where(stream.c.till_id == own))
    walked = walk(StreamHead(till_id=own, epoch=1), bytes.fromhex(genesis), [payload for payload, _ in rows])
    assert [link.hash for link in walked] == [said for _, said in rows]
    assert rows[-1][1] == head
    facts = [read_head(payload) for payload, _ in rows]
    assert [(fact.points, fact.lease_id) for fact in facts if isinstance(fact, Granted)] == [
        (2000, "float:1:1"), (120, "float:1:2")]  # fmt: skip
