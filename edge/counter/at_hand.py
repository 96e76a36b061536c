"""The sale at hand: the basket as the POS quoted it last, and what was chosen for it at a page of the till.

The POS owns the basket. A page may lay a card or points against it, or say which language the customer reads; the POS
fetches that choice and sends it with its next quote. Until then the screens show the basket priced with it; from then
on what the POS sends is the sale. All of it is in memory, and gone once the sale is paid, parked or left lying.
Source: docs/screens.md "The sale at hand".
"""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Annotated

import msgspec

from edge.api.answers import Answer, QuoteSaid
from edge.api.bodies import Body, Id, QuoteBody, Scan
from edge.counter.screens import FORGOTTEN_MS
from edge.refusals import PaymentCardScanned, TrainingSale
from loyalty.amounts import Whole
from loyalty.cards.payment_ranges import holds_payment
from loyalty.document import Language
from loyalty.trouble import Refusal

MOST_CHOICES, MOST_CODES = 64, 32
CODE_MS = 60_000  # a code that nobody fetched is forgotten, like a reader's


class ChoiceReused(Refusal):
    code = "choice.id_reused"


class ChoiceBody(Body, frozen=True, kw_only=True):
    """POST /v1/choices: what somebody chose at a page. What is left out stays as it was.

    `without_language`: as where nobody chose one.
    `code` is something scanned at the page that is no card of ours: goods, a coupon. It goes to the POS untouched.
    `training`: it is practised, and for a basket of training alone.
    """

    choice_id: Id
    card: Scan | None = None
    points_to_spend: Whole | None = None
    hold_id: Id | None = None
    without_card: bool = False
    language: Language | None = None
    without_language: bool = False
    code: Annotated[str, msgspec.Meta(max_length=2048)] = ""
    training: bool = False


class Chosen(Answer, frozen=True, kw_only=True):
    """A card (as its token), points and their hold, laid against the sale at hand; `language` as a quote has it."""

    card: str | None = None
    points_to_spend: int = 0
    hold_id: str | None = None
    language: Language | None = None


class ChoiceSaid(Answer, frozen=True, kw_only=True):
    """A choice as it stands. `quote` is the basket priced with it; none where no basket is at hand."""

    choice_id: str
    cursor: int
    chosen: Chosen
    quote: QuoteSaid | None
    replayed: bool


class ChoicesSaid(Answer, frozen=True, kw_only=True):
    """What was chosen later than the cursor sent, for the POS to send with its next quote; `codes` are for the POS."""

    cursor: int
    chosen: Chosen | None
    codes: tuple[str, ...] = ()


class AtHandSaid(Answer, frozen=True, kw_only=True):
    """The basket at hand as a quote request with the card's token, and its last quote; both none between sales."""

    no: int
    sale: QuoteBody | None = None
    quote: QuoteSaid | None = None


