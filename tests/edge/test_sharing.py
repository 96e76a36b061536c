"""Rights between tills of a store: off one disk before they are on another, whatever the LAN does to the messages."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.cache.cache import Cache
from edge.identity import TillIdentity
from edge.journal.giving_back import give_back
from edge.journal.journal import Journal
from edge.line.http_line import HttpLine
from edge.line.sharing import Sharing
from edge.parking.lan import lan_app
from edge.ports import Settings
from edge.sale.till import Till
from edge.web.server import WebServer
from loyalty.facts.lease_events import LeaseMoved
from loyalty.facts.receipts import Receipt
from loyalty.lots import LotKey, Slice, points_in
from loyalty.pricing.leases import NotEnoughPoints
from loyalty.programme.programme import read_programme
from sync.framing import pack
from sync.keys import Signer
from sync.refusals import BadSignature
from sync.rights import RIGHTS_PATH, RightsAsk, pack_rights
from sync.transport import LineDown
from sync.wire import GRANT_TAG, Answer, Grant, Peer, SignedGrant
from tests.edge.conftest import FakeClock
from tests.edge.counter import ACCOUNTS, CENTRE, PROGRAMME, commit, hold, identity, line, published, sale

ANAS = ACCOUNTS["ana"][0]
TILLS = ("11" * 16, "22" * 16, "33" * 16)
LOT = LotKey(valid_through=date(2026, 12, 31), issuer_id="fresh", terms_id="t")


class Shop:
    """Three tills of one store; messages go as the test says: `bent` takes (url, body, exchange). Only with a folder
    can one be enrolled anew."""

    def __init__(self, folder: Path | None = None) -> None:
        self.clock, self.folder = FakeClock(), folder
        self.bent: Callable[..., Answer] = lambda url, body, exchange: exchange(url, body)
        self.identities = {till_id: _identity(till_id, n) for n, till_id in enumerate(TILLS)}
        self.peers = {
            till_id: Peer(till_id=till_id, epoch=1, key_no=1, public=one.signer.public, address=f"{till_id}:1")
            for till_id, one in self.identities.items()
        }
        self.journals: dict[str, Journal] = {}
        self.sharing: dict[str, Sharing] = {}
        for one in TILLS:
            self.open(one)
        self.introduce()
        self.granted = 0

    def open(self, till_id: str) -> None:
        path = self.folder / f"{till_id}.db" if self.folder else ":memory:"
        self.journals[till_id] = Journal.open(path, self.identities[till_id], self.clock)
        self.sharing[till_id] = Sharing(self.journals[till_id], self.identities[till_id], self.clock, self._carry)

    def introduce(self) -> None:
        for one, journal in self.journals.items():
            with journal.writing():
                journal.transfers.take_peers([peer for till_id, peer in self.peers.items() if till_id != one])

    def enrol_anew(self, till_id: str) -> None:
        """The same machine begins its second epoch, and head office has told the others."""
        self.journals[till_id].close()
        granted = msgspec.structs.replace(self.identities[till_id].granted, epoch=2)
        self.identities[till_id] = msgspec.structs.replace(self.identities[till_id], granted=granted)
        self.peers[till_id] = msgspec.structs.replace(self.peers[till_id], epoch=2)
        self.open(till_id)
        self.introduce()

    def _carry(self, url: str, body: bytes, deadline_ms: int) -> Answer:
        return self.bent(url, body, self.deliver)

    def deliver(self, url: str, body: bytes) -> Answer:
        return Answer(status=200, body=self.sharing[url.split("/")[2].split(":")[0]].answer(body))

    def till(self, till_id: str) -> Till:
        cache = Cache.open(":memory:", self.identities[till_id], self.clock, on_swap=lambda: None)
        cache.load_programme(read_programme(PROGRAMME))
        cache.load_members([published("ana", points=100_000)])
        return Till(
            journal=self.journals[till_id], cache=cache, clock=self.clock, settings=Settings(data_dir="-"),
            identity=self.identities[till_id], ask_peers=self.sharing[till_id].ask,
        )  # fmt: skip

    def grant(self, till_id: str, points: int, grant_no: int = 1, spend_for_s: int = 172_800) -> None:
        now, epoch = self.clock.now(), self.identities[till_id].epoch
        lease_id = f"lease:{till_id}" if epoch == 1 else f"lease:{till_id}:{epoch}"
        grant = Grant(
            lease_id=lease_id, grant_no=grant_no, till_id=till_id, epoch=epoch, key_no=1, account_id=ANAS,
            points=points, spend_for_s=spend_for_s, settle_until_ms=now.wall_ms + 900_000_000,
            granted_at_ms=now.wall_ms, kind="lease",
            slices=(Slice(key=LOT, points=points),),
        )  # fmt: skip
        with self.journals[till_id].writing():
            self.journals[till_id].promises.take_grants([SignedGrant(grant=grant, signed=b"signed")], now)
        self.granted += points

    def left(self, till_id: str) -> int:
        leases = self.journals[till_id].promises.leases.of_account(ANAS, self.clock.now(), 0)
        return sum(points_in(one.slices) for one in leases)

    def under_way(self) -> int:
        """Points that left a till and are not on another's disk, as the events tell."""
        moved = [one for journal in self.journals.values() for one in self.events(journal)]
        return sum({"sent": 1, "received": -1}.get(one.what, 0) * points_in(one.slices) for one in moved)

    def events(self, journal: Journal) -> list[LeaseMoved]:
        return [entry.event for entry in journal.entries_after(0) if isinstance(entry.event, LeaseMoved)]


