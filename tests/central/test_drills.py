"""Drills, played through on every run: head office is lost and put back from a backup; a key is stolen."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from sqlalchemy import select, text

from central.backups.backups import make_backup
from central.backups.restoring_backups import restore_backup
from central.coalition.slots import open_slot
from central.coalition.streams import revoke_till
from central.console.overview import overview
from central.database import tables as t
from central.keys.card_keys import KeyRing, make_card_key
from central.keys.centre_keys import centre_keys, centre_signer, notices, rotate_centre_key
from central.keys.people_keys import PeopleKey, PeopleRing, make_people_key
from central.members.card_change import retire_card_key, standing
from central.members.members import create_account, issue_card
from central.members.people import People
from central.members.people_change import people_standing, retire_people_key
from central.ports import Settings, open_engine, reading, writing
from central.streams.sealing import Sealer
from central.verify.books import verify_books
from edge.identity import read_identity_file
from edge.line.enrol import enrol
from edge.ports import Settings as TillSettings
from loyalty.cards.card_keys import one_card_key
from loyalty.cards.cards import Card, CardRules, card_token
from sync.centre_session import CentreSession
from sync.desk import Person, open_person, seal_person
from sync.enrolment import fingerprint
from sync.keys import Signer, one_key
from sync.refusals import BadBody
from sync.wire import Problem
from tallypoint.cli import main
from tallypoint.in_process import NOWHERE, InProcess, Node, StoryClock
from tests.central.tills import ANNA, BEN, CARDS, COALITION, NOW, Centre
from tests.tallypoint.test_spending import HOUR, programme, sell

PASSPHRASE = "harbour rope barrel lamp tide"


class Shops(InProcess):
    """Two stores with a till each; head office may move to another folder, database and key."""

    def move_to(self, other: InProcess) -> None:
        """The line leads to another head office from now on."""
        self.engine.dispose()
        self.engine, self.signer, self.card_key = other.engine, other.signer, other.card_key
        self._store, self._session, self.people = other._store, other._session, other.people

    def settle(self) -> None:
        for _ in range(3):
            self.clock.move(2 * HOUR)
            for node in self.nodes:
                self.sync(node)
            self.recompute()
        Sealer(self.engine, self.signer, self.clock).seal()

    def books(self) -> dict[str, list[tuple[object, ...]]]:
        """Lots, debts and what each till's stream came to, as head office has them."""
        asked = {
            "lots": select(t.lot.c.account_id, t.lot.c.valid_through, t.lot.c.points).where(t.lot.c.points > 0),
            "debts": select(t.debt.c.account_id, t.debt.c.points),
            "receipts": select(t.event.c.till_id, t.event.c.receipt_id, t.event.c.points_earned, t.event.c.state)
            .where(t.event.c.kind == "receipt.v1"),
        }  # fmt: skip
        with reading(self.engine) as tx:
            return {name: sorted(tuple(row) for row in tx.execute(one)) for name, one in asked.items()}

    def violations(self) -> tuple[object, ...]:
        return verify_books(self.engine, one_key(self.signer.public)).violations


@pytest.fixture
def shops(tmp_path: Path, central_url: str) -> Shops:
    there = Shops(tmp_path / "old", StoryClock(NOW), COALITION, central_url)
    there.publish(programme(online=True))
    with writing(there.engine) as tx:
        for number in (ANNA, BEN):
            account = create_account(tx, there.randomness, NOW)
            rules = msgspec.convert(CARDS, CardRules)
            keys = one_card_key(there.card_key)
            issue_card(tx, account, number, rules=rules, keys=keys, randomness=there.randomness, now_ms=NOW)
    there.add_till("S1", "one")
    there.add_till("S2", "two")
    there.settle()
    return there


def points_of(node: Node) -> int:
    return node.till.balance(ANNA).view.balance_points


