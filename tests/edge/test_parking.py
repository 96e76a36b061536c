"""Baskets laid aside: kept without number or code, resumed once, here or at another till of the store."""

import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.identity import TillIdentity
from edge.journal.journal import Journal
from edge.journal.parked_kept import KeptBasket
from edge.line.http_line import HttpLine
from edge.line.sharing import Sharing
from edge.parking.lan import lan_app
from edge.parking.over_lan import ParkedLan
from edge.parking.parking import MOST_BYTES, give, read_parked
from edge.refusals import ParkedGone, ParkedTaken, ParkedUnheard, ParkedUnknown
from edge.sale.shown_cards import KEPT_MS
from edge.web.server import WebServer
from loyalty.cards.card_keys import CardKey, CardKeys
from sync.framing import pack
from sync.keys import Signer
from sync.parked import PARKED_PATH, TAGS, ParkedListAsk, ParkedTake
from sync.refusals import BadEnvelope, BadSignature
from sync.rights import RightsAsk, pack_rights
from sync.transport import LineDown
from sync.wire import Answer, Peer
from tests.edge.counter import FakeClock, identity
from tests.edge.rim import CARD, PAYMENT, STRANGER, Rim, basket, commit, line, quote

TILLS = ("11" * 16, "22" * 16, "33" * 16)


@pytest.fixture
def rim(tmp_path: Path) -> Rim:
    return Rim(tmp_path, in_files=True)


def parked(**more: Any) -> dict[str, Any]:
    return {**quote(), "park_id": "P1", "note": "blue jacket", "cashier": "4", **more}


def resumed(rim: Rim, park_id: str = "P1", resume_id: str = "U1") -> Any:
    return rim.post(f"/v1/parked/{park_id}/resume", {"resume_id": resume_id})


def test_a_basket_is_parked_listed_and_resumed(rim: Rim) -> None:
    done = rim.post("/v1/parked", parked(events=["survey"], points_to_spend=100))
    assert (done.status_code, done.json) == (201, {
        "park_id": "P1", "parked_at": "2026-03-05T18:30:00.000+01:00", "hold_released": False, "scan_again": 0,
        "replayed": False, "training": False,
    })  # fmt: skip
    told = rim.client.get("/v1/parked").json
    assert told == {
        "parked": [{
            "park_id": "P1", "note": "blue jacket", "till_id": rim.identity.till_id, "till": "3", "cashier": "4",
            "parked_at": "2026-03-05T18:30:00.000+01:00", "lines": 2, "amount_minor": 1250, "currency": "EUR",
            "has_card": True, "office": False,
        }],
        "unheard": [], "office_heard": False, "training": False,
    }  # fmt: skip
    back = resumed(rim)
    assert back.status_code == 201
    sale = back.json["sale"]
    assert (sale["basket"]["lines"][1]["name"], sale["events"], sale["points_to_spend"]) == (
        "Rye bread", ["survey"], 100)  # fmt: skip
    assert len(sale["card"]) == 32
    # What comes back is a quote request, to be sent as it is.
    again = rim.post("/v1/quotes", {**sale, "sold_at": quote()["sold_at"]})
    assert again.json["totals"]["points_earned"] == 95  # 10.50 less 1.00
    assert rim.client.get("/v1/parked").json["parked"] == []


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"sold_at": "half past six"}, "request.bad_instant"),
        ({"sold_at": "2026-03-05T18:30:00"}, "request.bad_instant"),
        ({"store_id": "S9"}, "request.other_till"),
        ({"till_id": "9"}, "request.other_till"),
    ],
)
def test_a_basket_of_another_place_or_of_no_time_is_not_laid_aside(rim: Rim, wrong: dict[str, str], code: str) -> None:
    refused = rim.post("/v1/parked", {**parked(), **wrong})
    assert (refused.status_code, refused.json["code"]) == (422, code)
    assert rim.client.get("/v1/parked").json["parked"] == []
    right = {"sold_at": "2026-03-05T18:30:00+01:00", "store_id": rim.identity.store_id, "till_id": "3"}
    assert rim.post("/v1/parked", {**parked(), **right}).status_code == 201