def _identity(till_id: str, n: int) -> TillIdentity:
    return msgspec.structs.replace(identity(till_id=till_id), seed=f"{n + 1:02x}" * 32)


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_a_till_short_of_rights_gets_them_from_the_one_that_has_them(shop: Shop) -> None:
    one, two, _ = TILLS
    shop.grant(two, 700)
    till = shop.till(one)
    held = till.hold(hold("h1", 600))
    assert (held.points, held.authority) == (600, "lease")
    assert (shop.left(one), shop.left(two), shop.under_way()) == (600, 100, 0)
    paid = till.commit(commit("r1", sale(line(1, "bread", 100_000), points=600, hold_id="h1"))).receipt.redemption
    assert (paid.authority, paid.lease_id, points_in(paid.slices)) == ("lease", f"lease:{two}", 600)
    assert [(event.what, event.other_till, event.other_seq) for event in shop.events(shop.journals[two])] == [
        ("sent", one, 0)
    ]
    assert [(event.what, event.other_till, event.other_seq) for event in shop.events(shop.journals[one])] == [
        ("received", two, 1)
    ]
    assert shop.journals[two].transfers.unconfirmed() == []


def test_rights_that_would_not_do_for_the_sale_stay_where_they_are(shop: Shop) -> None:
    one, two, three = TILLS
    shop.grant(two, 300)
    shop.grant(three, 650)
    assert shop.sharing[one].ask(ANAS, 600, least=600) == 600
    assert [shop.left(each) for each in TILLS] == [600, 300, 50]
    assert shop.sharing[one].ask(ANAS, 900, least=900) == 0
    assert shop.sharing[one].ask(ANAS, 900, least=1) == 300  # the first that has any


def test_points_that_an_open_sale_holds_are_not_given_away(shop: Shop) -> None:
    one, two, _ = TILLS
    shop.grant(two, 700)
    shop.till(two).hold(hold("h2", 500))
    assert shop.sharing[one].ask(ANAS, 700, least=1) == 200


def test_without_peers_that_answer_the_till_says_what_it_has(shop: Shop) -> None:
    one, two, _ = TILLS
    shop.grant(two, 700)

    def down(*_: object) -> Answer:
        raise LineDown("down")

    shop.bent = down
    with pytest.raises(NotEnoughPoints):
        shop.till(one).hold(hold("h1", 600))
    assert (shop.left(two), shop.under_way()) == (700, 0)


def test_an_answer_that_is_lost_comes_again_and_counts_once(shop: Shop) -> None:
    one, two, _ = TILLS
    shop.grant(two, 700)

    def lost(url: str, body: bytes, exchange: Callable[[str, bytes], Answer]) -> Answer:
        exchange(url, body)
        raise LineDown("down")

    shop.bent = lost
    assert shop.sharing[one].ask(ANAS, 400, least=1) == 0
    assert (shop.left(one), shop.left(two), shop.under_way()) == (0, 300, 400)
    shop.bent = lambda url, body, exchange: exchange(url, body)
    assert shop.sharing[two].send_again() == 1
    assert shop.sharing[two].send_again() == 0
    assert (shop.left(one), shop.left(two), shop.under_way()) == (400, 300, 0)


