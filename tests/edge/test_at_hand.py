"""The sale at hand: what a page lays against the basket, and how the POS comes to know it."""

from collections.abc import Callable
from pathlib import Path
from threading import Thread

import msgspec
import pytest

from edge.api.answers import QuoteSaid
from edge.api.bodies import QuoteBody
from edge.counter.at_hand import AtHand, ChoiceBody
from tests.edge.rim import CARD, PAYMENT, STRANGER, Rim, basket, commit, line, quote


@pytest.fixture
def rim(tmp_path: Path) -> Rim:
    return Rim(tmp_path)


def choose(rim: Rim, choice_id: str, **more: object) -> dict:
    answer = rim.post("/v1/choices", {"choice_id": choice_id, **more})
    assert answer.status_code in (200, 201), answer.text
    return answer.json


def test_a_card_chosen_at_a_page_prices_the_basket_and_waits_for_the_pos(rim: Rim):
    rim.post("/v1/quotes", quote(card=None))
    said = choose(rim, "c1", card=CARD)
    # 10.50 at a point for every 10 cents.
    assert said["quote"]["totals"]["points_earned"] == 105
    assert rim.desk.screens.now().member == "…8903"
    told = rim.client.get("/v1/choices?after=0").json
    assert (told["cursor"], len(told["chosen"]["card"])) == (1, 32)
    assert CARD not in rim.client.get("/v1/choices").text
    assert rim.client.get("/v1/choices?after=1").json["chosen"] is None


def test_points_chosen_with_their_hold_are_spent_by_the_sale_that_names_both(rim: Rim):
    rim.post("/v1/quotes", quote())
    rim.post("/v1/holds", {"hold_id": "H1", "card": CARD, "points": 300})
    said = choose(rim, "c1", points_to_spend=300, hold_id="H1")
    assert said["quote"]["totals"]["to_pay_minor"] == 750
    chosen = rim.client.get("/v1/choices").json["chosen"]
    paid = rim.post("/v1/receipts", commit(card=chosen["card"], points_to_spend=300, hold_id=chosen["hold_id"])).json
    assert paid["totals"]["points_spent"] == 300
    assert rim.client.get("/v1/choices").json["chosen"] is None
    assert rim.client.get("/v1/at-hand").json["sale"] is None


def test_another_card_takes_no_points_of_the_first(rim: Rim):
    rim.post("/v1/quotes", quote())
    choose(rim, "c1", points_to_spend=300)
    said = choose(rim, "c2", card=STRANGER)
    assert (said["chosen"]["points_to_spend"], said["chosen"]["hold_id"]) == (0, None)


def test_points_set_aside_for_the_first_card_go_back_when_another_is_chosen(rim: Rim):
    rim.post("/v1/quotes", quote())
    rim.post("/v1/holds", {"hold_id": "H1", "card": CARD, "points": 300})
    choose(rim, "c1", points_to_spend=300, hold_id="H1")
    said = choose(rim, "c2", card=STRANGER)
    assert said["quote"]["card_replaced"]["hold_released"] is True
    assert rim.journal.open_holds() == ()
    assert rim.client.get("/v1/at-hand").json["sale"]["hold_id"] is None


def test_a_choice_sent_twice_is_made_once_and_another_under_its_id_is_refused(rim: Rim):
    rim.post("/v1/quotes", quote(card=None))
    first, again = choose(rim, "c1", card=CARD), choose(rim, "c1", card=CARD)
    assert again == {**first, "replayed": True}
    refused = rim.post("/v1/choices", {"choice_id": "c1", "card": STRANGER})
    assert (refused.status_code, refused.json["code"]) == (409, "choice.id_reused")


def test_codes_scanned_at_a_page_go_to_the_pos_in_order_and_are_forgotten_after_a_minute(rim: Rim):
    for no, code in enumerate(("4006381333931", "5901234123457")):
        choose(rim, f"c{no}", code=code)
    assert rim.client.get("/v1/choices?after=0").json["codes"] == ["4006381333931", "5901234123457"]
    assert rim.client.get("/v1/choices?after=1").json["codes"] == ["5901234123457"]
    rim.clock.move(60_000)
    assert rim.client.get("/v1/choices").json["codes"] == []