class AtHand:
    """The sale at hand of one till.

    Args:
        token: a scan or token as the token; raises what the till raises at a card it does not serve.
        quote: prices a body and shows it; what it prices comes back here as `keep`.
        show: shows a card, by its token, where no basket is at hand; none: whoever was shown is gone.
        mono_ms: a clock that never jumps.
    Attributes:
        turn: held by whoever changes the sale at hand together with what the screens show of it: one after the other.
    """

    def __init__(
        self,
        token: Callable[[str], str],
        quote: Callable[[QuoteBody], QuoteSaid],
        show: Callable[[str | None], None],
        mono_ms: Callable[[], int],
    ) -> None:
        self._token, self._quote, self._show, self._mono_ms = token, quote, show, mono_ms
        self.turn = threading.RLock()
        self._lock = threading.Lock()
        self._no = 0
        self._sale: QuoteBody | None = None
        self._said: QuoteSaid | None = None
        self._kept_ms = 0
        self._cursor = 0
        self._chosen: Chosen | None = None
        self._chosen_ms = self._chosen_no = 0
        self._chosen_for = ""  # the quote id of the basket that it was chosen for, "" before there is one
        self._is_of_language = False  # whether nothing but a language was chosen: card and points are the POS's own
        self._is_practised = False  # whether it was chosen for a basket of training
        self._practised, self._practised_ms = Chosen(), 0  # in training before the first line: for such a basket alone
        self._heard_no = 0  # the cursor that the POS had when it asked last
        self._codes: deque[tuple[int, int, str]] = deque(maxlen=MOST_CODES)  # cursor, when, code
        self._done: OrderedDict[str, tuple[ChoiceBody, ChoiceSaid]] = OrderedDict()

    def keep(self, body: QuoteBody, token: str | None, said: QuoteSaid) -> None:
        """A basket was quoted: it is at hand now, with its card as a token. What was chosen for another one is not
        for this one."""
        with self.turn, self._lock:
            self._chosen_for = self._chosen_for or body.quote_id
            is_of_other = body.quote_id != "" and body.quote_id != self._chosen_for
            is_of_other = is_of_other or (self._is_practised and not body.training)
            if self._heard_no >= self._chosen_no or is_of_other:
                self._chosen = None
            elif self._chosen is not None and self._is_of_language:
                self._chosen = _of(body, token, self._chosen.language)
            if body.training:
                self._begin_practised(body.quote_id, token)
            self._no += 1
            self._sale, self._said = msgspec.structs.replace(body, card=token, cards=()), said
            self._kept_ms = self._mono_ms()

    def _begin_practised(self, quote_id: str, token: str | None) -> None:
        """The first line of training: what was chosen in training before it is for the POS now, unless that names a
        card itself."""
        chosen, self._practised = self._practised, Chosen()
        if token is None and chosen != Chosen() and self._mono_ms() - self._practised_ms < FORGOTTEN_MS:
            self._cursor += 1
            self._chosen, self._chosen_ms, self._chosen_no = chosen, self._mono_ms(), self._cursor
            self._chosen_for, self._is_practised, self._is_of_language = quote_id, True, chosen.card is None

    def leave_training(self) -> None:
        """What was chosen in training before a first line is for no basket any more."""
        with self._lock:
            self._practised = Chosen()

    def leave(self, quote_id: str = "") -> bool:
        """The sale is paid or parked: what was chosen for it goes with it.

        Args:
            quote_id: of the basket, where it is known.
        Returns:
            Whether it is gone; a basket that was quoted under another id since is at hand and stays so.
        """
        with self.turn, self._lock:
            self._forget()
            if self._sale is not None and self._sale.quote_id != quote_id and self._sale.quote_id and quote_id:
                if self._chosen_for == quote_id:
                    self._chosen = None
                return False
            self._no += 1
            self._sale = self._said = self._chosen = None
            return True

    def now(self) -> AtHandSaid:
        """The basket at hand."""
        with self._lock:
            self._forget()
            return AtHandSaid(no=self._no, sale=self._sale, quote=self._said)

    def _forget(self) -> None:
        if self._mono_ms() - self._kept_ms >= FORGOTTEN_MS:
            self._sale = self._said = None

    def choose(self, body: ChoiceBody) -> ChoiceSaid:
        """Lay a card, points or a language against the sale at hand; the same id again is answered the same.

        Raises:
            ChoiceReused: another choice under the same id.
            TrainingSale: it is practised, and the sale at hand is not.
            What `token` and `quote` raise.
        """
        token = self._token(body.card) if body.card is not None else None
        body = msgspec.structs.replace(body, card=token)  # no number is kept, not even to know a retry by
        with self.turn:  # a sale that is paid or rung up meanwhile is not put back to what it was
            return self._choose(body)

    def _choose(self, body: ChoiceBody) -> ChoiceSaid:
        with self._lock:
            done = self._done.get(body.choice_id)
        if done is not None:
            if done[0] != body:
                raise ChoiceReused("Something else was chosen under this id. Choose again.")
            return msgspec.structs.replace(done[1], replayed=True)
        if body.code:
            return self._pass_on(body)
        sale = self.now().sale
        if body.training and sale is None:
            return self._practise(body)
        if body.training and sale is not None and not sale.training:
            raise TrainingSale("A real sale is at hand. Leave training to go on with it, or practise after it.")
        before, is_of_language = self._standing(sale)
        chosen = _merged(body, before)
        quote = self._quote(_with(sale, chosen, before)) if sale is not None else None
        if sale is None and (body.card is not None or body.without_card):
            self._show(body.card)
        with self._lock:
            self._cursor += 1
            self._chosen, self._chosen_ms, self._chosen_no = chosen, self._mono_ms(), self._cursor
            self._chosen_for = sale.quote_id if sale is not None else ""
            self._is_practised = sale is not None and sale.training
            self._is_of_language = is_of_language and not _is_of_card(body)
            said = ChoiceSaid(choice_id=body.choice_id, cursor=self._cursor, chosen=chosen, quote=quote, replayed=False)
            self._note(body, said)
        return said

    def _practise(self, body: ChoiceBody) -> ChoiceSaid:
        """Keep what was chosen in training before the first line: a real sale must not begin with it."""
        with self._lock:
            chosen = self._practised = _merged(body, self._practised)
            self._practised_ms = self._mono_ms()
            said = ChoiceSaid(choice_id=body.choice_id, cursor=self._cursor, chosen=chosen, quote=None, replayed=False)
            self._note(body, said)
        if body.card is not None or body.without_card:
            self._show(body.card)
        return said

    def _pass_on(self, body: ChoiceBody) -> ChoiceSaid:
        """Keep a code for the POS. A number that may be of a payment card is not kept for anybody."""
        if holds_payment(body.code):
            raise PaymentCardScanned("That is a payment card. Keep it for the payment terminal.")
        with self._lock:
            self._cursor += 1
            self._codes.append((self._cursor, self._mono_ms(), body.code))
            said = ChoiceSaid(
                choice_id=body.choice_id,
                cursor=self._cursor,
                chosen=self._chosen or Chosen(),
                quote=None,
                replayed=False,
            )
            self._note(body, said)
        return said

    def _note(self, body: ChoiceBody, said: ChoiceSaid) -> None:
        self._done[body.choice_id] = body, said
        while len(self._done) > MOST_CHOICES:
            self._done.popitem(last=False)

    def chosen(self, after: int) -> ChoicesSaid:
        """The last choice, where it is later than `after` and its sale still stands. A cursor that was never given out
        here is of a run before this one, and all of this run is later."""
        with self._lock:
            now_ms = self._mono_ms()
            self._heard_no = after = after if after <= self._cursor else 0
            is_fresh = self._chosen_no > after and now_ms - self._chosen_ms < FORGOTTEN_MS
            codes = tuple(code for no, at_ms, code in self._codes if no > after and now_ms - at_ms < CODE_MS)
            return ChoicesSaid(cursor=self._cursor, chosen=self._chosen if is_fresh else None, codes=codes)

    def _standing(self, sale: QuoteBody | None) -> tuple[Chosen, bool]:
        """What a choice is added to, and whether no page chose a card or points in it."""
        with self._lock:
            if self._chosen is not None and self._mono_ms() - self._chosen_ms < FORGOTTEN_MS:
                return self._chosen, self._is_of_language
        return _of(sale, sale.card, sale.language) if sale is not None else Chosen(), True