def test_a_stranger_and_a_message_for_another_till_get_nothing(shop: Shop) -> None:
    one, two, three = TILLS
    shop.grant(two, 700)
    ask = RightsAsk(till_id=one, epoch=1, key_no=1, to_till=two, to_epoch=1, sent_at_ms=0, ask_id="a", account_id=ANAS,
                    points=100)  # fmt: skip
    with pytest.raises(BadSignature):
        shop.sharing[two].answer(pack_rights(ask, Signer(b"x" * 32)))
    with pytest.raises(BadSignature):
        stranger = msgspec.structs.replace(ask, till_id="44" * 16)
        shop.sharing[two].answer(pack_rights(stranger, shop.identities[one].signer))
    strangers: list[int] = []
    door = lan_app(shop.sharing[three], on_stranger=lambda: strangers.append(1)).test_client()
    answer = door.post(RIGHTS_PATH, data=pack_rights(ask, shop.identities[one].signer))
    assert (answer.status_code, answer.text, strangers) == (403, "sync.bad_envelope", [])
    answer = door.post(RIGHTS_PATH, data=pack_rights(stranger, shop.identities[one].signer))
    assert (answer.status_code, answer.text, strangers) == (403, "sync.bad_signature", [1])
    assert shop.left(two) == 700


@pytest.mark.parametrize("anew", [TILLS[:1], TILLS[1:2], TILLS[:2]])
def test_tills_share_on_after_one_of_them_was_enrolled_anew(tmp_path: Path, anew: tuple[str, ...]) -> None:
    """The numbers of what is sent begin at 1 again with each epoch."""
    one, two, _ = TILLS
    shop = Shop(tmp_path)
    shop.grant(two, 700)
    assert shop.sharing[one].ask(ANAS, 400, least=400) == 400
    for till_id in anew:
        shop.enrol_anew(till_id)
    shop.grant(two, 500, grant_no=2)
    before = shop.left(one)
    assert shop.sharing[one].ask(ANAS, 500, least=500) == 500
    assert shop.left(one) - before == 500
    assert shop.journals[two].transfers.unconfirmed() == []
    (sent,) = [one.receipt_id for one in shop.events(shop.journals[two]) if points_in(one.slices) == 500]
    (received,) = [one.receipt_id for one in shop.events(shop.journals[one]) if points_in(one.slices) == 500]
    assert (sent, received) == {
        TILLS[:1]: ("sent:1:2", f"received:{two}:1:2"),
        TILLS[1:2]: ("sent:2:1", f"received:{two}:2:1"),
        TILLS[:2]: ("sent:2:1", f"received:{two}:2:1"),
    }[anew]


def test_a_suspended_till_gives_nothing(shop: Shop) -> None:
    one, two, _ = TILLS
    shop.grant(two, 700)
    shop.journals[two].outbox.set_suspended("sync.rewind")
    assert shop.sharing[one].ask(ANAS, 400, least=1) == 0


def test_what_was_received_goes_back_to_the_balance_when_its_time_is_over(shop: Shop) -> None:
    one, two, _ = TILLS
    shop.grant(two, 700, spend_for_s=3_600)
    shop.clock.pass_ms(1_800_000)
    shop.sharing[one].ask(ANAS, 400, least=1)
    shop.clock.pass_ms(1_739_000)
    assert give_back(shop.journals[one], shop.clock.now()) == 0
    shop.clock.pass_ms(1_000)
    assert give_back(shop.journals[one], shop.clock.now()) == 1
    assert [(event.what, points_in(event.slices)) for event in shop.events(shop.journals[one])] == [
        ("received", 400), ("returned", 400)
    ]  # fmt: skip


@contextmanager
def served(shop: Shop, till_id: str) -> Iterator[str]:
    server = WebServer(lan_app(shop.sharing[till_id]), host="127.0.0.1", port=0, threads=2)
    server.start()
    try:
        yield server.url
    finally:
        server.stop()