def test_a_payment_card_is_no_choice(rim: Rim):
    for what in ({"card": PAYMENT}, {"code": PAYMENT}):
        refused = rim.post("/v1/choices", {"choice_id": "c1", **what})
        assert (refused.status_code, refused.json["code"]) == (422, "card.payment_card")
        assert PAYMENT not in refused.text


@pytest.mark.parametrize("points", [-1, 10**15 + 1, 2**70])
def test_more_points_than_there_can_be_are_no_choice_even_before_the_first_line(rim: Rim, points: int):
    refused = rim.post("/v1/choices", {"choice_id": "c1", "points_to_spend": points})
    assert (refused.status_code, refused.json["code"]) == (400, "request.malformed")
    assert rim.client.get("/v1/choices").json["chosen"] is None


def test_a_basket_that_lies_for_three_minutes_is_at_hand_no_more(rim: Rim):
    rim.post("/v1/quotes", quote())
    rim.clock.move(179_999)
    assert rim.client.get("/v1/at-hand").json["sale"]["quote_id"] == "Q1"
    rim.clock.move(1)
    assert rim.client.get("/v1/at-hand").json["sale"] is None


def test_the_basket_at_hand_has_no_card_number(rim: Rim):
    rim.post("/v1/quotes", quote(cards=[STRANGER, CARD]))
    told = rim.client.get("/v1/at-hand")
    assert told.json["sale"]["cards"] == []
    assert CARD not in told.text and STRANGER not in told.text


def test_what_is_left_of_a_receipt_is_told_line_by_line(rim: Rim):
    rim.post("/v1/receipts", commit())
    rim.post("/v1/returns", {"return_id": "B1", "of": "R1", "lines": [{"line": 2, "quantity": "0.400"}]})
    told = rim.client.get("/v1/returnable?of=R1").json
    assert [(one["name"], one["quantity"], one["left"], one["net_minor"]) for one in told["lines"]] == [
        ("Espresso beans 1 kg", "1.000", "1.000", 800), ("Rye bread", "1.000", "0.600", 250),
    ]  # fmt: skip
    assert (told["is_void"], told["has_member"], told["currency"]) == (False, True, "EUR")
    assert rim.client.get("/v1/returnable?of=R9").json["code"] == "return.receipt_unknown"
    rim.post("/v1/receipts", commit(receipt_id="R2"))
    rim.post("/v1/receipts/R2/void", {})
    assert rim.client.get("/v1/returnable?of=R2").json["is_void"] is True


def test_a_fee_without_a_quantity_can_come_back_and_what_was_charged_is_what_was_paid(rim: Rim):
    goods = basket(line(1, "fee", 500, quantity="0"), line(2, "bread", 1000))
    sold = rim.post("/v1/receipts", commit(basket=goods, charged=[{"line": 2, "discount_minor": 300}]))
    assert sold.status_code == 201
    told = rim.client.get("/v1/returnable?of=R1").json["lines"]
    assert [(one["quantity"], one["left"], one["net_minor"]) for one in told] == [
        ("1.000", "1.000", 500), ("1.000", "1.000", 700),
    ]  # fmt: skip
    back = {"return_id": "B1", "of": "R1", "lines": [{"line": 1}, {"line": 2}]}
    assert rim.post("/v1/returns", back).json["net_minor"] == 1200
    assert [one["left"] for one in rim.client.get("/v1/returnable?of=R1").json["lines"]] == ["0.000", "0.000"]


@pytest.mark.parametrize("ends", ["receipt", "exchange", "parked"])
def test_a_sale_that_ends_late_leaves_the_next_basket_where_it_is(rim: Rim, ends: str):
    rim.post("/v1/receipts", commit(quote_id="", receipt_id="R0", card=None))
    rim.post("/v1/quotes", quote(card=None))
    rim.post("/v1/quotes", quote(quote_id="Q2", card=None, basket=basket(line(1, "tea", 300))))
    choose(rim, "c1", card=CARD)
    if ends == "exchange":
        answer = rim.post("/v1/exchanges", {
            "exchange_id": "X1", "return": {"return_id": "B1", "of": "R0", "lines": [{"line": 2}]},
            "receipt": {"receipt_id": "R1", "quote_id": "Q1", "basket": basket()},
        })  # fmt: skip
    elif ends == "parked":
        answer = rim.post("/v1/parked", {**quote(card=None), "park_id": "P1"})
    else:
        answer = rim.post("/v1/receipts", commit(card=None))
    assert answer.status_code == 201
    shown = rim.desk.screens.now()
    assert (shown.phase, [one.name for one in shown.lines], shown.member) == ("sale", ["tea"], "…8903")
    assert rim.client.get("/v1/at-hand").json["sale"]["quote_id"] == "Q2"
    assert rim.client.get("/v1/choices?after=0").json["chosen"] is not None
    rim.post("/v1/receipts", commit(quote_id="Q2", receipt_id="R2", basket=basket(line(1, "tea", 300))))
    assert rim.desk.screens.now().phase == "done"
    assert rim.client.get("/v1/at-hand").json["sale"] is None


