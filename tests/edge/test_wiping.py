"""A till that was revoked forgets members and card key, keeps what it sold, and sells on."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from edge.cache.cache import Cache
from edge.identity import read_identity_file, write_identity_file
from edge.journal.journal import Journal, open_epoch
from edge.line.enrol import CACHE_FILE, JOURNAL_FILE
from edge.line.wiping import WIPED, wipe_revoked
from edge.service import TillService
from edge.web.http import till_app
from loyalty.cards.card_keys import CardKey, CardKeys
from tests.edge.rim import CARD, HandClock, Rim, basket, commit, furnish, identity, line, member, quote, settings

CARD_KEY, LATER_KEY, TOKEN = "22" * 32, "5d" * 32, member().cards[0]


class Machine:
    """A data folder as a service leaves it, with an earlier identity beside the present one."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, HandClock()
        folder.mkdir()
        own = identity()
        earlier = msgspec.structs.replace(own, granted=msgspec.structs.replace(own.granted, epoch=1))
        later = CardKeys(keys=(CardKey(key_id="1", key=CARD_KEY), CardKey(key_id="2", key=LATER_KEY)))
        granted = msgspec.structs.replace(own.granted, epoch=2, card_keys=later)
        self.own = msgspec.structs.replace(own, granted=granted, later_card_keys=later)
        for one in (earlier, self.own):
            write_identity_file(folder, one)
        self.journal = Journal.open(folder / JOURNAL_FILE, self.own, self.clock)
        open_epoch(self.journal, "enrolled")
        self.cache = Cache.open(folder / CACHE_FILE, self.own, self.clock)
        furnish(self.journal, self.cache, self.clock)

    def wipe(self) -> Any:
        return wipe_revoked(self.folder, self.journal, self.cache, self.clock, lambda count: b"\x77" * count)

    def holds(self, text: str) -> list[str]:
        """Files in which a token or key still stands, as text or as bytes."""
        wanted = (text.encode(), bytes.fromhex(text))
        return sorted(path.name for path in self.folder.iterdir() if any(one in path.read_bytes() for one in wanted))


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path / "till")
    yield made
    made.journal.close()
    made.cache.close()


def test_no_card_key_and_no_card_stay_on_the_disk(machine: Machine) -> None:
    assert machine.holds(CARD_KEY) == ["identity-1.json", "identity.json"]
    assert any(name.startswith(CACHE_FILE) for name in machine.holds(TOKEN))
    assert machine.holds(LATER_KEY) == ["identity.json"]
    with machine.journal.writing():
        machine.journal.told_accounts.note({77: [TOKEN]}, 1)  # head office was put back a minute ago
    assert any(name.startswith(JOURNAL_FILE) for name in machine.holds(TOKEN))
    wiped = machine.wipe()
    assert machine.holds(CARD_KEY) == machine.holds(LATER_KEY) == []
    assert machine.holds(TOKEN) == []
    assert (wiped.granted.card_key, wiped.granted.card_key_id) == ("77" * 32, WIPED)
    assert read_identity_file(machine.folder) == wiped


def test_a_write_of_the_identity_that_was_cut_short_is_wiped_too(machine: Machine) -> None:
    for name in ("identity.json.new", "identity-1.json.new", "salvaged-identity.json"):
        (machine.folder / name).write_bytes((machine.folder / "identity.json").read_bytes())
    machine.wipe()
    assert machine.holds(CARD_KEY) == machine.holds(LATER_KEY) == []
    assert sorted(path.name for path in machine.folder.glob("*identity*")) == ["identity-1.json", "identity.json"]


def test_a_damaged_cache_that_was_put_aside_is_wiped_too(machine: Machine) -> None:
    machine.cache.close()
    damaged = bytearray((machine.folder / CACHE_FILE).read_bytes())
    damaged[:16] = b"scratched" + bytes(7)
    (machine.folder / CACHE_FILE).write_bytes(damaged)
    machine.cache = Cache.open(machine.folder / CACHE_FILE, machine.own, machine.clock)
    assert machine.holds(TOKEN) == ["cache.db.damaged"]
    assert machine.wipe() is not None
    assert machine.holds(TOKEN) == []
    assert machine.wipe() is None


def test_its_events_stay_under_its_own_key_and_its_programme_too(machine: Machine) -> None:
    head, version = machine.journal.head(), machine.cache.programmes()[0].version
    wiped = machine.wipe()
    assert wiped.signer.public == machine.own.signer.public
    assert wiped.genesis == machine.own.genesis
    assert machine.journal.outbox.hash_at(head.seq) == head.hash
    assert machine.cache.programmes()[0].version == version
    assert machine.journal.outbox.leases_suspended() == "sync.revoked"


