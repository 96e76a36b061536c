"""Keys at head office, on both engines: a till's new key, what the old one may still sign, and the centre's own."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from central.coalition.slots import open_slot
from central.coalition.streams import revoke_till
from central.coalition.till_keys import is_key_wanted, revoke_key, want_new_key
from central.database import tables as t
from central.keys.centre_keys import centre_keys, centre_signer, notices, rotate_centre_key
from central.ports import Settings, reading, writing
from central.streams.sealing import Sealer
from central.verify.books import verify_books
from sync.centre_session import CentreSession
from sync.chain import StreamHead, blank
from sync.framing import open_signed, pack
from sync.keys import Signer, one_key
from sync.provisional import next_provisional, provisional_genesis
from sync.rotation import (
    CENTRE_KEYS_PATH,
    KEY_TAKEN_TAG,
    KEYS_ASK_TAG,
    NEW_KEY_PATH,
    NEW_KEY_TAG,
    ROTATED,
    KeysAsk,
    KeyTaken,
    NewKey,
    open_keys,
    prove,
)
from sync.wire import ASK_TAG, PAGE_PATH, PROBLEM_TAG, SALVAGE_PATH, Ack, PageAsk, Problem
from tests.central.tills import Centre, CentreClock, Till, told


@pytest.fixture
def till(centre: Centre) -> Till:
    return centre.till()


def new_key(till: Till, seed: bytes = b"n" * 32, **lies: Any) -> tuple[Signer, KeyTaken | Problem]:
    """Ask for a new key with the present one; the answer."""
    centre, old = till.centre, till.signer
    new = Signer(seed, old.key_no + ROTATED)
    proof = prove(new, till_id=till.head.till_id, epoch=till.head.epoch, old_key_no=old.key_no)
    said = NewKey(
        **{**till._says(), "new_key_no": new.key_no, "new_public": new.public, "rotation_seq": till.head.seq,
           "proof": proof, **lies}
    )  # fmt: skip
    answer = centre.session.answer(centre.now, NEW_KEY_PATH, pack(NEW_KEY_TAG, said, old), centre.store)
    keys = one_key(centre.signer.public)
    if answer.status != 200:
        return new, open_signed(PROBLEM_TAG, answer.body, Problem, keys)[0]
    return new, open_signed(KEY_TAKEN_TAG, answer.body, KeyTaken, keys)[0]


def code(said: Any) -> str:
    assert isinstance(said, Problem)
    return said.code


def refused_page(till: Till) -> str:
    """Why there is no page of members for this till."""
    data = pack(ASK_TAG, PageAsk(**till._says(), lane="members", cursor="", limit=10), till.signer)
    answer = till.centre.session.answer(till.centre.now, PAGE_PATH, data, till.centre.store)
    return open_signed(PROBLEM_TAG, answer.body, Problem, one_key(till.centre.signer.public))[0].code


def test_the_old_key_counts_up_to_where_it_was_and_the_new_one_from_there(centre: Centre, till: Till) -> None:
    till.sell("R1", 500)
    before = till.batch()
    new, taken = new_key(till)
    assert isinstance(taken, KeyTaken) and (taken.new_key_no, taken.rotation_seq) == (1 + ROTATED, 1)
    assert isinstance(till.send(before), Ack)  # signed before, on its way meanwhile
    till.sent = 1
    till.sell("R2", 500)
    assert code(till.send(till.batch())) == "sync.key_retired"
    assert centre.rows(select(t.quarantine.c.code)) == [("sync.key_retired",)]
    till.signer = new
    till.upload()
    assert verify_books(centre.engine).violations == ()


def test_the_same_request_again_is_told_the_same_and_another_key_is_refused(centre: Centre, till: Till) -> None:
    _, first = new_key(till)
    till.sell("R1", 500)
    _, again = new_key(till)
    assert isinstance(first, KeyTaken) and isinstance(again, KeyTaken)
    assert (again.new_key_no, again.rotation_seq) == (first.new_key_no, 0)
    assert code(new_key(till, b"e" * 32)[1]) == "sync.key_refused"
    assert centre.rows(select(t.till_key.c.state).order_by(t.till_key.c.key_no)) == [("replaced",), ("active",)]


@pytest.mark.parametrize(
    "lie", [{"new_key_no": 2}, {"new_key_no": 1}, {"proof": "0" * 128}, {"new_public": Signer(b"x" * 32).public}]
)
def test_a_new_key_that_does_not_prove_itself_is_refused(centre: Centre, till: Till, lie: dict[str, Any]) -> None:
    assert code(new_key(till, **lie)[1]) == "sync.key_refused"
    assert centre.rows(select(t.till_key.c.state)) == [("active",)]


def test_a_replaced_key_says_no_hello_and_a_revoked_one_uploads_nothing(centre: Centre, till: Till) -> None:
    till.sell("R1", 500)
    late = till.batch()
    new_key(till)
    assert code(till.hello()) == "sync.key_retired"
    with writing(centre.engine) as tx:
        assert revoke_key(tx, till.head.till_id, 1)
        assert not revoke_key(tx, till.head.till_id, 9)
    assert code(till.send(late)) == "sync.key_retired"
    assert verify_books(centre.engine).violations == ()


def test_of_a_key_that_was_replaced_only_the_one_that_replaced_it_begins_an_epoch(centre: Centre, till: Till) -> None:
    new_key(till)
    till.head = StreamHead(till_id=till.head.till_id, epoch=next_provisional(1, 7))
    assert code(new_key(till, b"e" * 32)[1]) == "sync.unknown_epoch"
    assert centre.rows(select(t.till.c.epoch)) == [(1,)]
    till.signer, taken = new_key(till)
    assert isinstance(taken, KeyTaken)
    assert not isinstance(till.hello(), Problem)
    assert centre.rows(select(t.till.c.epoch)) == [(till.head.epoch,)]


def test_a_till_is_asked_until_it_has_done_it(centre: Centre, till: Till) -> None:
    with writing(centre.engine) as tx:
        want_new_key(tx, till.head.till_id)
    assert [till.hello().new_key, till.hello().new_key] == [True, True]  # type: ignore[union-attr]
    till.signer, _ = new_key(till)
    assert till.hello().new_key is False  # type: ignore[union-attr]
    with reading(centre.engine) as tx:
        assert not is_key_wanted(tx, till.head.till_id)


def test_an_enrolment_after_a_rotation_has_a_number_of_its_own(centre: Centre, till: Till) -> None:
    with writing(centre.engine) as tx:
        open_slot(tx, centre.random, store_id="S1", label="x", now_ms=centre.now, till_id=till.head.till_id)
    new_key(till)
    newer = Till(centre, "S1", till_id=till.head.till_id, seed="new machine")
    newer.sell("R9", 500)
    newer.upload()
    numbers = select(t.till_key.c.key_no, t.till_key.c.epoch).order_by(t.till_key.c.key_no)
    assert centre.rows(numbers) == [(1, 1), (2, 2), (1 + ROTATED, 1)]


def test_the_key_of_an_earlier_enrolment_speaks_for_no_later_one(centre: Centre, till: Till) -> None:
    anna = centre.member()
    till.sell("R1", 500)
    till.upload()
    newer = Till(centre, "S1", till_id=till.head.till_id, seed="new machine")
    stolen = till.signer
    mine, newer.signer = newer.signer, stolen
    assert code(newer.ask("L1", anna, 1)) == code(newer.hello()) == "sync.key_retired"
    assert refused_page(newer) == code(new_key(newer)[1]) == "sync.key_retired"
    # Whose numbers were given away would not agree with head office any more: a line let go needs no secret to chain.
    other = newer.head
    newer.append(blank(b"x" * 32, b"{}"))
    assert code(newer.send(newer.batch())) == code(newer.send(newer.batch(), SALVAGE_PATH)) == "sync.key_retired"
    assert {row for row in centre.rows(select(t.quarantine.c.code))} == {("sync.key_retired",)}
    newer.signer, newer.head, newer.events = mine, other, []
    newer.sell("R2", 500)
    newer.upload()
    assert code(till.hello()) == "sync.old_epoch"
    assert centre.rows(select(t.stream.c.state).where(t.stream.c.epoch == 2)) == [("active",)]
    assert verify_books(centre.engine).violations == ()


def test_what_an_earlier_enrolments_key_got_into_the_books_is_a_violation(centre: Centre, till: Till) -> None:
    newer = Till(centre, "S1", till_id=till.head.till_id, seed="new machine")
    newer.sell("R1", 500)
    newer.upload()
    first = t.till_key.c.key_no == 1
    with writing(centre.engine) as tx:
        tx.execute(t.till_key.delete().where(first))
        tx.execute(t.till_key.update().values(epoch=1))
    assert "batch.key" in {one.code for one in verify_books(centre.engine).violations}


def test_a_stolen_till_is_told_so_after_its_lane_got_another_machine(centre: Centre, till: Till) -> None:
    with writing(centre.engine) as tx:
        revoke_till(tx, till.head.till_id, "stolen")
    newer = Till(centre, "S1", till_id=till.head.till_id, seed="new machine")
    till.sell("R1", 500)
    # Only at this word it forgets members and card keys.
    assert code(till.hello()) == refused_page(till) == code(till.send(till.batch(), SALVAGE_PATH)) == "sync.revoked"
    # Nor does it begin anything of its own: the nonce of such an epoch follows from the one that it has.
    alone = next_provisional(1, 7)
    till.head = till.start = StreamHead(till_id=till.head.till_id, epoch=alone)
    till.genesis, till.events = provisional_genesis(till.genesis, alone), []
    till.sell("R2", 900_000)
    assert code(till.hello()) == code(till.send(till.batch(), SALVAGE_PATH)) == "sync.revoked"
    assert centre.rows(select(t.event.c.receipt_id)) == []
    assert centre.rows(select(t.quarantine.c.code)) == [("sync.revoked",)] * 2
    assert not isinstance(newer.hello(), Problem)


def test_a_stolen_till_is_told_the_newer_key_of_head_office_with_which_it_is_told_so(
    centre: Centre, till: Till, tmp_path: Path
) -> None:
    settings, known = Settings(data_dir=str(tmp_path)), one_key(Signer(b"C" * 32, 1).public)
    (tmp_path / settings.signing_key).write_bytes(b"C" * 32)
    with writing(centre.engine) as tx:
        revoke_till(tx, till.head.till_id, "stolen")
    Till(centre, "S1", till_id=till.head.till_id, seed="new machine")
    other = centre.till()
    with writing(centre.engine) as tx:
        revoke_key(tx, other.head.till_id, 1)
    notice = rotate_centre_key(settings, centre.engine, centre.random, centre.now)
    with reading(centre.engine) as tx:
        session = CentreSession(centre_signer(settings, centre.engine, centre.random), centre.random.bytes,
                                notices=notices(tx))  # fmt: skip
    for asks in (till, other):
        data = pack(KEYS_ASK_TAG, KeysAsk(**asks._says(), known_no=1), asks.signer)
        answer = session.answer(centre.now, CENTRE_KEYS_PATH, data, centre.store)
        assert answer.status == 200, answer.body
        assert open_keys(answer.body, data, known)[1].find(2) == notice.public


def test_a_revoked_till_that_begins_an_epoch_of_its_own_is_told_so(centre: Centre, till: Till) -> None:
    with writing(centre.engine) as tx:
        revoke_till(tx, till.head.till_id, "stolen")
    till.head = StreamHead(till_id=till.head.till_id, epoch=next_provisional(1, 7))
    assert code(till.hello()) == "sync.revoked"


def test_a_batch_of_a_replaced_key_that_got_into_the_books_is_a_violation(centre: Centre, till: Till) -> None:
    anna = centre.member()
    till.sell("R1", 500, told(anna))
    till.upload()
    with writing(centre.engine) as tx:
        tx.execute(t.till_key.update().values(state="replaced", until_seq=0))
    assert "batch.key" in {one.code for one in verify_books(centre.engine).violations}


def test_blocks_of_both_keys_of_the_centre_verify_and_no_others(centre: Centre, till: Till, tmp_path: Path) -> None:
    settings, clock = Settings(data_dir=str(tmp_path)), CentreClock(centre)
    (tmp_path / settings.signing_key).write_bytes(b"C" * 32)
    Sealer(centre.engine, centre_signer(settings, centre.engine, centre.random), clock).seal()
    till.sell("R1", 500)
    till.upload()
    Sealer(centre.engine, centre_signer(settings, centre.engine, centre.random), clock).seal()
    notice = rotate_centre_key(settings, centre.engine, centre.random, centre.now)
    assert notice.key_no == 2
    signer = centre_signer(settings, centre.engine, centre.random)
    assert (signer.key_no, signer.public) == (2, notice.public)
    till.sell("R2", 500)
    till.upload()
    Sealer(centre.engine, signer, clock).seal()
    keys = centre_keys(centre.engine, signer)
    assert [key.key_no for key in keys.keys] == [2, 1]
    assert verify_books(centre.engine, keys).violations == ()
    eve = Signer(b"e" * 32, 2)
    found = {one.code for one in verify_books(centre.engine, one_key(eve.public, 2)).violations}
    assert found == {"block.seal"}
    with reading(centre.engine) as tx:
        session = CentreSession(signer, centre.random.bytes, notices=notices(tx))
    assert [key.key_no for key in session._own_keys.keys] == [2, 1]