def test_what_was_chosen_for_a_sale_that_ends_late_is_not_laid_against_the_next(rim: Rim):
    rim.post("/v1/quotes", quote(card=None))
    choose(rim, "c1", card=CARD)
    rim.post("/v1/quotes", quote(quote_id="Q2", card=None))
    rim.post("/v1/receipts", commit(card=None))
    assert rim.client.get("/v1/choices?after=0").json["chosen"] is None


def test_what_is_practised_before_the_first_line_is_laid_against_no_real_sale(rim: Rim):
    assert choose(rim, "c1", card=CARD, training=True)["chosen"]["card"] is not None
    assert rim.desk.screens.now().member == "…8903"
    assert rim.client.get("/v1/choices?after=0").json["chosen"] is None
    rim.post("/v1/quotes", quote(card=None))
    assert rim.client.get("/v1/choices?after=0").json["chosen"] is None
    refused = rim.post("/v1/choices", {"choice_id": "c2", "card": CARD, "training": True})
    assert (refused.status_code, refused.json["code"]) == (422, "receipt.training")
    assert rim.client.get("/v1/at-hand").json["sale"]["card"] is None


def test_what_was_chosen_for_a_practised_sale_is_not_laid_against_the_real_one_after_it(rim: Rim):
    rim.post("/v1/quotes", quote(card=None, training=True))
    choose(rim, "c1", card=STRANGER)
    rim.post("/v1/quotes", quote(quote_id="Q2", card=None))
    assert rim.client.get("/v1/choices?after=0").json["chosen"] is None
    assert choose(rim, "c2", language="pl")["chosen"]["card"] is None


def test_what_is_practised_before_the_first_line_is_laid_against_the_practised_sale(rim: Rim):
    choose(rim, "c1", card=CARD, training=True)
    choose(rim, "c2", language="pl", training=True)
    rim.post("/v1/quotes", quote(card=None, training=True))
    told = rim.client.get("/v1/choices?after=0").json
    assert (len(told["chosen"]["card"]), told["chosen"]["language"]) == (32, "pl")
    said = choose(rim, "c3", points_to_spend=300, training=True)
    assert (said["quote"]["training"], said["quote"]["member"]["card"]) == (True, "…8903")


def test_what_was_practised_before_a_first_line_with_a_card_of_its_own_is_not_for_the_basket_after_it(rim: Rim) -> None:
    choose(rim, "c1", card=CARD, training=True)
    rim.post("/v1/quotes", quote(card=STRANGER, training=True))
    rim.post("/v1/receipts", commit(card=STRANGER, training=True))
    rim.post("/v1/quotes", quote(quote_id="Q2", card=None, training=True))
    assert rim.client.get("/v1/choices?after=0").json["chosen"] is None


def test_leaving_training_forgets_what_was_chosen_in_it_before_the_first_line(rim: Rim) -> None:
    choose(rim, "c1", card=CARD, training=True)
    rim.client.delete("/v1/training")
    rim.post("/v1/quotes", quote(card=None, training=True))
    assert rim.client.get("/v1/choices?after=0").json["chosen"] is None


def test_a_cursor_from_before_the_till_was_started_anew_hears_what_was_chosen_since(rim: Rim) -> None:
    choose(rim, "c1", code="4006381333931")
    choose(rim, "c2", card=CARD)
    told = rim.client.get("/v1/choices?after=57").json
    assert (told["cursor"], told["codes"], len(told["chosen"]["card"])) == (2, ["4006381333931"], 32)
    # Nobody has heard of it yet: a quote without it is older than the choice.
    rim.post("/v1/quotes", quote(card=None))
    assert len(rim.client.get("/v1/choices?after=0").json["chosen"]["card"]) == 32


