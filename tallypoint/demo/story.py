"""What one customer of the demo does at a till; every choice from one seed."""

from collections.abc import Iterable
from datetime import date
from random import Random
from typing import Any

from tallypoint.demo.goods import basket, coffee
from tallypoint.demo.till_client import TillSaysNo
from tallypoint.demo.tills import Rung, Till

REGULARS = 60
WELCOME = "welcome"


class Story:
    """The days of one coalition: `ring_up` is one customer, from card to receipt."""

    def __init__(self, seed: int, cards: list[str]) -> None:
        self.random = Random(seed)
        self.cards = cards
        # Most of the trade comes from few: they shop on both days, at any of the stores.
        self.regulars = self.random.sample(cards, REGULARS)
        self.number = 0
        self.coupons: list[str] = []  # in customers' pockets, as they were printed

    def ring_up(self, till: Till, day: date, *, may_spend: bool, card: str | None = None) -> Rung:
        """One sale: quote, perhaps a hold, commit. The receipt's id is the shop's own.

        Args:
            card: what the scanner read; by default four in five customers show a card of their own.
        """
        body = self.sale(till, day, card or self._some_card())
        coupon = self._some_coupon() if may_spend else None
        body["coupons"] = [*([WELCOME] if self.random.random() < 0.1 else []), *([coupon] if coupon else [])]
        quote = till.client.post("/v1/quotes", {name: value for name, value in body.items() if name != "receipt_id"})
        most, step = quote["redemption"]["most_points"], quote["redemption"]["step"]
        if may_spend and most and self.random.random() < 0.6:
            body |= self._hold(till, body, most, step)
        body |= {"programme_version": quote["programme_version"]}
        used = coupon in quote["coupons"]["used"]
        till.codes_refused += len(quote["coupons"]["refused"])
        rung = self.commit(till, body, coupons_used=(coupon,) if coupon and used else ())
        # What was not taken stays in the pocket; and now and then somebody has made a copy of what was.
        if coupon and (not used or self.random.random() < 0.15):
            self.coupons.append(coupon)
        self._after(till, day, rung)
        return rung

    def lay_down(self, coupon: str, tills: Iterable[Till], day: date) -> None:
        """Buy coffee with the same coupon at each of these tills, without a card; and drink it."""
        for till in tills:
            body = self.sale(till, day, None) | {"basket": coffee(), "coupons": [coupon]}
            self.commit(till, body, coupons_used=(coupon,)).undone = True

    def sale(self, till: Till, day: date, card: str | None) -> dict[str, Any]:
        """The body of a sale, with the id of its receipt."""
        self.number += 1
        minutes = 8 * 60 + self.random.randint(0, 11 * 60)
        return {
            "receipt_id": f"{day:%Y%m%d}-{till.label}-{self.number:05d}",
            "quote_id": f"q{self.number}",
            "card": card,
            "basket": basket(self.random, till.partner),
            "sold_at": f"{day}T{minutes // 60:02d}:{minutes % 60:02d}:00+01:00",
            "business_date": day.isoformat(),
            "cashier": f"c{self.random.randint(1, 4)}",
            "tenders": [],
        }

    def commit(self, till: Till, body: dict[str, Any], *, coupons_used: tuple[str, ...] = ()) -> Rung:
        """Commit a sale; the same body again gives the same answer."""
        return self.keep(till, body, till.client.post("/v1/receipts", body), coupons_used=coupons_used)

    def keep(
        self, till: Till, body: dict[str, Any], said: dict[str, Any], *, coupons_used: tuple[str, ...] = ()
    ) -> Rung:
        """Put a sale that was answered on the shop's own list."""
        totals = said["totals"]
        rung = Rung(
            receipt_id=body["receipt_id"],
            card=body["card"],
            basket=body["basket"],
            net_minor=totals["net_minor"],
            points_earned=totals["points_earned"],
            points_spent=totals["points_spent"],
            coupons_used=coupons_used,
            coupons_issued=tuple(one["code"] for one in said["coupons_issued"]),
        )
        self.coupons += rung.coupons_issued
        till.rung.append(rung)
        till.answered.append(rung.receipt_id)
        return rung

    def _hold(self, till: Till, body: dict[str, Any], most: int, step: int) -> dict[str, Any]:
        """Set points aside; a till that may not is asked for nothing."""
        points = step * self.random.randint(max(1, 100 // step), max(1, most // step))
        points = min(points, most)
        try:
            held = till.client.post(
                "/v1/holds", {"hold_id": f"h-{body['receipt_id']}", "card": body["card"], "points": points}
            )
        except TillSaysNo as no:
            till.refused.append(str(no.figures.get("code")))
            return {}
        till.held += 1
        return {"hold_id": held["hold_id"], "points_to_spend": held["points"]}

    def _after(self, till: Till, day: date, rung: Rung) -> None:
        """One receipt in thirty is voided at once, one in twelve comes back in part or whole, some without receipt."""
        draw = self.random.random()
        if draw < 0.033:
            till.client.post(f"/v1/receipts/{rung.receipt_id}/void", self._when(day))
            till.answered.append(f"void:{rung.receipt_id}")
            rung.undone = True
            # The paper is torn up, the coupon that paid goes back.
            self.coupons = [code for code in self.coupons if code not in rung.coupons_issued]
            self.coupons += rung.coupons_used
        elif draw < 0.1:
            self._give_back(till, day, self.random.choice(till.rung))
        elif draw < 0.115:
            self._without_receipt(till, day, rung)

    def _give_back(self, till: Till, day: date, rung: Rung) -> None:
        """Some lines of an earlier receipt of this till, whole."""
        if rung.undone:
            return
        rung.undone = True
        lines = self.random.sample(rung.basket["lines"], self.random.randint(1, len(rung.basket["lines"])))
        back = [{"line": line["line"], "quantity": line["quantity"], "amount_minor": 0} for line in lines]
        said = till.client.post(
            "/v1/returns",
            self._when(day) | {"return_id": f"ret-{rung.receipt_id}", "of": rung.receipt_id, "lines": back},
        )
        till.answered.append(said["return_id"])

    def _without_receipt(self, till: Till, day: date, rung: Rung) -> None:
        """The customer lost the receipt: today's points of the goods are taken back. A gift card comes back with its
        receipt alone."""
        line = next((one for one in rung.basket["lines"] if "gift-card" not in one["tags"]), None)
        if line is None:
            return
        said = till.client.post(
            "/v1/returns",
            self._when(day)
            | {"return_id": f"lost-{rung.receipt_id}", "of": None, "card": rung.card, "lines": [line]}
            | {"currency": rung.basket["currency"]},
        )
        till.answered.append(said["return_id"])

    def _some_coupon(self) -> str | None:
        """One customer in three lays down a coupon that somebody was given, if there is any."""
        if self.random.random() < 0.67 or not self.coupons:
            return None
        return self.coupons.pop(self.random.randrange(len(self.coupons)))

    def _some_card(self) -> str | None:
        draw = self.random.random()
        if draw < 0.2:
            return None
        return self.random.choice(self.regulars if draw < 0.75 else self.cards)

    @staticmethod
    def _when(day: date) -> dict[str, str]:
        return {"sold_at": f"{day}T19:30:00+01:00", "business_date": day.isoformat(), "cashier": "c1"}
