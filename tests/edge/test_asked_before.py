"""A request that was answered before a card key was retired, and is made again: the same answer, and nothing twice.

The card and the codes stand under other tokens then, in whichever order the keys came and whatever the till remembers.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from loyalty.cards.card_keys import CardKey, CardKeys
from tests.edge.rim import CARD, STRANGER, Rim, basket, commit, line, quote

AT = "2026-03-05T19:00:00+01:00"
FIRST, SECOND, THIRD = "22" * 32, "55" * 32, "66" * 32  # the first is the rim's


def keys(*named: tuple[str, bool]) -> CardKeys:
    return CardKeys(
        keys=tuple(CardKey(key_id=str(no), key=key, retired=gone) for no, (key, gone) in enumerate(named, 1))
    )


BOTH = keys((FIRST, False), (SECOND, False))
RETIRED = keys((FIRST, True), (SECOND, False))
TWICE = keys((FIRST, True), (SECOND, True), (THIRD, False))


def use(rim: Rim, told: CardKeys, *, restart: bool = False) -> None:
    """Head office told these keys; a till that starts anew has forgotten which cards were shown."""
    rim.desk.till.use_identity(msgspec.structs.replace(rim.identity, later_card_keys=told))
    if restart:
        rim.desk.till.forget_shown()


@pytest.fixture
def rim(tmp_path: Path) -> Rim:
    """R1 is sold, without a card."""
    rim = Rim(tmp_path)
    rim.post("/v1/receipts", commit(card=None))
    return rim


def sale(**more: Any) -> dict[str, Any]:
    return commit(**{"receipt_id": "R2", "coupons": ["NOBODYS-1"], **more})


def swap(**more: Any) -> dict[str, Any]:
    """The bread of R1 against a mug, on a card and with a code that nobody here knows."""
    goods = {"receipt_id": "X1-sale", "card": CARD, "basket": basket(line(1, "mug", 890)), "coupons": ["NOBODYS-1"]}
    return {
        "exchange_id": "X1", "cashier": "4", "sold_at": AT,
        "return": {"return_id": "X1-back", "of": "R1", "lines": [{"line": 2}]}, "receipt": {**goods, **more},
    }  # fmt: skip


def swap_without_receipt(**more: Any) -> dict[str, Any]:
    """Both halves name the card."""
    goods = {**line(1, "bread", 250), "quantity": "1.000"}
    back = {"return_id": "X1-back", "lines": [goods], "currency": "EUR", "card": CARD}
    return {**swap(**more), "return": back}


def parked(**more: Any) -> dict[str, Any]:
    sold = basket(line(1, "card", 2000, certificate="GC-7781-0042"))
    return {**quote(), "park_id": "P1", "coupons": ["NOBODYS-1"], "certificates": [{"code": "GC-7781-0043"}],
            "basket": sold, **more}  # fmt: skip


def hold(**more: Any) -> dict[str, Any]:
    return {"hold_id": "H1", "card": CARD, "points": 200, **more}


ASKED: list[tuple[str, Callable[..., dict[str, Any]]]] = [
    ("/v1/receipts", sale), ("/v1/exchanges", swap), ("/v1/exchanges", swap_without_receipt), ("/v1/parked", parked),
    ("/v1/holds", hold),
]  # fmt: skip
OTHERS = [{"card": STRANGER}, {"card": None}, {"coupons": ["NOBODYS-2"]}, {"coupons": []}]
PARKED_OTHERS = [{"certificates": [{"code": "GC-7781-0042"}]}, {"basket": basket(line(1, "card", 2000))}]


def plain(told: Any) -> Any:
    """An answer without what tells a retry."""
    if isinstance(told, list):
        return [plain(one) for one in told]
    if not isinstance(told, dict):
        return told
    return {name: plain(value) for name, value in told.items() if name != "replayed"}


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("told", [(RETIRED,), (BOTH, RETIRED), (BOTH, RETIRED, TWICE), (BOTH, TWICE)])
@pytest.mark.parametrize(("path", "body"), ASKED)
def test_the_same_request_is_answered_the_same(
    rim: Rim, path: str, body: Callable[..., dict[str, Any]], told: tuple[CardKeys, ...], restart: bool
) -> None:
    first = rim.post(path, body())
    assert first.status_code == 201, first.json
    head = rim.journal.head()
    for keys_now in told:
        use(rim, keys_now, restart=restart)
        again = rim.post(path, body())
        assert (again.status_code, plain(again.json)) == (200, plain(first.json))
        assert again.json.get("replayed", again.json.get("receipt", {}).get("replayed")) is True
    assert rim.journal.head() == head


@pytest.mark.parametrize("told", [BOTH, RETIRED])
@pytest.mark.parametrize(("path", "body", "other"), [
    *((path, body, other) for path, body in ASKED[:4] for other in OTHERS),
    *((*ASKED[3], other) for other in PARKED_OTHERS),
    *((*ASKED[4], other) for other in ({"card": STRANGER}, {"points": 100})),
])  # fmt: skip
def test_another_request_under_the_same_id_is_none(
    rim: Rim, path: str, body: Callable[..., dict[str, Any]], other: dict[str, Any], told: CardKeys
) -> None:
    rim.post(path, body())
    use(rim, told)
    head = rim.journal.head()
    no = rim.post(path, body(**other))
    assert (no.status_code, no.json["code"].rsplit(".", 1)[-1]) == (409, "id_reused")
    assert rim.journal.head() == head


def test_what_was_first_asked_while_two_keys_were_in_force_is_found_after_the_older_is_retired(rim: Rim) -> None:
    use(rim, BOTH)
    first = rim.post("/v1/exchanges", swap())
    laid = rim.post("/v1/parked", parked())
    use(rim, RETIRED, restart=True)
    assert (first.status_code, rim.post("/v1/exchanges", swap()).status_code) == (201, 200)
    assert (laid.status_code, rim.post("/v1/parked", parked()).status_code) == (201, 200)


def test_a_token_that_the_till_answered_is_the_same_whatever_key_is_in_force(rim: Rim) -> None:
    token = rim.post("/v1/cards/identify", {"card": CARD}).json["card_token"]
    first = rim.post("/v1/exchanges", swap(card=token))
    use(rim, RETIRED, restart=True)
    assert (first.status_code, rim.post("/v1/exchanges", swap(card=token)).status_code) == (201, 200)
