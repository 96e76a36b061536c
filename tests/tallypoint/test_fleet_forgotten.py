"""Cards that only tills still know after a restore: the fleet's people give them back, and a wrong owner is found."""

import json
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, select, update

from central.database.tables import card, flag
from central.tills import forgotten_cards
from central.worklist.worklist import FlagKey
from tallypoint.fleet import office
from tallypoint.fleet.run import judge
from tallypoint.fleet.world import Fleet, Plan


def played(seed: int = 3) -> Fleet:
    """Three tills that give cards to members, two of whose disks are put back or copied, and a restored head office."""
    fleet = Fleet(Plan(tills=3, transactions=80, seed=seed, faults=("restore", "rewind", "clone")))
    fleet.pace = msgspec.structs.replace(fleet.pace, gap_ms=60_000, wake_ms=0)
    fleet.talk.wake_ms = 0
    for pos in fleet._pos:
        pos.does({"sale": 4, "card": 4, "join": 1})
    fleet.play()
    return fleet


def test_a_person_gives_each_such_card_back_to_whom_it_was() -> None:
    fleet = played()
    assert fleet.talk.seen["forgotten card given"] == 3, fleet.talk.seen
    assert fleet.office.disk.connection.execute(
        "SELECT state, settled_by, count(*) FROM flag WHERE cause = 'card_forgotten' GROUP BY 1, 2"
    ).fetchall() == [("settled", "fleet", 3)]
    assert judge(fleet).violations == ()


def test_one_that_goes_to_somebody_else_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    real = forgotten_cards.give_forgotten

    def give(tx: Connection, key: FlagKey, **how: Any) -> None:
        real(tx, key, **how)
        here = [flag.c[name] == value for name, value in msgspec.structs.asdict(key).items()]
        token = json.loads(tx.execute(select(flag.c.figures).where(*here)).scalar_one())["card_token"]
        owner = tx.execute(select(card.c.account_id).where(card.c.card_token == token)).scalar_one()
        other = tx.execute(select(card.c.account_id).where(card.c.account_id != owner).limit(1)).scalar_one()
        tx.execute(update(card).where(card.c.card_token == token).values(account_id=other))

    monkeypatch.setattr(office, "give_forgotten", give)
    assert any("forgotten, was given to account" in one for one in judge(played()).violations)
