"""The POS behind the demo's self-checkout: it rings up, and asks the till what was chosen at the page.

What a customer presses there is laid against the sale by the till's page; the POS fetches it and sends it with its next
quote and with the receipt. Goods that are scanned into the page are rung up too. Source: docs/screens.md "The sale at
hand".
"""

import threading
import time
from random import Random
from typing import Any

from tallypoint.demo.goods import article_line, basket
from tallypoint.demo.story import Story
from tallypoint.demo.till_client import TillSaysNo
from tallypoint.demo.tills import Rung, Till

LOOK_S = 1.0
PAY_AFTER_S = 20.0  # so long a customer may still choose
NOTHING: dict[str, Any] = {"card": None, "points_to_spend": 0, "hold_id": None, "language": None}


class SelfCheckout:
    """One self-checkout of the demo.

    Args:
        when: `sold_at`, `business_date` and `cashier` of its sales; empty for now.
    """

    def __init__(self, till: Till, story: Story, seed: int, when: dict[str, str]) -> None:
        self._till, self._story, self._when = till, story, when
        self._random = Random(seed)
        self._sales, self._cursor = 0, 0
        self._chosen = NOTHING
        self._lines: list[dict[str, Any]] = []
        self._shelf: list[dict[str, Any]] = []  # what is rung up next
        self._coupons: list[str] = []

    def look(self) -> bool:
        """Ask once what was chosen, and quote the basket anew where something was, or another article is rung up.

        Returns:
            Whether anything changed.
        """
        said = self._till.client.get("/v1/choices", after=self._cursor)
        self._cursor = said["cursor"]
        if said["chosen"] is not None:
            if self._chosen["card"] is None and said["chosen"]["card"] and not self._lines:
                self._shelf = basket(self._random, self._till.partner)["lines"]
            self._chosen = said["chosen"]
        for code in said["codes"]:
            if line := article_line(self._till.partner, code):
                self._shelf.append(line)
            else:
                self._coupons.append(code)
        is_new = said["chosen"] is not None or bool(said["codes"]) or bool(self._shelf)
        if self._shelf:
            self._lines.append(self._shelf.pop(0) | {"line": len(self._lines) + 1})
        if is_new and self._lines:
            self._quote()
        return is_new

    def pay(self) -> Rung | None:
        """End the sale as it stands; none where nothing was rung up."""
        if not self._lines:
            return None
        self._quote()
        rung = self._story.keep(self._till, self._body(), self._till.client.post("/v1/receipts", self._body()))
        rung.undone = True  # nobody of the story brings it back
        self._forget()
        return rung

    def serve(self, stop: threading.Event) -> None:
        """Stand there until `stop`: ring up for whoever shows a card, and be paid once nobody presses anything."""
        changed_s = time.monotonic()
        while not stop.wait(LOOK_S):
            try:
                if self.look():
                    changed_s = time.monotonic()
                elif time.monotonic() - changed_s >= PAY_AFTER_S:
                    self.pay()
            except TillSaysNo as no:
                self._till.refused.append(str(no.figures.get("code")))
                self._forget()  # as a cashier would: this sale is given up, the next customer waits

    def _quote(self) -> None:
        """Price the basket. Points that cannot be had after all are left out, as the till would refuse the receipt."""
        body = {name: value for name, value in self._body().items() if name != "receipt_id"}
        try:
            self._till.client.post("/v1/quotes", body)
        except TillSaysNo as no:
            if not self._chosen["points_to_spend"]:
                raise
            self._till.refused.append(str(no.figures.get("code")))
            self._chosen = self._chosen | {"points_to_spend": 0, "hold_id": None}
            self._quote()

    def _body(self) -> dict[str, Any]:
        name = f"{self._when.get('business_date', 'now').replace('-', '')}-{self._till.label}-k{self._sales}"
        return {
            "receipt_id": name,
            "quote_id": name,
            "basket": {"currency": "EUR", "lines": self._lines},
            "coupons": self._coupons,
            "tenders": [],
            **self._chosen,
            **self._when,
        }

    def _forget(self) -> None:
        """The next customer."""
        self._sales += 1
        self._chosen, self._lines, self._shelf, self._coupons = NOTHING, [], [], []
