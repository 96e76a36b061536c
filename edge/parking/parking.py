"""Laying an open basket aside, and taking it up again: at this till, or at another of the store.

Only the till that parked it gives it away, in one durable step, so one till at a time wins it. What is kept holds no
card number (a token stands for it) and no code of a coupon or certificate, which must be scanned once more.
"""

from collections.abc import Callable, Iterable

import msgspec

from edge.api.bodies import ParkBody, QuoteBody
from edge.api.contract import basket_from, without_payment, without_personal
from edge.journal.journal import Journal
from edge.journal.parked_kept import KeptBasket
from edge.refusals import ParkedGone, ParkedIdReused, ParkedTaken, ParkedTooLarge, ParkedUnknown
from edge.sale.asked_before import hashes_before
from edge.sale.asks import ask_sha256
from edge.sale.certificate_names import code_token
from edge.sale.holding import let_go
from edge.sale.knowing import token_of
from edge.sale.recalling import check_id
from edge.sale.till import Till
from loyalty.baskets import check_basket
from loyalty.cards.card_keys import CardKey, CardName
from loyalty.cards.cards import Assurance

MOST_BYTES = 40 * 1024  # so that it fits in a message between tills
AWAY = ("office", "unsure")


class ParkedSale(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A basket as it is kept. `coupons` and `certificates` count the codes that must be scanned again; `names` are all
    that its card is called, as far as the till knew, for a key may be retired before it is taken up; `last4` its end,
    where that was at hand; `ways` how it was shown lately, so that it spends no more where the basket is taken up."""

    sale: QuoteBody
    note: str = ""
    coupons: int = 0
    certificates: int = 0
    names: tuple[CardName, ...] = ()
    last4: str = ""
    ways: tuple[Assurance, ...] = ()

    @property
    def amount_minor(self) -> int:
        """What its goods come to before discounts."""
        return sum(line.amount_minor for line in self.sale.basket.lines)

    @property
    def scan_again(self) -> int:
        """How many codes are to be scanned once more."""
        return self.coupons + self.certificates


class TakenUp(msgspec.Struct, frozen=True, kw_only=True):
    """A basket to go on with, its card by the name that it has now, and its end; `show_card` where it has none any
    more, or is blocked."""

    sale: QuoteBody
    note: str
    show_card: bool
    scan_again: int
    last4: str

    @property
    def say(self) -> str:
        """What the cashier is to do."""
        card = "Scan the member's card once more. " if self.show_card else ""
        what = "the coupon or certificate" if self.scan_again == 1 else f"{self.scan_again} coupons or certificates"
        codes = f"Scan {what} once more." if self.scan_again else ""
        return f"{card}{codes}".strip()


class Parked(msgspec.Struct, frozen=True, kw_only=True):
    """What was laid aside."""

    basket: KeptBasket
    sale: ParkedSale
    hold_released: bool
    replayed: bool


def park(till: Till, body: ParkBody, last4: str = "") -> Parked:
    """Lay a basket aside, and give back the points that were held for it.

    Args:
        last4: the end of its card, for who takes it up; empty where it is not at hand.
    Raises:
        ParkedIdReused: the id stands for another basket.
        ParkedTooLarge: more lines than can be handed to another till.
        BadBasket: a figure that no basket can have.
        HoldUnknown, HoldCaptured, PaymentCardScanned, CardUnreadable, NotOurCard.
    """
    basket, sale = _made(till, body, last4)
    journal = till.journal
    with journal.writing():
        before = _before(till, body, basket, sale)
        if before is not None and before.state in AWAY:
            raise _reused(basket)
        if before is None:
            if body.hold_id is not None:
                let_go(journal, body.hold_id, till.clock.now())
            journal.parked.add(basket)
    return _parked(body, before or basket, sale, replayed=before is not None)


def park_away(till: Till, body: ParkBody, leave: Callable[[KeptBasket], None], last4: str = "") -> Parked:
    """Lay a basket aside somewhere else than at this till.

    Args:
        leave: takes it there, or raises; what is not known to be there is no basket that anybody may resume.
        last4: as `park`.
    Raises:
        As `park` and `leave`.
    """
    basket, sale = _made(till, body, last4)
    journal = till.journal
    with journal.writing():
        before = _before(till, body, basket, sale)
        if before is not None and before.state not in AWAY:
            raise _reused(basket)
        if before is None:
            journal.parked.add(msgspec.structs.replace(basket, state="unsure"))
    if before is None or before.state == "unsure":
        leave(before or basket)
        with journal.writing():
            if body.hold_id is not None:
                let_go(journal, body.hold_id, till.clock.now())
            journal.parked.end(body.park_id, "office")
    return _parked(body, before or basket, sale, replayed=before is not None and before.state == "office")


def give(journal: Journal, park_id: str, till_id: str, resume_id: str) -> KeptBasket:
    """Hand a basket that lies here to a till; to the one that has it already, again.

    Another till that asks again under another id lost the answer; at this one it would be a second sale.

    Raises:
        ParkedUnknown, ParkedGone, ParkedTaken.
    """
    with journal.writing():
        basket = journal.parked.find(park_id)
        if basket is None or basket.state in AWAY:
            raise _unknown(park_id)
        if basket.state in ("dropped", "expired"):
            raise ParkedGone(
                "This basket was thrown away"
                + (" when the day was closed." if basket.state == "expired" else ".")
                + " Ring the goods up again.",
                park_id=park_id,
                state=basket.state,
            )
        if basket.state == "taken":
            if basket.taken_by != till_id:
                raise taken_elsewhere(park_id, basket.taken_by)
            if till_id == journal.head().till_id and basket.resume_id != resume_id:
                raise ParkedTaken("This basket was resumed here already. Go on with that sale.", park_id=park_id)
            return basket
        journal.parked.take(park_id, till_id, resume_id)
        return msgspec.structs.replace(basket, state="taken", taken_by=till_id, resume_id=resume_id)


def take_up(till: Till, body: bytes) -> TakenUp:
    """A basket that this till has now, however long and wherever it lay: its card goes by the name under the oldest key
    that is in force here, unless a newer one is the only one that is known, as when it is shown."""
    parked, ids = read_parked(body), till.identity.card_keys.ids
    card = parked.sale.card
    if parked.names:
        tokens = [one.token for one in parked.names if one.key_id in ids]
        first = tokens[0] if tokens else None
        card = next((token for token in tokens if till.cache.member(token) is not None), first)
    if card is not None and till.names.blocked(card):
        card = None  # no quote would be answered, and nobody else may take this basket up
    if card is not None:
        till.shown.came(card, parked.ways)
    show_card = parked.sale.card is not None and card is None
    # Who goes on with it, and on which day, is for whoever takes it up to say.
    sale = msgspec.structs.replace(parked.sale, card=card, cashier="", business_date=None)
    last4, scan_again = parked.last4, parked.scan_again
    return TakenUp(sale=sale, note=parked.note, show_card=show_card, scan_again=scan_again, last4=last4)


def drop(till: Till, park_id: str) -> None:
    """Throw a basket away; again changes nothing. Raises: ParkedUnknown, ParkedTaken."""
    with till.journal.writing():
        basket = till.journal.parked.find(park_id)
        if basket is None or not _is_here(till.journal, basket):
            raise _unknown(park_id)
        if basket.state == "taken":
            raise taken_elsewhere(park_id, basket.taken_by)
        if basket.state == "open":
            till.journal.parked.end(park_id, "dropped")


def expire(journal: Journal, before_ms: int) -> int:
    """The day is closed: nothing that was parked before its end waits any longer. Inside the close's transaction; how
    many were thrown away."""
    baskets = [one for one in journal.parked.open() if one.parked_ms < before_ms]
    for basket in baskets:
        journal.parked.end(basket.park_id, "expired")
    return len(baskets)


def read_parked(body: bytes) -> ParkedSale:
    """A basket as it was kept."""
    return msgspec.json.decode(body, type=ParkedSale)


def taken_elsewhere(park_id: str, taken_by: str, name: str = "") -> ParkedTaken:
    """The refusal for whoever comes second."""
    return ParkedTaken(
        f"Till {name or taken_by[:8]} has resumed this basket. Go on there, or ring the goods up again.",
        park_id=park_id,
        till_id=taken_by,
    )


def _made(till: Till, body: ParkBody, last4: str) -> tuple[KeptBasket, ParkedSale]:
    """The basket as it is kept. Raises: BadBasket, ParkedTooLarge, PaymentCardScanned, CardUnreadable, NotOurCard."""
    check_id(body.park_id)
    check_basket(basket_from(body), body.basket.currency)
    token = token_of(till.current().programme, till.identity, body.card, till.shown) if body.card else None
    sale = _as_kept(body, token, till.names.named(token) if token else (), last4)
    sale = msgspec.structs.replace(sale, ways=till.shown.ways(token) if token else ())
    data = msgspec.json.encode(sale)
    if len(data) > MOST_BYTES:
        raise ParkedTooLarge(
            "This basket has too many lines to be laid aside. Finish it, or park it in the POS alone.", bytes=len(data)
        )
    basket = KeptBasket(
        park_id=body.park_id,
        ask_sha256=ask_sha256(_hashed(body, sale, till.identity.card_keys.in_force[0])),
        body=data,
        parked_ms=till.clock.now().wall_ms,
        kept_by=till.identity.till_id,
    )
    return basket, sale


def _hashed(body: ParkBody, sale: ParkedSale, key: CardKey) -> "_Hashed":
    # Codes are hashed with the programme's key: else a file that is copied could be tried until they are found.
    spoken = (*body.coupons, *(one.code for one in body.certificates), *_sold_codes(body))
    # Names come and go with keys, the end of a card and its ways with a restart; its token says whose basket it is.
    sale = msgspec.structs.replace(sale, names=(), last4="", ways=())
    return _Hashed(sale=sale, hold_id=body.hold_id, codes=tuple(code_token(key.secret, code) for code in spoken))


def _before(till: Till, body: ParkBody, basket: KeptBasket, sale: ParkedSale) -> KeptBasket | None:
    """The basket of its id, where it is the same one. Raises: ParkedIdReused."""
    before = till.journal.parked.find(basket.park_id)
    if before is None or before.ask_sha256 == basket.ask_sha256:
        return before
    # Before a card key was retired its card and codes were known by other names.
    for key in till.identity.card_keys.keys:
        asked = _hashed(body, sale, key)
        if before.ask_sha256 in hashes_before(till.names, asked, sale.sale.card, _with_card):
            return before
    raise _reused(basket)


def _with_card(asked: "_Hashed", token: str | None) -> "_Hashed":
    sale = msgspec.structs.replace(asked.sale.sale, card=token)
    return msgspec.structs.replace(asked, sale=msgspec.structs.replace(asked.sale, sale=sale))


def _reused(basket: KeptBasket) -> ParkedIdReused:
    return ParkedIdReused("This park id stands for another basket. Use a new id.", park_id=basket.park_id)


def _parked(body: ParkBody, basket: KeptBasket, sale: ParkedSale, *, replayed: bool) -> Parked:
    return Parked(basket=basket, sale=sale, hold_released=body.hold_id is not None, replayed=replayed)


def _unknown(park_id: str) -> ParkedUnknown:
    return ParkedUnknown("No such basket is parked. Look at the list again.", park_id=park_id)


def _is_here(journal: Journal, basket: KeptBasket) -> bool:
    return basket.kept_by == journal.head().till_id


class _Hashed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    sale: ParkedSale
    hold_id: str | None
    codes: tuple[str, ...]


def _as_kept(body: ParkBody, token: str | None, names: tuple[CardName, ...], last4: str) -> ParkedSale:
    """Without number, codes, hold and approval; free texts without what may be a payment card or a person's."""
    lines = tuple(
        msgspec.structs.replace(line, name=without_payment(line.name), certificate="") for line in body.basket.lines
    )
    fields = {name: getattr(body, name) for name in QuoteBody.__struct_fields__}
    fields |= {
        "basket": msgspec.structs.replace(body.basket, lines=lines),
        "card": token,
        "cards": (),
        "hold_id": None,
        "coupons": (),
        "certificates": (),
        "override": None,
        "sold_at": None,
        "store_id": None,
        "till_id": None,
        "cashier": without_payment(body.cashier),
        "events": _plain(body.events),
        "prizes": _plain(body.prizes),
        "tenders": tuple(
            msgspec.structs.replace(tender, kind=without_payment(tender.kind) or "card") for tender in body.tenders
        ),
    }
    return ParkedSale(
        sale=QuoteBody(**fields),
        note=without_personal(body.note),
        coupons=len(body.coupons),
        certificates=len(body.certificates) + len(_sold_codes(body)),
        names=names,
        last4=last4,
    )


def _sold_codes(body: ParkBody) -> tuple[str, ...]:
    """Codes of gift certificates that this basket sells."""
    return tuple(line.certificate for line in body.basket.lines if line.certificate)


def _plain(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(kept for text in texts if (kept := without_payment(text)))
