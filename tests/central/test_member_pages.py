"""What head office and customers see of members: the console's page, the link on a slip, erasing from the shell."""

import json
import re
from pathlib import Path

import msgspec
import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from central.coalition.programmes import publish
from central.console.base import Console
from central.console.consent_pages import consent_pages
from central.console.console import console_pages
from central.corrections.adjusting import Signed
from central.corrections.erasing import erase_member
from central.corrections.moving import PointsLeased, merge
from central.corrections.wishes import MergeWish
from central.database.tables import account, enrolment, person
from central.intake.consents import consents_of
from central.keys.card_keys import KeyRing
from central.login import Logins, create_user
from central.members.people import People, masked
from central.ports import reading, writing
from central.tills.desk_asks import answer_desk
from central.verify.books import verify_books
from loyalty.cards.confirming import confirm_code, confirm_key
from loyalty.facts.member_events import ConsentSaid
from sync.desk import DeskAsk, Person, Sealed, seal_person
from sync.ports import DeskTold
from tests.central.test_claims import claim, settle, sold
from tests.central.test_member_events import CODE, NEW, changed, enrolled, said, token
from tests.central.tills import ANNA, BEN, CARD_KEY, PROGRAMME, TODAY, Centre, CentreClock, Till, told

PASSWORD = "a long enough one"


def pages_of(centre: Centre, people: People) -> FlaskClient:
    quick, clock = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1), CentreClock(centre)
    create_user(centre.engine, now_ms=centre.now, randomness=centre.random, login="ana", password=PASSWORD,
                role="head_office", partner_id="", hasher=quick)  # fmt: skip
    logins = Logins(centre.engine, clock, centre.random, quick)
    app = Flask("test")
    console = Console(centre.engine, clock, centre.random, logins, False, card_keys=KeyRing(CARD_KEY), people=people)
    app.register_blueprint(console_pages(console))
    app.register_blueprint(consent_pages(centre.engine, clock, centre.random, KeyRing(CARD_KEY)))
    client = app.test_client()
    csrf = re.search(r'name="csrf" value="(\w+)"', client.get("/console/login").get_data(as_text=True))[1]
    client.post("/console/login", data={"login": "ana", "password": PASSWORD, "csrf": csrf})
    return client


def test_the_members_page_shows_cards_consents_with_evidence_and_claims(centre: Centre) -> None:
    till, people = centre.till(), People(b"P" * 32)
    till.append(enrolled(till, "E-1", NEW, asked_on="kiosk"))
    till.append(said(till, "K-1", "given", NEW, code=CODE))
    till.append(changed(till, "C-1", "blocked", NEW, reason="stolen"))
    sold(till, "R-1", 1_250)
    claim(till, "L-1", "R-1", card=NEW, of_till=till.head.till_id)
    till.upload()
    settle(centre)
    owner = centre.account_of(token(NEW))
    with writing(centre.engine) as tx:
        who = Person(name="Ana Silva", phone="+351 912 345 678", email="ana@example.org")
        people.keep(tx, owner, who, centre.random, centre.now)
    page = pages_of(centre, people).get(f"/console/members/{owner}").get_data(as_text=True)
    for shown in ("…0032", "stolen", "to confirm", "text v1 in en", "kiosk", "L-1", "granted", "A… S…", "…678",
                  "…@example.org", "Receipt claimed later"):  # fmt: skip
        assert shown in page, shown
    for hidden in (NEW, token(NEW), "Silva", "912", "ana@"):
        assert hidden not in page, hidden


