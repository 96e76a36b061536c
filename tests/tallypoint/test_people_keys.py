"""The key of personal data is changed while two tills take new members: one hears late of it, and nobody is lost."""

import hashlib
import hmac
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from sqlalchemy import func, select

from central.backups.restoring import note_restore
from central.corrections.erasing import erase_member
from central.database.tables import found_by, person
from central.keys.people_keys import PeopleKey, PeopleKeyMissing, PeopleRing, make_people_key
from central.members import people as people_module
from central.members.members import account_of
from central.members.people import forget
from central.members.people_change import (
    LastPeopleKey,
    PeopleKeyInUse,
    PeopleKeyStanding,
    PeopleKeyUnknown,
    people_standing,
    retire_people_key,
)
from central.ports import Settings, reading, writing
from central.verify.books import verify_books
from edge.api.member_bodies import FindBody
from loyalty.programme.programme import programme_from
from sync.desk import Person
from tallypoint.in_process import StoryClock
from tests.central.tills import COALITION, NOW, PROGRAMME
from tests.tallypoint.test_members_and_cards import ANA, Coalition, Counter, read

BEN = {"name": "Ben Adler", "phone": "600 700 800", "email": "ben@example.org", "birthday": ""}


class Shops(Coalition):
    """Two tills that are heard one by one."""

    @property
    def ring(self) -> PeopleRing:
        return PeopleRing((self.folder / "people.key").read_bytes(), self.folder / "people.key")

    def new_key(self) -> str:
        settings = Settings(data_dir=str(self.folder))
        return make_people_key(settings, self.engine, self.randomness, self.clock.wall_ms())

    def standing(self) -> tuple[PeopleKeyStanding, ...]:
        with reading(self.engine) as tx:
            return people_standing(tx, self.ring)

    def reseal(self) -> int:
        return self._store.reseal()

    def hear(self, *counters: Counter) -> None:
        for _ in range(2):
            self.clock.move(2 * 3_600_000)
            for counter in counters:
                self.sync(counter.node)
                counter.line.keep()

    def who(self, card_token: str) -> Person | None:
        with reading(self.engine) as tx:
            owner = account_of(tx, card_token)
            assert owner is not None
            return self.people.read(tx, owner)

    def found(self, counter: Counter, **asked: str) -> list[str]:
        return [one.card_token for one in counter.members.find(read(FindBody, asked)).found]

    def people_by_key(self) -> dict[str, int]:
        with reading(self.engine) as tx:
            counted = tx.execute(select(person.c.key_id, func.count()).group_by(person.c.key_id))
            return {key_id: many for key_id, many in counted}

    def retire(self, key_id: str, *, force: bool = False) -> None:
        retire_people_key(self.engine, self.ring, key_id, self.clock.wall_ms(), force=force)


@pytest.fixture
def shops(tmp_path: Path, central_url: str) -> Iterator[Shops]:
    there = Shops(tmp_path, StoryClock(NOW), COALITION, central_url)
    there.publish(programme_from({**PROGRAMME, "members": {"numbers_at_once": 120}}))
    there.counters = (Counter(there, "S1", "one"), Counter(there, "S2", "two"))
    there.level()
    yield there
    there.close()


def test_everybody_goes_over_to_a_new_key_while_one_till_hears_of_it_late(shops: Shops) -> None:
    one, two = shops.counters
    ana = one.enrol(enrol_id="E-1", person=ANA)
    shops.hear(one, two)
    assert shops.people_by_key() == {"1": 1}
    old = one.node.journal.members.sealing_key()

    assert shops.new_key() == "2"
    # Read and found as before, by rows under the old key.
    assert shops.who(ana.card_token) == Person(**ANA)
    assert shops.found(two, phone="00351912345678") == [ana.card_token]
    shops.hear(one)
    new = one.node.journal.members.sealing_key()
    assert new != old and two.node.journal.members.sealing_key() == new  # the question that it asked told it so

    # The other till was told; now one that is away, and seals to the old key still.
    with two.node.journal.writing():
        two.node.journal.members.take(old, ())
    ben = two.enrol(enrol_id="E-1", person=BEN)
    shops.hear(one)
    first, second = shops.standing()
    assert (first.people, second.people) == (1, 0)
    assert (second.is_newest, second.tills_with, second.tills_without) == (True, ("one",), ("two",))
    with pytest.raises(PeopleKeyInUse) as no:
        shops.retire("1")
    assert no.value.figures == {"people": 1, "tills": 1}
    with pytest.raises(PeopleKeyInUse):
        shops.retire("1", force=True)  # nobody is ever left behind

    assert (shops.reseal(), shops.reseal()) == (1, 0)
    assert shops.people_by_key() == {"2": 1}
    shops.retire("1", force=True)
    shops.hear(two)  # what it sealed to the old key is opened, and kept under the new one
    assert two.node.journal.members.sealing_key() == new
    assert shops.people_by_key() == {"2": 2}
    assert (shops.who(ana.card_token), shops.who(ben.card_token)) == (Person(**ANA), Person(**BEN))
    assert shops.found(one, email="ana@EXAMPLE.org") == [ana.card_token]
    assert shops.found(one, phone="600700800") == [ben.card_token]
    shops.hear(two)
    assert shops.standing()[1].tills_without == ()
    assert verify_books(shops.engine).violations == ()


