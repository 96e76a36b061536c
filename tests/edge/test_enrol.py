"""From a code to an identity that only the service can read."""

import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from edge.folder import AlreadyRunning, FolderLock
from edge.identity import (
    IdentityDamaged,
    IdentityOpen,
    TillIdentity,
    earlier_identity,
    read_identity_file,
    write_identity_file,
)
from edge.journal.journal import Journal
from edge.line.enrol import AlreadyEnrolled, EnrolRefused, NoCentre, enrol
from edge.ports import Settings
from loyalty.cards.card_keys import one_card_key
from loyalty.facts.events import Opened
from loyalty.trouble import Refusal
from sync.centre_session import CentreSession
from sync.enrolment import Slot, code_hash, fingerprint, show_code
from sync.refusals import WrongCentre
from sync.transport import LineDown
from sync.wire import Answer
from tests.edge.counter import NOON_MS, TILL_ID, FakeClock
from tests.sync.memory import CENTRE, MemoryCentre

CODE = show_code(b"0123456789")
OTHER_CODE = show_code(b"9876543210")
OTHER_LANE, OTHER_TILL = show_code(b"abcdeabcde"), "ef" * 16


class Office:
    """Head office with three places open: epoch 1 and epoch 2 of the same till, and another till."""

    def __init__(self) -> None:
        self.centre = MemoryCentre()
        own = [(TILL_ID, 1, "till 1", CODE), (TILL_ID, 2, "till 1", OTHER_CODE)]
        for till_id, epoch, label, code in [*own, (OTHER_TILL, 1, "till 5", OTHER_LANE)]:
            self.centre.slots[code_hash(code)] = Slot(
                code_hash=code_hash(code), till_id=till_id, epoch=epoch, key_no=epoch, genesis="0f" * 32,
                partner_id="fresh", store_id="s1", label=label, card_keys=one_card_key(b"\x1e" * 32, "k1"),
                expires_ms=NOON_MS + 86_400_000,
            )  # fmt: skip
        self.session = CentreSession(CENTRE, lambda count: b"r" * count)
        self.lose_answers = 0

    def exchange(self, url: str, body: bytes) -> Answer:
        answer = self.session.answer(NOON_MS, url.removeprefix("http://centre.test"), body, self.centre)
        if self.lose_answers:
            self.lose_answers -= 1
            raise LineDown("the answer was lost")
        return answer


class Bytes:
    """Random bytes that differ from one draw to the next."""

    def __init__(self) -> None:
        self.drawn: Iterator[int] = iter(range(1, 256))

    def __call__(self, count: int) -> bytes:
        return bytes([next(self.drawn)]) * count


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=str(tmp_path / "till"), centre_url="http://centre.test/")


def claim(settings: Settings, office: Office, code: str = CODE, again: bool = False) -> TillIdentity:
    return enrol(
        settings,
        FakeClock(),
        code=code.lower().replace("-", " "),
        fingerprint=fingerprint(CENTRE.public),
        exchange=office.exchange,
        random_bytes=Bytes(),
        again=again,
    )


def test_a_till_enrols_keeps_its_secrets_to_itself_and_opens_its_stream(settings: Settings, office: Office) -> None:
    identity = claim(settings, office)
    assert (identity.till_id, identity.epoch, identity.partner_id, identity.store_id) == (TILL_ID, 1, "fresh", "s1")
    assert read_identity_file(settings.folder) == identity
    assert stat.S_IMODE(settings.folder.stat().st_mode) == 0o700
    assert {path.name for path in settings.folder.iterdir()} == {"identity.json", "journal.db", "service.lock"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in settings.folder.iterdir())
    event = Journal.open(settings.folder / "journal.db", identity, FakeClock()).entries_after(0)[0].event
    assert isinstance(event, Opened)
    assert (event.receipt_id, event.reason, event.left_seq) == ("opened:1", "enrolled", 0)
    assert "0f0f" not in repr(identity)


def test_when_the_answer_is_lost_the_same_claim_is_made_again(settings: Settings, office: Office) -> None:
    office.lose_answers = 2
    for _ in range(2):
        with pytest.raises(LineDown):
            claim(settings, office)
    assert read_identity_file(settings.folder) is None
    assert claim(settings, office).till_id == TILL_ID
    assert office.centre.alarms == []


def test_an_enrolled_till_is_not_enrolled_over(settings: Settings, office: Office) -> None:
    claim(settings, office)
    with pytest.raises(AlreadyEnrolled, match="till 1"):
        claim(settings, office, OTHER_CODE)


