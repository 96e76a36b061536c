"""New keys for tills and for head office: whatever step was the last before a crash, neither side is stranded."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, update

from central.backups.restoring import note_restore
from central.coalition.streams import resume_stream, stop_stream
from central.coalition.till_keys import revoke_key, want_new_key
from central.database import tables as t
from central.keys import centre_keys
from central.keys.centre_keys import KeyUnknown, centre_signer, notices, rotate_centre_key
from central.ports import Settings as CentralSettings
from central.ports import reading, writing
from central.streams.sealing import Sealer
from central.verify.books import verify_books
from edge import key_files
from edge.identity import read_identity_file, write_identity_file
from edge.key_files import NEXT_FILE, KeyFiles
from edge.leaving import leave
from edge.line.exporting import export
from edge.line.sending_left import SendLeft
from edge.salvage.salvage import begin_provisional
from loyalty.facts.events import Opened
from loyalty.facts.lease_events import LeaseMoved
from loyalty.programme.programme import programme_from
from sync.centre_session import CentreSession
from sync.chain import next_head
from sync.envelope import Sender, Unsent, seal_batch
from sync.framing import pack
from sync.keys import PublicKey, Signer, one_key
from sync.refusals import BadSignature, NotOurAnswer
from sync.rotation import NEW_KEY_PATH, ROTATED, Notice, follow, make_notice, trusted_back
from sync.wire import BATCH_PATH, GRANT_TAG, Answer, Grant, Lanes
from tallypoint.cli import main
from tallypoint.in_process import NOWHERE, InProcess, Node, StoryClock
from tests.central.tills import COALITION, NOW, PROGRAMME, TODAY

DAY_MS = 24 * 60 * 60 * 1000


_OPENED = Opened(receipt_id="", reason="test")


class Line:
    """The line of an office, on which answers get lost and old ones are kept."""

    def __init__(self, office: "Office") -> None:
        self.office = office
        self.lose: set[str] = set()
        self.sent: list[tuple[str, bytes]] = []

    def __call__(self, url: str, body: bytes, _deadline_ms: int = 0) -> Answer:
        path = url.removeprefix(NOWHERE)
        self.sent.append((path, body))
        said = self.office.world.exchange(url, body)
        if path in self.lose:
            self.lose.discard(path)
            return Answer(status=502, body=b"")
        return said


class Office:
    """A coalition of one till in a folder; `again` is a start after a crash, of both sides."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = StoryClock(NOW)
        self.line = Line(self)
        self.world: InProcess
        self.node: Node
        self.begin()
        self.world.publish(programme_from(PROGRAMME))

    def begin(self) -> None:
        self.world = InProcess(self.folder, self.clock, COALITION)
        self.settings = CentralSettings(data_dir=str(self.folder))
        engine = self.world.engine
        self.world.signer = centre_signer(self.settings, engine, self.world.randomness)
        with reading(engine) as tx:
            self.world._session = CentreSession(self.world.signer, os.urandom, notices=notices(tx))
        self.node = self.world.add_till("S1", "lane")
        self.node.uplink._exchange = self.line

    def again(self) -> None:
        self.world.close()
        self.begin()

    @property
    def keys(self) -> KeyFiles:
        return KeyFiles(self.folder / "lane", os.urandom)

    def own_no(self) -> int:
        own = read_identity_file(self.folder / "lane")
        assert own
        return own.signer.key_no

    def sell(self) -> None:
        """Something to send, a day later."""
        self.clock.move(DAY_MS)
        with self.node.journal.writing():
            self.node.journal.append(
                msgspec.structs.replace(_OPENED, receipt_id=f"test:{self.node.journal.head().seq}")
            )

    def sync(self) -> None:
        self.world.sync(self.node)
        assert self.node.uplink.status().session.suspended == ""
        assert self.node.journal.backlog() == 0

    def till_keys(self) -> list[tuple[Any, ...]]:
        with reading(self.world.engine) as tx:
            rows = tx.execute(select(t.till_key.c.key_no, t.till_key.c.state).order_by(t.till_key.c.key_no))
            return [tuple(row) for row in rows]

    def is_sound(self) -> None:
        keys = centre_keys.centre_keys(self.world.engine, self.world.signer)
        assert verify_books(self.world.engine, keys).violations == ()


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path / "office")
    made.sync()
    yield made
    made.world.close()


