"""The console's page of tills: a code that is shown once, as text and as a QR code that reads the same."""

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient

from central.coalition.tickets import ticket_ansi, ticket_svg
from central.console.base import Console
from central.console.console import console_pages
from central.keys.card_keys import make_card_key
from central.login import Logins, create_user
from central.ports import Settings
from sync.enrolment import comparison_code, fingerprint, make_claim, read_identity
from sync.keys import Signer
from sync.refusals import BadCode
from sync.tickets import read_ticket, show_ticket
from sync.wire import ENROL_PATH
from tests.central.settling import FixedClock
from tests.central.test_console import PASSWORD, page, send, signed_in, words
from tests.central.tills import NOW, Centre


@pytest.fixture
def app(centre: Centre) -> Iterator[Flask]:
    quick, clock = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1), FixedClock(NOW)
    for login, role, partner in (("ana", "head_office", ""), ("finn", "partner_finance", "bolt")):
        create_user(
            centre.engine, now_ms=NOW, randomness=centre.random, login=login, password=PASSWORD, role=role,
            partner_id=partner, hasher=quick,
        )  # fmt: skip
    logins = Logins(centre.engine, clock, centre.random, quick)
    made = Flask("test")
    console = Console(
        centre.engine, clock, centre.random, logins, False,
        centre_public=centre.signer.public, public_url="https://office.example",
    )  # fmt: skip
    made.register_blueprint(console_pages(console))
    yield made


@pytest.fixture
def ana(app: Flask) -> FlaskClient:
    return signed_in(app, "ana")


def test_a_code_is_shown_once_and_enrols_a_machine_that_shows_the_same_digits(centre: Centre, ana: FlaskClient) -> None:
    answer = send(ana, "/tills", store_id="S1", label="Lane 7")
    shown = answer.get_data(as_text=True)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    code = re.search(r"<code>(\w{4}-\w{4}-\w{4}-\w{4})</code>", shown)[1]  # type: ignore[index]
    assert fingerprint(centre.signer.public) in shown
    assert code not in page(ana, "/tills")
    secret, key = b"x" * 32, Signer(b"k" * 32)
    claim = make_claim(code, key, secret, install_id="m1", version="1", at_ms=NOW)
    said = centre.session.answer(NOW, ENROL_PATH, claim, centre.store)
    identity = read_identity(said.body, claim, secret, fingerprint(centre.signer.public))
    digits = comparison_code(key.public, identity.centre_public_key)
    assert f"Lane 7 S1 active never – – – – 1 {digits}" in words(page(ana, "/tills"))


def test_the_page_shows_what_a_till_has_to_send_its_gaps_clock_and_disk(centre: Centre, ana: FlaskClient) -> None:
    till = centre.till()
    till.sell("R1", 1_000)
    till.upload()
    till.sell("R2", 1_000)
    till.hello(oldest_unsent_s=7_200, disk_free_mb=12_345)
    shown = words(page(ana, "/tills"))
    assert "Last heard Waiting there Missing here Clock error Disk free Key Compare" in shown
    # One event that is not here and has waited for two hours; the first was sent at the centre's own time.
    assert re.search(r"active just now 1 for 2 h 1 0\.0 s 12\.3 GB 1 \d{3} \d{3}", shown), shown


def test_the_page_says_which_till_lacks_the_newest_card_key_once_there_are_several(
    centre: Centre, ana: FlaskClient, tmp_path: Path
) -> None:
    till = centre.till()
    till.hello()
    assert "Card keys" not in page(ana, "/tills")
    make_card_key(Settings(data_dir=str(tmp_path / "keys")), centre.engine, centre.random, NOW)
    assert "1 (not 2 yet)" in words(page(ana, "/tills"))
    till.hello(card_keys=("1", "2"))
    shown = words(page(ana, "/tills"))
    assert "not 2 yet" not in shown and "1, 2" in shown


def test_the_page_draws_the_ticket_of_that_very_code(ana: FlaskClient, centre: Centre) -> None:
    shown = send(ana, "/tills", store_id="S1", label="Lane 7").get_data(as_text=True)
    code = re.search(r"<code>(\w{4}-\w{4}-\w{4}-\w{4})</code>", shown)[1]  # type: ignore[index]
    drawn = ticket_svg(show_ticket(code, fingerprint(centre.signer.public), "https://office.example"))
    assert drawn.strip() in shown
    assert "style=" not in drawn


def test_a_drawing_is_black_on_white_with_room_around_it() -> None:
    ticket = show_ticket("0000-0000-0000-0000", "1111-1111-1111-1111")
    root = ElementTree.fromstring(ticket_svg(ticket))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    lines = ticket_ansi(ticket).strip("\n").splitlines()
    assert len(lines) > 15 and len({len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines}) == 1


def test_a_ticket_is_read_back_and_anything_else_is_refused() -> None:
    text = show_ticket("ABCD-EFGH-JKMN-PQRS", "0123-4567-89AB-CDEF", "https://office.example")
    ticket = read_ticket(f" {text}\n")
    assert (ticket.code, ticket.fpr, ticket.url) == (
        "ABCD-EFGH-JKMN-PQRS", "0123-4567-89AB-CDEF", "https://office.example"
    )  # fmt: skip
    for bad in ("", "{}", "[1]", "\0", text.replace('"v":1', '"v":2'), text.replace("ABCD", "AB"), text[:-1]):
        with pytest.raises(BadCode):
            read_ticket(bad)


def test_a_label_or_store_that_makes_no_sense_is_refused(ana: FlaskClient) -> None:
    assert send(ana, "/tills", store_id="S1", label=" ").status_code == 400
    assert send(ana, "/tills", store_id="S9", label="x").status_code == 404
    assert send(ana, "/tills", store_id="S1", label="x", till_id="0" * 32).status_code == 404


def test_a_partner_makes_no_codes(app: Flask) -> None:
    finn = signed_in(app, "finn")
    assert finn.get("/console/tills").status_code == 403
    assert send(finn, "/tills", store_id="S2", label="x").status_code == 403