def test_two_tills_share_over_a_real_socket(shop: Shop) -> None:
    one, two, _ = TILLS
    shop.grant(two, 700)
    line_ = HttpLine()
    with served(shop, two) as url:
        shop.bent = lambda _, body, __: line_.exchange(f"{url}{RIGHTS_PATH}", body, 2_000)
        with shop.journals[one].writing():
            shop.journals[one].transfers.take_peers([shop.peers[two]])
        assert shop.sharing[one].ask(ANAS, 250, least=1) == 250
    assert (shop.left(one), shop.left(two), shop.under_way()) == (250, 450, 0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_whatever_the_lan_does_points_are_at_one_till_or_under_way(seed: int) -> None:
    """granted = left at all tills + spent + under way, after every step; and nothing is under way in the end."""
    draw, shop = Random(seed), Shop()
    tills = {one: shop.till(one) for one in TILLS}
    late: list[tuple[str, bytes]] = []

    def bent(url: str, body: bytes, exchange: Callable[[str, bytes], Answer]) -> Answer:
        what = draw.choice(("well", "well", "lost", "answer lost", "twice", "late"))
        if what in ("lost", "late"):
            if what == "late":
                late.append((url, body))
            raise LineDown("down")
        answer = exchange(url, body)
        if what == "twice":
            answer = exchange(url, body)
        if what == "answer lost":
            raise LineDown("down")
        return answer

    shop.bent = bent
    for n, one in enumerate(TILLS):
        shop.grant(one, draw.randint(1, 300), grant_no=n + 1)
    spent = 0
    for step in range(20):
        one = draw.choice(TILLS)
        match draw.choice(("ask", "spend", "again", "late")):
            case "ask":
                shop.sharing[one].ask(ANAS, draw.randint(1, 200), least=1)
            case "spend":
                told = tills[one].quote(sale(line(1, "bread", 100_000))).quote.authority
                if told.kind == "lease":
                    ask = sale(line(1, "bread", 100_000), points=draw.randint(1, told.points))
                    receipt: Receipt = tills[one].commit(commit(f"r{step}", ask)).receipt
                    assert receipt.redemption is not None
                    spent += receipt.redemption.points
            case "again":
                shop.sharing[one].send_again()
            case "late" if late:
                shop.deliver(*late.pop(draw.randrange(len(late))))
        assert shop.granted == sum(map(shop.left, TILLS)) + spent + shop.under_way()
    shop.bent = lambda url, body, exchange: exchange(url, body)
    for one in TILLS:
        shop.sharing[one].send_again()
    assert (shop.under_way(), shop.granted) == (0, sum(map(shop.left, TILLS)) + spent)


# Called back


def called_back(shop: Shop, till_id: str, lease_id: str) -> list[tuple[str, str, int]]:
    """Head office calls a lease back from a till, which keeps house a minute later: what it wrote since."""
    before = shop.journals[till_id].head().seq
    with shop.journals[till_id].writing():
        shop.journals[till_id].promises.leases.recall([lease_id])
    shop.clock.pass_ms(60_000)
    give_back(shop.journals[till_id], shop.clock.now())
    events = [entry.event for entry in shop.journals[till_id].entries_after(before)]
    return [(one.what, one.lease_id, points_in(one.slices)) for one in events if isinstance(one, LeaseMoved)]


def test_rights_of_another_tills_lease_go_back_under_its_name_when_they_are_called_back(shop: Shop) -> None:
    one, two, _ = TILLS
    shop.grant(two, 700)
    shop.sharing[one].ask(ANAS, 400, least=1)
    assert called_back(shop, one, f"lease:{two}") == [("returned", f"lease:{two}", 400)]
    assert called_back(shop, two, f"lease:{two}") == [("returned", f"lease:{two}", 300)]
    assert called_back(shop, one, f"lease:{two}") == []


def test_rights_that_were_under_way_while_the_lease_was_called_back_go_back_too(shop: Shop) -> None:
    one, two, _ = TILLS
    shop.grant(two, 700)

    def lost(url: str, body: bytes, exchange: Callable[[str, bytes], Answer]) -> Answer:
        exchange(url, body)
        raise LineDown("down")

    shop.bent = lost
    shop.sharing[one].ask(ANAS, 400, least=1)
    assert called_back(shop, one, f"lease:{two}") == []
    shop.bent = lambda url, body, exchange: exchange(url, body)
    shop.sharing[two].send_again()
    # Head office hears of them with `received`, and calls them back once more.
    assert called_back(shop, one, f"lease:{two}") == [("returned", f"lease:{two}", 400)]
    assert (shop.left(one), shop.under_way()) == (0, 0)


def test_rights_come_with_the_grants_that_gave_them_as_far_as_head_office_signed_those(shop: Shop) -> None:
    one, two, three = TILLS
    now = shop.clock.now()
    grant = Grant(
        lease_id="L", grant_no=7, till_id=two, epoch=1, key_no=1, account_id=ANAS, points=300, spend_for_s=172_800,
        settle_until_ms=now.wall_ms + 900_000_000, granted_at_ms=now.wall_ms, kind="lease",
        slices=(Slice(key=LOT, points=300),),
    )  # fmt: skip
    signed = pack(GRANT_TAG, grant, CENTRE)
    with shop.journals[two].writing():
        shop.journals[two].promises.take_grants([SignedGrant(grant=grant, signed=signed)], now)
    shop.sharing[one].ask(ANAS, 100, least=1)
    assert [(kept.till_id, kept.grant_no, kept.signed) for kept in shop.journals[one].promises.kept.of_lease("L")] == [
        (two, 7, signed)
    ]
    # And on to the next.
    shop.journals[two].outbox.set_suspended("sync.rewind")
    shop.sharing[three].ask(ANAS, 100, least=1)
    assert [kept.signed for kept in shop.journals[three].promises.kept.of_lease("L")] == [signed]
    shop.grant(one, 200, grant_no=8)  # whose bytes nobody signed
    shop.sharing[three].ask(ANAS, 200, least=200)
    assert shop.journals[three].promises.kept.of_lease(f"lease:{one}") == ()