def _of(sale: QuoteBody, token: str | None, language: Language | None) -> Chosen:
    """Card and points as the POS sent them."""
    return Chosen(card=token, points_to_spend=sale.points_to_spend, hold_id=sale.hold_id, language=language)


def _is_of_card(body: ChoiceBody) -> bool:
    return body.card is not None or body.points_to_spend is not None or body.without_card


def _merged(body: ChoiceBody, before: Chosen) -> Chosen:
    language = body.language or (None if body.without_language else before.language)
    if body.without_card:
        return Chosen(language=language)
    if body.card is not None and body.card != before.card:
        before = Chosen(card=body.card)  # points of one card are not another's to spend
    return Chosen(
        card=body.card or before.card,
        points_to_spend=before.points_to_spend if body.points_to_spend is None else body.points_to_spend,
        hold_id=before.hold_id if body.points_to_spend is None else body.hold_id,
        language=language,
    )


def _with(sale: QuoteBody, chosen: Chosen, before: Chosen) -> QuoteBody:
    """The basket with a choice. Points set aside for another card are named once more, so that the quote gives them
    back."""
    is_other = chosen.card not in (None, before.card)
    hold_id = chosen.hold_id or (before.hold_id if is_other else None)
    return msgspec.structs.replace(
        sale, card=chosen.card, points_to_spend=chosen.points_to_spend, hold_id=hold_id, language=chosen.language
    )
