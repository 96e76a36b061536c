"""One till's counter: a body comes in, the till is asked, the POS is answered and the screens follow.

Every POS protocol ends here, HTTP first. What a person or card is called lives in memory only: the end of a card by
its token, for the display and the receipt, and names of goods until the cache has them.
"""

import logging
import threading
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from edge.api import contract, telling
from edge.api.answers import (
    CardSaid,
    HoldSaid,
    QuoteSaid,
    ReceiptSaid,
    ReleasedSaid,
    RenderedSaid,
    ReturnSaid,
    VoidSaid,
)
from edge.api.bodies import CommitBody, HoldBody, IdentifyBody, QuoteBody, ReturnBody, VoidBody
from edge.counter import display
from edge.counter.at_hand import AtHand
from edge.counter.cards_presented import CardsPresented, replaced_said
from edge.counter.screens import Screen, Screens
from edge.counter.slips import Reader, Slips
from edge.counter.training import Training, till_of_training
from edge.identity import TillIdentity
from edge.instants import show_instant, show_known
from edge.journal.journal import Entry
from edge.ports import Clock, Instant, Settings
from edge.sale.asks import CommitAsk, Committed, Identified, Quoted, SaleAsk, TakenBack, Unreturned, Voided, Written
from edge.sale.certificates import hold_certificates
from edge.sale.joining import would_earn
from edge.sale.recalling import record_of
from edge.sale.taking_back import reversal_again, sale_of, take_back, void_receipt
from edge.sale.till import Till
from loyalty.amounts import exponent_of
from loyalty.cards.cards import Code, read_card
from loyalty.cards.payment_ranges import holds_payment
from loyalty.document import Language
from loyalty.facts.reversals import VOID
from loyalty.pricing.leases import Kind
from loyalty.programme.programme import Programme
from loyalty.trouble import Fault, Refusal
from receipt_templates.compose import AnyView
from receipt_templates.languages import authority_in_words, tongue_of
from receipt_templates.render import render

MOST_FACES = 64
Told = TypeVar("Told", QuoteSaid, ReceiptSaid, ReturnSaid, VoidSaid, HoldSaid)
_log = logging.getLogger(__name__)


class Face(msgspec.Struct, frozen=True, kw_only=True):
    """What a screen may show of a card."""

    last4: str = ""


NOBODY = Face()