def test_parking_writes_no_event_and_is_there_after_a_restart(tmp_path: Path, rim: Rim) -> None:
    head = rim.journal.head()
    rim.post("/v1/parked", parked())
    assert rim.journal.head() == head
    rim.journal.close()
    rim = Rim(tmp_path, in_files=True, with_programme=False)
    assert rim.post("/v1/parked", parked()).json["replayed"] is True
    assert resumed(rim).status_code == 201
    rim.journal.close()
    again = resumed(Rim(tmp_path, in_files=True, with_programme=False))
    assert (again.status_code, again.json["replayed"]) == (200, True)


RETRIES = """
    park   P1       201
    park   P1       200                 a retry
    other  P1       parked.id_reused
    resume P9  U1   parked.unknown
    resume P1  U1   201
    resume P1  U1   200                 a retry is given it again
    resume P1  U2   parked.taken        at this till it would be a second sale
    park   P1       200
    drop   P1       parked.taken
    park   P2       201
    drop   P2       200
    drop   P2       200                 thrown away it stays
    resume P2  U3   parked.gone
    drop   P9       parked.unknown
    park   void:P   receipt.id_reserved
"""


def test_each_basket_is_resumed_once(rim: Rim) -> None:
    for step in RETRIES.strip().splitlines():
        words = step.split()
        match words[0]:
            case "park":
                answer, wanted = rim.post("/v1/parked", parked(park_id=words[1])), words[2]
            case "other":
                body = parked(park_id=words[1], basket=basket(line(1, "tea", 1)))
                answer, wanted = rim.post("/v1/parked", body), words[2]
            case "resume":
                answer, wanted = resumed(rim, words[1], words[2]), words[3]
            case _:
                answer, wanted = rim.client.delete(f"/v1/parked/{words[1]}"), words[2]
        assert str(answer.json.get("code") or answer.status_code) == wanted, step


def test_points_held_for_a_parked_basket_go_back(rim: Rim) -> None:
    rim.post("/v1/holds", {"hold_id": "H1", "card": CARD, "points": 500})
    assert len(rim.journal.open_holds()) == 1
    first = rim.post("/v1/parked", parked(hold_id="H1")).json
    assert first["hold_released"] is True
    assert rim.journal.open_holds() == ()
    assert rim.post("/v1/parked", parked(hold_id="H1")).json == {**first, "replayed": True}
    assert resumed(rim).json["sale"]["hold_id"] is None
    assert rim.post("/v1/parked", parked(park_id="P2", hold_id="H9")).json["code"] == "hold.unknown"
    assert rim.journal.parked.find("P2") is None


def test_codes_are_not_kept_and_are_to_be_scanned_again(tmp_path: Path, rim: Rim) -> None:
    secrets = ("WELCOME-COUPON", "GC-7781-0042", "GC-SOLD-0001")
    goods = basket(line(1, "bread", 250), line(2, "gift", 2000, certificate=secrets[2]))
    body = parked(coupons=[secrets[0]], certificates=[{"code": secrets[1], "amount_minor": 300}], basket=goods)
    done = rim.post("/v1/parked", body).json
    assert done["scan_again"] == 3
    told = resumed(rim).json
    assert (told["scan_again"], told["sale"]["coupons"], told["sale"]["certificates"]) == (3, [], [])
    assert told["say"] == "Scan 3 coupons or certificates once more."
    rim.journal.checkpoint()
    written = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    for secret in (*secrets, CARD):
        assert secret.encode() not in written
    other = rim.post("/v1/parked", {**body, "coupons": ["ANOTHER-ONE"]})
    assert other.json["code"] == "parked.id_reused"


@pytest.mark.parametrize("note", ["anna@example.org", "call +49 30 1234567", PAYMENT])
def test_a_note_that_may_name_somebody_is_left_out(rim: Rim, note: str) -> None:
    rim.post("/v1/parked", parked(note=note, cashier=PAYMENT))
    (row,) = rim.client.get("/v1/parked").json["parked"]
    assert (row["note"], row["cashier"]) == ("", "")


