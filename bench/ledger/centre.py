"""A centre over a database, and tills that are enrolled with it: in every database the same, by drawn keys.

So a batch that was sealed once is taken by any of them.
"""

import hashlib
from typing import Any

import msgspec
from sqlalchemy import Engine

from bench.goods import PLACE, basket
from bench.programmes import programme
from central.coalition.programmes import current_programme, publish
from central.coalition.registry import load_coalition
from central.coalition.slots import open_slot
from central.leases.granting import top_up
from central.migrations import upgrade
from central.ports import SystemRandomness, open_engine, writing
from central.tills.store import SqlCentreStore
from loyalty.programme.programme import Programme, canonical, programme_from
from sync.centre_session import CentreSession
from sync.enrolment import fingerprint, make_claim, read_identity
from sync.keys import Signer
from sync.wire import BATCH_PATH, ENROL_PATH

NOW_MS = PLACE.sold_at_ms
CARD_KEY = bytes(range(32))
PROMOTIONS = 20
# Two partners, so that lots have issuers; a point is worth a cent.
COALITION: dict[str, Any] = {
    "currency": "EUR",
    "partners": [
        {
            "partner_id": "acme",
            "stores": [{"store_id": "S1"}],
            "terms": [{"terms_id": "acme-1", "from_on": "2020-01-01", "funding_micro": 10_000}],
        },
        {
            "partner_id": "bolt",
            "stores": [{"store_id": "S2"}],
            "terms": [{"terms_id": "bolt-1", "from_on": "2020-01-01", "funding_micro": 9_000}],
        },
    ],
}
SPENDING = {
    "step_points": 1,
    "step_minor": 1,
    "offline": {"sale_points": 500, "card_points": 1_000, "till_points": 1_000_000},
}


class NotTaken(Exception):
    """A centre refused what it should have taken; what is measured would be worth nothing."""


class Seat(msgspec.Struct, frozen=True, kw_only=True):
    """An enrolled till: who it is, and its keys."""

    till_id: str
    genesis: bytes
    signer: Signer


class Centre:
    """Engine, store and session as the service puts them together."""

    def __init__(self, url: str) -> None:
        self.engine: Engine = open_engine(url)
        self.store = SqlCentreStore(self.engine, SystemRandomness(), card_key=CARD_KEY)
        self.signer = Signer(b"C" * 32)
        self.session = CentreSession(self.signer, SystemRandomness().bytes)

    def begin(self, tills: int) -> list[Seat]:
        """Schema, coalition, programme, and so many tills, each with its float."""
        upgrade(self.engine)
        with writing(self.engine) as tx:
            load_coalition(tx, COALITION, NOW_MS)
            publish(tx, canonical(rules()), NOW_MS)
        return [self._enrol(number) for number in range(tills)]

    def take(self, data: bytes) -> None:
        """A batch, from the bytes on the wire to the commit and the signed answer. Raises: NotTaken."""
        answer = self.session.answer(NOW_MS, BATCH_PATH, data, self.store)
        if answer.status != 200:
            raise NotTaken(f"{answer.status}: {answer.body!r}")

    def close(self) -> None:
        """Let the database go."""
        self.engine.dispose()

    def _enrol(self, number: int) -> Seat:
        drawn = Drawn(f"till {number}")
        with writing(self.engine) as tx:
            slot = open_slot(tx, drawn, store_id=PLACE.store_id, label=str(number), now_ms=NOW_MS)
        secret, exchange = drawn.bytes(32), drawn.bytes(32)
        claim = make_claim(slot.code, Signer(secret), exchange, install_id="bench", version="1", at_ms=NOW_MS)
        answer = self.session.answer(NOW_MS, ENROL_PATH, claim, self.store)
        if answer.status != 200:
            raise NotTaken(f"{answer.status}: {answer.body!r}")
        identity = read_identity(answer.body, claim, exchange, fingerprint(self.signer.public))
        with writing(self.engine) as tx:
            top_up(tx, current_programme(tx), identity.till_id, identity.epoch, NOW_MS, SystemRandomness())
        return Seat(
            till_id=identity.till_id, genesis=bytes.fromhex(identity.genesis), signer=Signer(secret, identity.key_no)
        )


class Drawn:
    """Bytes that are the same in every run, and never twice the same in one."""

    def __init__(self, seed: str) -> None:
        self._seed, self._count = seed, 0

    def bytes(self, n: int) -> bytes:
        self._count += 1
        return hashlib.shake_256(f"{self._seed}:{self._count}".encode()).digest(n)


def rules() -> Programme:
    """A programme of twenty promotions, ten of which concern a basket like the first; points may be spent."""
    drawn = msgspec.to_builtins(programme("sparse", PROMOTIONS, basket(10)))
    return programme_from({**drawn, "spending": SPENDING})