class Desk:
    """Everything a till can be asked, with its screens and slips.

    Args:
        is_offline: whether head office was out of reach lately; `is_untrusted`: for its certificate, or our clock.
    """

    def __init__(
        self,
        *,
        till: Till,
        identity: TillIdentity,
        settings: Settings,
        clock: Clock,
        is_offline: Callable[[], bool],
        is_untrusted: Callable[[], bool] = lambda: False,
    ) -> None:
        self.till, self.settings, self.clock, self.is_offline = till, settings, clock, is_offline
        self.is_untrusted = is_untrusted
        self.identity = identity
        self.label = settings.label or identity.label or identity.till_id[:8]
        self.slips = Slips(till.cache, settings, self.label, training=till.is_training)
        self.screens = Screens(self.blank_screen, lambda: clock.now().mono_ms)
        self.at_hand = AtHand(self._token, self.quote, self._show_chosen, lambda: clock.now().mono_ms)
        self.cards = CardsPresented(till)
        self.training = Training(self._desk_of_training, clock)
        self._faces: OrderedDict[str, Face] = OrderedDict()
        self._sent_offset_min: int | None = None
        self._lock = threading.Lock()
        self.writing = threading.Lock()  # so that nobody writes between the look for an id and its event

    @property
    def offset_min(self) -> int:
        """Of the time on screens and enquiries: as the POS sent it last, for it knows when summer begins; else that of
        the settings."""
        return self.settings.offset_min if self._sent_offset_min is None else self._sent_offset_min

    def at(self, training: bool) -> "Desk":
        """Where a body is answered: here, or at the till of training."""
        return self.training.desk() if training and not self.till.is_training else self

    def _desk_of_training(self) -> "Desk":
        """A desk of its own with the screens of this one, and the ends of cards that it remembers."""
        desk = Desk(
            till=till_of_training(self.till), identity=self.identity, settings=self.settings, clock=self.clock,
            is_offline=self.is_offline, is_untrusted=self.is_untrusted,
        )  # fmt: skip
        desk.screens, desk.at_hand = self.screens, self.at_hand
        desk._faces, desk._lock = self._faces, self._lock
        desk.slips.print_as(self.slips)
        return desk

    def identify(self, body: IdentifyBody) -> CardSaid:
        """What was scanned; a card of ours also shows on the display."""
        told = self.till.identify(body.card, body.aim, source="keyed" if body.keyed else "scan")
        self.greet(told)
        return telling.card_said(told)

    def is_card(self, text: str) -> bool:
        """Whether a text is the number of a card, ours or one that pays."""
        programmes = self.till.cache.programmes()
        if not programmes:
            return holds_payment(text)
        return not isinstance(read_card(programmes[0].programme.cards, text), Code)

    def greet(self, told: Identified) -> None:
        """A card was read: keep its end in memory and show it, where no sale is on the display."""
        if told.outcome != "card":
            return
        self._remember(told)
        if self.screens.now().phase in ("idle", "done", "member"):
            as_of = show_known(self.till.cache.as_of_ms(), self.offset_min)
            blank = self.blank_screen(told.language)
            programmes = self.till.cache.programmes()
            programme = programmes[0].programme if programmes else None
            self.screens.publish(lambda: display.screen_of_card(told, blank, as_of=as_of, programme=programme))

    def quote(self, body: QuoteBody) -> QuoteSaid:
        """Price a basket; nothing is written, but points held for a card that another took the place of go back."""
        if (desk := self.at(body.training)) is not self:
            return desk.quote(body)
        for card in body.cards:
            self.face(card)  # so that the one that is replaced can be named by its end
        body, first, released = self.cards.settle(body)
        ask = contract.sale_ask(body, self.here())
        told = self.till.quote(ask)
        self._hear_offset(ask)
        face = self.face(body.card, told.card_token)
        said = telling.quote_said(told, body.quote_id, last4=face.last4, offset_min=self.offset_min)
        if (was := self.cards.quoted(body.quote_id, told.card_token, first)) is not None:
            replaced = replaced_said(self.face(was).last4, face.last4, released)
            said = msgspec.structs.replace(said, card_replaced=replaced)
        said = self._as_training(said)
        with self.at_hand.turn:
            self._show(told, ask, contract.names_in(body), face, body.quote_id)
            self.at_hand.keep(body, told.card_token, said)
        return said

    def commit(self, body: CommitBody) -> ReceiptSaid:
        """Write a sale; the same id again is answered the same again."""
        if (desk := self.at(body.training)) is not self:
            return desk.commit(body)
        body = self.cards.the_one(body)
        if body.certificates and self.till.journal.find(body.receipt_id) is None:
            hold_certificates(self.till, body.certificates)
        if body.override is None:
            told = self.till.commit_now(body.receipt_id, lambda before: self._commit_ask(body, before))
        else:
            with self.writing:
                told = self.till.commit(self._commit_ask(body, self.till.journal.find(body.receipt_id)))
        names = contract.names_in(body)
        self.remember_names(names)
        reader = Reader(language=told.language, last4=self.face(body.card, told.card_token).last4)
        view = self.slips.of_receipt(told, reader)
        if not told.replayed:
            self.cards.forget(body.quote_id)
            self.show_paid(told, names, reader, body.quote_id)
            self.slips.print_new(view)
        in_words = self.in_words(telling.spent_under(told.receipt))
        return self._as_training(telling.receipt_said(told, render(view, "text", self.slips.paper), in_words))

    def _commit_ask(self, body: CommitBody, before: Entry | None) -> CommitAsk:
        ask = contract.commit_ask(body, self._here_since(before))
        if before is None:
            self._hear_offset(ask.sale)
        return ask

    def _hear_offset(self, ask: SaleAsk) -> None:
        if ask.offset_min is not None:
            self._sent_offset_min = ask.offset_min

    def show_paid(self, told: Committed, names: Mapping[str, str], reader: Reader, quote_id: str) -> None:
        """A sale is paid: the screens say so, unless the next basket is on them already."""
        now, is_offline, programme = self.clock.now(), self.is_offline(), self._programme(told.detail.programme_version)

        def screen() -> Screen:
            blank = self._blank_at(now, is_offline, reader.language)
            return display.screen_of_receipt(told, blank, names=names, last4=reader.last4, programme=programme)

        with self.at_hand.turn:
            if self.at_hand.leave(quote_id):
                self.screens.publish(screen, record=told.record)

    def show_undone(self, receipt_id: str) -> None:
        """A sale was voided: the screens do not thank for it any more."""
        if (entry := self.till.journal.find(receipt_id)) is not None:
            self.screens.take_off(record_of(entry.head))

    def leave_sale(self, quote_id: str = "") -> None:
        """A sale was laid aside: the screens go back to between sales, unless the next basket is on them already."""
        with self.at_hand.turn:
            if self.at_hand.leave(quote_id):
                self.screens.publish(self.blank_screen)

    def _as_training(self, said: Told) -> Told:
        return msgspec.structs.replace(said, training=True) if self.till.is_training else said

    def rendered(self, receipt_id: str, *, language: Language | None = None, copy: bool = True) -> RenderedSaid:
        """A sale, return or void (`void:` and the receipt's id) in all its renderings. Raises: ReceiptUnknown."""
        told, view = self._again(receipt_id, language, copy)
        return RenderedSaid(
            receipt_id=receipt_id,
            event=telling.event_said(told),
            text=render(view, "text", self.slips.paper),
            escpos=b64encode(render(view, "escpos", self.slips.printer)).decode(),
            html=render(view, "html", self.slips.paper),
            copy=copy,
        )

    def slip(self, receipt_id: str, *, language: Language | None = None, copy: bool = True) -> AnyView:
        """What a sale, return or void prints. Raises: ReceiptUnknown."""
        return self._again(receipt_id, language, copy)[1]

    def print_job(self, receipt_id: str, *, language: Language | None = None, copy: bool = True) -> bytes:
        """The same as a print job of the store's printer."""
        _, view = self._again(receipt_id, language, copy)
        return render(view, "escpos", self.slips.printer)

    def programme_name(self) -> str:
        """What the coalition calls its programme; the shop's name until there is one."""
        programmes = self.till.cache.programmes()
        named = programmes[0].programme.name if programmes else ""
        return named or self.settings.shop_name or "Tallypoint"

    def hold(self, body: HoldBody) -> HoldSaid:
        """Set points aside."""
        if (desk := self.at(body.training)) is not self:
            return desk.hold(body)
        told = self.till.hold(contract.hold_ask(body))
        return self._as_training(telling.hold_said(told, self.settings.offset_min, self.in_words(told.authority)))

    def in_words(self, kind: Kind) -> str:
        """A step of spending in words for the cashier, who reads the till's language."""
        return authority_in_words(tongue_of(self.settings.language).words, kind)

    def release(self, hold_id: str) -> ReleasedSaid:
        """Give points back that were set aside; once given back they stay so."""
        self.till.release(hold_id)
        return ReleasedSaid(hold_id=hold_id, released=True)

    def void(self, receipt_id: str, body: VoidBody) -> VoidSaid:
        """Undo a whole receipt."""
        if (desk := self.at(body.training)) is not self:
            return desk.void(receipt_id, body)
        with self.writing:
            told = void_receipt(self.till, contract.void_ask(body, receipt_id, self.here(VOID + receipt_id)))
        self.show_undone(receipt_id)
        view = self.slips.of_void(told, self.reader(body.language, told.void.account_id))
        if not told.replayed:
            self.slips.print_new(view)
        return self._as_training(telling.void_said(told, render(view, "text", self.slips.paper)))

    def take_back(self, body: ReturnBody) -> ReturnSaid:
        """Take goods back."""
        if (desk := self.at(body.training)) is not self:
            return desk.take_back(body)
        with self.writing:
            told = take_back(self.till, contract.return_ask(body, self.here(body.return_id)))
        self.remember_names(contract.names_in(body))
        reader = self.reader(body.language, told.returned.account_id, self.face(body.card))
        view = self.slips.of_return(told, sale_of(self.till, told.detail.of_receipt), reader)
        if not told.replayed:
            self.slips.print_new(view)
        return self._as_training(telling.return_said(told, render(view, "text", self.slips.paper)))

    def blank_screen(self, language: str = "") -> Screen:
        """The display between sales."""
        return self._blank_at(self.clock.now(), self.is_offline(), language)

    def _blank_at(self, now: Instant, is_offline: bool, language: str) -> Screen:
        currency = self.currency()
        return Screen(
            language=language or self.settings.language,
            currency=currency,
            exponent=exponent_of(currency) if currency else 2,
            now=show_instant(now.wall_ms, self.offset_min),
            offline=is_offline,
            untrusted=is_offline and self.is_untrusted(),
            training=self.till.is_training,
        )

    def _show(self, told: Quoted, ask: SaleAsk, names: Mapping[str, str], face: Face, quote_id: str) -> None:
        lines, now, is_offline, view = ask.basket.lines, self.clock.now(), self.is_offline(), told.quote.view

        def screen() -> Screen:
            language = self.till.language_of(view.account_id if view else None, ask.language)
            blank = self._blank_at(now, is_offline, language)
            nameless = tuple({line.sku for line in lines if line.sku not in names})
            return display.screen_of_quote(
                told,
                blank,
                lines=lines,
                names={**self.till.cache.names(nameless), **names} if nameless else names,
                last4=face.last4,
                as_of=show_known(told.as_of_ms, self.offset_min),
                programme=self._programme(told.quote.programme_version),
                training=ask.training,
                quote_id=quote_id,
                would_earn=lambda: would_earn(self.till, ask),
            )

        self.screens.publish(screen)

    def remember_names(self, names: Mapping[str, str]) -> None:
        """Names of goods are a comfort: the sale is written, and must be answered, whatever the cache says."""
        try:
            self.till.cache.remember_names(names)
        except Fault as fault:
            _log.warning("names of goods were not kept, receipts print article numbers: %s", fault)

    def face(self, card: str | None, token: str | None = None) -> Face:
        """What is known of a scan or token; where the till refuses it now, display and receipt do without.

        Args:
            token: of the card, where it has been read already.
        """
        if card is None:
            return NOBODY
        with self._lock:
            face = self._faces.get(token or card)
        if face is not None:
            return face
        try:
            told = self.till.identify(card, again=True)
        except Refusal:
            return NOBODY
        return self._remember(told) if told.outcome == "card" else NOBODY

    def _token(self, card: str) -> str:
        """A scan or token as the token of a card that is served. Raises: as `Till.balance`."""
        self.face(card)  # so that it can be named by its end
        return self.till.balance(card).card_token

    def _show_chosen(self, token: str | None) -> None:
        """A card was chosen before the first line: found by telephone, or given out, it was not shown yet. With none,
        whoever was shown is gone."""
        now = self.screens.now()
        if token is None:
            if now.phase in ("member", "done"):
                self.screens.publish(self.blank_screen)
            return
        if now.phase == "member" and now.beside is not None and now.beside.card_token == token:
            return
        told, last4 = self.till.balance(token), self.face(token).last4
        self.greet(
            Identified(
                outcome="card", card_token=token, last4=last4, known=told.known, view=told.view, language=told.language
            )
        )

    def _remember(self, told: Identified) -> Face:
        """Keep the end of a card by its token, never by its number."""
        face = Face(last4=told.last4)
        if told.card_token:
            self._keep_face(told.card_token, face)
        return face

    def remember_end(self, token: str, last4: str) -> None:
        """Keep the end of a card that was not scanned here: one that was found, or given out."""
        if last4 and token not in self._faces:
            self._keep_face(token, Face(last4=last4))

    def _keep_face(self, token: str, face: Face) -> None:
        with self._lock:
            self._faces[token] = face
            self._faces.move_to_end(token)
            while len(self._faces) > MOST_FACES:
                self._faces.popitem(last=False)

    def _again(self, event_id: str, language: Language | None, copy: bool) -> tuple[Written, AnyView]:
        """What was written under an id, and its slip."""
        match reversal_again(self.till, event_id):
            case TakenBack() as told:
                sold = sale_of(self.till, told.detail.of_receipt)
                reader = self.reader(language, told.returned.account_id)
                return told, self.slips.of_return(told, sold, reader, copy=copy)
            case Voided() as told:
                return told, self.slips.of_void(told, self.reader(language, told.void.account_id), copy=copy)
            case Unreturned() as told:
                sold = sale_of(self.till, told.void.of_receipt)
                reader = self.reader(language, told.void.account_id)
                return told, self.slips.of_return_void(told, sold, reader, copy=copy)
        sale = self.till.receipt(event_id, language)
        reader = self.reader(language, sale.receipt.account_id)
        return sale, self.slips.of_receipt(sale, reader, copy=copy)

    def reader(self, language: Language | None, account_id: int | None, face: Face = NOBODY) -> Reader:
        return Reader(language=self.till.language_of(account_id, language), last4=face.last4)

    def here(self, event_id: str = "") -> contract.Here:
        """This till, now; for an event that is written already, when it was: a body without `sold_at`, sent again,
        is still the same body."""
        return self._here_since(self.till.journal.find(event_id) if event_id else None)

    def _here_since(self, entry: Entry | None) -> contract.Here:
        place = getattr(entry.event, "place", None) if entry else None
        return contract.Here(
            now_ms=place.sold_at_ms if place else self.clock.now().wall_ms,
            store_id=self.identity.store_id,
            till_id=self.identity.till_id,
            label=self.label,
        )

    def currency(self) -> str:
        programmes = self.till.cache.programmes()
        return programmes[0].programme.currency if programmes else ""

    def _programme(self, version: str) -> Programme | None:
        programmes = self.till.cache.programmes()
        return next((compiled.programme for compiled in programmes if compiled.version == version), None)
