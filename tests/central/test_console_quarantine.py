"""The console's pages of quarantine: from the worklist to the bytes, and each decision as a form."""

from collections.abc import Iterator

import msgspec
import pytest
from flask import Flask
from flask.testing import FlaskClient

from central.coalition.streams import revoke_till
from central.intake.quarantine import items
from central.ports import reading, writing
from central.verify.books import verify_books
from loyalty.facts.events import encode
from loyalty.facts.return_voids import close_return_void
from tests.central.test_console import page, send, signed_in, words
from tests.central.test_console_corrections import app as office_app
from tests.central.test_quarantine import UNKNOWN, broken, lots
from tests.central.test_return_voids import back
from tests.central.tills import Centre, told

app = office_app  # ana and bea of head office, finn of a partner


@pytest.fixture
def ana(app: Flask) -> Iterator[FlaskClient]:
    yield signed_in(app, "ana")


def test_an_event_is_found_from_the_worklist_fixed_by_one_and_approved_by_another(
    centre: Centre, app: Flask, ana: FlaskClient
) -> None:
    anna = centre.member()
    ref, right = broken(centre.till(), anna)
    assert "Quarantine: 1 kept out of the books" in words(page(ana, "/worklist"))
    name = f"{ref.till_id}/1/1"
    assert f"/console/quarantine/{name}" in page(ana, f"/worklist/{name}/event.out_of_range/0")
    assert "1000000000000" in page(ana, f"/quarantine/{name}")
    fact = encode(right).decode()
    answer = send(ana, f"/quarantine/fix/{name}", fact=fact, reason="wrong_figures", note="mended", id="f1")
    assert (answer.status_code, answer.location) == (303, "/console/corrections")
    assert "another person of head office has to approve it" in words(page(ana, "/corrections"))
    bea = signed_in(app, "bea")
    assert "Event of quarantine" in words(page(bea, "/corrections"))
    assert send(bea, "/corrections/f1/approve").status_code == 303
    assert lots(centre, anna) == 40
    assert "fixed bea mended" in words(page(ana, "/quarantine?state=decided"))
    assert verify_books(centre.engine).violations == ()


def test_a_void_of_a_return_is_fixed_from_the_form_as_any(centre: Centre, app: Flask, ana: FlaskClient) -> None:
    anna, till = centre.member(), centre.till()
    sold = till.receipt("R1", 10_000, told(anna))
    returned, at = back(till, "B1", till.append(sold), sold, 250)
    right = close_return_void(returned, at, till.place())
    till.append(msgspec.structs.replace(right, net_minor=10**14))
    till.upload()
    name = f"{at.till_id}/1/3"
    assert "the void of either" in words(page(ana, f"/quarantine/{name}"))
    answer = send(ana, f"/quarantine/fix/{name}", fact=encode(right).decode(), reason="wrong_figures", id="f1")
    assert answer.status_code == 303
    assert send(signed_in(app, "bea"), "/corrections/f1/approve").status_code == 303
    assert lots(centre, anna) == 100


def test_it_is_written_off_with_a_reason_and_replayed_only_if_it_can_be_read(centre: Centre, ana: FlaskClient) -> None:
    till = centre.till()
    ref = till.append(UNKNOWN)
    till.upload()
    name = f"{ref.till_id}/1/1"
    assert "cannot post it either" in words(send(ana, f"/quarantine/replay/{name}").get_data(as_text=True))
    assert send(ana, "/quarantine/replay").status_code == 303
    assert send(ana, f"/quarantine/write-off/{name}", note=" ").status_code == 422
    assert send(ana, f"/quarantine/write-off/{name}", note="a test <b>till</b>").status_code == 303
    assert "a test &lt;b&gt;till&lt;/b&gt;" in page(ana, "/quarantine?state=decided")
    with reading(centre.engine) as tx:
        assert items(tx) == []


def test_a_partner_sees_nothing_of_it(app: Flask) -> None:
    finn = signed_in(app, "finn")
    assert finn.get("/console/quarantine").status_code == 403
    assert send(finn, "/quarantine/replay").status_code == 403


def test_a_till_revoked_by_mistake_is_taken_back_in_from_the_page_of_tills(
    centre: Centre, app: Flask, ana: FlaskClient
) -> None:
    anna, till = centre.member(), centre.till()
    assert "revoked" not in page(ana, "/tills")
    with writing(centre.engine) as tx:
        revoke_till(tx, till.head.till_id, "stolen, <b>we</b> thought")
    till.sell("R1", 4_000, told(anna))
    till.send(till.batch())
    shown = page(ana, "/tills")
    assert "Lane was revoked" in words(shown) and "Uploads kept apart 1" in words(shown)
    assert "stolen, &lt;b&gt;we&lt;/b&gt; thought" in shown
    address = f"/tills/{till.head.till_id}/1/reinstate"
    assert f'action="/console{address}"' in shown
    assert send(signed_in(app, "finn"), address, note="x", id="r0").status_code == 403
    answer = send(ana, address, note="it stood in the back room", id="r1")
    assert (answer.status_code, answer.location) == (303, "/console/corrections")
    bea = signed_in(app, "bea")
    waits = words(page(bea, "/corrections"))
    assert "Till revoked by mistake, 40 points" in waits
    assert "40 points of 1 account. 1 event kept apart would be booked." in waits
    assert send(bea, "/corrections/r1/approve").status_code == 303
    assert lots(centre, anna) == 40
    assert "was revoked" not in words(page(ana, "/tills"))
    assert verify_books(centre.engine).violations == ()