# A till's key


def test_a_till_that_was_asked_makes_a_new_key_and_the_old_one_counts_no_further(office: Office) -> None:
    with writing(office.world.engine) as tx:
        till_id = office.node.journal.head().till_id
        want_new_key(tx, till_id)
    office.again()
    office.sync()
    assert office.own_no() == 1 + ROTATED
    assert office.till_keys() == [(1, "replaced"), (1 + ROTATED, "active")]
    office.sell()
    office.sync()
    office.again()
    office.sell()
    office.sync()
    assert office.own_no() == 1 + ROTATED  # asked once, done once
    office.is_sound()


def test_a_key_that_is_made_by_hand_is_taken_while_the_service_runs(office: Office) -> None:
    office.keys.make_next()
    office.keys.make_next()
    office.sell()
    office.sync()
    assert office.own_no() == 1 + ROTATED
    assert not (office.folder / "lane" / NEXT_FILE).exists()
    office.keys.make_next()
    office.sell()
    office.sync()
    assert office.own_no() == 1 + 2 * ROTATED
    office.is_sound()


def test_the_answer_that_took_the_key_is_lost(office: Office) -> None:
    office.keys.make_next()
    office.line.lose = {NEW_KEY_PATH}
    office.sell()
    office.sync()
    assert [path for path, _ in office.line.sent].count(NEW_KEY_PATH) == 2
    assert office.till_keys() == [(1, "replaced"), (1 + ROTATED, "active")]
    office.is_sound()


def test_a_crash_after_head_office_took_the_key(office: Office) -> None:
    office.keys.make_next()
    office.line.lose = {NEW_KEY_PATH}
    while not [path for path, _ in office.line.sent if path == NEW_KEY_PATH]:
        office.clock.move(office.node.uplink.run_once())
    office.again()
    office.sell()
    office.sync()
    assert office.own_no() == 1 + ROTATED
    office.is_sound()


def lose_answer(office: Office) -> None:
    """Head office takes a new key, and its answer is lost."""
    office.keys.make_next()
    office.line.lose = {NEW_KEY_PATH}
    while office.line.lose:
        office.clock.move(office.node.uplink.run_once())


def level(office: Office) -> None:
    """The till comes level within a few words, or never."""
    for _ in range(30):
        office.clock.move(office.node.uplink.run_once())
    assert (office.node.uplink.status().session.suspended, office.node.journal.backlog()) == ("", 0)


def lose_numbering(office: Office) -> None:
    """The till goes on in an epoch of its own, as after its journal was damaged."""
    office.world.close()
    own = read_identity_file(office.folder / "lane")
    assert own
    write_identity_file(office.folder / "lane", begin_provisional(own, own.epoch, 7))
    office.begin()
    office.sell()


def whose(office: Office) -> tuple[str, int]:
    """The stream of its first epoch."""
    return office.node.journal.head().till_id, 1


def let_go_on(office: Office) -> None:
    """A stopped till is heard in vain, and is resumed."""
    for _ in range(5):
        office.clock.move(office.node.uplink.run_once())
    with writing(office.world.engine) as tx:
        assert resume_stream(tx, *whose(office))
    office.sell()
    level(office)


def test_a_till_that_was_stopped_between_a_lost_answer_and_the_next_goes_on_with_its_new_key(office: Office) -> None:
    lose_answer(office)
    with writing(office.world.engine) as tx:
        assert stop_stream(tx, *whose(office), "sync.clone")
    let_go_on(office)
    assert office.own_no() == 1 + ROTATED
    office.is_sound()


def test_a_till_whose_journal_was_damaged_before_it_heard_that_its_key_was_taken_keeps_it(office: Office) -> None:
    lose_answer(office)
    lose_numbering(office)
    level(office)
    assert office.till_keys() == [(1, "replaced"), (1 + ROTATED, "active")]
    assert office.own_no() == 1 + ROTATED
    office.is_sound()