def test_enrolling_anew_begins_an_epoch_and_keeps_the_old_identity_aside(settings: Settings, office: Office) -> None:
    first = claim(settings, office)
    second = claim(settings, office, OTHER_CODE, again=True)
    assert (second.epoch, read_identity_file(settings.folder)) == (2, second)
    aside = settings.folder / "identity-1.json"
    assert msgspec.json.decode(aside.read_bytes(), type=TillIdentity) == first
    event = Journal.open(settings.folder / "journal.db", second, FakeClock()).entries_after(0)[0].event
    assert isinstance(event, Opened)
    assert (event.left_epoch, event.left_seq) == (1, 1)


def test_a_code_of_another_lane_leaves_a_till_with_a_journal_what_it_is(settings: Settings, office: Office) -> None:
    first = claim(settings, office)
    with pytest.raises(Refusal, match="till 5 of store s1, but this machine is till 1") as refused:
        claim(settings, office, OTHER_LANE, again=True)
    assert (refused.value.code, read_identity_file(settings.folder)) == ("enrol.other_lane", first)
    assert not (settings.folder / "identity-1.json").exists()
    journal = Journal.open(settings.folder / "journal.db", first, FakeClock())
    assert journal.head().seq == 1
    journal.close()
    assert claim(settings, office, OTHER_CODE, again=True).epoch == 2
    (settings.folder / "journal.db").rename(settings.folder / "kept aside")
    assert claim(settings, office, OTHER_LANE, again=True).till_id == OTHER_TILL


def test_whose_a_machine_is_its_journal_says_and_not_an_identity_that_is_gone_or_of_another_lane(
    settings: Settings, office: Office
) -> None:
    first = claim(settings, office)
    (settings.folder / "identity.json").rename(settings.folder / "kept aside")
    with pytest.raises(Refusal, match="till 5 of store s1, but this machine") as refused:
        claim(settings, office, OTHER_LANE)
    assert (refused.value.code, refused.value.figures) == ("enrol.other_lane", {"till_id": TILL_ID})
    assert read_identity_file(settings.folder) is None
    (settings.folder / "kept aside").rename(settings.folder / "identity.json")
    # An earlier version put the other lane's identity in the place of its own.
    strange = msgspec.structs.replace(first, granted=msgspec.structs.replace(first.granted, till_id=OTHER_TILL))
    write_identity_file(settings.folder, strange)
    assert claim(settings, office, OTHER_CODE, again=True).epoch == 2
    assert earlier_identity(settings.folder, 1) == first


def test_nobody_enrols_anew_beside_a_running_service(settings: Settings, office: Office) -> None:
    claim(settings, office)
    running = FolderLock(settings.folder)
    with pytest.raises(AlreadyRunning, match="Stop it first"):
        claim(settings, office, OTHER_CODE, again=True)
    running.close()
    assert claim(settings, office, OTHER_CODE, again=True).epoch == 2


def test_a_code_nobody_gave_is_refused_in_head_offices_words(settings: Settings, office: Office) -> None:
    with pytest.raises(EnrolRefused, match="not known") as refused:
        claim(settings, office, show_code(b"abcdefghij"))
    assert refused.value.figures["code"] == "enrolment.bad_code"


def test_an_answer_that_is_not_head_offices_shows_its_status(settings: Settings, office: Office) -> None:
    office.exchange = lambda url, body: Answer(status=502, body=b"<html>")  # type: ignore[method-assign]
    with pytest.raises(EnrolRefused, match="HTTP status 502"):
        claim(settings, office)


def test_another_centre_than_the_one_that_gave_the_code_gets_no_till(settings: Settings, office: Office) -> None:
    with pytest.raises(WrongCentre):
        enrol(
            settings, FakeClock(), code=CODE, fingerprint=show_code(b"another101"), exchange=office.exchange,
            random_bytes=Bytes(),
        )  # fmt: skip
    assert read_identity_file(settings.folder) is None


def test_without_an_address_nothing_is_sent(tmp_path: Path, office: Office) -> None:
    with pytest.raises(NoCentre):
        claim(Settings(data_dir=str(tmp_path)), office)


def test_an_identity_that_others_may_read_or_that_is_damaged_is_told(settings: Settings, office: Office) -> None:
    claim(settings, office)
    file = settings.folder / "identity.json"
    file.chmod(0o644)
    with pytest.raises(IdentityOpen, match="chmod 600"):
        read_identity_file(settings.folder)
    file.chmod(0o600)
    file.write_bytes(b"{")
    with pytest.raises(IdentityDamaged, match="move it away, and enrol the till anew"):
        claim(settings, office, OTHER_CODE, again=True)
    file.rename(settings.folder / "identity.aside")
    assert claim(settings, office, OTHER_CODE).epoch == 2