@pytest.fixture
def lost_and_restored(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[Shops, Path], None]:
    """Destroys head office and puts its backup back in another place."""

    def play(shops: Shops, backup: Path) -> None:
        url, is_sqlite = shops.engine.url, shops.engine.dialect.name == "sqlite"
        shops.engine.dispose()
        if is_sqlite:
            for end in ("", "-wal", "-shm"):
                Path(f"{url.database}{end}").unlink(missing_ok=True)
        else:
            gone = open_engine(url.render_as_string(hide_password=False))
            with gone.begin() as tx:
                tx.execute(text("DROP SCHEMA public CASCADE"))
            gone.dispose()
        for key in shops.folder.glob("*.key"):
            key.unlink()
        database_url = "" if is_sqlite else request.getfixturevalue("fresh_postgres")()
        to = Settings(data_dir=str(tmp_path / "new"), database_url=database_url)
        restore_backup(to, backup, PASSPHRASE, now_ms=shops.clock.wall_ms())
        shops.move_to(InProcess(tmp_path / "new", shops.clock, COALITION, to.url))

    return play


def test_head_office_is_lost_and_the_same_tills_refill_it_to_the_last_point(
    shops: Shops, tmp_path: Path, lost_and_restored: Callable[[Shops, Path], None]
) -> None:
    one, two = shops.nodes
    sell(one, "R1", 100_000)
    sell(two, "R1", 25_000)
    shops.settle()
    backup, manifest = make_backup(
        Settings(data_dir=str(shops.folder)), shops.engine, tmp_path / "backups", PASSPHRASE,
        randomness=shops.randomness, now_ms=shops.clock.wall_ms(),
    )  # fmt: skip
    sell(one, "R2", 40_000)
    sell(two, "R2", 10_000, points=100)
    shops.settle()
    before = shops.books()
    # 1000 + 250 + 400, and 99 for the 99.00 paid in money; less the 100 points spent.
    assert sum(points for _, _, points in before["lots"]) == 1_649
    assert len(before["receipts"]) == 4
    shops.settle()  # so that the tills hear of the last block

    lost_and_restored(shops, backup)

    lacking = shops.books()
    assert [row[1] for row in lacking["receipts"]] == ["R1", "R1"]
    assert one.journal.backlog() == 0  # the till believes that head office has all of it
    shops.settle()
    assert shops.books() == before
    assert shops.violations() == ()
    assert [points_of(node) for node in shops.nodes] == [1_649, 1_649]
    # Tills told of blocks that this head office has not got.
    with reading(shops.engine) as tx:
        assert "block_lost" in overview(tx)["worklist"]
    # And life goes on: what is sold now is posted once, in both places.
    sell(one, "R3", 1_000)
    shops.settle()
    assert [points_of(node) for node in shops.nodes] == [1_659, 1_659]
    assert shops.violations() == ()
    assert manifest.generation == 0


def test_a_till_that_was_in_the_dark_over_the_loss_brings_everything_in_one_go(
    shops: Shops, tmp_path: Path, lost_and_restored: Callable[[Shops, Path], None]
) -> None:
    one, two = shops.nodes
    backup, _ = make_backup(
        Settings(data_dir=str(shops.folder)), shops.engine, tmp_path / "backups", PASSPHRASE,
        randomness=shops.randomness, now_ms=shops.clock.wall_ms(),
    )  # fmt: skip
    sell(one, "R1", 50_000)
    shops.settle()
    sell(two, "R1", 30_000)  # never reached the centre that was lost
    lost_and_restored(shops, backup)
    shops.settle()
    assert [(row[1], row[2]) for row in shops.books()["receipts"]] in (
        [("R1", 500), ("R1", 300)], [("R1", 300), ("R1", 500)],
    )  # fmt: skip
    assert shops.violations() == ()
    assert points_of(one) == 800