def test_the_link_on_a_slip_confirms_by_its_button_and_not_by_being_opened(centre: Centre) -> None:
    anna, till = centre.member(ANNA), centre.till()
    till.append(said(till, "K-1", "given", ANNA, code=CODE, language="pl"))
    till.upload()
    client = pages_of(centre, People(b"P" * 32))
    link = "/c/" + confirm_code(confirm_key(CARD_KEY), CODE).replace(" ", "")
    opened = client.get(link)
    assert (opened.status_code, 'lang="pl"' in opened.get_data(as_text=True)) == (200, True)
    assert "script" not in opened.headers["Content-Security-Policy"]
    assert state(centre, anna) == "to_confirm"
    assert "Potwierdzono" in client.post(link).get_data(as_text=True)
    assert state(centre, anna) == "given"
    assert client.post(link).status_code == 200
    for wrong in (link[:-1] + ("0" if link[-1] != "0" else "1"), "/c/hello", "/c/" + "a" * 4000):
        assert (client.get(wrong).status_code, client.post(wrong).status_code) == (404, 404)


def state(centre: Centre, account_id: int) -> str:
    with reading(centre.engine) as connection:
        (one,) = consents_of(connection, account_id)
    return one.state


@pytest.mark.parametrize(
    ("who", "shown"),
    [
        (Person(name="Ana Maria Silva e Costa", phone="912345678"), ("A… M… S…", "…678", "")),
        (Person(email="x@y.z"), ("", "", "…@y.z")),
        (Person(), ("", "", "")),
    ],
)
def test_a_person_is_shown_masked(who: Person, shown: tuple[str, str, str]) -> None:
    seen = masked(who)
    assert (seen.name, seen.phone, seen.email) == shown


def test_a_member_who_was_merged_is_found_and_erased_with_the_other(centre: Centre) -> None:
    anna, ben, people = centre.member(ANNA), centre.member(BEN), People(b"P" * 32)
    with writing(centre.engine) as tx:
        people.keep(tx, ben, Person(name="Ben Adler", phone="600 700 800"), centre.random, centre.now)
        signed = Signed(correction_id="M-1", asked_by="ana", approved_by="", on=TODAY, now_ms=centre.now)
        merge(tx, MergeWish(account_id=ben, into_account_id=anna, reason="two_cards"), signed, centre.random)
    with reading(centre.engine) as tx:
        assert {one.card_token for one in people.cards_of(tx, Person(phone="600700800"))} == {token(ANNA), token(BEN)}
    with writing(centre.engine) as tx:
        assert erase_member(tx, anna, by="ana", now_ms=centre.now, randomness=centre.random).cards == 2
    with reading(centre.engine) as tx:
        assert (people.read(tx, ben), people.cards_of(tx, Person(phone="600700800"))) == (None, ())
    assert verify_books(centre.engine).violations == ()


def bring(centre: Centre, people: People, till: Till, event_id: str, sealed: Sealed) -> DeskTold:
    """What a till seals of a new member, sent to head office."""
    ask = DeskAsk(
        till_id=till.head.till_id, epoch=1, key_no=1, counter=9, sent_at_ms=centre.now, what="sealed", about=event_id,
        sealed=sealed,
    )  # fmt: skip
    with writing(centre.engine) as tx:
        return answer_desk(tx, ask, people, KeyRing(CARD_KEY), centre.now, centre.random)


def sealed_by(centre: Centre, people: People, till: Till, event_id: str, who: Person) -> Sealed:
    with reading(centre.engine) as tx:
        to = people.sealing_key(tx)
    return seal_person(who, to, b"7" * 32, till_id=till.head.till_id, about=event_id)


def test_who_joins_with_a_card_of_somebody_takes_nobodys_place(centre: Centre) -> None:
    anna, till, people = centre.member(ANNA), centre.till(), People(b"P" * 32)
    with writing(centre.engine) as tx:
        people.keep(tx, anna, Person(name="Anna Nowak", phone="600 700 800"), centre.random, centre.now)
    sealed = sealed_by(centre, people, till, "E-1", Person(name="Cleo Berg", phone="911 222 333"))
    offers = ConsentSaid(purpose="marketing", channel="email", version="v1", language="en", given=True)
    till.append(enrolled(till, "E-1", ANNA, sealed_sha256=sealed.sha256, consents=(offers,)))
    till.upload()
    assert bring(centre, people, till, "E-1", sealed) == DeskTold(took=True)
    ((joined,),) = centre.rows(select(enrolment.c.account_id))
    with reading(centre.engine) as tx:
        assert (people.read(tx, anna), consents_of(tx, anna)) == (Person(name="Anna Nowak", phone="600 700 800"), ())
        assert people.read(tx, joined) == Person(name="Cleo Berg", phone="911 222 333")
        assert [(one.purpose, one.state) for one in consents_of(tx, joined)] == [("marketing", "given")]
        assert people.cards_of(tx, Person(phone="911 222 333")) == ()
    assert centre.account_of(token(ANNA)) == anna
    assert verify_books(centre.engine).violations == ()