def test_cut_short_it_begins_again_and_done_it_is_done(machine: Machine) -> None:
    machine.cache.wipe, kept = lambda: 1 / 0, machine.cache.wipe  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        machine.wipe()
    machine.cache.wipe = kept  # type: ignore[method-assign]
    assert machine.cache.counts()["member"] == 1
    assert machine.wipe() is not None
    assert machine.cache.counts()["member"] == 0
    assert machine.wipe() is None


def test_the_service_wipes_on_the_word_of_head_office_and_sells_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "till"
    folder.mkdir()
    write_identity_file(folder, identity())
    service = TillService(settings(folder, centre_url="http://localhost:1"), port=0)
    service.start()
    try:
        furnish(service.journal, service.cache, service.clock)
        till = service.desk.till
        state = SimpleNamespace(session=SimpleNamespace(suspended="sync.suspended"))
        monkeypatch.setattr(service.uplink, "status", lambda: state)
        service._wipe_if_revoked()
        assert service.cache.counts()["member"] == 1
        state.session.suspended = "sync.revoked"
        service._wipe_if_revoked()
        assert service.cache.counts()["member"] == 0
        assert till.identity.granted.card_key_id == WIPED
        assert CARD_KEY not in {one.granted.card_key for one in (service.identity, service.desk.identity)}
        app = till_app(service.desk, service.health, service.readers, service.peripherals).test_client()
        assert app.post("/v1/quotes", json=quote(card=None)).json["totals"]["gross_minor"] == 1250
        paid = app.post("/v1/receipts", json=commit(card=None))
        assert paid.status_code == 201
    finally:
        service.stop()


@pytest.fixture
def revoked(tmp_path: Path) -> Rim:
    """A till that sold R0 to a member and R1 to nobody, and was wiped then."""
    rim = Rim(tmp_path)
    assert rim.post("/v1/receipts", commit(receipt_id="R0")).status_code == 201
    assert rim.post("/v1/receipts", commit(card=None)).status_code == 201
    till, granted = rim.desk.till, rim.identity.granted
    rim.cache.wipe()
    gone = msgspec.structs.replace(granted, card_key="77" * 32, card_key_id=WIPED)
    till.use_identity(msgspec.structs.replace(rim.identity, granted=gone))
    till.forget_shown()
    return rim


SHOWN = {
    "number": {"card": CARD},
    "token": {"card": TOKEN},
    "coupon": {"card": None, "coupons": ["tccb 4s42 6g13 prf4"]},
    "certificate": {"card": None, "certificates": [{"code": "GC-7781-0042"}]},
    "certificate sold": {"card": None, "basket": basket(line(1, "gift", 1250, certificate="GC-7781-0043"))},
}


@pytest.mark.parametrize("what", SHOWN)
def test_what_has_no_name_any_more_is_refused_and_the_sale_goes_on_without_it(revoked: Rim, what: str) -> None:
    for path, body in (("/v1/quotes", quote()), ("/v1/receipts", commit(receipt_id="R9"))):
        said = revoked.post(path, body | SHOWN[what])
        assert (said.status_code, said.json["code"]) == (409, "till.revoked")
    without = revoked.post("/v1/receipts", commit(receipt_id="R9", card=None))
    assert without.status_code == 201


def test_a_sale_of_before_is_answered_as_it_was_and_another_one_under_its_id_is_not(revoked: Rim) -> None:
    again = revoked.post("/v1/receipts", commit(receipt_id="R0"))
    assert (again.status_code, again.json["replayed"]) == (200, True)
    other = revoked.post("/v1/receipts", commit(card=None, tenders=[{"kind": "card", "amount_minor": 1250}]))
    assert (other.status_code, other.json["code"]) == (409, "receipt.id_reused")


def test_nobody_joins_and_no_card_changes_at_a_till_that_was_revoked(revoked: Rim) -> None:
    assert revoked.client.get("/v1/enrolment").json["may_enrol"] is False
    asks = {
        "/v1/members": {"enrol_id": "E1", "card": CARD},
        "/v1/cards": {"card_id": "C1", "what": "block", "card": CARD},
        "/v1/claims": {"claim_id": "K1", "card": CARD, "receipt_id": "R1"},
    }
    for path, body in asks.items():
        said = revoked.post(path, body)
        assert (said.status_code, said.json["code"]) == (409, "till.revoked")
    for path in ("/v1/balance", "/v1/consents"):
        assert revoked.client.get(path, query_string={"card": CARD}).json["code"] == "till.revoked"