def test_a_till_enrolled_since_the_last_backup_is_let_go_on_by_one_word_and_brings_every_sale_once(
    shops: Shops, tmp_path: Path, lost_and_restored: Callable[[Shops, Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = shops.nodes
    backup, _ = make_backup(
        Settings(data_dir=str(shops.folder)), shops.engine, tmp_path / "backups", PASSPHRASE,
        randomness=shops.randomness, now_ms=shops.clock.wall_ms(),
    )  # fmt: skip
    three = shops.add_till("S1", "three")
    shops.settle()
    sell(one, "R1", 100_000)
    sell(three, "R1", 50_000)
    shops.settle()
    sell(three, "R2", 10_000, points=100)
    shops.settle()
    # 1000 + 500, and 99 for the 99.00 paid in money; less the 100 points spent.
    assert sum(points for _, _, points in shops.books()["lots"]) == 1_499

    lost_and_restored(shops, backup)

    shops.nodes.remove(three)
    shops.settle()
    for _ in range(20):
        shops.clock.move(max(60_000, three.uplink.run_once()))
    assert [row[:2] for row in shops.books()["receipts"]] == [(one.till.identity.till_id, "R1")]
    with reading(shops.engine) as tx:
        assert "enrolment_lost" in overview(tx)["worklist"]
    sell(three, "R3", 1_000)
    monkeypatch.setenv("TALLYPOINT_CENTRAL_DATABASE_URL", _url(shops))
    assert main(["central", "resume", "three", "--data", str(tmp_path / "new")]) == 0
    shops.nodes.append(three)
    shops.settle()
    assert sorted(row[1:] for row in shops.books()["receipts"]) == [
        ("R1", 500, "posted"), ("R1", 1_000, "posted"), ("R2", 99, "posted"), ("R3", 10, "posted"),
    ]  # fmt: skip
    assert [points_of(node) for node in shops.nodes] == [1_509, 1_509, 1_509]
    assert shops.violations() == ()


def test_a_stolen_tills_key_is_revoked_and_the_lane_goes_on_under_a_new_one(centre: Centre) -> None:
    till = centre.till()
    till.sell("R1", 1_000)
    till.upload()
    with writing(centre.engine) as tx:
        revoke_till(tx, till.identity.till_id, "stolen")
    # What the thief sends is kept as evidence and posts nothing.
    till.sell("R2", 900_000)
    refused = till.send(till.batch())
    assert isinstance(refused, Problem) and refused.code == "sync.revoked"
    assert centre.rows(select(t.quarantine.c.code)) == [("sync.revoked",)]
    assert isinstance(till.hello(), Problem)
    # The lane gets a code of its own; its new machine makes a new key and begins a new epoch.
    fresh = type(till)(centre, "S1", till_id=till.identity.till_id, seed="new machine")
    assert (fresh.identity.till_id, fresh.identity.epoch) == (till.identity.till_id, 2)
    assert fresh.signer.public != till.signer.public
    fresh.sell("R3", 2_000)
    fresh.upload()
    # The stolen key stays shut out, under its own epoch and when it pretends to be the new machine.
    assert isinstance(till.send(till.batch()), Problem)
    fresh_key, fresh.signer = fresh.signer, Signer(till.secret, fresh.signer.key_no)
    fresh.sell("R4", 900_000)
    assert isinstance(fresh.send(fresh.batch()), Problem)
    fresh.signer = fresh_key
    posted = select(t.event.c.receipt_id).where(t.event.c.kind == "receipt.v1").order_by(t.event.c.receipt_id)
    assert centre.rows(posted) == [("R1",), ("R3",)]
    assert verify_books(centre.engine, one_key(centre.signer.public)).violations == ()


def test_a_stolen_till_gives_the_card_key_away_so_it_is_changed_and_the_old_one_opens_nothing(
    shops: Shops, tmp_path: Path, lost_and_restored: Callable[[Shops, Path], None]
) -> None:
    one, two = shops.nodes
    sell(one, "R1", 10_000)
    shops.settle()
    stolen = two.till.identity
    with writing(shops.engine) as tx:
        revoke_till(tx, stolen.till_id, "stolen")
    settings = Settings(data_dir=str(shops.folder), database_url=_url(shops))
    make_card_key(settings, shops.engine, shops.randomness, shops.clock.wall_ms())
    shops.nodes.remove(two)
    shops.settle()
    assert one.till.identity.card_keys.ids == ("1", "2")
    sell(one, "R2", 10_000)  # which names the card
    shops.settle()
    # In the middle of it head office is lost: every card key comes back with the backup.
    backup, _ = make_backup(
        settings, shops.engine, tmp_path / "to", PASSPHRASE, randomness=shops.randomness, now_ms=shops.clock.wall_ms()
    )
    lost_and_restored(shops, backup)
    shops.settle()
    shops.settle()
    with reading(shops.engine) as tx:
        ring = KeyRing(shops.card_key, shops.folder.parent / "new" / "programme-card.key")
        told = standing(tx, ring.read(tx))
    # The revoked till is not waited for; a card that was not shown is, until somebody decides.
    assert (told.keys[1].tills_with, told.keys[1].tills_without, told.keys[0].cards_without) == (("one",), (), 1)
    retire_card_key(shops.engine, ring, "1", shops.clock.wall_ms(), force=True)
    shops.settle()
    assert one.till.identity.card_keys.ids == ("2",)
    assert points_of(one) == 200
    # What the thief works out with the stolen key matches nothing that lies in a till from now on.
    forged = card_token(stolen.card_key, Card(kind="ean13", number=ANNA, last4=ANNA[-4:]))
    assert one.cache.member(forged) is None and one.till.balance(ANNA).card_token != forged
    assert stolen.card_key not in one.till.identity.card_keys.accepted
    sell(one, "R3", 10_000)
    two.uplink.run_once()
    shops.settle()
    assert points_of(one) == 300
    assert shops.violations() == ()


def test_the_stolen_key_of_personal_data_is_changed_over_a_loss_of_head_office_and_reads_nobody(
    shops: Shops, tmp_path: Path, lost_and_restored: Callable[[Shops, Path], None]
) -> None:
    one, two = shops.nodes
    settings = Settings(data_dir=str(shops.folder), database_url=_url(shops))
    with writing(shops.engine) as tx:
        anna, ben = tx.execute(select(t.account.c.account_id).order_by(t.account.c.account_id)).scalars()
        for account_id, name in ((anna, "Anna Kowal"), (ben, "Ben Adler")):
            who = Person(name=name, phone=f"60070080{account_id}")
            shops.people.keep(tx, account_id, who, shops.randomness, shops.clock.wall_ms())
        before = {row.account_id: (bytes(row.key), bytes(row.data)) for row in tx.execute(select(t.person))}
    stolen = PeopleKey("1", (shops.folder / "people.key").read_bytes())
    # What the thief could read with a copy of the database of that day.
    assert _reads(stolen, anna, *before[anna]) == "Anna Kowal"

    make_people_key(settings, shops.engine, shops.randomness, shops.clock.wall_ms())
    with writing(shops.engine) as tx:
        assert shops.people.reseal(tx, shops.randomness, 1) == 1
    # In the middle of it head office is lost: both keys come back, and the worker goes on.
    backup, _ = make_backup(
        settings, shops.engine, tmp_path / "to", PASSPHRASE, randomness=shops.randomness, now_ms=shops.clock.wall_ms()
    )
    lost_and_restored(shops, backup)
    folder = tmp_path / "new"
    assert (folder / "people-2.key").stat().st_mode & 0o777 == 0o600
    shops.settle()
    while shops._store.reseal():
        pass
    ring = PeopleRing((folder / "people.key").read_bytes(), folder / "people.key")
    retire_people_key(shops.engine, ring, "1", shops.clock.wall_ms())
    with reading(shops.engine) as tx:
        after = {row.account_id: (bytes(row.key), bytes(row.data)) for row in tx.execute(select(t.person))}
        (first, second) = people_standing(tx, ring)
        people = People((folder / "people.key").read_bytes(), folder / "people.key")
        read = people.read(tx, anna)
    assert read is not None and read.name == "Anna Kowal"
    assert (first.people, second.people, second.tills_without) == (0, 2, ())
    for account_id in (anna, ben):
        with pytest.raises(InvalidTag):
            _reads(stolen, account_id, *after[account_id])
    # Nor does he read what tills seal from now on.
    sealed = seal_person(Person(name="Cleo"), one.journal.members.sealing_key(), b"7" * 32, till_id="0" * 32, about="E")
    with pytest.raises(BadBody):
        open_person(sealed, stolen.private, till_id="0" * 32, about="E")
    assert two.journal.members.sealing_key() == second_key(folder).sealing_key
    assert shops.violations() == ()


def second_key(folder: Path) -> PeopleKey:
    return PeopleKey("2", (folder / "people-2.key").read_bytes())


def _reads(stolen: PeopleKey, account_id: int, key: bytes, data: bytes) -> str:
    about = str(account_id).encode()
    own = ChaCha20Poly1305(stolen.rest).decrypt(key[:12], key[12:], about)
    return str(json.loads(ChaCha20Poly1305(own).decrypt(data[:12], data[12:], about))["name"])


def _url(shops: Shops) -> str:
    return "" if shops.engine.dialect.name == "sqlite" else shops.engine.url.render_as_string(hide_password=False)


def test_a_stolen_centres_key_is_rotated_at_once_and_tills_follow_by_themselves(shops: Shops) -> None:
    one, two = shops.nodes
    sell(one, "R1", 10_000)
    shops.settle()
    settings = Settings(data_dir=str(shops.folder))
    rotate_centre_key(settings, shops.engine, shops.randomness, shops.clock.wall_ms(), overlap_days=0)
    thief = shops._session
    # Head office starts again, and signs with the new key.
    shops.signer = centre_signer(settings, shops.engine, shops.randomness)
    with reading(shops.engine) as tx:
        shops._session = CentreSession(shops.signer, shops.randomness.bytes, notices=notices(tx))
    sell(one, "R2", 20_000)
    sell(two, "R2", 30_000)
    shops.settle()
    assert sorted(row[1] for row in shops.books()["receipts"]) == ["R1", "R2", "R2"]
    assert [node.journal.backlog() for node in shops.nodes] == [0, 0]
    # Blocks of before are still proven, by the old key that the new one vouches for.
    assert verify_books(shops.engine, centre_keys(shops.engine, shops.signer)).violations == ()
    # Whoever has the old key convinces no till any more.
    shops._session = thief
    sell(one, "R3", 40_000)
    for _ in range(20):
        shops.clock.move(max(60_000, one.uplink.run_once()))
    assert one.journal.backlog() > 0


def test_a_centres_key_that_is_gone_for_good_is_replaced_by_enrolling_every_till_anew(shops: Shops) -> None:
    """Nobody can vouch for a new key without the old one: what works then, and loses nothing."""
    one = shops.nodes[0]
    sell(one, "R1", 10_000)
    shops.settle()
    # Everything is sent before the key goes; another one is made in its place.
    (shops.folder / "centre-signing.key").unlink()
    new = InProcess(shops.folder, shops.clock, COALITION, str(shops.engine.url.render_as_string(hide_password=False)))
    assert new.signer.public != shops.signer.public
    shops.move_to(new)
    # Facts are still taken, for they are signed by the till; but it believes nothing that the new key signs.
    sell(one, "R2", 20_000)
    for _ in range(20):
        shops.clock.move(max(60_000, one.uplink.run_once()))
    assert one.journal.backlog() > 0
    assert one.uplink.is_offline()
    sell(one, "R3", 30_000)
    # It is enrolled anew, with the fingerprint of the new key: a new epoch.
    again = _enrol_again(shops, one, "one")
    sell(again, "R4", 40_000)
    shops.sync(again)
    arrived = {row[1] for row in shops.books()["receipts"]}
    assert arrived >= {"R1", "R2", "R4"}
    # What was never sent under the old epoch stays on the till, which says so; what it sent unheard counts as well.
    assert again.journal.outbox.left_unsent() >= 4 - len(arrived)


def _enrol_again(shops: Shops, node: Node, label: str) -> Node:
    node.journal.close()
    node.cache.close()
    shops.nodes.remove(node)
    folder = shops.folder / label
    identity = read_identity_file(folder)
    assert identity is not None
    with writing(shops.engine) as tx:
        slot = open_slot(
            tx, shops.randomness, store_id="S1", label=label, now_ms=shops.clock.wall_ms(), till_id=identity.till_id
        )

    found = enrol(
        TillSettings(data_dir=str(folder), centre_url=NOWHERE, label=label),
        shops.clock,
        code=slot.code,
        fingerprint=fingerprint(shops.signer.public),
        exchange=shops.exchange,
        random_bytes=shops.randomness.bytes,
        again=True,
    )
    assert found.epoch == 2
    return shops.add_till("S1", label)
