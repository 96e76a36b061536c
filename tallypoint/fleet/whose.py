"""Whose each card is, by what tills answered of all that head office has; and whether head office says the same."""

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from tallypoint.fleet.evidence import Centre
from tallypoint.fleet.record import Given, Place, Record, Said, Told, Who


class Posted(NamedTuple):
    """What of the record is in head office's books: receipts by place and id, and by till and id."""

    receipts: frozenset[tuple[tuple[str, int, int], str]]
    by_till: frozenset[tuple[str, str]]
    voided: frozenset[tuple[str, str]]


class Whose:
    """Cards and accounts.

    Args:
        odd_tills: ids of tills whose disk was put back or copied: only they may give a number twice.
    """

    def __init__(self, record: Record, centre: Centre, odd_tills: set[str]) -> None:
        self._record, self._centre, self._odd = record, centre, odd_tills
        disk = centre.disk
        self._merged = dict(disk.execute("SELECT account_id, merged_into FROM account WHERE merged_into <> 0"))
        self._cards = {token: self._survivor(account_id) for token, account_id in
                       disk.execute("SELECT card_token, account_id FROM card")}  # fmt: skip
        self._given: dict[str, list[Given]] = defaultdict(list)
        for one in record.given:
            if one.token and self.is_posted(one.place):
                self._given[one.token].append(one)
        # Given by a till that was put back to before, and heard of by a centre that was too: only tills that had been
        # told of it still say whose it is.
        self._forgotten = {one.token for one in record.given} - self._given.keys()
        self.posted = self._receipts()
        strays = "SELECT figures FROM flag WHERE cause = 'card_has_points' AND state = 'open'"
        self._strays = {said["account_id"]: said["into"] for (figures,) in disk.execute(strays)
                        if (said := json.loads(figures))}  # fmt: skip
        led = "SELECT figures FROM flag WHERE cause = 'card_forgotten' AND note = 'the card is the member''s'"
        self._led_back = {json.loads(figures)["card_token"] for (figures,) in disk.execute(led)}
        taken = "SELECT till_id, epoch, seq, figures FROM flag WHERE cause = 'card_taken'"
        self._apart = {tuple(ref): joined for *ref, figures in disk.execute(taken)
                       if (joined := json.loads(figures).get("joined"))}  # fmt: skip
        unknown = "SELECT figures FROM flag WHERE cause = 'account_unknown'"
        self._unknown = {json.loads(figures)["account_id"] for (figures,) in disk.execute(unknown)}

    def is_posted(self, place: Place) -> bool:
        """Whether this very event is in the books."""
        return self._centre.has(place) and self._centre.state.get(place[:3], "posted") == "posted"

    def account(self, who: Who) -> int:
        """The account whose points these are; 0 where head office has never heard of the card."""
        if isinstance(who, int):
            return who
        given = self._given.get(who, [])
        if len(given) == 1 and given[0].other is not None:
            return self.account(given[0].other)
        return self._cards.get(who, 0)

    def account_of(self, told: Told) -> int:
        """The account of an answer. One that a till named and a centre that was put back had never heard of was opened,
        and people are told: whose it was they find out."""
        is_named = told.named in self._unknown or (told.named and told.account in self._forgotten)
        return told.named if is_named else self.account(told.account)

    def account_of_said(self, said: Said) -> int:
        """The account of a consent. Who joined with a number that a till gave once more has one without a card, and
        people are told."""
        return self._apart.get(said.place[:3]) or self.account(said.account)

    def home(self, account_id: int) -> int:
        """The account that the points of one belong to: those of a card that was used before it was heard of follow it
        to its member, once no till has set any aside."""
        while (into := self._strays.get(account_id) or self._merged.get(account_id)) is not None:
            account_id = into  # what was made one with an account that is to follow another goes there as well
        return account_id

    def wrongs(self) -> Iterator[str]:
        """What does not hold of cards."""
        joined: dict[int, str] = {}
        status = dict(self._centre.disk.execute("SELECT account_id, status FROM account"))
        for token, given in sorted(self._given.items()):
            if len(given) > 1:
                continue  # judged with its number
            (one,), found = given, self._cards.get(token, 0)
            if one.other is not None:
                if self.home(found) != self.home(self.account(one.other)):
                    yield f"card: that of {one.event_id} leads to account {found}, not to the member it was given to"
            elif status.get(found) != "registered":
                yield f"card: whoever joined by {one.event_id} is {status.get(found, 'nobody')}"
            elif joined.setdefault(found, token) != token:
                yield f"card: two members who joined share account {found}"
        yield from self._numbers()
        yield from self._led_wrong()
        listed = {token for (token,) in self._centre.disk.execute("SELECT card_token FROM hotlist WHERE lifted = 0")}
        for one in self._record.given:
            if one.gone and self.is_posted(one.place) and one.gone not in listed:
                yield f"card: {one.event_id} blocked a card that is not on the hotlist"

    def _led_wrong(self) -> Iterator[str]:
        """A card that only tills still knew, and that a person gave back by their word, is whose it was given to."""
        for one in self._record.given:
            if one.token in self._led_back and one.other is not None:
                found, owner = self._cards.get(one.token, 0), self.account(one.other)
                if owner and self.home(found) != self.home(owner):
                    yield f"card: that of {one.event_id}, forgotten, was given to account {found}, not to {owner}"

    def _numbers(self) -> Iterator[str]:
        """Each number goes to one card; a till that was put back may have given one again, which people are told."""
        by_number: dict[str, list[Given]] = defaultdict(list)
        for one in self._record.given:
            if one.number:
                by_number[one.number].append(one)
        for given in by_number.values():
            names = sorted({one.event_id for one in given})
            if len(names) == 1:
                continue
            here = [one for one in given if self.is_posted(one.place)]
            is_told = any(one.place[:3] in self._centre.flagged for one in here)
            if not any(one.place[0] in self._odd for one in given):
                yield f"card: {' and '.join(names)} gave one number away"
            elif len({one.event_id for one in here}) > 1 and not is_told:
                yield f"card: {' and '.join(names)} gave one number away, and nobody is told"

    def _receipts(self) -> Posted:
        told = [one for one in self._record.told.values() if self.is_posted(one.place)]
        sales = [one for one in told if one.kind == "sale"]
        return Posted(
            receipts=frozenset((one.place[:3], one.event_id) for one in sales),
            by_till=frozenset((one.place[0], one.event_id) for one in sales),
            voided=frozenset((one.of[0][0], one.of[1]) for one in told if one.kind == "void" and one.of),
        )

    def _survivor(self, account_id: int) -> int:
        while account_id in self._merged:
            account_id = self._merged[account_id]
        return account_id
