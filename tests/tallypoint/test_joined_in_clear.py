"""Somebody joins, is looked for, claims: nothing of who they are, and no card number, stands anywhere in clear."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from central.intake.consents import consents_of
from central.members.members import account_of
from central.ports import reading
from sync.desk import DESK_PATH
from tests.tallypoint.test_nothing_in_clear import ANNA, SECRETS, Shop, leaks, opened, plain_parts, sale, written

WHO = {"name": "Perpetua Ravenscroft", "phone": "+351933777111", "email": "perpetua@ravenscroft.example"}
PRINTED = "2900000000049"  # check digit worked out by hand


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with opened(tmp_path) as made:
        yield made


def test_a_member_who_joins_is_nowhere_in_clear(shop: Shop) -> None:
    shop.wait(lambda: shop.ask("GET", "/v1/balance", card=ANNA).ok and not shop.service.uplink.is_offline())
    line = shop.service.counter_line
    assert line is not None
    line.keep()
    joined = shop.ask("POST", "/v1/members", {"enrol_id": "E-1", "person": WHO, "asked_on": "kiosk"})
    assert joined.status_code == 201, joined.text
    number, token = joined.json()["card_number"], joined.json()["card_token"]
    assert shop.ask("POST", "/v1/members", {"enrol_id": "E-2", "person": WHO, "card": PRINTED}).status_code == 201
    assert shop.ask("POST", "/v1/receipts", sale("R-1", number)).status_code == 201
    assert shop.ask("POST", "/v1/receipts", sale("R-2", None)).status_code == 201
    replaced = shop.ask("POST", "/v1/cards", {"card_id": "C-1", "what": "replace", "old_card": ANNA, "reason": "lost"})
    assert replaced.status_code == 201
    assert shop.ask("POST", "/v1/claims", {"claim_id": "L-1", "card": number, "receipt_id": "R-2"}).status_code == 201
    # Not asked for as it should be: the refusals and their logs say nothing either.
    shop.ask("POST", "/v1/members", {"enrol_id": "E-3", "person": {**WHO, "shoe": WHO["name"]}})
    shop.ask("POST", "/v1/members", {"enrol_id": "E-1", "person": {**WHO, "name": "Perpetua R."}})
    shop.ask("POST", "/v1/members", WHO)
    shop.wait(lambda: not shop.service.journal.backlog())
    line.keep()
    assert shop.service.journal.members.sealed_waiting(9) == []
    found = shop.ask("POST", "/v1/members/find", {"phone": WHO["phone"]}).json()["found"]
    assert {one["card_token"] for one in found} >= {token}
    with reading(shop.world.engine) as tx:
        owner = account_of(tx, token)
        assert shop.world.people.read(tx, owner).name == WHO["name"]
        assert consents_of(tx, owner) == ()
    shop.service.stop()
    assert any(place == f"sent to {DESK_PATH}" for place, _ in shop.sent)
    secrets = (*SECRETS, *WHO.values(), "Ravenscroft", "933777111", PRINTED, number, replaced.json()["card_number"])
    assert leaks([*written(shop.folder), *shop.sent], secrets) == set()
    assert leaks(written(shop.world.folder), secrets) == set()
    batches = [body for place, body in shop.sent if place.startswith("sent to /sync/v1/batches")]
    assert any(b'"enrolment.v1"' in part for body in batches for part in plain_parts(body))
