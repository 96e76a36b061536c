"""What the demo's shops do besides ringing up: somebody joins, loses a card, buys a gift certificate, changes goods.

Each customer's wish is one call to the till, with an id made here; what the till answered goes on the shop's own list.
"""

from datetime import date
from typing import Any

from tallypoint.demo.kiosk import SelfCheckout
from tallypoint.demo.shop import Shop
from tallypoint.demo.story import Story
from tallypoint.demo.tills import Till

PERSON = {"name": "Ottoline Fairweather", "phone": "+44 131 496 0188", "email": "ottoline@fairweather.example"}
CERTIFICATE = "GC-7781-0042-5520"
CERTIFICATE_MINOR = 2500


class Counter:
    """The service counter of every till of the demo."""

    def __init__(self, shop: Shop, story: Story) -> None:
        self._shop, self._story = shop, story
        self._done = 0
        self.counts: dict[str, int] = {}

    def morning(self, day: date) -> None:
        """While every line is up: a new member shops at once, a card is lost, a certificate sold, goods changed."""
        leith, leith_2, _, quay = self._shop.tills
        self.join(leith_2, day)
        self.replace_card(quay, day)
        self.sell_certificate(leith, day)
        self.park_and_resume(leith, day)
        self.exchange(leith_2, day)
        self.bring_a_card_later(quay, day)
        self.practise(leith, day)
        self.choose_at_the_kiosk(quay, day)

    def without_a_line(self, day: date) -> None:
        """The till whose line is down takes a new member too, from the numbers that it was given before."""
        self.join(self._shop.tills[2], day)

    def evening(self, day: date) -> None:
        """The certificate, sold at the grocer's, pays at the pharmacy."""
        self.pay_with_certificate(self._shop.tills[3], day)

    def join(self, till: Till, day: date) -> None:
        """A customer joins with a number of the till's own, agrees to offers by mail, and shops at once."""
        asked = till.client.get("/v1/enrolment", language="en")
        consents = [
            {"purpose": one["purpose"], "channel": one["channel"], "version": one["version"], "given": True}
            for one in asked["consents"]
        ]
        said = self._post(till, "/v1/members", "enrol_id", "join", day, language="en", asked_on="customer_display",
                          consents=consents, **({"person": PERSON} if asked["may_seal"] else {}))  # fmt: skip
        self._shop.cards.append(said["card_number"])
        self._story.ring_up(till, day, may_spend=False, card=said["card_number"])
        self._count("joined")

    def replace_card(self, till: Till, day: date) -> None:
        """A lost card: the new one is the member's at once, and earns."""
        lost = self._story.cards[0]
        said = self._post(till, "/v1/cards", "card_id", "card", day, what="replace", old_card=lost, reason="lost")
        self._shop.cards.append(said["card_number"])
        self._story.ring_up(till, day, may_spend=False, card=said["card_number"])
        self._count("cards replaced")

    def sell_certificate(self, till: Till, day: date) -> None:
        """A certificate of 25.00 among other goods."""
        body = self._story.sale(till, day, None)
        line = {"line": 99, "sku": "gift-25", "name": "Gift certificate", "amount_minor": CERTIFICATE_MINOR,
                "certificate": CERTIFICATE}  # fmt: skip
        body["basket"]["lines"].append(line)
        self._story.commit(till, body).undone = True
        self._count("certificates sold")

    def pay_with_certificate(self, till: Till, day: date) -> None:
        """All that is on it, or all that the goods cost; it pays once head office and this till have heard of it."""
        self._shop.wait_until_synced()
        body = self._story.sale(till, day, None)
        asked = [{"code": CERTIFICATE, "amount_minor": 0}]
        quote = till.client.post("/v1/quotes", _quote_of(body) | {"certificates": asked})
        paid = quote["stored"]["certificates"]
        wanted = [{"code": CERTIFICATE, "amount_minor": one["amount_minor"]} for one in paid]
        self._story.commit(till, body | {"certificates": wanted}).undone = True
        self._count("certificates paid", sum(one["amount_minor"] for one in paid) > 0)

    def park_and_resume(self, till: Till, day: date) -> None:
        """A basket is laid aside for a customer who fetches something, and paid afterwards."""
        body = self._story.sale(till, day, self._story.cards[1])
        name = self._name("park", till)
        till.client.post("/v1/parked", _parked(body) | {"park_id": name, "note": "fetches milk"})
        back = till.client.post(f"/v1/parked/{name}/resume", {"resume_id": f"{name}:again"})["sale"]
        again = body | {"card": back["card"], "basket": back["basket"]}
        self._story.commit(till, again)
        self._count("parked")

    def exchange(self, till: Till, day: date) -> None:
        """Coffee that was bought goes back, something else is taken for it."""
        bought = self._story.commit(till, self._story.sale(till, day, self._story.cards[2]))
        bought.undone = True
        first = bought.basket["lines"][0]
        taken = self._story.sale(till, day, bought.card)
        name = self._name("exchange", till)
        back = {"return_id": f"{name}:back", "of": bought.receipt_id,
                "lines": [{"line": first["line"], "quantity": first["quantity"], "amount_minor": 0}]}  # fmt: skip
        sale = {"receipt_id": taken["receipt_id"], "card": taken["card"], "basket": taken["basket"]}
        both = {"exchange_id": name, "return": back, "receipt": sale}
        said = till.client.post("/v1/exchanges", self._when(day) | both)
        self._story.keep(till, taken, said["receipt"]).undone = True
        till.answered.append(f"{name}:back")
        self._count("exchanged")

    def bring_a_card_later(self, till: Till, day: date) -> None:
        """The receipt was without a card; the customer comes back with one."""
        bought = self._story.commit(till, self._story.sale(till, day, None))
        bought.undone = True
        said = self._post(till, "/v1/claims", "claim_id", "claim", day, card=self._story.cards[3],
                          receipt_id=bought.receipt_id)  # fmt: skip
        self._count("claimed", said["state"] != "refused")

    def practise(self, till: Till, day: date) -> None:
        """A new cashier sells to nobody: none of it may ever reach head office."""
        body = self._story.sale(till, day, self._story.cards[4]) | {"training": True}
        till.client.post("/v1/receipts", body)
        till.client.delete("/v1/training")
        self._count("practised")

    def choose_at_the_kiosk(self, till: Till, day: date) -> None:
        """At the self-checkout a member shows a card and spends points: the POS hears of it and sends both on."""
        pos = SelfCheckout(till, self._story, seed=5, when=self._when(day))
        name, card = self._name("choice", till), self._somebody_with_points(till)
        shown = till.client.post("/v1/choices", {"choice_id": name, "card": card})["chosen"]
        while pos.look():
            pass  # one article after the other
        points = min(200, till.client.get("/v1/at-hand")["quote"]["redemption"]["most_points"])
        if points:
            hold = till.client.post("/v1/holds", {"hold_id": f"{name}:hold", "card": shown["card"], "points": points})
            spend = {"points_to_spend": points, "hold_id": hold["hold_id"]}
            till.client.post("/v1/choices", {"choice_id": f"{name}:points", **spend})
            till.held += 1
            pos.look()
        rung = pos.pay()
        reached = rung is not None and points > 0 and (rung.card, rung.points_spent) == (shown["card"], points)
        self._count("chosen at the kiosk", reached)

    def _somebody_with_points(self, till: Till) -> str:
        for card in self._story.regulars:
            if till.client.get("/v1/balance", card=card)["spendable_now_points"] >= 200:
                return card
        return self._story.regulars[0]

    def _post(self, till: Till, path: str, id_name: str, prefix: str, day: date, **body: Any) -> dict[str, Any]:
        name = self._name(prefix, till)
        said: dict[str, Any] = till.client.post(path, self._when(day) | {id_name: name} | body)
        till.answered.append(name)
        return said

    def _name(self, what: str, till: Till) -> str:
        self._done += 1
        return f"{what}-{till.label}-{self._done}"

    def _count(self, what: str, happened: bool = True) -> None:
        self.counts[what] = self.counts.get(what, 0) + happened

    @staticmethod
    def _when(day: date) -> dict[str, str]:
        return {"sold_at": f"{day}T12:15:00+01:00", "business_date": day.isoformat(), "cashier": "c1"}


def totals_of(till: Till, day: date) -> dict[str, Any]:
    """What the POS counted of a business day, for the till to compare."""
    sold = [one for one in till.rung if one.receipt_id.startswith(f"{day:%Y%m%d}-{till.label}-")]
    return {"receipts": len(sold), "net_minor": sum(one.net_minor for one in sold),
            "points_earned": sum(one.points_earned for one in sold),
            "points_spent": sum(one.points_spent for one in sold)}  # fmt: skip


def _quote_of(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "receipt_id"}


def _parked(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in ("receipt_id", "quote_id")}
