"""What tills of earlier versions say is read for ever: the frozen corpus, played to this build and to later ones."""

import zlib
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from central.verify.books import verify_books
from sync.centre_session import CentreSession
from sync.framing import open_signed, pack, sha256, split
from sync.keys import Signer, one_key
from sync.versions import KEPT, OURS, Older, Versions
from sync.wire import (
    ACK_TAG,
    BATCH_PATH,
    ENROL_PATH,
    GRANT_TAG,
    HELLO_ANSWER_TAG,
    HELLO_PATH,
    HELLO_TAG,
    LEASE_ANSWER_TAG,
    LEASE_PATH,
    PAGE_PATH,
    PAGE_TAG,
    PROBLEM_TAG,
    PROTO,
    Ack,
    BatchHeader,
    Grant,
    Hello,
    HelloAnswer,
    LeaseAnswer,
    Page,
    PageHeader,
    Problem,
)
from tests.sync.corpus import make
from tests.sync.corpus.world import V1, Exchange, FixedCentre, ledger_digest, read_corpus
from tests.sync.memory import CENTRE, KEY_A, TILL_A, MemoryCentre
from tests.sync.talk import Talk

CORPUS, COALITION, PROGRAMME = read_corpus()
UPLOADS = (HELLO_PATH, BATCH_PATH)
ANSWERS: dict[str, tuple[bytes, Any]] = {
    HELLO_PATH: (HELLO_ANSWER_TAG, HelloAnswer),
    BATCH_PATH: (ACK_TAG, Ack),
    LEASE_PATH: (LEASE_ANSWER_TAG, LeaseAnswer),
    PAGE_PATH: (PAGE_TAG, PageHeader),
}
KEYS = one_key(Signer(b"C" * 32).public)


class Later(BatchHeader, frozen=True, kw_only=True):
    """A header of some later version."""

    weather: str = ""


def build(newest: int) -> Versions:
    """The product as it may be in some versions: what it does not know any more it brings up to date."""
    if newest == PROTO:
        return OURS
    # A later build reads the first version in its own shape.
    older = {("Hello", 1): Older(shape=Hello, upgrade=lambda said: said)}
    older["BatchHeader", 1] = Older(
        shape=BatchHeader, upgrade=lambda said: Later(**msgspec.structs.asdict(said), weather="unknown")
    )
    return Versions(newest=newest, older=older)


@pytest.fixture
def centre(central_url: str) -> Iterator[FixedCentre]:
    made = FixedCentre(central_url, COALITION, PROGRAMME)
    yield made
    made.engine.dispose()


def play(centre: FixedCentre, exchange: Exchange, versions: Versions) -> tuple[int, bytes, bytes]:
    """Status, request and answer."""
    asked = (V1 / f"{exchange.n:03}.ask").read_bytes()
    session = CentreSession(centre.signer, centre.random.bytes, versions)
    said = session.answer(exchange.now_ms, exchange.path, asked, centre.store)
    return said.status, asked, said.body


@pytest.mark.parametrize("newest", [PROTO, PROTO + 1, PROTO + KEPT])
def test_each_version_that_is_kept_posts_the_corpus_to_the_same_ledger(centre: FixedCentre, newest: int) -> None:
    for exchange in CORPUS.exchanges:
        status, asked, body = play(centre, exchange, build(newest))
        says = ""
        if status != 200:
            problem, _ = open_signed(PROBLEM_TAG, body, Problem, KEYS)
            says = problem.code
        assert (exchange.n, status, says) == (exchange.n, exchange.status, exchange.says)
        if status == 200 and exchange.path != ENROL_PATH:
            tag, kind = ANSWERS[exchange.path]
            assert open_signed(tag, body, kind, KEYS)[0].answers == sha256(asked)
    assert ledger_digest(centre) == CORPUS.digest
    assert verify_books(centre.engine, KEYS).violations == ()


def test_older_tills_upload_for_ever_and_hear_nothing_more(centre: FixedCentre) -> None:
    told = []
    for exchange in CORPUS.exchanges:
        # They were enrolled while their version was still spoken, and got the points they spend.
        versions = OURS if exchange.path in (ENROL_PATH, LEASE_PATH) else build(PROTO + KEPT + 1)
        status, _, body = play(centre, exchange, versions)
        if exchange.path in UPLOADS or exchange.path in (ENROL_PATH, LEASE_PATH):
            assert (exchange.n, status) == (exchange.n, exchange.status)
        else:
            told.append((status, open_signed(PROBLEM_TAG, body, Problem, KEYS)[0].code))
    assert told == [(426, "sync.till_too_old")] * 7
    assert ledger_digest(centre) == CORPUS.digest


@pytest.mark.parametrize("path", [ENROL_PATH, LEASE_PATH])
def test_an_older_till_enrols_and_gets_leases_only_once_it_is_updated(centre: FixedCentre, path: str) -> None:
    for exchange in CORPUS.exchanges:
        if exchange.path == path:
            status, _, body = play(centre, exchange, build(PROTO + KEPT + 1))
            assert (status, open_signed(PROBLEM_TAG, body, Problem, KEYS)[0].code) == (426, "sync.till_too_old")
            break
        play(centre, exchange, OURS)


def test_todays_till_reads_the_answers_that_were_frozen() -> None:
    kinds = set()
    for exchange in CORPUS.exchanges:
        body = (V1 / f"{exchange.n:03}.answer").read_bytes()
        asked = (V1 / f"{exchange.n:03}.ask").read_bytes()
        if exchange.status != 200:
            assert open_signed(PROBLEM_TAG, body, Problem, KEYS)[0].code == exchange.says
            kinds.add("problem")
        elif exchange.path != ENROL_PATH:
            tag, kind = ANSWERS[exchange.path]
            said, rest = open_signed(tag, body, kind, KEYS)
            assert said.answers == sha256(asked)
            kinds.add(kind.__name__)
            for grant in getattr(said, "grants", ()):
                kinds.add(open_signed(GRANT_TAG, grant, Grant, KEYS)[0].kind)
            if isinstance(said, PageHeader):
                assert msgspec.json.decode(zlib.decompress(rest), type=Page).lane in ("hotlist", "programme", "members")
    assert kinds == {"problem", "Ack", "HelloAnswer", "LeaseAnswer", "PageHeader", "float", "hold"}


def test_a_corpus_that_is_frozen_is_never_written_again() -> None:
    before = sorted((one.name, one.read_bytes()) for one in V1.iterdir())
    with pytest.raises(FileExistsError):
        make.main(V1)
    assert sorted((one.name, one.read_bytes()) for one in V1.iterdir()) == before


def test_a_till_that_is_newer_than_the_centre_is_told_which_to_update() -> None:
    talk = Talk(MemoryCentre((TILL_A, KEY_A)))
    request = talk.ask()
    newer = msgspec.structs.replace(msgspec.json.decode(split(request.body).json, type=Hello), proto=PROTO + 1)
    request = msgspec.structs.replace(request, body=pack(HELLO_TAG, newer, KEY_A))
    answer = talk.carry(request)
    problem, _ = open_signed(PROBLEM_TAG, answer.body, Problem, one_key(CENTRE.public))
    assert (answer.status, problem.code) == (426, "sync.unknown_proto")
    assert "Update head office first" in problem.say
    talk.give(request, answer)
    assert talk.status().line.last_error == "sync.unknown_proto"
