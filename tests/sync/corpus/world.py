"""The centre that a frozen corpus was made with: fixed keys, slots and accounts, and what its ledger comes to."""

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import select

from central.coalition.programmes import publish
from central.coalition.registry import load_coalition
from central.coalition.slots import NewSlot
from central.database import tables as t
from central.database.rows import put
from central.migrations import upgrade
from central.ports import open_engine, reading, writing
from central.tills.store import SqlCentreStore
from loyalty.cards.cards import CardRules, card_token, read_card
from sync.centre_session import CentreSession
from sync.enrolment import CODE_TTL_MS, code_hash, show_code
from sync.keys import Signer
from sync.versions import OURS, Versions
from tests.central.tills import ANNA, BEN, CARD_KEY, NOW, Centre, Drawn

FOLDER = Path(__file__).parent
V1 = FOLDER / "v1"
ACCOUNTS = {ANNA: 1001, BEN: 1002}


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One request and what it was answered: bytes in `NNN.ask` and `NNN.answer` beside the list."""

    n: int
    path: str
    now_ms: int
    status: int
    says: str


class Corpus(msgspec.Struct, frozen=True, kw_only=True):
    """The list of a frozen corpus: `digest` is of the ledger once all requests were answered in turn."""

    digest: str
    exchanges: tuple[Exchange, ...]


class FixedCentre(Centre):
    """A centre whose slots and accounts are those of the corpus, whatever else it draws."""

    def __init__(self, url: str, coalition: dict[str, Any], programme: bytes, versions: Versions = OURS) -> None:
        self.now = NOW
        self.random = Drawn("corpus")
        self.engine = open_engine(url)
        upgrade(self.engine)
        self.signer = Signer(b"C" * 32)
        self.store = SqlCentreStore(self.engine, self.random, card_key=CARD_KEY)
        self.session = CentreSession(self.signer, self.random.bytes, versions)
        rules = msgspec.convert(json.loads(programme)["cards"], CardRules)
        with writing(self.engine) as tx:
            load_coalition(tx, coalition, NOW)
            publish(tx, programme, NOW)
            for number, account_id in ACCOUNTS.items():
                read: Any = read_card(rules, number)
                put(tx, t.account, [{"account_id": account_id, "created_at_ms": NOW}])
                put(tx, t.member, [{"account_id": account_id, "home_store_id": "S1"}])
                put(tx, t.card, [{"card_token": card_token(CARD_KEY, read), "account_id": account_id,
                                  "kind": read.kind, "since_ms": NOW}])  # fmt: skip
            for n, store_id in ((1, "S1"), (2, "S2")):
                fixed_slot(tx, n, store_id)


def fixed_slot(tx: Any, n: int, store_id: str) -> NewSlot:
    """The place of one of the corpus' tills; told again where it is there."""
    till_id, code = f"{n:x}" * 32, show_code(bytes([n]) * 10)
    put(tx, t.till, [{"till_id": till_id, "store_id": store_id, "label": f"Lane {n}"}], "nothing")
    row = {"code_hash": code_hash(code), "till_id": till_id, "epoch": 1, "key_no": 1,
           "genesis": f"{n:x}" * 64, "expires_ms": NOW + CODE_TTL_MS}  # fmt: skip
    put(tx, t.slot, [row], "nothing")
    return NewSlot(till_id=till_id, code=code, expires_ms=NOW + CODE_TTL_MS)


def ledger_digest(centre: Centre) -> str:
    """SHA-256 over every posting, lot, debt and event of the tills, in an order of their own."""
    e, p = t.event.c, t.posting.c
    queries = (
        select(*[one for one in p]),
        select(t.lot.c.account_id, t.lot.c.valid_through, t.lot.c.issuer_id, t.lot.c.terms_id, t.lot.c.points),
        select(t.debt.c.account_id, t.debt.c.issuer_id, t.debt.c.points),
        select(e.till_id, e.epoch, e.seq, e.kind, e.state, e.reason, e.receipt_id, e.account_id, e.account_version),
    )
    with reading(centre.engine) as tx:
        rows = [sorted([list(row) for row in tx.execute(query)], key=repr) for query in queries]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def read_corpus(folder: Path = V1) -> tuple[Corpus, dict[str, Any], bytes]:
    """The list, the coalition and the programme of a frozen corpus."""
    listed = msgspec.json.decode((folder / "corpus.json").read_bytes(), type=Corpus)
    return listed, json.loads((folder / "coalition.json").read_bytes()), (folder / "programme.json").read_bytes()
