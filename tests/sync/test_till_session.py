"""The till's side: what it says in which order, what it believes, and when it waits."""

import msgspec
import pytest

from sync.blocks import BlockMark
from sync.chain import StreamHead
from sync.framing import open_signed, pack, read_json, sha256, split
from sync.keys import Signer, one_key
from sync.till_messages import Request
from sync.till_session import WaitUntil
from sync.wire import ACK_TAG, HELLO_ANSWER_TAG, Ack, Answer, BatchHeader, HelloAnswer
from tests.sync.memory import CENTRE, KEY_A, KEY_B, TILL_A, TILL_B, MemoryCentre, grant
from tests.sync.talk import Talk, tampered


@pytest.fixture
def talk() -> Talk:
    return Talk(MemoryCentre((TILL_A, KEY_A), (TILL_B, KEY_B)))


def acked(talk: Talk) -> int:
    return talk.till.acked().seq


def re_signed(answer: Answer, signer: Signer = CENTRE, **fields: object) -> Answer:
    """The same ack with other fields, well signed: what a mistaken or cross-wired centre would say."""
    ack, _ = open_signed(ACK_TAG, answer.body, Ack, one_key(CENTRE.public))
    return tampered(answer, body=pack(ACK_TAG, msgspec.structs.replace(ack, **fields), signer))


def test_a_till_says_hello_then_uploads_then_asks_for_its_lanes(talk):
    talk.sell(3)
    assert talk.turns(5) == ["hello", "batch", "hotlist", "programme", "members"]
    assert talk.centre.posted[TILL_A] == talk.till.payloads
    assert (acked(talk), talk.status().backlog, talk.status().line.state) == (3, 0, "online")


def test_a_quiet_till_asks_for_the_hotlist_every_twenty_seconds_and_says_hello_every_hour(talk):
    talk.until_quiet()
    assert talk.next() == WaitUntil(mono_ms=21_000)
    said = []
    while "hello" not in said:
        said += talk.turns(1)
    # It began at second 1: the hotlist at 21, 41, …, 3581, members at 61, …, 3541, programme at 301, …, 3301.
    assert (talk.now, said[-1]) == (3_601_000, "hello")
    assert [said.count(lane) for lane in ("hotlist", "members", "programme")] == [179, 59, 11]


def test_a_sale_is_uploaded_at_once_not_at_the_next_interval(talk):
    talk.until_quiet()
    talk.sell(1)
    assert talk.turns(1) == ["batch"]


def test_a_long_backlog_does_not_keep_the_hotlist_from_the_till(talk):
    talk.sell(2_000)
    talk.turns(1)
    talk.now += 41_000
    assert talk.turns(2) == ["hotlist", "batch"]


def test_a_cache_that_fails_does_not_keep_the_events_from_the_centre(talk, monkeypatch):
    talk.until_quiet()

    def gone(page, state):
        raise OSError("the disk of the cache is gone")

    monkeypatch.setattr(talk.till, "take_page", gone)
    talk.now += 60_000  # the hotlist is overdue, and goes first
    request = talk.ask()
    with pytest.raises(OSError, match="gone"):
        talk.give(request, talk.carry(request))
    talk.sell(1)
    assert talk.turns(1) == ["batch"]


def test_news_told_in_an_ack_is_fetched_at_once_and_page_by_page(talk):
    talk.until_quiet()
    talk.centre.hotlist = [b'"card 1"', b'"card 2"', b'"card 3"', b'"card 4"', b'"card 5"']
    talk.sell(1)
    assert talk.turns(4) == ["batch", "hotlist", "hotlist", "hotlist"]
    assert talk.till.rows == [b'"card 1"', b'"card 2"', b'"card 3"', b'"card 4"', b'"card 5"']
    assert isinstance(talk.next(), WaitUntil)