def test_the_old_key_opens_nothing_that_is_kept_any_more(shops: Shops) -> None:
    one, _ = shops.counters
    one.enrol(enrol_id="E-1", person=ANA)
    shops.hear(one)
    with reading(shops.engine) as tx:
        before, marks = tx.execute(select(person)).one(), set(tx.execute(select(found_by.c.mark)).scalars())
    stolen = PeopleKey("1", (shops.folder / "people.key").read_bytes())
    about = str(before.account_id).encode()
    own = ChaCha20Poly1305(stolen.rest).decrypt(bytes(before.key)[:12], bytes(before.key)[12:], about)
    shops.new_key()
    shops.reseal()
    with reading(shops.engine) as tx:
        after, new_marks = tx.execute(select(person)).one(), set(tx.execute(select(found_by.c.mark)).scalars())
    key, data = bytes(after.key), bytes(after.data)
    with pytest.raises(InvalidTag):
        ChaCha20Poly1305(stolen.rest).decrypt(key[:12], key[12:], about)
    with pytest.raises(InvalidTag):  # nor does what the thief took out of an older copy
        ChaCha20Poly1305(own).decrypt(data[:12], data[12:], about)
    assert len(new_marks) == 2 and not new_marks & marks
    assert after.changed_at_ms == before.changed_at_ms


def test_many_people_go_over_in_portions_and_a_chore_cut_short_goes_on(shops: Shops, monkeypatch: Any) -> None:
    one, _ = shops.counters
    for n in range(7):
        one.enrol(enrol_id=f"E-{n}", person={**BEN, "phone": f"60070080{n}"})
    shops.hear(one)
    shops.new_key()
    monkeypatch.setattr(people_module.People.reseal, "__defaults__", (3,))
    assert shops.reseal() == 3
    assert shops.people_by_key() == {"1": 4, "2": 3}
    sealed = people_module._sealed

    def breaks(*arguments: Any) -> Any:
        breaks.left -= 1  # type: ignore[attr-defined]
        if not breaks.left:  # type: ignore[attr-defined]
            raise KeyboardInterrupt
        return sealed(*arguments)

    breaks.left = 2  # type: ignore[attr-defined]
    monkeypatch.setattr(people_module, "_sealed", breaks)
    with pytest.raises(KeyboardInterrupt):
        shops.reseal()
    assert shops.people_by_key() == {"1": 4, "2": 3}  # the portion as a whole
    monkeypatch.setattr(people_module, "_sealed", sealed)
    assert [shops.reseal() for _ in range(3)] == [3, 1, 0]
    for n in range(7):
        assert len(shops.found(one, phone=f"60070080{n}")) == 1


def test_who_is_erased_while_everybody_goes_over_stays_erased(shops: Shops) -> None:
    one, _ = shops.counters
    made = [one.enrol(enrol_id=f"E-{n}", person={**BEN, "phone": f"60070080{n}"}) for n in range(6)]
    shops.hear(one)
    with reading(shops.engine) as tx:
        owners = [account_of(tx, each.card_token) for each in made]
    shops.new_key()

    def erase(account_id: int) -> None:
        with writing(shops.engine) as tx:
            erase_member(tx, account_id, by="ana", now_ms=NOW, randomness=shops.randomness)

    with ThreadPoolExecutor(5) as pool:
        works = [pool.submit(shops.reseal), pool.submit(shops.reseal), *(pool.submit(erase, one) for one in owners[:3])]
    for work in works:
        work.result()
    while shops.reseal():
        pass
    with reading(shops.engine) as tx:
        assert set(tx.execute(select(person.c.account_id)).scalars()) == set(owners[3:])
        assert set(tx.execute(select(found_by.c.account_id)).scalars()) == set(owners[3:])


