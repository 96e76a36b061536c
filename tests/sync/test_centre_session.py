"""The centre's side: whatever bytes come in, a signed answer goes out and nothing is dropped."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.centre_session import CentreSession
from sync.framing import open_signed, sha256
from sync.keys import one_key
from sync.wire import BATCH_PATH, ENROL_PATH, HELLO_PATH, PAGE_PATH, PROBLEM_TAG, Problem
from tests.sync.memory import CENTRE, KEY_A, KEY_B, NOON, TILL_A, TILL_B, MemoryCentre, grant
from tests.sync.talk import Talk

PATHS = [ENROL_PATH, HELLO_PATH, BATCH_PATH, PAGE_PATH]


@pytest.fixture
def talk() -> Talk:
    return Talk(MemoryCentre((TILL_A, KEY_A)))


def problem(answer) -> Problem:
    said, _ = open_signed(PROBLEM_TAG, answer.body, Problem, one_key(CENTRE.public))
    assert said.status == answer.status
    return said


def code(answer) -> tuple[int, str]:
    return answer.status, problem(answer).code


def change(talk: Talk, **fields: object) -> None:
    talk.centre.tills[TILL_A] = msgspec.structs.replace(talk.centre.tills[TILL_A], **fields)


@pytest.mark.parametrize("path", [*PATHS, "/sync/v1/else", ""])
@given(data=st.binary(max_size=300))
def test_any_bytes_on_any_path_get_a_signed_refusal(path, data):
    centre = MemoryCentre((TILL_A, KEY_A))
    answer = CentreSession(CENTRE, lambda count: b"r" * count).answer(NOON, path, data, centre)
    assert 400 <= answer.status < 500
    assert problem(answer).answers == sha256(data)
    assert (centre.kept, centre.alarms) == ([], [])


@pytest.mark.parametrize("path", PATHS)
def test_a_request_over_the_cap_is_refused_before_it_is_read(talk, path):
    assert code(talk.speaks.answer(NOON, path, bytes(320 * 1024 + 1), talk.centre)) == (413, "sync.too_large")


def test_a_till_that_was_never_enrolled_is_not_answered():
    stranger = Talk(MemoryCentre((TILL_A, KEY_A)), TILL_B, KEY_B)
    assert code(stranger.carry(stranger.ask())) == (401, "sync.unknown_till")


@pytest.mark.parametrize("turns", [0, 1, 2])
def test_another_key_speaks_for_nobody(turns):
    honest = Talk(MemoryCentre((TILL_A, KEY_A)))
    honest.sell(1)
    honest.turns(turns)
    honest.session._signer = KEY_B
    assert code(honest.carry(honest.ask())) == (401, "sync.bad_signature")
    assert honest.centre.posted[TILL_A] == ([b'{"type":"receipt.v1","n":0}'] if turns == 2 else [])


def test_a_hello_or_page_ask_seen_before_is_refused_and_noted(talk):
    for kind in ("hello", "hotlist"):
        request = talk.turn()
        again = talk.carry(request)
        assert code(again) == (409, "sync.replayed"), kind
        assert problem(again).need == talk.till.counter
    assert talk.centre.alarms == [("sync.replayed", TILL_A)] * 2


def test_a_batch_seen_before_gets_the_same_ack_however_often(talk):
    talk.sell(3)
    talk.turns(1)
    request = talk.turn()
    talk.sell(3)
    talk.turns(1)
    answers = [talk.carry(request) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert len(talk.centre.posted[TILL_A]) == 6


def test_a_hello_overtaken_by_a_later_batch_is_not_taken_for_a_rewind(talk):
    talk.sell(1)
    late = talk.ask()
    talk.session.no_answer(talk.moment(), late)
    talk.sell(4)
    talk.turns(2)
    assert code(talk.carry(late)) == (409, "sync.replayed")
    assert talk.centre.tills[TILL_A].state == "active"


def test_a_stream_that_moved_meanwhile_is_judged_again(talk):
    talk.sell(1)
    talk.turns(1)
    talk.centre.moved = 2
    assert talk.carry(talk.ask()).status == 200


def test_a_stream_that_keeps_moving_is_busy(talk):
    talk.sell(1)
    talk.turns(1)
    talk.centre.moved = 3
    answer = talk.carry(talk.ask())
    assert code(answer) == (503, "sync.busy")
    assert answer.retry_after_s == 1
    assert talk.centre.posted[TILL_A] == []


@pytest.mark.parametrize(
    ("state", "status", "said"), [("suspended", 409, "sync.suspended"), ("revoked", 403, "sync.revoked")]
)
def test_a_batch_of_a_till_that_is_stopped_is_kept_aside_not_dropped(talk, state, status, said):
    talk.sell(1)
    talk.turns(1)
    change(talk, state=state)
    assert code(talk.carry(talk.ask())) == (status, said)
    assert talk.centre.kept == [(TILL_A, said)]


def test_a_revoked_till_is_told_to_stay_away_for_an_hour_and_gets_no_pages(talk):
    talk.turns(1)
    change(talk, state="revoked")
    answer = talk.carry(talk.ask())
    assert (code(answer), answer.retry_after_s) == ((403, "sync.revoked"), 3_600)


def test_a_till_that_gave_its_place_back_gets_no_pages(talk):
    talk.turns(1)
    change(talk, state="left")
    assert code(talk.carry(talk.ask())) == (409, "sync.left")


def test_a_suspended_till_still_gets_its_hotlist(talk):
    talk.turns(1)
    change(talk, state="suspended")
    assert talk.carry(talk.ask()).status == 200


@pytest.mark.parametrize(("epoch", "said"), [(2, "sync.old_epoch"), (0, "sync.unknown_epoch")])
def test_another_epoch_is_named_and_its_batches_are_kept(talk, epoch, said):
    talk.sell(1)
    talk.turns(1)
    change(talk, epoch=epoch)
    talk.centre.heads[TILL_A] = [msgspec.structs.replace(talk.till.start, epoch=epoch)]
    for _ in range(2):
        assert code(talk.carry(talk.ask())) == (409, said)
    assert (TILL_A, said) in talk.centre.kept
    talk.start()
    assert code(talk.carry(talk.ask())) == (409, said)
    assert talk.centre.tills[TILL_A].state == "active"


def test_a_second_machine_under_one_identity_suspends_the_till(talk):
    change(talk, install_id="another machine")
    assert code(talk.carry(talk.ask())) == (409, "sync.clone")
    assert talk.centre.kept == [(TILL_A, "sync.clone")]


def test_more_grants_than_one_answer_holds_come_with_the_next(talk):
    talk.centre.grants = [grant(number) for number in range(1, 26)]
    talk.turns(1)
    assert len(talk.till.grants) == 20
    talk.sell(1)
    talk.turns(1)
    assert [kept.grant.grant_no for kept in talk.till.grants] == list(range(1, 26))


def test_a_batch_that_tells_of_a_restored_centre_s_missing_events_gets_the_first_that_is_needed(talk):
    talk.sell(3)
    talk.turns(2)
    talk.centre.heads[TILL_A] = talk.centre.heads[TILL_A][:2]
    talk.sell(1)
    answer = talk.carry(talk.ask())
    assert (code(answer), problem(answer).need) == ((409, "sync.gap"), 2)


@pytest.mark.parametrize("turns", [0, 1])
def test_bytes_behind_a_message_without_a_body_are_refused(talk, turns):
    talk.turns(turns)
    request = talk.ask()
    assert code(talk.carry(msgspec.structs.replace(request, body=request.body + b"x"))) == (400, "sync.bad_envelope")


def test_a_protocol_this_centre_does_not_speak_is_named(talk):
    request = talk.ask()
    said = request.body.replace(b'"proto":1', b'"proto":9')
    assert code(talk.carry(msgspec.structs.replace(request, body=said))) == (426, "sync.unknown_proto")