def test_a_sale_that_names_no_quote_takes_what_is_at_hand_off_the_screens(rim: Rim):
    rim.post("/v1/quotes", quote())
    rim.post("/v1/receipts", commit(quote_id=""))
    assert rim.desk.screens.now().phase == "done"


def test_a_card_chosen_before_the_first_line_is_shown_though_it_was_not_scanned(rim: Rim) -> None:
    token = rim.post("/v1/cards/identify", {"card": CARD}).json["card_token"]
    rim.desk.leave_sale()
    assert rim.client.get("/v1/screen").json["phase"] == "idle"
    rim.post("/v1/choices", {"choice_id": "c-1", "card": token})
    shown = rim.client.get("/v1/screen").json
    assert (shown["phase"], shown["member"], shown["balance_points"]) == ("member", "…8903", 1_240)
    rim.post("/v1/choices", {"choice_id": "c-2", "card": token})
    assert rim.client.get("/v1/screen").json["no"] == shown["no"]


def test_what_the_pos_sends_once_it_has_heard_of_a_choice_is_the_sale(rim: Rim) -> None:
    rim.post("/v1/quotes", quote(card=None))
    choose(rim, "c1", card=STRANGER)
    # Until the POS says that it knows, its quotes may be older than the choice.
    rim.post("/v1/quotes", quote(card=None))
    token = rim.client.get("/v1/choices?after=0").json["chosen"]["card"]
    assert choose(rim, "c2", points_to_spend=0)["chosen"]["card"] == token
    rim.client.get("/v1/choices?after=2")
    rim.post("/v1/quotes", quote(card=CARD))  # another card at its own reader
    said = choose(rim, "c3", points_to_spend=300)
    assert said["chosen"]["card"] not in (token, None)
    assert (said["quote"]["member"]["card"], said["quote"]["totals"]["points_spent"]) == ("…8903", 300)


def test_a_card_of_somebody_who_went_away_is_not_laid_against_the_next_basket(rim: Rim) -> None:
    choose(rim, "c1", card=STRANGER)
    rim.clock.move(180_000)
    rim.post("/v1/quotes", quote(card=CARD))  # by a POS that asks for no choices
    said = choose(rim, "c2", points_to_spend=300)
    assert (said["quote"]["member"]["card"], said["quote"]["totals"]["points_spent"]) == ("…8903", 300)


def test_what_was_chosen_for_a_basket_that_was_given_up_is_not_laid_against_the_next_one(rim: Rim) -> None:
    rim.post("/v1/quotes", quote(card=None))
    choose(rim, "c1", card=CARD)
    # Its customer has left, and the POS had not asked yet.
    rim.post("/v1/quotes", quote(quote_id="Q2", card=None))
    assert rim.client.get("/v1/choices?after=0").json["chosen"] is None
    said = choose(rim, "c2", language="pl")
    assert (said["chosen"]["card"], said["quote"]["member"], rim.desk.screens.now().member) == (None, None, "")


def test_a_card_chosen_before_the_first_line_is_for_the_basket_that_begins_then(rim: Rim) -> None:
    choose(rim, "c1", card=CARD)
    for _ in range(2):
        rim.post("/v1/quotes", quote(card=None))
        assert len(rim.client.get("/v1/choices?after=0").json["chosen"]["card"]) == 32
    rim.post("/v1/quotes", quote(quote_id="Q2", card=None))
    assert rim.client.get("/v1/choices?after=0").json["chosen"] is None


def test_a_pos_that_names_no_baskets_is_told_of_a_choice_as_long_as_it_is_fresh(rim: Rim) -> None:
    rim.post("/v1/quotes", quote(quote_id="", card=None))
    choose(rim, "c1", card=CARD)
    rim.post("/v1/quotes", quote(quote_id="", card=None))
    assert len(rim.client.get("/v1/choices?after=0").json["chosen"]["card"]) == 32


def test_who_goes_away_takes_the_card_from_the_sale_and_from_the_screens(rim: Rim) -> None:
    choose(rim, "c1", card=CARD)
    assert rim.client.get("/v1/screen").json["phase"] == "member"
    assert choose(rim, "c2", without_card=True)["chosen"]["card"] is None
    shown = rim.client.get("/v1/screen").json
    assert (shown["phase"], shown["member"]) == ("idle", "")
    told = rim.client.get("/v1/choices?after=1").json
    assert told["chosen"] == {"card": None, "points_to_spend": 0, "hold_id": None, "language": None}
    rim.post("/v1/quotes", quote())
    choose(rim, "c3", without_card=True)
    shown = rim.client.get("/v1/screen").json
    assert (shown["phase"], shown["has_card"], shown["totals"]["gross_minor"]) == ("sale", False, 1250)


