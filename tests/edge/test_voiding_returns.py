"""A return undone, and an exchange undone in both halves: points, money over the counter, what is said and refused."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.sale.certificate_names import code_token
from loyalty.certificates import CertificateRow
from loyalty.programme.programme import read_programme
from sync.lanes import LaneState
from sync.wire import Page
from tests.edge.rim import CARD, PROGRAMME, Rim, basket, commit, line, member
from tests.edge.test_exchanging import AT, swap


@pytest.fixture
def rim(tmp_path: Path) -> Rim:
    """R1 is sold: coffee 8.00 (80 points) and bread 2.50 (25)."""
    rim = Rim(tmp_path, in_files=True)
    rim.post("/v1/receipts", commit())
    return rim


def bring(rim: Rim, name: str = "B1", *numbers: int, **more: Any) -> Any:
    lines = [{"line": number} for number in numbers or (2,)]
    return rim.post("/v1/returns", {"return_id": name, "of": "R1", "lines": lines, "sold_at": AT, **more}).json


def slip_of(told: dict[str, Any]) -> list[str]:
    """Its rows from the sum that is undone on, up to what becomes of points."""
    rows = [" ".join(row.split()) for row in told["text"].splitlines()]
    at = next(at for at, row in enumerate(rows) if row.startswith("VOIDED"))
    return rows[at : next(n for n in range(at, len(rows)) if rows[n].startswith("---"))]


def balance(rim: Rim) -> int:
    return int(rim.client.get(f"/v1/balance?card={CARD}").json["member"]["balance_points"])


# A return


def test_a_return_undone_gives_its_points_again_and_its_goods_may_come_back_once_more(rim: Rim) -> None:
    first = bring(rim)
    assert (first["paid_out_minor"], first["points_reversed"], balance(rim)) == (250, 25, 1240 + 80)
    done = rim.post("/v1/returns/B1/void", {"cashier": "4", "sold_at": AT})
    assert done.status_code == 201
    told = done.json
    assert (told["to_take_in_minor"], told["points_given"], told["points_taken"]) == (250, 25, 0)
    assert balance(rim) == 1240 + 105
    left = rim.client.get("/v1/returnable?of=R1").json["lines"]
    assert [(one["line"], one["left"]) for one in left] == [(1, "1.000"), (2, "1.000")]
    again = bring(rim, "B2")
    assert {name: again[name] for name in ("net_minor", "points_reversed")} == {"net_minor": 250, "points_reversed": 25}
    assert balance(rim) == 1240 + 80


def test_a_return_undone_is_answered_the_same_again_whoever_asks(rim: Rim) -> None:
    bring(rim)
    first = rim.post("/v1/returns/B1/void", {"sold_at": AT}).json
    head = rim.journal.head()
    again = rim.post("/v1/returns/B1/void", {"cashier": "9"})
    assert (again.status_code, again.json) == (200, {**first, "replayed": True})
    assert rim.journal.head() == head


def test_the_slip_says_what_is_cancelled_and_what_the_customer_pays_again(rim: Rim) -> None:
    bring(rim)
    told = rim.post("/v1/returns/B1/void", {"sold_at": AT}).json
    for words in ("VOID", "B1", "2.50", "Given back", "25"):
        assert words in told["text"]
    again = rim.client.get("/v1/receipts/void:B1").json
    assert "*** COPY ***" in again["text"] and again["event"] == told["event"]
    assert "ANULOWANIE" in rim.client.get("/v1/receipts/void:B1?language=pl").json["text"]


def test_points_that_came_back_are_spent_again(tmp_path: Path) -> None:
    rim = Rim(tmp_path)
    rim.post("/v1/receipts", commit(basket=basket(line(1, "lamp", 5000)), points_to_spend=1000))
    before = balance(rim)
    bring(rim, "B1", 1)
    told = rim.post("/v1/returns/B1/void", {"sold_at": AT}).json
    # 40.00 in money, 1,000 points for the other 10.00; it had earned 800.
    assert (told["to_take_in_minor"], told["points_given"], told["points_taken"]) == (4000, 800, 1000)
    assert balance(rim) == before


def test_points_that_came_back_and_were_spent_since_keep_the_return(tmp_path: Path) -> None:
    rim = Rim(tmp_path)
    rim.post("/v1/receipts", commit(basket=basket(line(1, "lamp", 500)), points_to_spend=500))
    bring(rim, "B1", 1)
    rim.post("/v1/receipts", commit(receipt_id="R2", basket=basket(line(1, "sofa", 1000)), points_to_spend=1000))
    answer = rim.post("/v1/returns/B1/void", {"sold_at": AT})
    assert (answer.status_code, answer.json["code"]) == (409, "void.points_spent")
    assert answer.json["figures"] == {"asked": 500, "left": 240}


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/returns/B9/void", 404, "void.return_unknown"),
        ("/v1/returns/R1/void", 404, "void.return_unknown"),
        ("/v1/returns/B1/void", 409, "void.has_returns"),
    ],
)
def test_what_cannot_be_undone_is_refused(rim: Rim, path: str, status: int, code: str) -> None:
    bring(rim, "B1", 1)
    bring(rim, "B2", 2)
    head = rim.journal.head()
    answer = rim.post(path, {})
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert rim.journal.head() == head


def test_the_last_return_goes_first_and_then_the_one_before(rim: Rim) -> None:
    bring(rim, "B1", 1)
    bring(rim, "B2", 2)
    assert [rim.post(f"/v1/returns/{name}/void", {}).status_code for name in ("B2", "B1")] == [201, 201]
    # Nothing has come back any more, so the receipt itself can be voided.
    assert rim.post("/v1/receipts/R1/void", {}).status_code == 201
    assert balance(rim) == 1240


def test_after_the_close_a_return_stands(rim: Rim) -> None:
    bring(rim)
    rim.post("/v1/day-close", {"business_date": "2026-03-05"})
    answer = rim.post("/v1/returns/B1/void", {})
    assert (answer.status_code, answer.json["code"]) == (409, "void.day_closed")


# What certificates have to do with it

GIFT = "GC-7781-0042"
GIFTS = read_programme(PROGRAMME + "certificates: {sold: {sku: [gift]}, offline_minor: 9000}\n")


def hear(rim: Rim, amount: int, own_seq: int = 0, blocked: str = "", through: date = date(2027, 1, 31)) -> None:
    """Head office says what is on the certificate, with what this till did up to an event."""
    parts = ((through, amount),) if amount else ()
    told = CertificateRow(code=token_of(rim), parts=parts, own_seq=own_seq, blocked=blocked)
    before = rim.cache.lane("certificates")
    after = LaneState(cursor=f"{before.version + 1}", version=before.version + 1)
    rows = (msgspec.Raw(msgspec.json.encode(told)),)
    page = Page(lane="certificates", from_cursor=before.cursor, to_cursor=after.cursor, version=after.version,
                more=False, rows=rows)  # fmt: skip
    rim.cache.take_page(page, after)


def token_of(rim: Rim) -> str:
    return code_token(rim.identity.card_key, GIFT)


def stands(rim: Rim) -> tuple[str, int, int]:
    """(state, on it, may pay)."""
    told = rim.post("/v1/certificates", {"request_id": "c1", "action": "enquire", "code": GIFT, "sold_at": AT}).json
    return told["state"], told["balance_minor"], told["may_pay_minor"]


@pytest.fixture
def gifts(tmp_path: Path) -> Rim:
    """R1 is sold, event 2 of its till: a certificate of 20.00 and bread."""
    rim = Rim(tmp_path, in_files=True)
    rim.cache.load_programme(GIFTS)
    sold = line(1, "gift", 2000, certificate=GIFT)
    assert rim.post("/v1/receipts", commit(basket=basket(sold, line(2, "bread", 250)))).status_code == 201
    return rim


def undo(rim: Rim, name: str = "B1") -> Any:
    return rim.post(f"/v1/returns/{name}/void", {"sold_at": AT})


@pytest.mark.parametrize(("before", "after", "heard"), [
    # Head office has heard of nothing, of the sale, of the return, and of the void too.
    (None, None, ("not_active_yet", 2000, 0)),
    ((2000, 2), None, ("active", 2000, 2000)),
    ((2000, 2), (0, 3), ("not_active_yet", 2000, 0)),
    ((2000, 2), (2000, 4), ("active", 2000, 2000)),
    # 5.00 more are on it, which another till put there; 3.00 of these were paid elsewhere.
    ((2500, 2), None, ("active", 2500, 2500)),
    ((2500, 2), (200, 3), ("active", 200, 200)),
    ((2500, 2), (2200, 4), ("active", 2200, 2200)),
])  # fmt: skip
def test_a_certificate_that_came_back_is_in_use_again_as_it_was(
    gifts: Rim, before: Any, after: Any, heard: tuple[str, int, int]
) -> None:
    if before:
        hear(gifts, *before)
    bring(gifts, "B1", 1)
    assert stands(gifts)[1] == (before[0] - 2000 if before else 0)
    if after and after[1] < 4:
        hear(gifts, *after)
    told = undo(gifts)
    assert (told.status_code, told.json["to_take_in_minor"]) == (201, 2000)
    if after and after[1] == 4:
        hear(gifts, *after)
    assert stands(gifts) == heard


def test_a_void_that_was_lost_is_asked_for_again_after_a_crash(gifts: Rim, tmp_path: Path) -> None:
    hear(gifts, 2000, 2)
    bring(gifts, "B1", 1)
    first, head = undo(gifts).json, gifts.journal.head()
    gifts.journal.close()
    later = Rim(tmp_path, in_files=True, with_programme=False)
    later.cache.load_programme(GIFTS)
    again = undo(later)
    assert (again.status_code, again.json) == (200, {**first, "replayed": True})
    assert later.journal.head() == head
    hear(later, 2000, 2)
    assert stands(later) == ("active", 2000, 2000)
    # It can be paid with and come back once more, whole.
    bring(later, "B2", 1)
    assert stands(later)[0] == "used_up"
    assert undo(later, "B2").status_code == 201
    assert stands(later) == ("active", 2000, 2000)
    paid = later.post("/v1/receipts", commit(receipt_id="R2", certificates=[{"code": GIFT}])).json
    assert paid["totals"]["paid_with_certificates_minor"] == 1050


def test_an_exchange_of_a_certificate_is_undone_too(gifts: Rim) -> None:
    hear(gifts, 2000, 2)
    done = gifts.post("/v1/exchanges", swap(back={"lines": [{"line": 1}]}))
    assert (done.status_code, stands(gifts)[0]) == (201, "used_up")
    assert gifts.post("/v1/exchanges/X1/void", {"sold_at": AT}).status_code == 201
    assert stands(gifts) == ("active", 2000, 2000)


@pytest.mark.parametrize("where", ["blocked here", "blocked elsewhere", "sold", "activated"])
def test_one_that_something_happened_to_since_stays_out_of_use(gifts: Rim, where: str) -> None:
    hear(gifts, 2000, 2)
    bring(gifts, "B1", 1)
    if where == "sold":
        gifts.post("/v1/receipts", commit(receipt_id="R2", basket=basket(line(1, "gift", 900, certificate=GIFT))))
    elif where == "blocked elsewhere":
        hear(gifts, 0, 3, blocked="lost")
    else:
        asked = {"action": "block", "reason": "lost"} if where == "blocked here" else {"action": "activate"}
        asked |= {} if where == "blocked here" else {"amount_minor": 900, "currency": "EUR"}
        done = gifts.post("/v1/certificates", {"request_id": "c9", "code": GIFT, "sold_at": AT, **asked})
        assert done.status_code == 201
    head = gifts.journal.head()
    answer = undo(gifts)
    assert (answer.status_code, answer.json["code"]) == (409, "void.certificate_gone")
    assert "new certificate" in answer.json["detail"]
    assert gifts.journal.head() == head


def test_one_that_was_sold_again_and_came_back_once_more_is_free_again(gifts: Rim) -> None:
    hear(gifts, 2000, 2)
    bring(gifts, "B1", 1)
    gifts.post("/v1/receipts", commit(receipt_id="R2", basket=basket(line(1, "gift", 900, certificate=GIFT))))
    assert gifts.post("/v1/receipts/R2/void", {"sold_at": AT}).status_code == 201
    assert undo(gifts).status_code == 201


def test_what_went_back_onto_a_certificate_is_paid_with_it_again(tmp_path: Path) -> None:
    rim = Rim(tmp_path)
    rim.cache.load_programme(GIFTS)
    hear(rim, 5000)
    paid = rim.post("/v1/receipts", commit(certificates=[{"code": GIFT, "amount_minor": 250}])).json
    assert paid["totals"]["to_pay_minor"] == 1050 - 250, paid
    assert stands(rim)[1] == 4750
    back = bring(rim, "B1", 1, 2)
    assert (back["to_certificates_minor"], stands(rim)[1]) == (250, 5000)
    told = undo(rim).json
    assert (told["to_take_in_minor"], stands(rim)[1]) == (1050 - 250, 4750)
    assert slip_of(told) == ["VOIDED EUR 10.50", "Gift certificate 2.50", "TO PAY EUR 8.00"]


def test_money_that_went_back_onto_a_certificate_and_was_spent_since_keeps_the_return(tmp_path: Path) -> None:
    rim = Rim(tmp_path)
    rim.cache.load_programme(GIFTS)
    hear(rim, 5000)
    rim.post("/v1/receipts", commit(certificates=[{"code": GIFT, "amount_minor": 250}]))
    bring(rim, "B1", 1, 2)
    lamp = commit(receipt_id="R2", basket=basket(line(1, "lamp", 4900)), certificates=[{"code": GIFT}])
    assert rim.post("/v1/receipts", lamp).json["totals"]["to_pay_minor"] == 0
    answer = undo(rim)
    assert (answer.status_code, answer.json["code"]) == (409, "void.money_spent")
    assert answer.json["figures"] == {"asked_minor": 250, "left_minor": 100}
    rim.post("/v1/receipts/R2/void", {"sold_at": AT})
    assert (undo(rim).status_code, stands(rim)[1]) == (201, 4750)


@pytest.mark.parametrize(("heard", "status"), [
    ((0, 2), 201),  # of the sale alone: what came back is on it besides
    ((100, 2), 201),
    ((0, 3), 409),  # of the return too, so it was spent elsewhere since
    ((100, 3), 409),
    ((250, 3), 201),
])  # fmt: skip
def test_what_head_office_said_of_a_certificate_is_counted_with_what_was_done_here(
    tmp_path: Path, heard: tuple[int, int], status: int
) -> None:
    rim = Rim(tmp_path)
    rim.cache.load_programme(GIFTS)
    hear(rim, 250)
    rim.post("/v1/receipts", commit(certificates=[{"code": GIFT}]))
    bring(rim, "B1", 1, 2)
    hear(rim, *heard)
    assert undo(rim).status_code == status


def test_money_that_went_back_into_the_wallet_and_was_spent_since_keeps_the_return(tmp_path: Path) -> None:
    rim = Rim(tmp_path)
    rim.cache.load_programme(read_programme(PROGRAMME + "certificates: {sold: {sku: [gift]}, wallet: true}\n"))
    ana = member()
    row = msgspec.structs.replace(ana.row, stored_minor=300)
    rim.cache.load_members([msgspec.structs.replace(ana, row=row)])
    rim.post("/v1/receipts", commit(from_wallet_minor=250))
    bring(rim, "B1", 1, 2)
    rim.post("/v1/receipts", commit(receipt_id="R2", basket=basket(line(1, "lamp", 4900)), from_wallet_minor=280))
    answer = undo(rim)
    assert (answer.status_code, answer.json["code"]) == (409, "void.money_spent")
    assert answer.json["figures"] == {"asked_minor": 250, "left_minor": 20}
    rim.post("/v1/receipts/R2/void", {"sold_at": AT})
    assert undo(rim).status_code == 201


def test_an_exchange_whose_money_is_gone_says_what_to_do_with_the_new_goods(tmp_path: Path) -> None:
    rim = Rim(tmp_path)
    rim.cache.load_programme(GIFTS)
    hear(rim, 250)
    rim.post("/v1/receipts", commit(certificates=[{"code": GIFT}]))
    rim.post("/v1/exchanges", swap(back={"lines": [{"line": 1}, {"line": 2}]}))
    rim.post("/v1/receipts", commit(receipt_id="R2", certificates=[{"code": GIFT}]))
    head = rim.journal.head()
    answer = rim.post("/v1/exchanges/X1/void", {"sold_at": AT})
    assert (answer.status_code, answer.json["code"], rim.journal.head()) == (409, "void.money_spent", head)
    assert answer.json["detail"].endswith("Take the new goods back as a return, and sell the others again.")
    # As it says.
    done = rim.post("/v1/returns", {"return_id": "B2", "of": "X1-sale", "lines": [{"line": 1}], "sold_at": AT})
    assert done.status_code == 201


def test_money_that_has_lapsed_since_is_not_said_to_be_spent(tmp_path: Path) -> None:
    rim = Rim(tmp_path)
    rim.cache.load_programme(GIFTS)
    hear(rim, 250)
    rim.post("/v1/receipts", commit(certificates=[{"code": GIFT}]))
    bring(rim, "B1", 1, 2)
    hear(rim, 250, 3, through=date(2026, 3, 4))
    answer = undo(rim)
    assert (answer.status_code, answer.json["code"]) == (409, "void.money_spent")
    assert answer.json["detail"] == (
        "Money that went back to a certificate or the wallet is not there any more. Sell the goods again."
    )


def test_the_void_of_a_sale_hands_out_what_no_certificate_paid(tmp_path: Path) -> None:
    rim = Rim(tmp_path)
    rim.cache.load_programme(GIFTS)
    hear(rim, 5000)
    rim.post("/v1/receipts", commit(certificates=[{"code": GIFT, "amount_minor": 250}]))
    told = rim.post("/v1/receipts/R1/void", {"sold_at": AT}).json
    assert (told["to_hand_out_minor"], stands(rim)[1]) == (1050 - 250, 5000)
    assert slip_of(told) == ["VOIDED EUR 10.50", "Back on gift certificate 2.50", "PAID OUT EUR 8.00"]
    assert rim.post("/v1/receipts/R1/void", {"sold_at": AT}).json["to_hand_out_minor"] == 800


def test_points_that_a_voided_sale_spent_are_not_handed_out_as_money(tmp_path: Path) -> None:
    rim = Rim(tmp_path)
    rim.post("/v1/receipts", commit(basket=basket(line(1, "lamp", 5000)), points_to_spend=1000))
    told = rim.post("/v1/receipts/R1/void", {"sold_at": AT}).json
    assert (told["to_hand_out_minor"], told["points_restored"]) == (4000, 1000)
    assert slip_of(told) == ["VOIDED EUR 50.00", "1,000 points 10.00", "PAID OUT EUR 40.00"]


# An exchange


def test_an_exchange_undone_leaves_everything_as_it_was(rim: Rim) -> None:
    before = balance(rim)
    rim.post("/v1/exchanges", swap())
    done = rim.post("/v1/exchanges/X1/void", {"cashier": "4", "sold_at": AT})
    assert done.status_code == 201
    told = done.json
    # The mug's 8.90 less the bread's 2.50: what the customer had paid.
    assert (told["to_hand_out_minor"], told["to_take_in_minor"], told["points_net"]) == (640, 0, 25 - 89)
    assert slip_of(told) == ["VOIDED EUR 8.90", "Brought back -2.50", "PAID OUT EUR 6.40"]
    assert (told["receipt"]["points_reversed"], told["return"]["points_given"]) == (89, 25)
    assert told["return"]["event"]["seq"] == told["receipt"]["event"]["seq"] + 1
    assert balance(rim) == before
    for event_id in ("void:X1-sale", "void:X1-back"):
        detail = json.loads(bytes(rim.journal.find(event_id).event.detail))
        assert (detail["exchange"], detail["cashier"]) == ("X1", "4")
    # The bread can be exchanged anew, and the receipt can be voided after that is undone too.
    assert rim.post("/v1/exchanges", swap(exchange_id="X2", back={"return_id": "b2"}, sale={"receipt_id": "s2"})
                    ).status_code == 201  # fmt: skip
    assert rim.post("/v1/exchanges/X2/void", {}).status_code == 201
    assert rim.post("/v1/receipts/R1/void", {}).status_code == 201
    assert balance(rim) == 1240


def test_an_exchange_for_less_undone_is_paid_for_again(rim: Rim) -> None:
    rim.post("/v1/exchanges", swap(line(1, "roll", 100)))
    told = rim.post("/v1/exchanges/X1/void", {"sold_at": AT}).json
    assert (told["to_hand_out_minor"], told["to_take_in_minor"], told["points_net"]) == (0, 150, 25 - 10)
    assert slip_of(told) == ["VOIDED EUR 1.00", "Brought back -2.50", "TO PAY EUR 1.50"]


def test_an_exchange_undone_says_what_certificates_get_back_and_what_they_pay_again(tmp_path: Path) -> None:
    rim = Rim(tmp_path)
    rim.cache.load_programme(GIFTS)
    hear(rim, 5000)
    # 2.50 of the 10.50 came off the certificate, and go back onto it; of the mug's 8.90 it pays 3.00.
    rim.post("/v1/receipts", commit(certificates=[{"code": GIFT, "amount_minor": 250}]))
    sale = {"certificates": [{"code": GIFT, "amount_minor": 300}]}
    done = rim.post("/v1/exchanges", swap(back={"lines": [{"line": 1}, {"line": 2}]}, sale=sale)).json
    assert (done["to_hand_out_minor"], stands(rim)[1]) == (210, 5000 - 300)
    told = rim.post("/v1/exchanges/X1/void", {"sold_at": AT}).json
    assert stands(rim)[1] == 5000 - 250
    # 8.90 less 10.50, and the 3.00 that go back: 4.60, of which the certificate pays 2.50 again.
    assert slip_of(told) == [
        "VOIDED EUR 8.90", "Brought back -10.50", "Back on gift certificate 3.00", "Gift certificate 2.50",
        "TO PAY EUR 2.10",
    ]  # fmt: skip


def test_points_that_the_return_gave_and_the_sale_spent_go_round(tmp_path: Path) -> None:
    rim = Rim(tmp_path)
    rim.post("/v1/receipts", commit(basket=basket(line(1, "lamp", 5000)), points_to_spend=1000))
    before = balance(rim)
    sofa = {"basket": basket(line(1, "sofa", 9000)), "points_to_spend": 400}
    rim.post("/v1/exchanges", swap(back={"lines": [{"line": 1}]}, sale=sofa))
    assert rim.post("/v1/exchanges/X1/void", {"sold_at": AT}).status_code == 201
    assert balance(rim) == before


def test_an_exchange_undone_is_answered_the_same_again_and_survives_a_restart(rim: Rim, tmp_path: Path) -> None:
    rim.post("/v1/exchanges", swap())
    first = rim.post("/v1/exchanges/X1/void", {"sold_at": AT}).json
    head = rim.journal.head()
    rim.journal.close()
    later = Rim(tmp_path, in_files=True, with_programme=False)
    again = later.post("/v1/exchanges/X1/void", {})
    halves = {name: {**first[name], "replayed": True} for name in ("return", "receipt")}
    assert (again.status_code, again.json) == (200, {**first, **halves, "replayed": True})
    assert later.journal.head() == head


def test_goods_of_an_exchange_that_came_back_keep_it_whole(rim: Rim) -> None:
    rim.post("/v1/exchanges", swap())
    rim.post("/v1/returns", {"return_id": "B9", "of": "X1-sale", "lines": [{"line": 1}]})
    head = rim.journal.head()
    assert rim.post("/v1/exchanges/X1/void", {}).json["code"] == "void.has_returns"
    # More of the first receipt came back, too: the return is not the last one.
    rim.post("/v1/returns/B9/void", {})
    bring(rim, "B8", 1)
    assert rim.post("/v1/exchanges/X1/void", {}).json["code"] == "void.has_returns"
    assert rim.journal.find("void:X1-sale") is None and rim.journal.head().seq == head.seq + 2


def test_the_close_counts_both_voids_and_knows_what_they_explain(rim: Rim) -> None:
    rim.post("/v1/exchanges", swap())
    rim.post("/v1/exchanges/X1/void", {"sold_at": AT})
    totals = {"receipts": 1, "voids": 2, "returns": 0, "returned_minor": 0}
    told = rim.post("/v1/day-close", {"business_date": "2026-03-05", "totals": totals}).json
    assert (told["receipts"], told["voids"], told["returns"]) == (2, 2, 1)
    differ = {one["figure"]: [(row["receipt_id"], row["why"]) for row in one["receipts"]]
              for one in told["differences"]}  # fmt: skip
    assert differ["returned_minor"] == [("X1-back", "voided")]


def test_a_supervisor_approves_both_voids_at_once(tmp_path: Path) -> None:
    rim = Rim(tmp_path, approvals={"void": 500})
    rim.post("/v1/receipts", commit())
    rim.post("/v1/exchanges", swap())
    assert rim.post("/v1/exchanges/X1/void", {}).json["code"] == "override.wanted"
    assert rim.journal.find("void:X1-sale") is None
    override = {"supervisor": "91", "reason": "wrong customer"}
    told = rim.post("/v1/exchanges/X1/void", {"override": override}).json
    assert (told["approved_by"], told["return"]["approved_by"]) == ("91", "91")
    assert "wrong customer" in told["text"]


def test_an_unknown_exchange_is_not_undone(rim: Rim) -> None:
    answer = rim.post("/v1/exchanges/X9/void", {})
    assert (answer.status_code, answer.json["code"]) == (404, "exchange.unknown")


def test_voids_are_practised_too(rim: Rim) -> None:
    head = rim.journal.head()
    rim.post("/v1/receipts", commit(training=True))
    rim.post("/v1/exchanges", swap(training=True))
    told = rim.post("/v1/exchanges/X1/void", {"training": True, "sold_at": AT}).json
    assert (told["to_hand_out_minor"], told["training"]) == (640, True)
    assert "TRAINING" in told["text"]
    bring(rim, "B1", training=True)
    assert rim.post("/v1/returns/B1/void", {"training": True}).json["training"] is True
    assert rim.journal.head() == head
    assert rim.client.get("/v1/training").json["voids"] == 3


def test_goods_of_a_sale_to_nobody_may_come_back_once_more(rim: Rim) -> None:
    rim.post("/v1/receipts", commit(receipt_id="R5", card=None))
    rim.post("/v1/returns", {"return_id": "B5", "of": "R5", "lines": [{"line": 1}, {"line": 2}], "sold_at": AT})
    assert rim.client.get("/v1/returnable?of=R5").json["lines"][0]["left"] == "0.000"
    rim.post("/v1/returns/B5/void", {"sold_at": AT})
    assert [one["left"] for one in rim.client.get("/v1/returnable?of=R5").json["lines"]] == ["1.000", "1.000"]
