"""identify, quote, hold, commit: the till without HTTP. `Till.commit` is the only place where a sale is written."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Protocol

import msgspec

from edge.cache.cache import Cache
from edge.identity import TillIdentity
from edge.journal.group_commit import GroupCommit
from edge.journal.journal import Entry, Journal
from edge.ports import FARTHEST_OFFSET_MIN, Clock, Instant, Settings
from edge.refusals import (
    BadTime,
    CardBlocked,
    NoProgramme,
    NotOurCard,
    ReceiptUnknown,
    TrainingSale,
)
from edge.sale.approving import Approver, approve
from edge.sale.asked_before import hashes_before
from edge.sale.asks import (
    Asked,
    Balance,
    CommitAsk,
    Committed,
    Held,
    HoldAsk,
    Identified,
    Quoted,
    SaleAsk,
    Warn,
)
from edge.sale.card_names import CardNames
from edge.sale.certificate_holds import CertificateHolds
from edge.sale.certificates import end_holds, hold_certificates, lay_down
from edge.sale.deciding import ReadySale, decide, take_spent, told_of
from edge.sale.holding import hold_of_sale, let_go, set_aside
from edge.sale.knowing import Known, authority, know, scan, token_of, warnings_for
from edge.sale.presenting import present, sha_of_sale, shas_of_before, with_coupon_codes
from edge.sale.priced import Priced, Told
from edge.sale.recalling import check_id, check_same, recall, record_of
from edge.sale.shown_cards import ShownCard, ShownCards, too_weak
from loyalty.baskets import LATEST_MS, Place
from loyalty.cards.cards import Card, Code, Source
from loyalty.document import Language
from loyalty.facts.receipts import Receipt
from loyalty.members import UNKNOWN_CARD
from loyalty.moments import DAY_MS
from loyalty.pricing.leases import NO_AUTHORITY, Authority
from loyalty.pricing.quotes import MayRedeem, Quote
from loyalty.programme.compiled import Compiled
from loyalty.programme.programme import Programme
from sync.chain import StreamHead
from sync.wire import LeaseAnswer

AskPoints = Callable[[str, int, int, bool], LeaseAnswer | None]
"""(hold_id, account_id, points, whether fewer will do) to the answer; none where none came in time."""


class AskPeers(Protocol):
    """Gets rights to spend points of an account, at least so many, and says how many came."""

    def __call__(self, account_id: int, points: int, *, least: int) -> int: ...


_LANGUAGES: dict[str, Language] = {"en": "en", "pt-BR": "pt-BR", "ru": "ru", "pl": "pl"}
PRACTISED = "TRAINING"  # the code of a coupon issued in training
_FIRST_DAY = date(1970, 1, 1)
_LAST_YEAR = 5138  # that of LATEST_MS: room for points that live for years


def _always() -> bool:
    return True


def _nothing() -> None:
    return None


def _ignore(_head: StreamHead) -> None:
    return None


class Till:
    """One till. Every method may be called from any thread; an id asked again is answered the same again.

    Args:
        is_offline: whether head office is out of reach now; a receipt says so.
        on_written: called after an event was written, so that the uplink wakes; `on_closed` with the head after a day
            was closed.
        ask_points: asks head office to set points aside for a hold; none for a till that stays alone.
        ask_peers: gets rights to spend points from another till of the store; none where tills do not share.
        certificate_holds: has head office set money of certificates aside; none where nobody is asked.
        approver: knows the supervisors; that of the settings where none is given.
        is_training: nothing here counts: it takes the asks of training, and no others.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        cache: Cache,
        clock: Clock,
        settings: Settings,
        identity: TillIdentity,
        is_offline: Callable[[], bool] = _always,
        on_written: Callable[[], None] = _nothing,
        on_closed: Callable[[StreamHead], object] = _ignore,
        ask_points: AskPoints | None = None,
        ask_peers: AskPeers | None = None,
        certificate_holds: CertificateHolds | None = None,
        approver: Approver | None = None,
        is_training: bool = False,
    ) -> None:
        self.journal = journal
        self.cache = cache
        self.clock = clock
        self.settings = settings
        self.identity = identity
        self.is_offline = is_offline
        self.on_written = on_written
        self.on_closed = on_closed
        self.ask_points = ask_points
        self.ask_peers = ask_peers
        self.certificate_holds = certificate_holds
        self.names = CardNames(lambda: self.identity, journal, cache)
        self.shown = ShownCards(clock, identity, self.names)
        self.priced = Priced()
        self.together = GroupCommit(lambda: self.journal)
        self.approver = approver or Approver(settings, journal, clock)
        self.is_training = is_training

    def use_identity(self, identity: TillIdentity) -> None:
        """Head office told other card keys, or took them away."""
        self.identity = identity
        self.shown.use_identity(identity)

    def forget_shown(self) -> None:
        """Forget which cards were shown lately, and what was quoted for them."""
        self.priced = Priced()
        self.names = CardNames(lambda: self.identity, self.journal, self.cache)
        self.shown = ShownCards(self.clock, self.identity, self.names)

    def identify(
        self, text: str, aim: str | None = None, *, source: Source = "scan", again: bool = False
    ) -> Identified:
        """Say what was scanned, and what is known of its member.

        Args:
            source: what sent the text; `keyed` for what somebody typed.
            again: the same showing of the card is asked about once more, so that a moving code stands for it.
        Raises:
            PaymentCardScanned, CardUnreadable, CardBlocked, TooManyLookups, NoProgramme.
        """
        cards = self.current().programme.cards
        if again and (shown := self.shown.known(cards, text)) is not None:
            return self._identified(shown)
        outcome = scan(self.current().programme, text, aim, source=source, wallet=self.shown.wallet())
        if isinstance(outcome, Code):
            return Identified(outcome="code", text=outcome.text, aim=outcome.aim)
        return self.identify_card(outcome)

    def identify_card(self, card: Card) -> Identified:
        """The same of a card that a reader of this till has read. Raises: as `identify`."""
        return self._identified(self.shown.present(self.current().programme.cards, card))

    def _identified(self, shown: ShownCard) -> Identified:
        now = self.clock.now()
        known = self.serve(shown.token, now)
        most = self.shown.most_points(self.current().programme.cards, shown.token)
        weak = () if most is None else (Warn(code="card.too_weak", say=too_weak(most)),)
        return Identified(
            outcome="card",
            card_token=known.card_token,
            last4=shown.last4,
            known=known.member is not None,
            view=known.view,
            language=self.language(None, known),
            warnings=(*warnings_for(self.cache, known, now), *weak),
        )

    def balance(self, card: str) -> Balance:
        """What this till knows of a card. Raises: as `identify`, and NotOurCard."""
        token = token_of(self.current().programme, self.identity, card, self.shown)
        if token is None:
            raise NotOurCard("Scan the card whose balance is asked for.")
        known = self.serve(token, self.clock.now())
        return Balance(
            card_token=token,
            known=known.member is not None,
            view=known.view or UNKNOWN_CARD,
            language=self.language(None, known),
            as_of_ms=self.cache.as_of_ms(),
        )

    def quote(self, ask: SaleAsk) -> Quoted:
        """What a basket would earn or could spend now. Writes nothing.

        Raises:
            PaymentCardScanned, CardUnreadable, NotOurCard, CardBlocked: ask again without a card.
            BadBasket, WrongCurrency, BadTime, NoProgramme.
            HoldUnknown, HoldCaptured, HoldOfAnotherCard: ask again without the hold.
        """
        compiled, now, place = self.current(), self.clock.now(), self.place(ask)
        token = token_of(compiled.programme, self.identity, ask.card, self.shown)
        known = self.serve(token, now, but_hold=ask.hold_id, on=place.business_date)
        hold = hold_of_sale(self.journal, ask.hold_id, known, now)
        allowed = authority(compiled.programme, self.journal, self.cache, known, hold, now, place)
        if hold is None:
            allowed = self.shown.limited(compiled.programme.cards, token, allowed)
        presented = present(compiled, ask.basket, known.view, self.journal, self.identity, place, self.cache)
        hold_certificates(self, ask.basket.certificates)
        presented = lay_down(self, compiled, presented, place.business_date)
        told = told_of(self, compiled, ask, place, presented, known, allowed)
        quote = self.priced.quote(told)
        return Quoted(
            quote=quote,
            on_asking=self._on_asking(told, quote, known) if hold is None else None,
            entered=presented.entered,
            besides=presented.besides,
            card_token=token,
            known=known.member is not None,
            as_of_ms=self.cache.as_of_ms(),
            offline=self.is_offline(),
            warnings=warnings_for(self.cache, known, now),
        )

    def may_ask(self, programme: Programme, known: Known) -> Authority:
        """What head office may let this member spend, by its last word: it is asked when points are set aside. Nothing
        where it is not asked."""
        asks = programme.spending is not None and programme.spending.online and self.ask_points is not None
        if not asks or known.member is None or known.view is None or self.is_offline():
            return NO_AUTHORITY
        asked = Authority(kind="hold", points=known.view.spendable_points)
        return self.shown.limited(programme.cards, known.card_token, asked)

    def _on_asking(self, told: Told, quote: Quote, known: Known) -> MayRedeem | None:
        """What could be spent of a basket once head office has set it aside, where that is more than without."""
        asked = self.may_ask(told.compiled.programme, known)
        if asked.points <= told.authority.points:
            return None
        may = self.priced.anew(msgspec.structs.replace(told, authority=asked), explain=False).redemption
        return may if may.most_points > quote.redemption.most_points else None

    def hold(self, ask: HoldAsk) -> Held:
        """Set points aside for fifteen minutes, drawn on the till's float.

        Raises:
            SpendingOff, MemberStale, NotEnoughPoints, CardTooWeak: the sentence names what can be had.
            HoldIdReused, HoldLapsed, HoldCaptured, HoldReleased: use a new id.
        """
        check_id(ask.hold_id)
        programme, now = self.current().programme, self.clock.now()
        token = token_of(programme, self.identity, ask.card, self.shown)
        if token is None:
            raise NotOurCard("Scan the card whose points are to be set aside.")
        points = self.shown.check_hold(programme.cards, token, ask.points, partial=ask.partial)
        ask = msgspec.structs.replace(ask, points=points)
        told = self._ask_centre(programme, token, ask, now)
        if told is None and self.ask_peers is not None:
            self._ask_peers(programme, token, ask, now)
        with self.journal.writing():
            known = self.serve(token, now)
            place = self.place(Asked(sold_at_ms=now.wall_ms))
            ask = msgspec.structs.replace(ask, card=token)
            earlier = hashes_before(self.names, ask, token, lambda one, name: msgspec.structs.replace(one, card=name))
            return set_aside(self.journal, self.cache, programme, known, ask, now, place, told, earlier)

    def _ask_centre(self, programme: Programme, token: str, ask: HoldAsk, now: Instant) -> LeaseAnswer | None:
        """Have head office set the points aside, where the programme wants that and it can be reached."""
        if programme.spending is None or not programme.spending.online or self.ask_points is None:
            return None
        member = self.serve(token, now).member
        if member is None or ask.points < 1 or self.journal.promises.hold(ask.hold_id) is not None:
            return None
        return self.ask_points(ask.hold_id, member.row.account_id, ask.points, ask.partial)

    def _ask_peers(self, programme: Programme, token: str, ask: HoldAsk, now: Instant) -> None:
        """Where this till may not let so many points be spent by itself, another till of the store may have them."""
        known, place = self.serve(token, now), self.place(Asked(sold_at_ms=now.wall_ms))
        if known.member is None or ask.points < 1 or self.journal.promises.hold(ask.hold_id) is not None:
            return
        here = authority(programme, self.journal, self.cache, known, None, now, place).points
        if here < ask.points and self.ask_peers is not None:
            least = here + 1 if ask.partial else ask.points
            self.ask_peers(known.member.row.account_id, ask.points, least=least)

    def release(self, hold_id: str) -> None:
        """Give back what a hold keeps; again changes nothing. Raises: HoldUnknown, HoldCaptured."""
        with self.journal.writing():
            let_go(self.journal, hold_id, self.clock.now())

    def commit(self, ask: CommitAsk) -> Committed:
        """Write a sale that was paid: one durable transaction, after which the receipt is safe.

        Raises:
            IdReused: the id stands for another sale.
            NotEnoughPoints, SpendingOff, MemberStale, HoldExceeded, PrizeNotCovered, CertificateNotCovered,
            WalletNotCovered: what the POS took for payment is not there, and its quote did not say so.
            OverrideWanted, OverrideWrong, OverrideLocked: a supervisor must approve it.
            TrainingSale, IdReserved, ChargedUnknownLine, and as `quote`.
            JournalFull: nothing was written; send the same again once there is space.
        """
        if self._is_nameless(ask) and self.journal.find(ask.receipt_id) is not None:
            return self.receipt(ask.receipt_id, ask.sale.language)
        ready = self.ready(ask)
        if ask.sale.basket.certificates and self.journal.find(ask.receipt_id) is None:
            hold_certificates(self, ask.sale.basket.certificates)
        return self._written(lambda: self.write(ready))

    def commit_now(self, receipt_id: str, asked: Callable[[Entry | None], CommitAsk]) -> Committed:
        """The same of an ask that is made inside the transaction, so that what it is made of stands still meanwhile;
        nobody has approved it.

        Args:
            asked: makes the ask; told what stands under its id already.
        Raises: as `commit`.
        """

        def write() -> Committed:
            before = self.journal.find(receipt_id)
            ask = asked(before)
            if before is not None and self._is_nameless(ask):
                return self.receipt(receipt_id, ask.sale.language)
            return self._write(self.ready(ask), before)

        return self._written(write)

    def _is_nameless(self, ask: CommitAsk) -> bool:
        """Whether it shows a card or a code that has no name any more, for this till was revoked: asked again, it is
        answered as it was written, for nothing is left to compare it by."""
        basket = ask.sale.basket
        shown = ask.sale.card or basket.coupons or basket.certificates or basket.certificates_sold
        return self.identity.is_wiped and bool(shown)

    def _written(self, write: Callable[[], Committed]) -> Committed:
        done = self.together.do(write)
        if not done.replayed:
            self.on_written()
        return done

    def ready(self, ask: CommitAsk, exchange: str = "") -> ReadySale:
        """Look at a sale before its transaction begins. Raises: as `commit`."""
        check_id(ask.receipt_id)
        self.check_training(ask.sale)
        token = token_of(self.current().programme, self.identity, ask.sale.card, self.shown, ask.receipt_id)
        sale, approval = approve(self.approver, self.journal, ask.sale, ask.receipt_id)
        ask = msgspec.structs.replace(ask, sale=msgspec.structs.replace(sale, card=token))
        sha = sha_of_sale(ask, self.identity)
        return ReadySale(ask=ask, sha=sha, now=self.clock.now(), approval=approval, exchange=exchange)

    def write(self, ready: ReadySale) -> Committed:
        """Write a sale inside the journal's transaction, or find it there. Raises: as `commit`."""
        return self._write(ready, self.journal.find(ready.ask.receipt_id))

    def _write(self, ready: ReadySale, before: Entry | None) -> Committed:
        ask = ready.ask
        if before is not None:
            check_same(before, ready.sha, shas_of_before(ask, self.identity, self.names))
            return msgspec.structs.replace(self._recall(before, ask.sale.language), card_token=ask.sale.card)
        decided = decide(self, ready)
        receipt, hold = decided.closed.receipt, decided.hold
        take_spent(self, receipt, ready.now)  # first, while what was read of floats for its quote still holds
        self.names.say(receipt.place, ask.sale.card)
        head = self.journal.append(receipt, ask_sha256=ready.sha)
        end_holds(self, receipt)
        if hold is not None:
            self.journal.promises.capture(hold.hold_id, ask.receipt_id)
        self.priced.answer(head, decided.language, decided.quote)
        return Committed(
            receipt=self._with_codes(receipt),
            detail=decided.closed.detail,
            quote=decided.quote,
            language=decided.language,
            card_token=ask.sale.card,
            head=head,
            record=record_of(head),
            replayed=False,
        )

    def receipt(self, receipt_id: str, language: Language | None = None) -> Committed:
        """A receipt of this till as it was answered. Raises: ReceiptUnknown."""
        entry = self.journal.find(receipt_id)
        if entry is None or not isinstance(entry.event, Receipt):
            raise ReceiptUnknown("This till keeps no such receipt; look for it at the till that sold it.")
        return self._recall(entry, language)

    # What void, return and close share with the sale

    def current(self) -> Compiled:
        """The programme in force. Raises: NoProgramme."""
        programmes = self.cache.programmes()
        if not programmes:
            raise NoProgramme("This till has no programme yet. Sell without loyalty until head office is reached.")
        return programmes[0]

    def place(self, ask: Asked) -> Place:
        """Where and when something happened. Raises: BadTime."""
        offset_min = self.settings.offset_min if ask.offset_min is None else ask.offset_min
        if not 0 <= ask.sold_at_ms <= LATEST_MS or abs(offset_min) > FARTHEST_OFFSET_MIN:
            raise BadTime("The time of sale cannot be; check the clock of the POS.", sold_at_ms=ask.sold_at_ms)
        if ask.business_date is not None and ask.business_date.year > _LAST_YEAR:
            raise BadTime("The business date cannot be; check the calendar of the POS.", year=ask.business_date.year)
        local_days = (ask.sold_at_ms + offset_min * 60_000) // DAY_MS
        return Place(
            partner_id=self.identity.partner_id,
            store_id=self.identity.store_id,
            till_id=self.identity.till_id,
            channel=ask.channel,
            sold_at_ms=ask.sold_at_ms,
            offset_min=offset_min,
            business_date=ask.business_date or _FIRST_DAY + timedelta(days=local_days),
            till_kind=self.settings.till_kind,
        )

    def check_training(self, ask: Asked) -> None:
        """What is practised goes to the till of training, and nothing else does. Raises: TrainingSale."""
        if ask.training is not self.is_training:
            raise TrainingSale("Training and real sales are kept apart. Send this to the till that it is meant for.")

    def language(self, asked: Language | None, known: Known) -> Language:
        """Of what is said: as asked, else the member's, else this till's."""
        members = known.member.language if known.member else ""
        return asked or _LANGUAGES.get(members, self.settings.language)

    def language_of(self, account_id: int | None, asked: Language | None) -> Language:
        """As `language`, for an event that is written: of its account, whatever became of the card since."""
        member = self.cache.member_of_account(account_id) if account_id is not None else None
        return self.language(asked, Known(member=member))

    def serve(
        self, token: str | None, now: Instant, *, but_hold: str | None = None, on: date | None = None
    ) -> Known:
        """What is known of whoever shows this card, none for nobody. Args: as `know`. Raises: CardBlocked."""
        if token is not None and (reason := self.names.blocked(token)):
            raise CardBlocked(
                "This card is blocked. Sell without it, and send the member to customer service.", reason=reason
            )
        return know(self.journal, self.cache, token, now, but_hold=but_hold, on=on)

    # Inside

    def _recall(self, entry: Entry, language: Language | None) -> Committed:
        account_id = entry.event.account_id if isinstance(entry.event, Receipt) else None
        told = recall(self.cache.programmes(), entry, self.language_of(account_id, language), self.priced)
        return msgspec.structs.replace(told, receipt=self._with_codes(told.receipt))

    def _with_codes(self, receipt: Receipt) -> Receipt:
        """A receipt as it is shown. A coupon issued in training must be worth nothing at any till."""
        if self.is_training:
            coupons = tuple(msgspec.structs.replace(one, code=PRACTISED) for one in receipt.coupons_issued)
            return msgspec.structs.replace(receipt, coupons_issued=coupons)
        return with_coupon_codes(receipt, self.identity)
