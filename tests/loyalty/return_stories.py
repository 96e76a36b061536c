"""Stories of goods that come back, for a retailer to read: a sale as in the cases, then what happens, step by step.

A story is a case (see `case_runner`) with `steps`. Account 7 holds `stock`, rows of points, issuer and last valid day.
A step is one of

    return: {1: 2000}     two units of line 1 come back; `date` says on which day, `at_hand` under which programmes
    void: yes             the whole receipt is undone
    spend: 40             the member spends points elsewhere
    earn: 40              and earns some

and what it `gives` is compared figure by figure; only what is named. Every figure is worked out by hand. The till knows
the member's balance as the books have it, unless the step says `unknown_member: yes`, and the counters that all share.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import yaml

from loyalty.facts.counted_points import counted_of
from loyalty.facts.events import encode, read_receipt
from loyalty.facts.receipts import Receipt, close_receipt
from loyalty.facts.returned_points import AtHand
from loyalty.facts.reversals import Return, ReturnDetail, ReturnLine, Void, came_back, close_return, close_void
from loyalty.ledger.books import Posted
from loyalty.lots import EventRef
from loyalty.members import MemberView, Use, add_uses
from loyalty.programme.compiled import Compiled, compile_programme
from loyalty.programme.programme import programme_from
from loyalty.trouble import Refusal
from tests.loyalty.build import books, earned, key, place, post, ref, sale
from tests.loyalty.case_runner import basket_of, compiled_of, place_of, quote_case, shared_of, view_of_case

FOLDER = Path(__file__).parent / "returns"
ACCOUNT = 7


def all_stories() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every story with a name of its own: file and what it shows."""
    for path in sorted(FOLDER.glob("*.yaml")):
        for story in yaml.safe_load(path.read_text("utf-8")):
            yield f"{path.stem}: {story['story']}", story


class Told:
    """A story as far as it was told: the books, the sale, and what has come back of it."""

    def __init__(self, story: dict[str, Any]) -> None:
        self.story = story
        self.compiled = compiled_of(story)
        self.books = books()
        self.seq = 1
        for points, issuer, through in story.get("stock", []):
            self.books.account(ACCOUNT).lots[key(through, issuer, f"{issuer}-1")] = points
        goods, where = basket_of(story), place_of(story)
        self.sold = close_receipt(quote_case(story), goods, where, compiled=self.compiled, card_token=None)
        self.of: EventRef = ref(1)
        self.returns: list[Return] = []
        self.uses, self.shared = self.sold.uses, self.sold.shared_uses
        self.posted = self.post(self.sold)

    def post(self, event: Receipt | Return | Void) -> Posted:
        posted = post(self.books, event, self.seq, account_id=event.account_id)
        self.seq += 1
        return posted

    def tell(self, step: dict[str, Any]) -> dict[str, Any]:
        """What a step gives, in the words of the stories."""
        if "spend" in step or "earn" in step:
            granted = [earned(step["earn"])] if "earn" in step else []
            self.posted = self.post(sale(f"S{self.seq}", *granted, spent=step.get("spend", 0)))
            return self._state()
        try:
            event = close_void(self.sold, self.of, self._place(step)) if "void" in step else self._returned(step)
        except Refusal as refusal:
            return {"refused": refusal.code}
        self.uses, self.shared = add_uses(self.uses, event.uses), add_uses(self.shared, event.shared_uses)
        self.posted = self.post(event)
        return _given(event) | self._state()

    def _returned(self, step: dict[str, Any]) -> Return:
        # As another till does: from the bytes of the sale's event.
        sold = read_receipt(encode(self.sold))
        earlier, standing = came_back(sold, self.returns)
        known = self.sold.account_id is not None and not step.get("unknown_member")
        lines = [ReturnLine(line=line, quantity_milli=milli) for line, milli in step["return"].items()]
        returned = close_return(
            f"B{self.seq}",
            sold,
            self.of,
            self._place(step),
            earlier=earlier,
            lines=lines,
            at_hand=AtHand(
                programmes=tuple(self._at_hand(step)),
                view=self._member() if known else None,
                standing=standing,
                shared=add_uses(shared_of(self.story) or (), self.shared),
                counted=counted_of(sold, ((one.uses, one.shared_uses) for one in self.returns)),
            ),
        )
        self.returns.append(returned)
        return returned

    def _place(self, step: dict[str, Any]) -> Any:
        on = step.get("date") or self.sold.place.business_date
        later_ms = (on - self.sold.place.business_date).days * 86_400_000
        # Another till of another store than the one that sold.
        return place(
            store_id="S9", till_id="T9", business_date=on, sold_at_ms=self.sold.place.sold_at_ms + later_ms
        )

    def _at_hand(self, step: dict[str, Any]) -> Iterator[Compiled]:
        """Without a word the programme of the sale; else `sale`, or the name of one among the story's `programmes`."""
        for name in step.get("at_hand", ["sale"]):
            if name == "sale":
                yield self.compiled
            else:
                document = {"id": "club", "currency": "EUR"} | self.story["programmes"][name]
                yield compile_programme(programme_from(document))

    def _member(self) -> MemberView:
        """The member as a till knows them that has heard of everything."""
        view = view_of_case(self.story)
        assert view is not None
        balance = sum(lot.points for lot in self.books.lots(ACCOUNT))
        return msgspec.structs.replace(
            view, counters=add_uses(view.counters or (), self.uses), balance_points=balance, spendable_points=balance
        )

    def _state(self) -> dict[str, Any]:
        account = self.books.account(ACCOUNT)
        return {
            "holds": [[lot.points, lot.key.issuer_id, lot.key.valid_through] for lot in self.books.lots(ACCOUNT)],
            "owes": [[debt.points, debt.issuer_id] for debt in account.debts],
            "flags": [flag.cause for flag in self.posted.flags],
            "counters": _by_name(self.uses),
            "shared_counters": _by_name(self.shared),
        }


def _given(event: Return | Void) -> dict[str, Any]:
    found: dict[str, Any] = {
        "uses": _by_name(event.uses),
        "shared_uses": _by_name(event.shared_uses),
        "lets_go": event.clamp,
    }
    if isinstance(event, Void):
        return found
    detail = msgspec.json.decode(event.detail, type=ReturnDetail)
    return found | {
        "money": event.net_minor,
        "paid_out": event.paid_out_minor,
        "points": [[part.points, part.issuer_id] for part in event.reversed],
        "earns_anew": [[part.points, part.issuer_id, part.valid_through] for part in event.earned],
        "points_back": event.restored_points,
        "partners": [[part.amount_minor, part.partner_id] for part in event.funded],
        "restored": {part.code or "wallet": part.amount_minor for part in event.restored},
        "withheld": event.withheld_minor,
        "withheld_points": event.withheld_points,
        "how": detail.how,
    }


def _by_name(uses: tuple[Use, ...]) -> dict[str, int]:
    return {use.name: use.amount for use in uses}


def as_told(value: Any) -> Any:
    """A figure as a story writes it: `9999-12-31` is the day of points without an end."""
    if isinstance(value, list):
        return [as_told(one) for one in value]
    return "ever" if value == date.max else value
