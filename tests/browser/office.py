"""A head office with something on each of its pages, served to a browser."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from argon2 import PasswordHasher
from flask import Flask
from sqlalchemy import insert
from werkzeug.serving import make_server

from central.coalition.slots import open_slot
from central.coalition.streams import revoke_till
from central.console.base import Console
from central.console.consent_pages import consent_pages
from central.console.console import console_pages
from central.database.tables import approval
from central.keys.card_keys import KeyRing
from central.login import Logins, create_user
from central.members.people import People
from central.ports import Settings, writing
from central.upkeep.doctor import examine
from central.worklist.worklist import raise_alarm, raise_flags
from loyalty.cards.confirming import confirm_code, confirm_key
from loyalty.ledger.books import Flag
from sync.desk import Person
from tests.central.office import LIMITS, Office, give
from tests.central.test_claims import claim, settle, sold
from tests.central.test_member_events import CODE, NEW, changed, enrolled, said, token
from tests.central.test_quarantine import UNKNOWN, broken
from tests.central.tills import ANNA, CARD_KEY, NOW, TODAY, Centre, CentreClock, told

PASSWORD = "a long enough one"
USERS = (("ana", "head_office", ""), ("bea", "head_office", ""), ("finn", "partner_finance", "acme"))


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """Where it answers, and the names that lead to single pages."""

    url: str
    account_id: int
    kept: str
    finding: str
    link: str


@contextmanager
def head_office(folder: Path) -> Iterator[Head]:
    """Serve it from a folder."""
    centre = Centre(f"sqlite:///{folder / 'central.db'}")
    people = People(b"P" * 32)
    account_id, kept, finding = _days(centre, people)
    link = "/c/" + confirm_code(confirm_key(CARD_KEY), CODE).replace(" ", "")
    server = make_server("127.0.0.1", 0, _app(centre, people, folder), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Head(
        url=f"http://127.0.0.1:{server.port}", account_id=account_id, kept=kept, finding=finding, link=link
    )
    server.shutdown()
    thread.join()
    centre.engine.dispose()


def _app(centre: Centre, people: People, folder: Path) -> Flask:
    quick, clock = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1), CentreClock(centre)
    for login, role, partner in USERS:
        create_user(centre.engine, now_ms=NOW, randomness=centre.random, login=login, password=PASSWORD, role=role,
                    partner_id=partner, hasher=quick)  # fmt: skip
    ring, logins = KeyRing(CARD_KEY), Logins(centre.engine, clock, centre.random, quick)
    settings = Settings(data_dir=str(folder))
    console = Console(
        centre.engine, clock, centre.random, logins, False, LIMITS, ring, people=people,
        examine=lambda: examine(settings, centre.engine, centre.now),
        centre_public=centre.signer.public, public_url="https://office.example",
    )  # fmt: skip
    app = Flask("test")
    app.register_blueprint(console_pages(console))
    app.register_blueprint(consent_pages(centre.engine, clock, centre.random, ring))
    return app


def _days(centre: Centre, people: People) -> tuple[int, str, str]:
    """What has happened by now; answers a member's account, an item of quarantine and a row of the worklist."""
    anna, till, other = centre.member(ANNA), centre.till(), centre.till("S2")
    till.append(enrolled(till, "E-1", NEW, asked_on="kiosk"))
    till.append(said(till, "K-1", "given", NEW, code=CODE))
    till.append(changed(till, "C-1", "blocked", NEW, reason="stolen"))
    sold(till, "R-1", 1_250)
    claim(till, "L-1", "R-1", card=NEW, of_till=till.head.till_id)
    till.sell("R-2", 123_450, told(anna))
    till.upload()
    settle(centre)
    owner = centre.account_of(token(NEW))
    office = Office(centre)
    office.done(give(owner, 240, "acme"))
    office.ask(give(owner, 900, "bolt"))
    stopped, odd = centre.till("S3"), centre.till()
    odd.append(UNKNOWN)
    odd.upload()
    broken(other, anna)
    of = till.sell("R-3", 4_200, told(anna))
    till.upload()
    about = {of: {"receipt_id": "R-3", "store_id": "S1", "partner_id": "acme", "business_date": TODAY.isoformat(),
                  "account_id": anna}}  # fmt: skip
    with writing(centre.engine) as tx:
        people.keep(tx, owner, Person(name="Ana Silva", phone="+351 912 345 678", email="ana@example.org"),
                    centre.random, centre.now)  # fmt: skip
        raise_flags(tx, [Flag(of=of, cause="uncovered", figures={"asked": 1_500, "points": 1_000})], about, NOW)
        raise_alarm(tx, "sync.clone", other.head.till_id, NOW)
        revoke_till(tx, stopped.head.till_id, "stolen")
        open_slot(tx, centre.random, store_id="S2", label="Lane 9", now_ms=NOW)
        for seq, (cashier, reason) in enumerate((("4", "Wrong size, tried twice"), ("4", ""), ("5", "Rung up twice"))):
            tx.execute(insert(approval).values(
                till_id=till.head.till_id, epoch=1, seq=100 + seq, store_id="S1", business_date=TODAY.isoformat(),
                kind="return.v1" if seq else "void.v1", receipt_id=f"20260302-lane-0{seq}-00417", cashier=cashier,
                supervisor="91", reason=reason, actions="return_without_receipt" if seq else "void",
            ))  # fmt: skip
    return owner, f"{odd.head.till_id}/1/1", f"{of.till_id}/{of.epoch}/{of.seq}/uncovered/0"