def test_a_hotlist_older_than_ours_is_refused_and_ours_is_kept(talk):
    talk.centre.hotlist = [b'"card 1"', b'"card 2"']
    talk.until_quiet()
    talk.centre.hotlist = [b'"card 1"']
    talk.now = 21_000
    assert talk.turns(1) == ["hotlist"]
    assert talk.status().line.last_error == "sync.page_refused"
    assert (talk.till.lane("hotlist").version, talk.till.rows) == (2, [b'"card 1"', b'"card 2"'])


WRONG_ACKS = {
    "another hash at that place": lambda talk, answer: re_signed(
        answer, head=msgspec.structs.replace(talk.till.head(), hash="1" * 64)
    ),
    "a place we have not reached": lambda talk, answer: re_signed(
        answer, head=msgspec.structs.replace(talk.till.head(), seq=9)
    ),
    "less than we sent": lambda talk, answer: re_signed(answer, head=talk.till.heads[1]),
    "another till's stream": lambda talk, answer: re_signed(
        answer, head=msgspec.structs.replace(talk.till.head(), till_id=TILL_B)
    ),
    "another epoch": lambda talk, answer: re_signed(answer, head=msgspec.structs.replace(talk.till.head(), epoch=2)),
    "an answer to another request": lambda talk, answer: re_signed(answer, answers="0" * 64),
    "signed by another": lambda talk, answer: re_signed(answer, signer=Signer(b"Z" * 32)),
    "signed under an unknown number": lambda talk, answer: re_signed(answer, key_no=7),
    "a page of a portal": lambda talk, answer: tampered(answer, body=b"<html>Welcome! Please sign in</html>"),
    "nothing": lambda talk, answer: tampered(answer, body=b""),
    "half of it": lambda talk, answer: tampered(answer, body=answer.body[: len(answer.body) // 2]),
}


@pytest.mark.parametrize("name", WRONG_ACKS)
def test_an_ack_that_does_not_prove_itself_acknowledges_nothing(talk, name):
    talk.sell(2)
    talk.turns(1)
    request = talk.ask()
    talk.give(request, WRONG_ACKS[name](talk, talk.carry(request)))
    assert acked(talk) == 0
    assert (talk.status().line.state, talk.status().backlog) == ("offline", 2)
    talk.turns(1)  # and the batch, sent again, is known and acknowledged
    assert (acked(talk), len(talk.centre.posted[TILL_A])) == (2, 2)


def test_an_ack_lost_and_a_sale_later_nothing_is_posted_twice(talk):
    talk.sell(3)
    talk.turns(1)
    request = talk.ask()
    talk.carry(request)
    talk.session.no_answer(talk.moment(), request)
    talk.sell(2)
    talk.until_quiet()
    talk.now += 300_000
    talk.until_quiet()
    assert talk.centre.posted[TILL_A] == talk.till.payloads
    assert acked(talk) == 5


def test_a_gap_is_answered_by_sending_from_what_is_needed(talk):
    talk.sell(3)
    talk.turns(2)
    # The centre comes back from a backup made before the batch.
    talk.centre.heads[TILL_A] = talk.centre.heads[TILL_A][:1]
    talk.centre.posted[TILL_A].clear()
    talk.sell(2)
    assert talk.turns(3) == ["batch", "hello", "batch"]
    assert talk.centre.posted[TILL_A] == talk.till.payloads


def test_the_wait_after_failures_grows_and_ends_with_the_first_answer(talk):
    waits = []
    for _ in range(9):
        request = talk.ask()
        talk.session.no_answer(talk.moment(), request, "line.down")
        waiting = talk.next()
        assert isinstance(waiting, WaitUntil)
        waits.append(waiting.mono_ms - talk.now)
    assert waits == [1_999, 3_999, 7_999, 15_999, 31_999, 63_999, 127_999, 255_999, 299_999]
    assert (talk.status().line.state, talk.status().line.last_error) == ("offline", "line.down")
    talk.turns(1)
    assert (talk.status().line.state, talk.status().line.failures, talk.status().line.last_error) == ("online", 0, "")


def test_a_retry_after_is_obeyed(talk):
    request = talk.ask()
    talk.give(request, Answer(status=503, body=b"busy", retry_after_s=120))
    assert talk.next() == WaitUntil(mono_ms=1_000 + 120_000 + 12_999)
    assert talk.status().line.last_error == "line.http_503"


def test_batches_halve_when_nothing_comes_back_and_double_when_it_does(talk):
    talk.sell(1_000)
    talk.turns(1)
    sizes = []
    for outcome in ("lost", "lost", "413", "ok", "ok", "ok"):
        request = talk.ask()
        sizes.append(request.last_seq - request.first_seq + 1)
        if outcome == "lost":
            talk.session.no_answer(talk.moment(), request)
        elif outcome == "413":
            talk.give(request, Answer(status=413, body=b""))
        else:
            talk.give(request, talk.carry(request))
    assert sizes == [500, 250, 125, 62, 124, 248]


def test_a_batch_of_one_is_not_halved_to_none(talk):
    talk.sell(1)
    talk.turns(1)
    for _ in range(3):
        talk.session.no_answer(talk.moment(), talk.ask())
    assert talk.turns(1) == ["batch"]


def test_a_forked_till_stops_uploading_and_keeps_everything(talk):
    talk.sell(2)
    talk.turns(2)
    talk.centre.heads[TILL_A][-1] = msgspec.structs.replace(talk.centre.heads[TILL_A][-1], hash="2" * 64)
    talk.sell(1)
    talk.turn()
    assert talk.status().suspended == "sync.fork"
    assert talk.centre.kept == [(TILL_A, "sync.fork")]
    talk.sell(5)
    assert set(talk.turns(5)) == {"hotlist", "programme", "members"}
    assert (len(talk.till.payloads), talk.status().backlog, talk.status().line.state) == (8, 6, "online")


def test_a_till_goes_on_once_head_office_has_decided(talk):
    talk.sell(2)
    talk.centre.tills[TILL_A] = msgspec.structs.replace(talk.centre.tills[TILL_A], state="suspended")
    talk.until_quiet()
    assert (talk.status().suspended, talk.centre.posted[TILL_A]) == ("sync.suspended", [])
    talk.centre.tills[TILL_A] = msgspec.structs.replace(talk.centre.tills[TILL_A], state="active")
    talk.now += 3_600_000
    talk.until_quiet()
    assert (talk.status().suspended, talk.centre.posted[TILL_A]) == ("", talk.till.payloads)


def be_in(talk, epoch):
    """The centre has the till's lane in an epoch, at its beginning."""
    talk.centre.tills[TILL_A] = msgspec.structs.replace(talk.centre.tills[TILL_A], epoch=epoch)
    talk.centre.heads[TILL_A] = [StreamHead(till_id=TILL_A, epoch=epoch)]


@pytest.mark.parametrize(("epoch", "said"), [(0, "sync.unknown_epoch"), (2, "sync.old_epoch")])
def test_a_till_whose_lanes_are_refused_for_its_epoch_says_hello_every_hour_all_the_same(talk, epoch, said):
    talk.until_quiet()
    be_in(talk, epoch)
    while talk.now < 3_500_000:
        talk.turns(1)
    assert talk.status().suspended == said
    be_in(talk, 1)
    while talk.now < 3_700_000:
        talk.turns(1)
    assert talk.status().suspended == ""


def test_a_till_whose_epoch_is_not_known_any_more_asks_with_one_hello_whether_it_is(talk):
    talk.until_quiet()
    be_in(talk, 0)
    talk.now += 20_000
    assert talk.turns(2) == ["hotlist", "hello"]
    said = []
    while talk.now < 3_500_000:
        said += talk.turns(1)
    assert "hello" not in said


def test_a_stranger_brings_about_one_hello_in_ten_minutes(talk):
    talk.until_quiet()
    first = talk.now
    talk.session.stranger_asked(talk.moment())
    assert talk.turn().kind == "hello"
    talk.now = first + 599_999
    talk.until_quiet()
    talk.session.stranger_asked(talk.moment())
    assert isinstance(talk.next(), WaitUntil)
    talk.now = first + 600_000
    talk.session.stranger_asked(talk.moment())
    assert talk.turn().kind == "hello"


def test_an_unsigned_refusal_does_not_suspend_a_till(talk):
    talk.sell(1)
    talk.turns(1)
    request = talk.ask()
    forged = pack(b"TP-NO1\0", msgspec.defstruct("P", [("code", str)])(code="sync.fork"), Signer(b"Z" * 32))
    talk.give(request, Answer(status=409, body=forged))
    assert (talk.status().suspended, talk.status().line.last_error) == ("", "line.http_409")


def test_a_rewound_till_is_told_so(talk):
    talk.sell(5)
    talk.turns(2)
    talk.till.heads, talk.till.payloads = talk.till.heads[:4], talk.till.payloads[:3]
    talk.till.centre = talk.till.heads[3]
    talk.start()
    talk.turn()
    # Its counter did not come back with the events: the head alone gives it away.
    assert talk.status().suspended == "sync.rewind"
    assert talk.centre.kept == [(TILL_A, "sync.rewind")]


def test_a_counter_that_went_back_with_the_disk_is_counted_on_from_the_last_one(talk):
    talk.turns(1)
    talk.till.counter = 0
    talk.centre.tills[TILL_A] = msgspec.structs.replace(talk.centre.tills[TILL_A], counter=40)
    talk.start()
    talk.turn()
    assert talk.status().line.last_error == "sync.replayed"
    talk.turn()
    assert (talk.status().line.last_error, talk.till.counter) == ("", 41)
    assert talk.centre.alarms == [("sync.replayed", TILL_A)]


def test_the_till_itself_notices_a_centre_with_another_history(talk):
    talk.sell(2)
    request = talk.ask()
    answer = talk.carry(request)
    said, _ = open_signed(HELLO_ANSWER_TAG, answer.body, HelloAnswer, one_key(CENTRE.public))
    other = msgspec.structs.replace(said, head=msgspec.structs.replace(talk.till.heads[1], hash="3" * 64))
    talk.give(request, tampered(answer, body=pack(HELLO_ANSWER_TAG, other, CENTRE)))
    assert talk.status().suspended == "sync.fork"
    assert acked(talk) == 0


def test_a_fork_that_only_the_till_can_see_is_proven_to_the_centre_once(talk):
    """Its disk was put back, and it went further than the centre had come meanwhile: what it says fits either way."""
    talk.sell(3)
    talk.until_quiet()
    del talk.till.heads[2:], talk.till.payloads[1:]
    talk.till.centre = talk.till.heads[1]
    for n in range(4):
        talk.till.write(b'{"type":"receipt.v1","other":%d}' % n)
    talk.start()
    assert talk.turns(2) == ["hello", "batch"]
    assert (talk.status().suspended, talk.centre.kept) == ("sync.fork", [(TILL_A, "sync.fork")])
    talk.now += 3_600_000
    said = []
    while isinstance(talk.next(), Request):
        said.append(talk.turn().kind)
    assert "hello" in said and "batch" not in said
    assert (len(talk.heads()), acked(talk)) == (4, 1)


@pytest.mark.parametrize("events", [0, 1])
def test_events_that_the_centre_needs_and_the_till_no_longer_has_stop_the_upload_loudly(talk, events):
    talk.sell(3)
    talk.turns(2)
    talk.centre.heads[TILL_A] = talk.centre.heads[TILL_A][: events + 1]
    talk.till.hash_at = lambda seq: None  # pruned
    talk.start()
    talk.turn()
    assert talk.status().suspended == "sync.beyond_retention"
    assert acked(talk) == 3  # at the next start it must not look as if events were gone that nobody has


def test_a_till_that_cannot_go_on_does_not_say_hello_without_end_for_a_key_that_it_does_not_take(talk, monkeypatch):
    """Head office was put back from a backup older than what the till keeps, and than its newest sealing key."""
    talk.sell(3)
    talk.turns(2)
    talk.centre.heads[TILL_A] = talk.centre.heads[TILL_A][:1]
    talk.till.hash_at = lambda seq: None  # pruned
    greet = talk.centre.take_hello
    monkeypatch.setattr(
        talk.centre, "take_hello", lambda hello, now: msgspec.structs.replace(greet(hello, now), sealing_key="5e" * 32)
    )
    talk.start()
    assert talk.turns(3) == ["hello", "hotlist", "programme"]
    assert talk.status().suspended == "sync.beyond_retention"


def test_grants_come_with_acks_and_hellos_once_each_with_their_proof(talk):
    talk.centre.grants = [grant(1), grant(2)]
    talk.turns(1)
    talk.centre.grants.append(grant(3))
    talk.sell(1)
    talk.turns(1)
    assert [kept.grant.grant_no for kept in talk.till.grants] == [1, 2, 3]
    proof, _ = open_signed(b"TP-GRANT1\0", talk.till.grants[2].signed, type(grant(1)), one_key(CENTRE.public))
    assert (proof.lease_id, proof.points, proof.key_no) == ("lease 3", 500, 1)


def test_a_grant_told_again_changes_nothing(talk):
    talk.centre.grants = [grant(1)]
    request = talk.ask()
    answer = talk.carry(request)
    talk.give(request, answer)
    talk.give(request, answer)
    assert [kept.grant.grant_no for kept in talk.till.grants] == [1]


@pytest.mark.parametrize(
    ("signed", "code"),
    [
        (pack(b"TP-GRANT1\0", grant(1, TILL_B), CENTRE), "sync.bad_signature"),  # key number 0 is nobody's
        (pack(b"TP-GRANT1\0", msgspec.structs.replace(grant(1, TILL_B), key_no=1), CENTRE), "sync.not_our_answer"),
        (pack(b"TP-GRANT1\0", msgspec.structs.replace(grant(1), key_no=1), KEY_A), "sync.bad_signature"),
    ],
)
def test_a_grant_that_is_not_ours_is_not_taken_though_the_ack_is(talk, signed, code):
    talk.sell(1)
    talk.turns(1)
    request = talk.ask()
    talk.give(request, re_signed(talk.carry(request), grants=(signed,)))
    assert (talk.till.grants, talk.status().line.last_error, acked(talk)) == ([], code, 1)


def test_the_centre_may_ask_for_a_pause_and_for_smaller_batches(talk):
    talk.sell(100)
    talk.turns(1)
    request = talk.ask()
    talk.give(request, re_signed(talk.carry(request), pause_ms=5_000, max_events=10))
    assert talk.next() == WaitUntil(mono_ms=talk.now + 5_000)
    talk.sell(50)
    talk.now += 5_000
    batch = talk.ask()
    assert (batch.first_seq, batch.last_seq) == (101, 110)


def test_the_clock_offset_is_told_in_the_next_batch(talk):
    talk.sell(1)
    request = talk.ask()
    answer = talk.speaks.answer(talk.moment().wall_ms + 90_000, request.path, request.body, talk.centre)
    talk.give(request, answer)
    assert talk.status().line.clock.offset_ms == 90_000
    body = talk.ask().body
    header = msgspec.json.decode(body[2 : 2 + int.from_bytes(body[:2], "big")])
    assert header["clock_error_ms"] == 90_000


def test_an_answer_names_the_request_it_answers(talk):
    request = talk.ask()
    said, _ = open_signed(HELLO_ANSWER_TAG, talk.carry(request).body, HelloAnswer, one_key(CENTRE.public))
    assert said.answers == sha256(request.body)


def test_a_till_revoked_between_two_pages_rests_as_long_as_it_is_told(talk):
    talk.turns(1)
    talk.centre.tills[TILL_A] = msgspec.structs.replace(talk.centre.tills[TILL_A], state="revoked")
    talk.turns(1)
    assert talk.status().suspended == "sync.revoked"
    assert talk.next() == WaitUntil(mono_ms=talk.now + 3_600_000 + 360_999)


def test_a_centre_that_knows_more_than_the_till_makes_it_stop(talk):
    talk.sell(1)
    request = talk.ask()
    answer = talk.carry(request)
    said, _ = open_signed(HELLO_ANSWER_TAG, answer.body, HelloAnswer, one_key(CENTRE.public))
    more = msgspec.structs.replace(said, head=msgspec.structs.replace(talk.till.head(), seq=7))
    talk.give(request, tampered(answer, body=pack(HELLO_ANSWER_TAG, more, CENTRE)))
    assert talk.status().suspended == "sync.rewind"


def test_an_ack_of_a_restored_centre_is_followed_by_a_hello(talk):
    """Only a hello is answered with the newest grant that the centre knows of."""
    talk.until_quiet()
    talk.sell(1)
    assert talk.turns(1) == ["batch"]
    talk.centre.generation += 1
    talk.sell(1)
    assert talk.turns(2) == ["batch", "hello"]
    talk.sell(1)
    assert talk.turns(1) == ["batch"]


def test_a_batch_says_the_newest_block_that_the_till_was_told_of(talk, monkeypatch):
    talk.until_quiet()
    seen = BlockMark(block_no=9, hash="99" * 32)
    monkeypatch.setattr(talk.till, "newest_block", lambda: seen)
    talk.sell(1)
    header = read_json(split(talk.ask().body), BatchHeader)
    assert (header.block_no, header.block_hash) == (9, "99" * 32)


def test_members_of_a_restored_centre_are_taken_after_it_has_this_tills_events_again(talk, monkeypatch):
    """Their rows may lack what this till let be spent until then."""
    talk.until_quiet()
    talk.sell(3)
    talk.until_quiet()
    taken = []
    monkeypatch.setattr(talk.till, "take_page", lambda page, state: taken.append((page.lane, len(talk.heads()))))
    talk.centre.generation += 1
    del talk.heads()[2:]  # it knows of one event, of three
    talk.now += 60_000
    said = []
    while ("members", 4) not in taken:
        said += talk.turns(1)
        assert len(said) < 20
    assert said.index("members") < said.index("hello") < said.index("batch")
    assert [had for lane, had in taken if lane == "members"] == [4]
    assert talk.status().line.last_error == ""


def test_a_till_that_cannot_go_on_hears_of_members_though_head_office_was_restored(talk, monkeypatch):
    """No hello settles where both stand before a person has decided."""
    taken = []
    monkeypatch.setattr(talk.till, "take_page", lambda page, state: taken.append((page.lane, page.generation)))
    talk.sell(3)
    talk.until_quiet()
    talk.centre.generation += 1
    del talk.heads()[2:]
    talk.till.hash_at = lambda seq: None  # pruned
    talk.now += 3_600_000
    talk.until_quiet()
    assert talk.status().suspended == "sync.beyond_retention"
    assert ("members", 2) in taken and talk.till.generation() == 1
    taken.clear()
    talk.now += 60_000
    assert sorted(talk.turns(2)) == ["hotlist", "members"]
    assert taken == [("hotlist", 0), ("members", 2)]
    assert (talk.status().line.state, talk.status().line.last_error) == ("online", "sync.beyond_retention")
    talk.now += 600_000
    asked = []
    while isinstance(talk.next(), Request):
        asked.append(talk.turn().kind)
    # What a part comes to says nothing while rows stay here that hold more of this till's own.
    assert "digest" not in asked and "range" not in asked