def test_what_a_pos_fills_up_with_zero_characters_is_listed_without_them(rim: Rim) -> None:
    """Head office's columns hold none."""
    rim.post("/v1/parked", parked(note="blue\0jacket\0", cashier="4\0\0"))
    (row,) = rim.client.get("/v1/parked").json["parked"]
    assert (row["note"], row["cashier"]) == ("bluejacket", "4")


def test_a_basket_too_large_to_travel_is_not_parked(rim: Rim) -> None:
    goods = [line(n, f"article-{n:05}", 100, name="n" * 60) for n in range(1, 300)]
    answer = rim.post("/v1/parked", parked(basket=basket(*goods)))
    assert (answer.status_code, answer.json["code"]) == (413, "parked.too_large")
    assert answer.json["figures"]["bytes"] > MOST_BYTES


@pytest.mark.parametrize(
    "figure", [{"unit_price_minor": -1}, {"amount_minor": -1}, {"floor_unit_minor": 2**53}, {"quantity": "-1"}]
)
def test_a_figure_that_no_basket_can_have_is_refused_before_it_is_laid_aside(rim: Rim, figure: dict[str, Any]) -> None:
    answer = rim.post("/v1/parked", parked(basket=basket({**line(1, "beans", 100), **figure})))
    assert answer.status_code in (400, 422)
    assert rim.client.get("/v1/parked").json["parked"] == []


def test_the_close_of_the_day_throws_away_what_is_still_parked(rim: Rim) -> None:
    rim.post("/v1/parked", parked())
    rim.post("/v1/parked", parked(park_id="P2"))
    resumed(rim, "P2")
    closed = rim.post("/v1/day-close", {"business_date": "2026-03-05"}).json
    assert {"code": "day.parked_expired", "say": "Parked baskets thrown away with the close: 1."} in (
        closed["warnings"])  # fmt: skip
    assert closed["report"]["parked_expired"] == 1
    gone = resumed(rim)
    assert (gone.json["code"], gone.json["detail"]) == (
        "parked.gone", "This basket was thrown away when the day was closed. Ring the goods up again.")  # fmt: skip


def test_the_late_close_of_a_day_leaves_what_was_parked_since(rim: Rim) -> None:
    rim.post("/v1/parked", parked())  # at half past six
    rim.clock.move(11 * 3_600_000)  # half past five of the next day
    rim.post("/v1/parked", parked(park_id="P2"))
    assert rim.post("/v1/day-close", {"business_date": "2026-03-05"}).json["report"]["parked_expired"] == 1
    assert (resumed(rim).json["code"], resumed(rim, "P2").status_code) == ("parked.gone", 201)


def test_the_close_of_a_night_throws_away_what_was_parked_after_midnight(rim: Rim) -> None:
    rim.clock.move(10 * 3_600_000)  # half past four
    rim.post("/v1/parked", parked())
    assert rim.post("/v1/day-close", {"business_date": "2026-03-05"}).json["report"]["parked_expired"] == 1


def test_the_display_goes_back_to_between_sales(rim: Rim) -> None:
    rim.post("/v1/quotes", quote())
    assert rim.client.get("/v1/screen").json["phase"] == "sale"
    rim.post("/v1/parked", parked())
    assert rim.client.get("/v1/screen").json["phase"] == "idle"


@pytest.mark.parametrize("as_token", [False, True])
def test_whose_card_a_basket_has_is_shown_again_where_it_is_taken_up(tmp_path: Path, rim: Rim, as_token: bool) -> None:
    token = rim.post("/v1/cards/identify", {"card": CARD}).json["card_token"]
    rim.post("/v1/parked", parked(card=token if as_token else CARD))
    rim.journal.close()
    rim = Rim(tmp_path, in_files=True)  # one that never read this card
    # A retry from here does not know how it ends, and is the same basket all the same.
    assert rim.post("/v1/parked", parked(card=token)).json["replayed"] is True
    sale = resumed(rim).json["sale"]
    said = rim.post("/v1/quotes", {**sale, "sold_at": quote()["sold_at"]}).json
    assert said["member"]["card"] == "…8903"
    assert rim.client.get("/v1/screen").json["member"] == "…8903"