def test_a_till_in_an_epoch_of_its_own_has_its_new_key_vouched_for_again_after_a_restore(office: Office) -> None:
    office.world.close()
    database = Path(str(office.world.engine.url.database))
    backup = database.read_bytes()
    office.begin()
    lose_numbering(office)
    office.sync()
    office.keys.make_next()
    office.sell()
    office.sync()
    office.world.close()
    database.write_bytes(backup)
    office.begin()
    with writing(office.world.engine) as tx:
        note_restore(tx, office.clock.wall_ms())
    level(office)
    assert office.till_keys() == [(1, "replaced"), (1 + ROTATED, "active")]
    office.is_sound()


@pytest.mark.parametrize("point", ["write", "unlink"])
def test_a_crash_while_the_till_takes_its_new_key_for_its_own(
    office: Office, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    class Crash(BaseException):
        pass

    def crash(*_: Any, **__: Any) -> None:
        raise Crash

    office.keys.make_next()
    with monkeypatch.context() as broken, pytest.raises(Crash):
        if point == "write":
            broken.setattr(key_files, "write_secret", crash)
        else:
            broken.setattr(Path, "unlink", crash)
        office.sync()
    office.again()
    office.sell()
    office.sync()
    assert office.own_no() == 1 + ROTATED
    office.keys.make_next()  # what was left of the first does not stand in the way of the next
    office.sync()
    assert office.own_no() == 1 + 2 * ROTATED
    office.is_sound()


def test_what_a_thief_signs_with_the_old_key_goes_to_quarantine(office: Office) -> None:
    old = read_identity_file(office.folder / "lane")
    office.keys.make_next()
    office.sell()
    office.sync()
    thief = old.signer  # type: ignore[union-attr]
    head = office.node.journal.head()
    data = forged(office, thief, head)
    said = office.world.exchange(NOWHERE + BATCH_PATH, data)
    assert said.status == 403
    with reading(office.world.engine) as tx:
        assert tx.execute(select(t.quarantine.c.code)).all() == [("sync.key_retired",)]
    office.sell()
    office.sync()  # the till itself is not held up by it
    office.is_sound()


def test_a_late_copy_of_what_the_old_key_had_signed_is_answered_as_before(office: Office) -> None:
    office.sell()
    office.sync()
    batches = [body for path, body in office.line.sent if path == BATCH_PATH]
    office.keys.make_next()
    office.sell()
    office.sync()
    assert office.world.exchange(NOWHERE + BATCH_PATH, batches[-1]).status == 200


def test_a_revoked_key_is_worth_nothing_and_its_uploads_are_kept(office: Office) -> None:
    with writing(office.world.engine) as tx:
        assert revoke_key(tx, office.node.journal.head().till_id, 1)
    head = office.node.journal.head()
    said = office.world.exchange(NOWHERE + BATCH_PATH, forged(office, office_signer(office), head))
    assert said.status == 403
    with reading(office.world.engine) as tx:
        assert tx.execute(select(t.quarantine.c.code)).all() == [("sync.key_retired",)]
    office.again()
    for _ in range(3):
        office.clock.move(office.node.uplink.run_once())
    assert office.node.uplink.status().session.suspended == "sync.key_retired"
    office.is_sound()


def test_a_centre_that_was_restored_to_before_the_new_key_has_the_old_one_vouch_for_it(office: Office) -> None:
    office.keys.make_next()
    office.sync()
    with writing(office.world.engine) as tx:
        tx.execute(t.till_key.delete().where(t.till_key.c.key_no > ROTATED))
        tx.execute(update(t.till_key).values(state="active", until_seq=0))
        note_restore(tx, office.clock.wall_ms())
    office.again()
    office.sell()
    office.sync()
    assert office.till_keys() == [(1, "replaced"), (1 + ROTATED, "active")]
    office.is_sound()


def test_a_centre_that_was_restored_to_before_the_new_key_and_then_makes_its_own_new_is_heard(office: Office) -> None:
    office.keys.make_next()
    office.sync()
    with writing(office.world.engine) as tx:
        tx.execute(t.till_key.delete().where(t.till_key.c.key_no > ROTATED))
        tx.execute(update(t.till_key).values(state="active", until_seq=0))
        note_restore(tx, office.clock.wall_ms())
    rotate(office)
    office.again()
    office.sell()
    office.sync()
    own = read_identity_file(office.folder / "lane")
    assert own and [key.key_no for key in own.centre_keys.keys] == [1, 2]
    assert office.till_keys() == [(1, "replaced"), (1 + ROTATED, "active")]
    office.is_sound()


def test_a_till_that_was_stopped_when_its_old_key_vouched_has_it_vouch_again(office: Office) -> None:
    office.keys.make_next()
    office.sync()
    with writing(office.world.engine) as tx:
        tx.execute(t.till_key.delete().where(t.till_key.c.key_no > ROTATED))
        tx.execute(update(t.till_key).values(state="active", until_seq=0))
        assert stop_stream(tx, *whose(office), "sync.clone")
        note_restore(tx, office.clock.wall_ms())
    office.again()
    let_go_on(office)
    assert office.till_keys() == [(1, "replaced"), (1 + ROTATED, "active")]
    office.is_sound()


def before_any_till(folder: Path) -> tuple[Path, bytes]:
    """A head office's database that knows no till yet: where it is, and what is in it."""
    world = InProcess(folder, StoryClock(NOW), COALITION)
    world.publish(programme_from(PROGRAMME))
    world.close()
    database = Path(str(world.engine.url.database))
    return database, database.read_bytes()


@pytest.mark.parametrize("is_started", [False, True], ids=["goes on", "is started again"])
@pytest.mark.parametrize("is_alone", [False, True], ids=["in its epoch", "in one of its own"])
def test_a_till_enrolled_and_given_a_new_key_since_the_backup_comes_back_under_the_new_key(
    tmp_path: Path, is_alone: bool, is_started: bool
) -> None:
    database, backup = before_any_till(tmp_path / "office")
    office = Office(tmp_path / "office")
    office.sync()
    if is_alone:
        lose_numbering(office)
        office.sync()
    office.keys.make_next()
    office.sell()
    office.sync()
    assert office.own_no() == 1 + ROTATED
    office.world.engine.dispose()
    database.write_bytes(backup)
    with writing(office.world.engine) as tx:
        note_restore(tx, office.clock.wall_ms())
    if is_started:
        office.again()
    for _ in range(30):
        office.clock.move(office.node.uplink.run_once())
    assert office.node.uplink.status().session.suspended == "sync.suspended"
    with writing(office.world.engine) as tx:
        assert tx.execute(select(t.event.c.seq)).all() == []
        assert resume_stream(tx, office.node.journal.head().till_id, 1)
    office.sell()
    office.clock.move(DAY_MS)
    level(office)
    assert office.till_keys() == [(1, "replaced"), (1 + ROTATED, "active")]
    office.is_sound()


@pytest.mark.parametrize("is_empty", [False, True], ids=["of before its new key", "of before its enrolment"])
def test_a_till_with_a_new_key_goes_on_at_once_where_a_wrong_backup_was_there_for_a_while(
    tmp_path: Path, is_empty: bool
) -> None:
    database, wrong = before_any_till(tmp_path / "office")
    office = Office(tmp_path / "office")
    office.sync()
    if not is_empty:
        office.world.engine.dispose()
        wrong = database.read_bytes()
    office.keys.make_next()
    office.sync()
    assert office.own_no() == 1 + ROTATED
    office.world.engine.dispose()
    right = database.read_bytes()
    database.write_bytes(wrong)
    office.sell()
    for _ in range(3):
        office.clock.move(office.node.uplink.run_once())
    office.world.engine.dispose()
    database.write_bytes(right)
    until_ms = office.clock.now().mono_ms + 120_000
    while office.clock.now().mono_ms < until_ms:
        office.clock.move(min(20_000, office.node.uplink.run_once() or 1))
    assert (office.node.uplink.status().session.suspended, office.node.journal.backlog()) == ("", 0)
    assert office.till_keys() == [(1, "replaced"), (1 + ROTATED, "active")]
    office.is_sound()


def office_signer(office: Office) -> Signer:
    own = read_identity_file(office.folder / "lane")
    assert own
    return own.signer


def forged(office: Office, signer: Signer, head: Any) -> bytes:
    own = read_identity_file(office.folder / "lane")
    assert own
    payload = b'{"type":"opened.v1","receipt_id":"stolen","reason":"x"}'
    after = next_head(head, own.genesis, payload)
    sender = Sender(
        counter=10**6, sent_at_ms=NOW, clock_error_ms=0, boot="b", head_seq=after.seq, cursors=Lanes(), grants=0
    )
    return seal_batch(head, [Unsent(seq=after.seq, payload=payload, hash=after.hash)], sender, signer).data


# The centre's key


def rotate(office: Office, days: int = 30) -> Notice:
    return rotate_centre_key(
        office.settings, office.world.engine, office.world.randomness, office.clock.wall_ms(), days
    )


def test_tills_follow_the_centres_new_key_and_what_the_old_one_signed_still_counts(office: Office) -> None:
    Sealer(office.world.engine, office.world.signer, office.clock).seal()
    rotate(office)
    office.again()
    assert office.world.signer.key_no == 2
    office.sell()
    office.sync()
    Sealer(office.world.engine, office.world.signer, office.clock).seal()
    own = read_identity_file(office.folder / "lane")
    assert own and [key.key_no for key in own.centre_keys.keys] == [1, 2]
    office.is_sound()  # seals of both keys
    office.again()
    office.sell()
    office.sync()


def test_a_till_that_was_away_for_three_keys_follows_all_of_them(office: Office) -> None:
    for _ in range(3):
        rotate(office)
        office.clock.move(40 * DAY_MS)
    office.again()
    office.sell()
    office.sync()
    own = read_identity_file(office.folder / "lane")
    assert own and [key.key_no for key in own.centre_keys.keys] == [1, 2, 3, 4]
    office.is_sound()


@pytest.mark.parametrize("point", ["seed", "notice", "rename"])
def test_a_crash_while_the_centre_makes_its_new_key(
    office: Office, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    class Crash(BaseException):
        pass

    def crash(*_: Any, **__: Any) -> None:
        raise Crash

    where = {"seed": "sync_folder", "notice": "make_notice", "rename": "_replace"}[point]
    with monkeypatch.context() as broken, pytest.raises(Crash):
        broken.setattr(centre_keys, where, crash)
        rotate(office)
    office.again()
    assert office.world.signer.key_no == (2 if point == "rename" else 1)
    office.sell()
    office.sync()
    rotate(office)
    office.again()
    assert office.world.signer.key_no == (3 if point == "rename" else 2)
    office.sell()
    office.sync()
    office.is_sound()


def test_a_file_brings_what_the_old_key_granted_as_the_line_does(office: Office) -> None:
    old, clock = office.world.signer, office.clock
    rotate(office)
    office.again()
    office.sync()
    own = read_identity_file(office.folder / "lane")
    assert own
    # Of a grant that head office lost with its disk only the till knows, by the bytes that the old key signed.
    lost = Grant(
        lease_id="F9", grant_no=9, till_id=own.till_id, epoch=1, key_no=1, account_id=None, points=500,
        spend_for_s=3600, settle_until_ms=clock.wall_ms() + DAY_MS, granted_at_ms=clock.wall_ms(),
    )  # fmt: skip
    shown = LeaseMoved(
        receipt_id="accepted:1:floats", lease_id="", on=TODAY, what="accepted", grants=(pack(GRANT_TAG, lost, old),)
    )
    with office.node.journal.writing():
        office.node.journal.append(shown)
    file = office.folder / "lane.export"
    file.write_bytes(export(office.folder / "lane", own, clock.wall_ms()).data)
    assert main(["central", "import", str(file), "--data", str(office.folder)]) == 0
    with reading(office.world.engine) as tx:
        granted = tx.execute(select(t.stream.c.float_granted).where(t.stream.c.till_id == own.till_id)).scalar_one()
    assert granted == 2500  # 2000 of them are here since it enrolled


def test_the_old_key_is_believed_until_its_last_day_and_then_no_more(office: Office) -> None:
    old = office.world.signer
    rotate(office, days=10)
    office.again()
    office.sell()
    office.sync()
    # A centre put back from an old backup signs with the old key again.
    office.world._session = CentreSession(old, os.urandom)
    office.sell()
    office.sync()
    office.clock.move(11 * DAY_MS)
    office.sell()
    for _ in range(5):
        office.clock.move(min(office.node.uplink.run_once(), 60_000))
    assert office.node.journal.backlog() == 1


def with_a_new_key_of_the_centre(office: Office) -> Signer:
    """Its till knows it. Returns: the one before, which is over in ten days."""
    old = office.world.signer
    rotate(office, days=10)
    office.again()
    office.sell()
    office.sync()
    own = read_identity_file(office.folder / "lane")
    assert own and [key.key_no for key in own.centre_keys.keys] == [1, 2]
    return old


def test_what_is_left_of_an_earlier_epoch_is_not_acknowledged_by_a_key_that_is_over(office: Office) -> None:
    old = with_a_new_key_of_the_centre(office)
    office.sell()
    lose_numbering(office)
    office.clock.move(11 * DAY_MS)
    office.world._session = CentreSession(old, os.urandom)
    own = read_identity_file(office.folder / "lane")
    assert own
    left = SendLeft(
        journal=office.node.journal, identity=own, folder=office.folder / "lane", clock=office.clock, url=NOWHERE,
        exchange=office.line, is_offline=lambda: False,
    )  # fmt: skip
    with pytest.raises(BadSignature):
        left.send()
    assert office.node.journal.outbox.left_unsent() == 1


def test_a_till_does_not_leave_at_the_word_of_a_key_that_is_over(office: Office) -> None:
    old = with_a_new_key_of_the_centre(office)
    office.clock.move(11 * DAY_MS)
    office.world._session = CentreSession(old, os.urandom)
    office.world.nodes.clear()
    office.node.journal.close()
    office.node.cache.close()
    with pytest.raises(BadSignature):
        leave(office.node.till.settings, office.clock, exchange=office.line)
    assert read_identity_file(office.folder / "lane") is not None


def test_a_key_file_that_is_not_the_centres_is_refused_at_the_start(office: Office) -> None:
    rotate(office)
    (office.folder / "centre-signing.key").write_bytes(b"x" * 32)
    with pytest.raises(KeyUnknown):
        centre_signer(office.settings, office.world.engine, office.world.randomness)


# Notices


def signer(n: int) -> Signer:
    return Signer(bytes([n]) * 32, n)


def test_a_notice_counts_only_with_both_signatures_and_in_its_turn() -> None:
    first, second, third, eve = signer(1), signer(2), signer(3), signer(9)
    known = one_key(first.public, 1)
    one = make_notice(first, second, made_at_ms=1, old_until_ms=5)
    two = make_notice(second, third, made_at_ms=2, old_until_ms=6)
    assert [key.key_no for key in follow(known, (one, two, one)).keys] == [1, 2, 3]
    forged_by = make_notice(eve, Signer(b"e" * 32, 2), made_at_ms=1, old_until_ms=5)
    bad = (
        two,
        msgspec.structs.replace(one, old_until_ms=10**15),
        msgspec.structs.replace(one, by_new=one.by_old),
        msgspec.structs.replace(one, by_old="zz"),
        msgspec.structs.replace(forged_by, replaces_no=1, replaces_public=first.public),
    )
    for notice in bad:
        with pytest.raises(NotOurAnswer):
            follow(known, (notice,))


def test_whoever_writes_into_the_database_adds_no_key_of_the_centre() -> None:
    second, third, eve = signer(2), signer(3), signer(1)
    good = make_notice(second, third, made_at_ms=2, old_until_ms=6)
    # Eve says that her key came before: the second key would have to sign that.
    half = make_notice(eve, second, made_at_ms=1, old_until_ms=5)
    half = msgspec.structs.replace(half, by_new=half.by_old)
    keys = trusted_back(PublicKey(key_no=3, public=third.public), (half, good))
    assert [key.key_no for key in keys.keys] == [3, 2]


def test_an_engine_without_any_rotation_has_the_first_key(tmp_path: Path) -> None:
    world = InProcess(tmp_path / "w", StoryClock(NOW), COALITION)
    settings = CentralSettings(data_dir=str(tmp_path / "w"))
    assert centre_signer(settings, world.engine, world.randomness).key_no == 1
    world.close()