class Priced:
    """A sale at hand whose prices nobody works out, with the languages it was priced in."""

    def __init__(self, said: QuoteSaid) -> None:
        self.languages: list[str | None] = []
        self.while_priced: Callable[[], None] = lambda: None
        self._said = said
        self.at_hand = AtHand(lambda card: card, self.quote, lambda card: None, lambda: 1_000_000)

    def quote(self, body: QuoteBody) -> QuoteSaid:
        self.languages.append(body.language)
        self.while_priced()
        self.at_hand.keep(body, body.card, self._said)
        return self._said

    def choose(self, choice_id: str, **more: object) -> str | None:
        return self.at_hand.choose(ChoiceBody(choice_id=choice_id, **more)).chosen.language


def meanwhile(*doing: Callable[[], object]) -> list[Thread]:
    """Others who ask while something is under way: each has ended a fifth of a second later, or waits for it."""
    others = [Thread(target=one) for one in doing]
    for one in others:
        one.start()
        one.join(0.2)
    return others


def test_a_sale_that_is_paid_while_a_choice_is_priced_is_not_at_hand_again(rim: Rim) -> None:
    sale = Priced(msgspec.convert(rim.post("/v1/quotes", quote()).json, QuoteSaid))
    sale.quote(msgspec.convert(quote(), QuoteBody))

    def paid() -> None:
        others.extend(meanwhile(lambda: sale.at_hand.leave("Q1")))

    others: list[Thread] = []
    sale.while_priced = paid
    sale.choose("c1", language="pl")
    others[0].join()
    # A paid basket that is at hand could be parked, or exchanged, and so be sold once more.
    assert (sale.at_hand.now().sale, sale.at_hand.chosen(0).chosen) == (None, None)


def test_a_choice_that_is_sent_twice_at_once_is_made_once(rim: Rim) -> None:
    sale = Priced(msgspec.convert(rim.post("/v1/quotes", quote()).json, QuoteSaid))
    sale.quote(msgspec.convert(quote(), QuoteBody))

    def sent_again() -> None:
        sale.while_priced = lambda: None
        others.extend(meanwhile(lambda: sale.choose("c1", points_to_spend=300)))

    others: list[Thread] = []
    sale.while_priced = sent_again
    sale.choose("c1", points_to_spend=300)
    others[0].join()
    assert (sale.at_hand.chosen(0).cursor, len(sale.languages)) == (1, 2)


def test_goods_that_are_rung_up_while_a_choice_is_priced_stay_in_the_basket(
    rim: Rim, monkeypatch: pytest.MonkeyPatch
) -> None:
    rim.post("/v1/quotes", quote(card=None, basket=basket(line(1, "tea", 300))))
    price, others = rim.desk.at_hand._quote, list[Thread]()
    more = msgspec.convert(quote(card=None, basket=basket(line(1, "tea", 300), line(2, "bread", 250))), QuoteBody)

    def slowly(body: QuoteBody) -> QuoteSaid:
        others.extend(meanwhile(lambda: rim.desk.quote(more)))
        return price(body)

    monkeypatch.setattr(rim.desk.at_hand, "_quote", slowly)
    choose(rim, "c1", card=CARD)
    others[0].join()
    assert [one["sku"] for one in rim.client.get("/v1/at-hand").json["sale"]["basket"]["lines"]] == ["tea", "bread"]
    assert [one.name for one in rim.desk.screens.now().lines] == ["tea", "bread"]
    assert len(rim.client.get("/v1/choices?after=0").json["chosen"]["card"]) == 32


def test_a_language_stays_with_the_sale_until_another_is_chosen_or_none(rim: Rim) -> None:
    said = msgspec.convert(rim.post("/v1/quotes", quote()).json, QuoteSaid)
    sale = Priced(said)
    sale.quote(msgspec.convert(quote(card="ours"), QuoteBody))
    chosen = [
        sale.choose("c1", language="pl"),
        sale.choose("c2", card="another"),
        sale.choose("c3", points_to_spend=100),
        sale.choose("c4", without_card=True),
        sale.choose("c5", language="ru"),
        sale.choose("c6", without_language=True),
    ]
    assert chosen == ["pl", "pl", "pl", "pl", "ru", None]
    assert sale.languages == [None, "pl", "pl", "pl", "pl", "ru", None]