def test_an_erasure_that_waits_for_the_row_takes_the_new_marks_too(shops: Shops) -> None:
    """The one order in which something could be left: the row is held, erasing waits, then sees what was written."""
    if shops.engine.dialect.name == "sqlite":
        return  # one writer at a time, so no such order
    one, _ = shops.counters
    one.enrol(enrol_id="E-1", person=ANA)
    shops.hear(one)
    shops.new_key()
    with reading(shops.engine) as tx:
        (owner,) = tx.execute(select(person.c.account_id)).one()

    def erase() -> None:
        with writing(shops.engine) as tx:
            forget(tx, owner)

    waits = threading.Thread(target=erase)
    with writing(shops.engine) as tx:
        assert shops.people.reseal(tx, shops.randomness) == 1
        waits.start()
        waits.join(0.3)
        assert waits.is_alive()
    waits.join()
    with reading(shops.engine) as tx:
        assert tx.execute(select(person)).all() == [] and tx.execute(select(found_by)).all() == []


def test_a_key_whose_file_is_gone_loses_nobody(shops: Shops) -> None:
    one, _ = shops.counters
    shops.new_key()
    shops.hear(one)
    file = shops.folder / "people-2.key"
    key = file.read_bytes()
    file.unlink()
    shops.people._ring = shops.ring  # as a server that starts now
    new = one.node.journal.members.sealing_key()
    made = one.enrol(enrol_id="E-1", person=ANA)
    shops.hear(one)
    assert len(one.node.journal.members.sealed_waiting(9)) == 1
    assert one.node.journal.members.sealing_key() == new  # the till is not led back to the old one
    assert shops.found(one, phone=ANA["phone"]) == []
    with reading(shops.engine) as tx, pytest.raises(PeopleKeyMissing):
        shops.people.sealing_key(tx)
    file.write_bytes(key)
    shops.hear(one)
    assert one.node.journal.members.sealed_waiting(9) == []
    assert shops.who(made.card_token) == Person(**ANA)


def test_what_was_sealed_to_a_key_that_no_backup_holds_waits_for_its_file(shops: Shops) -> None:
    """Head office comes back as it was before the change, with no file of the new key; then somebody finds that."""
    one, _ = shops.counters
    shops.new_key()
    shops.hear(one)
    made = one.enrol(enrol_id="E-1", person=ANA)
    with writing(shops.engine) as tx:
        tx.exec_driver_sql("DELETE FROM people_key")
    key = (shops.folder / "people-2.key").read_bytes()
    (shops.folder / "people-2.key").unlink()
    shops.people._ring = shops.ring
    shops.hear(one)
    assert one.node.journal.members.sealed_waiting(9) == []  # it is not asked again and again
    assert shops.who(made.card_token) is None
    first = PeopleKey("1", (shops.folder / "people.key").read_bytes())
    assert one.node.journal.members.sealing_key() == first.sealing_key  # what comes now is sealed to what is there
    (shops.folder / "people-2.key").write_bytes(key)
    with writing(shops.engine) as tx:
        note_restore(tx, shops.clock.wall_ms())
    shops.hear(one)
    shops.hear(one)
    assert shops.who(made.card_token) == Person(**ANA)
    assert shops.people_by_key() == {"1": 1}


def test_the_newest_key_stays_and_there_is_no_other(shops: Shops) -> None:
    with pytest.raises(LastPeopleKey):
        shops.retire("1")
    with pytest.raises(PeopleKeyUnknown):
        shops.retire("7")


def test_a_hello_tells_the_key_once(shops: Shops) -> None:
    """An answer is the longer for it only where the till says that it seals to another."""
    one, _ = shops.counters
    shops.hear(one)
    told: list[bytes] = []
    exchange = shops.exchange

    def overheard(url: str, body: bytes) -> Any:
        answer = exchange(url, body)
        if "hello" in url:
            told.append(answer.body)
        return answer

    shops.exchange = overheard  # type: ignore[method-assign]
    shops.new_key()
    new = PeopleKey("2", (shops.folder / "people-2.key").read_bytes()).sealing_key.encode()
    shops.hear(one)
    assert [new in body for body in told].count(True) == 1 and len(told) >= 2


def test_what_was_kept_before_keys_could_be_changed_is_read_on() -> None:
    secret = bytes(range(32))
    key = PeopleKey("1", secret)
    assert [key.rest, key.marks, key.private] == [
        hmac.new(secret, f"TP-PEOPLE-{use}".encode(), hashlib.sha256).digest() for use in ("REST", "MARKS", "SEAL")
    ]