@pytest.mark.parametrize("card", [None, CARD])
def test_of_two_cards_the_one_presented_last_is_parked_with_the_basket(rim: Rim, card: str | None) -> None:
    cards = [STRANGER] if card else [STRANGER, CARD]
    rim.post("/v1/parked", parked(card=card, cards=cards))
    assert rim.client.get("/v1/parked").json["parked"][0]["has_card"] is True
    sale = resumed(rim).json["sale"]
    assert (sale["card"], sale["cards"]) == (rim.post("/v1/cards/identify", {"card": CARD}).json["card_token"], [])
    assert rim.post("/v1/parked", parked(card=CARD)).json["replayed"] is True


def test_a_resumed_sale_is_of_the_day_and_the_cashier_that_go_on_with_it(rim: Rim) -> None:
    rim.post("/v1/parked", parked(business_date="2026-03-05", channel="app", language="pl"))
    assert rim.client.get("/v1/parked").json["parked"][0]["cashier"] == "4"
    sale = resumed(rim).json["sale"]
    assert (sale["cashier"], sale["business_date"], sale["channel"], sale["language"]) == ("", None, "app", "pl")


def test_settled_baskets_are_forgotten_in_time(rim: Rim) -> None:
    for park_id in ("P1", "P2"):
        rim.post("/v1/parked", parked(park_id=park_id))
    resumed(rim)
    rim.clock.move(15 * 86_400_000)
    rim.journal.prune()
    assert rim.journal.parked.find("P1") is None
    assert rim.journal.parked.find("P2") is not None


# A card key is retired while a basket waits


FIRST, SECOND, THIRD = (CardKey(key_id=no, key=key * 32) for no, key in (("1", "22"), ("2", "55"), ("3", "66")))
BOTH = CardKeys(keys=(FIRST, SECOND))
RETIRED = CardKeys(keys=(msgspec.structs.replace(FIRST, retired=True), SECOND))
THREE = CardKeys(keys=(*RETIRED.keys, THIRD))
GONE = CardKeys(keys=(*(msgspec.structs.replace(one, retired=True) for one in RETIRED.keys), THIRD))


def use(rim: Rim, keys: CardKeys) -> None:
    rim.desk.till.use_identity(msgspec.structs.replace(rim.identity, later_card_keys=keys))


def name(key: CardKey) -> str:
    """What the card is called under a key, by the standard library."""
    return hmac.new(key.secret, b"ean13\0" + CARD.encode(), hashlib.sha256).digest()[:16].hex()


@pytest.mark.parametrize("where", ["here", "at another till"])
@pytest.mark.parametrize(("parked_under", "resumed_under", "card"), [
    (None, None, name(FIRST)),
    (None, BOTH, name(FIRST)),  # both in force: the oldest name, as when it is shown
    (None, RETIRED, None),  # nobody here can say its name under the new key
    (BOTH, BOTH, name(FIRST)),
    (BOTH, RETIRED, name(SECOND)),
    (BOTH, None, name(FIRST)),  # a till that has not heard of the second key
    (BOTH, THREE, name(SECOND)),
    (BOTH, GONE, None),
    (RETIRED, THREE, name(SECOND)),
])  # fmt: skip
def test_its_card_goes_by_the_name_that_is_in_force_where_it_is_taken_up(
    tmp_path: Path, where: str, parked_under: CardKeys | None, resumed_under: CardKeys | None, card: str | None
) -> None:
    (tmp_path / "other").mkdir()
    rim = Rim(tmp_path)
    if parked_under:
        use(rim, parked_under)
    rim.post("/v1/parked", parked(coupons=["NOBODYS-1"]))
    there = rim if where == "here" else Rim(tmp_path / "other")
    if resumed_under:
        use(there, resumed_under)
    if there is not rim:
        kept = rim.journal.parked.find("P1")
        assert kept is not None
        with there.journal.writing():
            there.journal.parked.add(msgspec.structs.replace(kept, kept_by=there.identity.till_id))
    told = resumed(there).json
    assert (told["sale"]["card"], told.get("show_card", False)) == (card, card is None)
    codes = "Scan the coupon or certificate once more."
    assert told["say"] == (codes if card else f"Scan the member's card once more. {codes}")
    # It is the same basket for a retry, and goes on as a sale.
    assert resumed(there).json == {**told, "replayed": True}
    assert there.post("/v1/quotes", {**told["sale"], "sold_at": quote()["sold_at"]}).status_code == 200