def test_a_language_of_the_poss_own_is_kept_by_a_choice_that_names_none(rim: Rim) -> None:
    said = msgspec.convert(rim.post("/v1/quotes", quote()).json, QuoteSaid)
    sale = Priced(said)
    sale.quote(msgspec.convert(quote(language="pt-BR"), QuoteBody))
    assert sale.choose("c1", points_to_spend=100) == "pt-BR"
    assert sale.languages == ["pt-BR", "pt-BR"]


def test_a_language_chosen_at_a_page_is_that_of_screens_quote_and_slip(rim: Rim) -> None:
    rim.post("/v1/quotes", quote())
    before = rim.journal.head()
    said = choose(rim, "c1", language="pl")
    # A fifth off 10.00.
    assert "Tydzień kawy: 2,00 taniej" in said["quote"]["messages"]["customer"]
    shown = rim.client.get("/v1/screen").json
    assert (shown["language"], shown["messages"][0]) == ("pl", "Tydzień kawy: 2,00 taniej")
    assert rim.journal.head() == before
    told = rim.client.get("/v1/choices?after=0").json["chosen"]
    assert told["language"] == "pl"
    rim.client.get("/v1/choices?after=1")
    assert "Oszczędzasz 2,00 EUR" in rim.post("/v1/receipts", commit(**told)).json["text"]
    assert rim.client.get("/v1/screen").json["language"] == "pl"
    rim.post("/v1/quotes", quote(quote_id="Q2"))
    assert rim.client.get("/v1/screen").json["messages"][0] == "Coffee week: you save 2.00"


def test_a_language_chosen_before_the_first_line_waits_for_the_pos(rim: Rim) -> None:
    assert choose(rim, "c1", language="pl")["quote"] is None
    assert rim.client.get("/v1/choices?after=0").json["chosen"]["language"] == "pl"
    assert choose(rim, "c2", card=CARD)["chosen"]["language"] == "pl"


def test_a_language_leaves_the_card_alone_that_the_pos_read_meanwhile(rim: Rim) -> None:
    choose(rim, "c1", language="pl")
    rim.post("/v1/quotes", quote())  # by a POS that has not heard yet
    told = rim.client.get("/v1/choices?after=0").json["chosen"]
    assert (len(told["card"]), told["language"]) == (32, "pl")
    said = choose(rim, "c2", language="ru")
    assert (said["quote"]["member"]["card"], said["chosen"]["card"]) == ("…8903", told["card"])
    # A card that a page chose stands until the POS has heard of it.
    stranger = choose(rim, "c3", card=STRANGER)["chosen"]["card"]
    rim.post("/v1/quotes", quote())
    assert rim.client.get("/v1/choices?after=0").json["chosen"]["card"] == stranger != told["card"]


def test_a_pos_that_has_heard_of_a_language_and_sends_none_speaks_as_before(rim: Rim) -> None:
    rim.post("/v1/quotes", quote())
    choose(rim, "c1", language="pl")
    rim.client.get("/v1/choices?after=1")
    rim.post("/v1/quotes", quote())
    assert rim.client.get("/v1/screen").json["language"] == "en"
    assert choose(rim, "c2", points_to_spend=300)["chosen"]["language"] is None


def test_who_goes_away_takes_the_language_from_the_sale(rim: Rim) -> None:
    rim.post("/v1/quotes", quote())
    choose(rim, "c1", language="pl")
    rim.post("/v1/quotes", quote(language="pl"))
    said = choose(rim, "c2", without_card=True, without_language=True)
    assert said["chosen"] == {"card": None, "points_to_spend": 0, "hold_id": None, "language": None}
    assert rim.client.get("/v1/screen").json["language"] == "en"


def test_a_language_that_nobody_has_words_for_is_no_choice(rim: Rim) -> None:
    refused = rim.post("/v1/choices", {"choice_id": "c1", "language": "de"})
    assert (refused.status_code, refused.json["code"]) == (400, "request.malformed")
    assert "language" in refused.json["detail"]
