"""The POS behind the demo's self-checkout: what was chosen at the page is in what it sends."""

from pathlib import Path
from typing import Any

from tallypoint.demo.kiosk import SelfCheckout
from tallypoint.demo.tills import Till
from tests.edge.rim import CARD, Rim


class InMemory:
    """A till's client without a port."""

    def __init__(self, rim: Rim) -> None:
        self._rim = rim
        self.sent: list[dict[str, Any]] = []

    def get(self, path: str, **query: Any) -> Any:
        return self._rim.client.get(path, query_string=query).json

    def post(self, path: str, body: dict[str, Any]) -> Any:
        self.sent.append(body)
        return self._rim.post(path, body).json


def test_what_a_customer_chose_is_in_the_next_quote_and_in_no_other_sale(tmp_path: Path) -> None:
    rim = Rim(tmp_path)
    client = InMemory(rim)
    till = Till(label="1", partner="northwind", store="S1", client=client)  # type: ignore[arg-type]
    pos = SelfCheckout(till, None, seed=1, when={})  # type: ignore[arg-type]
    rim.post("/v1/choices", {"choice_id": "c1", "card": CARD})
    rim.post("/v1/choices", {"choice_id": "c2", "language": "pl"})
    while pos.look():
        pass  # one article after the other
    assert {(len(one["card"]), one["language"]) for one in client.sent} == {(32, "pl")}
    assert rim.client.get("/v1/screen").json["language"] == "pl"
    rim.post("/v1/choices", {"choice_id": "c3", "without_card": True, "without_language": True})
    pos.look()
    assert (client.sent[-1]["card"], client.sent[-1]["language"]) == (None, None)
    assert rim.client.get("/v1/screen").json["language"] == "en"