def test_it_is_asked_for_under_the_name_that_is_known_where_the_oldest_is_not(tmp_path: Path) -> None:
    """As where the numbers of cards were entered at head office under the newer key alone."""
    rim = Rim(tmp_path)
    use(rim, BOTH)
    rim.post("/v1/parked", parked())
    member = rim.cache.member(name(FIRST))
    assert member is not None
    rim.cache.load_members([msgspec.structs.replace(member, cards=(name(SECOND),))])
    assert resumed(rim).json["sale"]["card"] == name(SECOND)


@pytest.mark.parametrize("where", ["here", "at another till"])
def test_a_card_that_was_found_by_telephone_spends_no_more_where_its_basket_is_taken_up(
    tmp_path: Path, where: str
) -> None:
    (tmp_path / "other").mkdir()
    rim = Rim(tmp_path)
    rim.desk.till.shown.found(name(FIRST))
    rim.post("/v1/parked", parked(card=name(FIRST), points_to_spend=100))
    there = rim if where == "here" else Rim(tmp_path / "other")
    kept = rim.journal.parked.find("P1")
    assert kept is not None
    if there is not rim:
        with there.journal.writing():
            there.journal.parked.add(msgspec.structs.replace(kept, kept_by=there.identity.till_id))
    rim.clock.move(KEPT_MS + 1)
    assert rim.post("/v1/parked", parked(card=name(FIRST), points_to_spend=100)).json["replayed"] is True
    told = resumed(there).json["sale"]
    again = there.post("/v1/quotes", {**told, "sold_at": quote()["sold_at"]}).json
    assert (again["redemption"]["most_points"], again["totals"]["points_spent"]) == (0, 0)
    there.post("/v1/cards/identify", {"card": CARD})
    assert there.post("/v1/quotes", {**told, "sold_at": quote()["sold_at"]}).json["totals"]["points_spent"] == 100


def test_a_basket_whose_card_was_blocked_meanwhile_is_taken_up_without_it(tmp_path: Path) -> None:
    rim = Rim(tmp_path)
    rim.post("/v1/parked", parked(points_to_spend=100))
    rim.post("/v1/cards", {"card_id": "C-1", "what": "block", "card": CARD, "reason": "lost"})
    told = resumed(rim).json
    assert (told["sale"]["card"], told["show_card"]) == (None, True)
    assert told["say"] == "Scan the member's card once more."
    again = rim.post("/v1/quotes", {**told["sale"], "sold_at": quote()["sold_at"]})
    assert (again.status_code, again.json["totals"]["net_minor"]) == (200, 1050)


def test_a_basket_of_before_names_were_kept_is_taken_up_as_it_is(tmp_path: Path) -> None:
    rim = Rim(tmp_path)
    data = msgspec.json.encode({"sale": {"basket": basket(), "card": "ab" * 16}})
    with rim.journal.writing():
        rim.journal.parked.add(
            KeptBasket(park_id="P1", ask_sha256="", body=data, parked_ms=7, kept_by=rim.identity.till_id)
        )
    use(rim, RETIRED)
    assert resumed(rim).json["sale"]["card"] == "ab" * 16


