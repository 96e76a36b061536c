"""A crowd of tills at a few members' accounts, all at once, while the centre keeps house: everything adds up."""

import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from central import ports
from central.database import tables as t
from central.ports import SystemClock
from central.recomputing.recompute import recompute_pending
from central.streams.sealing import Sealer
from central.verify.books import verify_books
from sync.keys import one_key
from sync.wire import Ack, Problem
from tests.central.tills import Centre, Till, told

pytestmark = pytest.mark.postgresql

TILLS, ROUNDS, SALES = 32, 4, 6
LONGEST_S = 25
# EAN-13 numbers of the programme's range, check digits worked out by hand.
CARDS = ("2900000000018", "2900000000025", "2900000000032", "2900000000049")


@pytest.fixture
def centre(lent_postgres: str) -> Iterator[Centre]:
    made = Centre(lent_postgres)
    yield made
    made.engine.dispose()


def batches_of(till: Till, members: list[int], dice: random.Random) -> list[bytes]:
    """Sales to whoever comes, some paid with points, and some of their goods brought back; sealed, ready to send."""
    sealed = []
    for n in range(ROUNDS):
        for i in range(SALES):
            who = told(dice.choice(members), balance=100)
            receipt = till.receipt(f"R{n}.{i}", dice.randint(1, 90) * 100, who, spend=dice.choice((0, 0, 5)))
            ref = till.append(receipt)
            if dice.random() < 0.3:
                till.take_back(f"B{n}.{i}", ref, receipt, 500)
        sealed.append(till.batch())
        till.sent = till.head.seq
    return sealed


def keep_house(centre: Centre, stop: threading.Event) -> int:
    """Seal, number and recompute for as long as tills send; how many blocks that made."""
    sealer, made = Sealer(centre.engine, centre.signer, SystemClock()), 0
    while not stop.is_set():
        made += bool(sealer.seal())
        centre.store.stamp()
        recompute_pending(centre.engine, 50, centre.now)
        time.sleep(0.05)
    return made + bool(sealer.seal())


def test_a_crowd_of_tills_at_few_accounts_loses_nothing(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    replayed: list[str] = []
    may_replay = ports._may_replay

    def noted(trouble: DBAPIError) -> bool:
        replayed.append(str(getattr(trouble.orig, "sqlstate", None)))
        return may_replay(trouble)

    monkeypatch.setattr(ports, "_may_replay", noted)
    members = [centre.member(number) for number in CARDS]
    tills = [centre.till(f"S{1 + n % 3}") for n in range(TILLS)]
    batches = [batches_of(till, members, random.Random(n)) for n, till in enumerate(tills)]
    stop = threading.Event()

    def send_all(n: int) -> list[Ack | Problem]:
        return [tills[n].send(data) for data in batches[n]]

    begun = time.monotonic()
    with ThreadPoolExecutor(TILLS + 1) as pool:
        house = pool.submit(keep_house, centre, stop)
        try:
            answers = [one for sent in pool.map(send_all, range(TILLS)) for one in sent]
        finally:
            stop.set()
    assert time.monotonic() - begun < LONGEST_S
    assert house.result() >= 1

    assert [one for one in answers if not isinstance(one, Ack)] == []
    assert set(replayed) <= ports.REPLAYED_STATES
    assert waiting_for_locks(centre) == 0
    assert gaps(centre) == []
    assert lots_kept(centre) == lots_posted(centre)
    sold = centre.rows(select(func.count()).where(t.event.c.kind == "receipt.v1", t.event.c.state == "posted"))
    assert sold == [(TILLS * ROUNDS * SALES,)]
    assert centre.rows(select(func.count()).where(t.posting.c.target == "redeemed"))[0][0] > 50
    assert verify_books(centre.engine, one_key(centre.signer.public)).violations == ()


def waiting_for_locks(centre: Centre) -> int:
    ((waiting,),) = centre.rows(text("SELECT count(*) FROM pg_locks WHERE NOT granted"))
    return int(waiting)


def gaps(centre: Centre) -> list[int]:
    """Accounts whose versions are not 1, 2, 3 … up to the account's own, one for each event."""
    own = defaultdict(list)
    for account_id, version in centre.rows(select(t.event.c.account_id, t.event.c.account_version)):
        own[account_id].append(version)
    versions = dict(centre.rows(select(t.account.c.account_id, t.account.c.version)))
    return [one for one, version in versions.items() if sorted(own[one]) != list(range(1, version + 1))]


Lots = dict[tuple[int, str, str, str], int]


def lots_kept(centre: Centre) -> Lots:
    columns = (t.lot.c.account_id, t.lot.c.valid_through, t.lot.c.issuer_id, t.lot.c.terms_id, t.lot.c.points)
    return {tuple(key): points for *key, points in centre.rows(select(*columns)) if points}  # type: ignore[misc]


def lots_posted(centre: Centre) -> Lots:
    """Lots as the sum of every posting into them less every posting out of them."""
    p, sums = t.posting.c, defaultdict(int)
    columns = (p.account_id, p.valid_through, p.issuer_id, p.terms_id, p.source, p.target, p.amount)
    for *key, source, target, amount in centre.rows(select(*columns).where(p.unit == "point")):
        sums[tuple(key)] += amount * ((target == "available") - (source == "available"))
    return {key: points for key, points in sums.items() if points}  # type: ignore[misc]