def test_who_a_member_is_may_come_after_their_account_was_merged(centre: Centre) -> None:
    anna, till, people = centre.member(ANNA), centre.till(), People(b"P" * 32)
    sealed = sealed_by(centre, people, till, "E-1", Person(phone="911 222 333", birthday="04-17"))
    till.append(enrolled(till, "E-1", NEW, sealed_sha256=sealed.sha256))
    till.upload()
    with writing(centre.engine) as tx:
        signed = Signed(correction_id="M-1", asked_by="ana", approved_by="", on=TODAY, now_ms=centre.now)
        wish = MergeWish(account_id=centre.account_of(token(NEW)), into_account_id=anna, reason="duplicate_member")
        merge(tx, wish, signed, centre.random)
    assert bring(centre, people, till, "E-1", sealed) == DeskTold(took=True)
    with reading(centre.engine) as tx:
        assert {one.card_token for one in people.cards_of(tx, Person(phone="911222333"))} == {token(ANNA), token(NEW)}
    with writing(centre.engine) as tx:
        erase_member(tx, anna, by="ana", now_ms=centre.now, randomness=centre.random)
    assert bring(centre, people, till, "E-1", sealed).refused == "members.erased"
    assert centre.rows(select(person)) == []


def test_a_member_with_points_at_a_till_is_erased_once_they_came_back(centre: Centre) -> None:
    till, anna = centre.till(), centre.member(ANNA)
    till.sell("R-1", 10_000, told(anna))
    till.upload()
    with writing(centre.engine) as tx:
        publish(
            tx, msgspec.json.encode({**PROGRAMME, "spending": {**PROGRAMME["spending"], "online": True}}), centre.now
        )
    assert till.ask("H-1", anna, 60).granted == 60
    with pytest.raises(PointsLeased), writing(centre.engine) as tx:
        erase_member(tx, anna, by="ana", now_ms=centre.now, randomness=centre.random)
    assert centre.rows(select(account.c.status).where(account.c.account_id == anna)) == [("registered",)]


def test_erasing_from_the_shell_and_again_after_an_older_backup(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    from central.members.members import create_account
    from central.migrations import upgrade
    from central.ports import SystemRandomness, open_engine
    from tallypoint.cli import main

    folder = tmp_path / "office"
    folder.mkdir()
    engine = open_engine(f"sqlite:///{folder / 'central.db'}")
    upgrade(engine)
    with writing(engine) as tx:
        numbers = [create_account(tx, SystemRandomness(), 1) for _ in range(2)]
    office = ["--data", str(folder)]
    assert main(["central", "erase-member", str(numbers[0]), "--by", "ana", "--json", *office]) == 0
    assert json.loads(capsys.readouterr().out) == [{"account_id": numbers[0], "cards": 0, "points": 0}]
    assert main(["central", "erase-member", str(numbers[0]), "--by", "ana", *office]) != 0
    (folder / "later").write_text(f"{numbers[0]}\n{numbers[1]}\n", "ascii")
    capsys.readouterr()
    again = ["central", "erase-member", "--again", str(folder / "later"), "--by", "ana", "--json", *office]
    assert main(again) == 0
    assert json.loads(capsys.readouterr().out) == [{"account_id": numbers[1], "cards": 0, "points": 0}]
    assert (folder / "erased-members").read_text("ascii") == f"{numbers[0]}\n{numbers[1]}\n"
    engine.dispose()