class Store:
    """Three tills; messages go as the test says: `bent` takes (url, body, deliver)."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.bent: Callable[..., Answer] = lambda url, body, deliver: deliver(url, body)
        self.identities = {till_id: _identity(till_id, n) for n, till_id in enumerate(TILLS)}
        self.peers = {
            till_id: Peer(
                till_id=till_id, epoch=1, key_no=1, public=one.signer.public, address=f"{till_id}:1",
                label=f"till {till_id[0]}",
            )
            for till_id, one in self.identities.items()
        }
        self.journals = {one: Journal.open(":memory:", self.identities[one], self.clock) for one in TILLS}
        self.lan = {
            one: ParkedLan(self.journals[one], self.identities[one], self.clock, self._carry, f"till {one[0]}")
            for one in TILLS
        }
        for one, journal in self.journals.items():
            with journal.writing():
                journal.transfers.take_peers([peer for till_id, peer in self.peers.items() if till_id != one])

    def _carry(self, url: str, body: bytes, deadline_ms: int) -> Answer:
        return self.bent(url, body, self.deliver)

    def deliver(self, url: str, body: bytes) -> Answer:
        return Answer(status=200, body=self.lan[url.split("/")[2].split(":")[0]].answer(body))

    def park(self, till_id: str, park_id: str) -> None:
        data = msgspec.json.encode({"sale": {"basket": basket(), "card": "ab" * 16}, "note": park_id})
        kept = KeptBasket(park_id=park_id, ask_sha256="", body=data, parked_ms=7, kept_by=till_id)
        with self.journals[till_id].writing():
            self.journals[till_id].parked.add(kept)


def _identity(till_id: str, n: int) -> TillIdentity:
    return msgspec.structs.replace(identity(till_id=till_id), seed=f"{n + 1:02x}" * 32)


@pytest.fixture
def store() -> Store:
    return Store()


def test_the_tills_of_a_store_see_each_others_baskets(store: Store) -> None:
    one, two, three = TILLS
    store.park(two, "P2")
    store.park(three, "P3")
    told = store.lan[one].elsewhere()
    assert [(there.till_id, there.label, [row.park_id for row in there.rows]) for there in told.listed] == [
        (two, "till 2", ["P2"]), (three, "till 3", ["P3"]),
    ]  # fmt: skip
    row = told.listed[0].rows[0]
    assert (row.lines, row.amount_minor, row.currency, row.has_card, row.note) == (2, 1250, "EUR", True, "P2")
    assert told.unheard == ()


def test_one_till_wins_a_basket_and_the_others_are_told_which(store: Store) -> None:
    one, two, three = TILLS
    store.park(two, "P2")
    brought = store.lan[one].bring("P2", "U1", None)
    assert read_parked(brought.body).note == "P2"
    assert (brought.kept_by, brought.taken_by, brought.state) == (two, one, "taken")
    for till_id, resume in ((three, lambda: store.lan[three].bring("P2", "U3", two)),
                            (two, lambda: give(store.journals[two], "P2", two, "U2"))):  # fmt: skip
        with pytest.raises(ParkedTaken) as taken:
            resume()
        assert taken.value.figures["till_id"] == one, till_id
    assert store.lan[three].elsewhere().listed[1].rows == ()
    with pytest.raises(ParkedUnknown):
        store.lan[one].bring("P9", "U1", None)


def test_a_lost_answer_is_asked_for_again_and_gives_the_same_basket(store: Store) -> None:
    one, two, three = TILLS
    store.park(two, "P2")

    def answer_is_lost(url: str, body: bytes, deliver: Any) -> Answer:
        deliver(url, body)
        raise LineDown("no answer came")

    store.bent = answer_is_lost
    with pytest.raises(ParkedUnheard):
        store.lan[one].bring("P2", "U1", two)
    assert store.journals[one].parked.find("P2") is None
    store.bent = lambda url, body, deliver: deliver(url, body)
    with pytest.raises(ParkedTaken):
        store.lan[three].bring("P2", "U3", None)
    # Whoever stands at the till that won asks again, even if its POS forgot the id of the first try.
    assert read_parked(store.lan[one].bring("P2", "U9", None).body).note == "P2"
    # Now it is here: a retry needs nobody, and another id is a second sale.
    assert give(store.journals[one], "P2", one, "U9").state == "taken"
    with pytest.raises(ParkedTaken):
        give(store.journals[one], "P2", one, "U1")


def test_a_till_that_does_not_answer_is_named_as_people_call_it(store: Store) -> None:
    one, two, three = TILLS

    def two_is_off(url: str, body: bytes, deliver: Any) -> Answer:
        if two in url:
            raise LineDown("no route")
        return deliver(url, body)

    store.park(three, "P3")
    store.bent = two_is_off
    told = store.lan[one].elsewhere()
    assert (told.unheard, [there.till_id for there in told.listed]) == (("till 2",), [three])
    assert store.lan[one].bring("P3", "U1", None).kept_by == three
    with pytest.raises(ParkedUnheard) as unheard:
        store.lan[one].bring("P2", "U1", None)
    assert unheard.value.say == "The till where this basket lies does not answer. Try again, or resume it there."


def test_a_store_full_of_tills_that_are_off_does_not_keep_the_cashier_waiting(store: Store) -> None:
    one, two, _ = TILLS
    peers = [msgspec.structs.replace(store.peers[two], till_id=f"{n:02x}" * 16) for n in range(64, 84)]
    with store.journals[one].writing():
        store.journals[one].transfers.take_peers(peers)
    asked = []

    def nobody_answers(url: str, body: bytes, deliver: Any) -> Answer:
        asked.append(url)
        store.clock.pass_ms(1_500)
        raise LineDown("no answer came")

    store.bent = nobody_answers
    assert len(store.lan[one].elsewhere().unheard) == 20
    assert len(asked) == 3  # after 4.5 s nobody else is asked


def test_baskets_that_are_gone_are_gone_for_everybody(store: Store) -> None:
    one, two, _ = TILLS
    store.park(two, "P2")
    with store.journals[two].writing():
        store.journals[two].parked.end("P2", "dropped")
    with pytest.raises(ParkedGone):
        store.lan[one].bring("P2", "U1", None)


def test_strangers_and_messages_of_another_kind_get_nothing(store: Store) -> None:
    one, two, _ = TILLS
    store.park(two, "P2")
    said = {"till_id": one, "epoch": 1, "key_no": 1, "to_till": two, "to_epoch": 1, "sent_at_ms": 0}
    take = ParkedTake(**said, park_id="P2", resume_id="U1")
    stranger = pack(TAGS[ParkedTake], take, Signer(b"S" * 32))
    with pytest.raises(BadSignature):
        store.lan[two].answer(stranger)
    rights = pack_rights(RightsAsk(**said, ask_id="a", account_id=1, points=1), store.identities[one].signer)
    with pytest.raises(BadSignature):
        store.lan[two].answer(rights)
    elsewhere = ParkedListAsk(**{**said, "to_till": TILLS[2]})
    with pytest.raises(BadEnvelope):
        store.lan[two].answer(pack_rights(elsewhere, store.identities[one].signer, TAGS))
    assert store.journals[two].parked.find("P2").state == "open"


def test_over_real_http_a_basket_goes_from_one_till_to_another(tmp_path: Path, store: Store) -> None:
    one, two, _ = TILLS
    store.park(two, "P2")
    sharing = Sharing(store.journals[two], store.identities[two], store.clock, HttpLine().exchange)
    server = WebServer(lan_app(sharing, store.lan[two]), host="127.0.0.1", port=0, threads=2)
    server.start()
    try:
        address = server.url.removeprefix("http://")
        peer = msgspec.structs.replace(store.peers[two], address=address)
        with store.journals[one].writing():
            store.journals[one].transfers.take_peers([peer])
        lan = ParkedLan(store.journals[one], store.identities[one], store.clock, HttpLine().exchange)
        assert [row.park_id for row in lan.elsewhere().listed[0].rows] == ["P2"]
        assert read_parked(lan.bring("P2", "U1", two).body).note == "P2"
        assert HttpLine().exchange(f"{server.url}{PARKED_PATH}", b"rubbish", 1_000).status == 403
    finally:
        server.stop()


def test_a_resumed_sale_is_sold_as_any_other(rim: Rim) -> None:
    rim.post("/v1/parked", parked())
    sale = resumed(rim).json["sale"]
    told = rim.post("/v1/quotes", {**sale, "sold_at": quote()["sold_at"]}).json
    paid = rim.post("/v1/receipts", {**sale, "sold_at": quote()["sold_at"], "receipt_id": "R1",
                                     "digest": told["digest"]})  # fmt: skip
    assert paid.json["totals"] == rim.post("/v1/receipts", commit(receipt_id="R2")).json["totals"]
