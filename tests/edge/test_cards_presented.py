"""A late card, another card, two cards: the one presented last is the sale's, and it is said."""

from pathlib import Path
from typing import Any

import pytest

from loyalty.cards.cards import Card, card_token
from loyalty.members import MemberRow, PublishedMember
from tests.edge.rim import CARD, GOODS, PAYMENT, STRANGER, Rim, commit, identity, quote

OTHER = "2000000000015"  # Ben's
SECOND = "2000000000022"  # a second card of the member whose first is CARD


def token(number: str) -> str:
    return card_token(identity().card_key, Card(kind="ean13", number=number, last4=number[-4:]))


@pytest.fixture
def rim(tmp_path: Path) -> Rim:
    rim = Rim(tmp_path)
    ana = MemberRow(account_id=77, version=3, balance_points=1240, tier="gold", counters=())
    ben = MemberRow(account_id=78, version=1, balance_points=500, counters=())
    rim.cache.load_members([
        PublishedMember(row=ana, cards=(token(CARD), token(SECOND)), language="en"),
        PublishedMember(row=ben, cards=(token(OTHER),), language="en"),
    ])  # fmt: skip
    return rim


def quoted(rim: Rim, **more: Any) -> dict[str, Any]:
    answer = rim.post("/v1/quotes", quote(**more))
    assert answer.status_code == 200, answer.json
    return answer.json


def test_a_late_card_is_one_more_quote(rim: Rim) -> None:
    assert quoted(rim, card=None)["member"] is None
    told = quoted(rim)
    assert (told["member"]["card"], told["card_replaced"]) == ("…8903", None)


def test_another_card_takes_the_place_of_the_first(rim: Rim) -> None:
    assert quoted(rim)["card_replaced"] is None
    told = quoted(rim, card=OTHER)
    assert told["member"]["balance_points"] == 500
    assert told["card_replaced"] == {
        "was": "…8903", "now": "…0015", "hold_released": False,
        "say": "Card …0015 takes the place of …8903: points of this sale go to …0015.",
    }  # fmt: skip
    # Said once: the same card again replaces nothing; back to the first is a change again.
    assert quoted(rim, card=OTHER)["card_replaced"] is None
    assert quoted(rim)["card_replaced"]["now"] == "…8903"
    # Another basket knows nothing of it.
    assert quoted(rim, quote_id="Q2", card=OTHER)["card_replaced"] is None


def test_points_held_for_the_first_go_back(rim: Rim) -> None:
    quoted(rim)
    rim.post("/v1/holds", {"hold_id": "H1", "card": CARD, "points": 500})
    told = quoted(rim, card=OTHER, hold_id="H1", points_to_spend=500)
    assert told["card_replaced"]["hold_released"] is True
    assert told["card_replaced"]["say"].endswith("Points set aside for the first went back.")
    assert rim.journal.open_holds() == ()
    assert told["totals"]["points_spent"] == 500  # Ben's own, as far as the float goes


def test_two_cards_of_one_member_keep_their_hold(rim: Rim) -> None:
    quoted(rim)
    rim.post("/v1/holds", {"hold_id": "H1", "card": CARD, "points": 500})
    told = quoted(rim, card=SECOND, hold_id="H1", points_to_spend=500)
    assert (told["card_replaced"]["now"], told["card_replaced"]["hold_released"]) == ("…0022", False)
    assert len(rim.journal.open_holds()) == 1


def test_of_several_cards_at_once_the_last_one_wins(rim: Rim) -> None:
    told = quoted(rim, card=None, cards=[CARD, OTHER])
    assert (told["member"]["card"], told["card_replaced"]["was"], told["card_replaced"]["now"]) == (
        "…0015", "…8903", "…0015")  # fmt: skip
    assert quoted(rim, quote_id="Q2", card=CARD, cards=[OTHER])["member"]["card"] == "…8903"
    assert quoted(rim, quote_id="Q3", card=None, cards=[CARD, CARD])["card_replaced"] is None


@pytest.mark.parametrize(("second", "code"), [(PAYMENT, "card.payment_card"), (GOODS, "card.not_ours")])
def test_a_second_card_that_is_none_changes_nothing(rim: Rim, second: str, code: str) -> None:
    quoted(rim)
    assert rim.post("/v1/quotes", quote(cards=[CARD], card=second)).json["code"] == code
    assert quoted(rim, card=OTHER)["card_replaced"]["was"] == "…8903"


def test_a_commit_names_one_card(rim: Rim) -> None:
    head = rim.journal.head()
    answer = rim.post("/v1/receipts", commit(cards=[CARD, OTHER], card=None))
    assert (answer.status_code, answer.json["code"]) == (422, "card.two_cards")
    assert answer.json["detail"] == (
        "Two cards are on this sale. Send it with the card that the quote answered, or ask the customer."
    )
    assert CARD not in answer.text
    assert rim.journal.head() == head
    done = rim.post("/v1/receipts", commit(cards=[CARD, CARD], card=None))
    assert done.status_code == 201
    assert rim.journal.find("R1").event.account_id == 77
    # One card said twice is the same body as one card said once.
    assert rim.post("/v1/receipts", commit()).json["replayed"] is True


def test_a_card_of_nobody_takes_the_place_too_and_the_hold_goes_back(rim: Rim) -> None:
    quoted(rim)
    rim.post("/v1/holds", {"hold_id": "H1", "card": CARD, "points": 500})
    told = quoted(rim, card=STRANGER, hold_id="H1")
    assert (told["member"]["known"], told["card_replaced"]["hold_released"]) == (False, True)


def test_after_a_restart_a_hold_of_another_card_is_refused_and_kept(rim: Rim) -> None:
    rim.post("/v1/holds", {"hold_id": "H1", "card": CARD, "points": 500})
    answer = rim.post("/v1/quotes", quote(card=OTHER, hold_id="H1"))
    assert (answer.status_code, answer.json["code"]) == (409, "hold.other_card")
    assert len(rim.journal.open_holds()) == 1


def test_a_basket_that_is_paid_is_forgotten(rim: Rim) -> None:
    quoted(rim)
    rim.post("/v1/receipts", commit())
    assert quoted(rim, card=OTHER)["card_replaced"] is None
