"""The routes for tills: real bytes through Flask, limits, and what the centre says of itself."""

from contextlib import ExitStack

import pytest
from flask import Flask
from flask.testing import FlaskClient

from central.tills.sync_http import KINDS, PATHS, Gate, reserved_places, sync_blueprint
from sync.framing import open_signed, pack
from sync.keys import one_key
from sync.wire import (
    ACK_TAG,
    BATCH_PATH,
    CHUNK_ASK_TAG,
    CHUNK_PATH,
    CONTENT_TYPE,
    HELLO_PATH,
    PROBLEM_TAG,
    URGENT_PATH,
    Ack,
    ChunkAsk,
    Problem,
)
from tests.central.tills import NOW, Centre, Drawn


class Standing:
    def wall_ms(self) -> int:
        return NOW

    def mono_ms(self) -> int:
        return 0


@pytest.fixture
def client(centre: Centre) -> FlaskClient:
    app = Flask("centre")
    app.register_blueprint(sync_blueprint(centre.session, centre.store, Standing(), Drawn("gate")))
    return app.test_client()


def test_a_batch_goes_in_and_its_acknowledgement_comes_out(centre: Centre, client: FlaskClient) -> None:
    till = centre.till()
    till.sell("R1", 100)
    answer = client.post(BATCH_PATH, data=till.batch(), content_type=CONTENT_TYPE)
    assert (answer.status_code, answer.content_type) == (200, CONTENT_TYPE)
    ack = open_signed(ACK_TAG, answer.data, Ack, one_key(centre.signer.public))[0]
    assert ack.head == till.head


@pytest.mark.parametrize("path", list(PATHS))
def test_rubbish_gets_a_signed_refusal(centre: Centre, client: FlaskClient, path: str) -> None:
    answer = client.post(path, data=b"\x00\x05hello")
    assert answer.status_code == 400
    problem = open_signed(PROBLEM_TAG, answer.data, Problem, one_key(centre.signer.public))[0]
    assert problem.code == "sync.bad_envelope"


def test_a_body_over_the_cap_is_not_read(client: FlaskClient) -> None:
    answer = client.post(BATCH_PATH, data=b"x" * (320 * 1024 + 1))
    assert (answer.status_code, answer.content_type) == (413, CONTENT_TYPE)


def test_bytes_behind_any_chunk_are_refused_in_words(centre: Centre, client: FlaskClient) -> None:
    till = centre.till()
    for start, status, code in ((2**30 - 1, 404, "sync.unknown_chunk"), (2**30, 400, "sync.bad_envelope"),
                                (2**63 - 1, 400, "sync.bad_envelope")):  # fmt: skip
        ask = ChunkAsk(**till._says(), sha256="00" * 32, start=start, most_bytes=1)
        answer = client.post(CHUNK_PATH, data=pack(CHUNK_ASK_TAG, ask, till.signer))
        assert answer.status_code == status
        assert open_signed(PROBLEM_TAG, answer.data, Problem, one_key(centre.signer.public))[0].code == code


def test_a_herd_is_sent_away_with_a_time_to_come_again(client: FlaskClient) -> None:
    gate = Gate(1, Drawn("gate"))
    with gate.enter() as first, gate.enter() as second:
        assert (first, second) == (0, 0)
        with gate.enter() as third:
            assert third >= 1
    with gate.enter() as again:
        assert again == 0


def test_a_herd_of_uploads_keeps_out_neither_hotlist_nor_hello_and_members_no_upload() -> None:
    gate, inside = Gate(2, Drawn("gate")), ExitStack()
    enter = lambda kind: inside.enter_context(gate.enter(kind))  # noqa: E731
    assert [enter("members") for _ in range(2)] == [0, 0]
    assert enter("members") >= 1  # half of the four places
    assert [enter("upload") for _ in range(2)] == [0, 0]
    assert enter("upload") >= 1
    assert [enter("urgent") for _ in range(2)] == [0, 0]  # places of its own
    assert enter("urgent") >= 1
    inside.close()
    assert [enter("upload") for _ in range(4)] == [0] * 4
    assert KINDS[HELLO_PATH] == KINDS[URGENT_PATH] == "urgent"
    assert reserved_places(2) == reserved_places(5) == 2
    assert reserved_places(16) == 8


def test_the_longer_the_queue_outside_the_later_one_is_asked_to_come_again() -> None:
    """Of two thousand tills that come at once each is told a time in which all before it have been served."""
    now = [0]
    gate = Gate(4, Drawn("gate"), lambda: now[0])
    with ExitStack() as inside:
        for _ in range(8):
            inside.enter_context(gate.enter())
        waits = []
        for _ in range(2_000):
            with gate.enter() as wait_s:
                waits.append(wait_s)
    # 2,008 uploads of 0.32 s by four workers: 160 s. The first are told a second, the last anything up to that.
    assert max(waits[:10]) == 1
    assert 140 <= max(waits[-200:]) <= 161
    assert 60 <= sum(waits[-200:]) / 200 <= 100
    now[0] = 200_000  # they came, or will not come
    with gate.enter() as wait_s:
        assert wait_s == 0


def test_the_centre_says_what_it_offers_and_that_it_lives(client: FlaskClient) -> None:
    document = client.get("/openapi.json").json
    assert sorted(document["paths"]) == sorted([*PATHS, "/healthz"])
    assert document["openapi"] == "3.1.0"
    assert client.get("/healthz").json == {"status": "ok"}
