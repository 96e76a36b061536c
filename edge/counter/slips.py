"""The words of a receipt, return or void: looked up beside the fact, laid out by receipt_templates, kept nowhere."""

import logging
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from edge.api.telling import ending_of
from edge.cache.cache import Cache
from edge.ports import Settings
from edge.sale.asks import Committed, TakenBack, Unreturned, Voided
from loyalty.facts.receipts import Receipt, ReceiptDetail, read_detail
from loyalty.facts.reversals import VoidDetail
from loyalty.pricing.quotes import Quote
from loyalty.programme.programme import Options
from receipt_templates.compose import AnyView
from receipt_templates.languages import TONGUES
from receipt_templates.profiles import PROFILES, PrinterProfile, profile_named
from receipt_templates.reversal_views import VoidView, view_of_return, view_of_return_void, view_of_void
from receipt_templates.view import NextTier, ReceiptView, Shop, view_of_receipt

PLAIN = "generic-42"
_log = logging.getLogger(__name__)


class Reader(msgspec.Struct, frozen=True, kw_only=True):
    """For whom a slip is written: the language, and the end of the card where it is at hand."""

    language: str
    last4: str = ""


class Slips:
    """Makes the views of one till's slips, and hands new ones to its printer where it has one.

    Args:
        training: the till is one of training, and every slip says so.
    """

    def __init__(self, cache: Cache, settings: Settings, till_name: str, *, training: bool = False) -> None:
        self._cache, self._settings, self.till_name = cache, settings, bare_name(till_name)
        self._training, self._shop_name = training, settings.shop_name or till_name
        self._print: Callable[[AnyView], bool] | None = None
        self._names: dict[tuple[str, str], Mapping[str, str]] = {}
        named = profile_named(settings.receipt_profile) if settings.receipt_profile else PROFILES[PLAIN]
        paper = msgspec.structs.replace(PROFILES[PLAIN], columns=settings.receipt_columns)
        self.paper: PrinterProfile = paper
        self.printer: PrinterProfile = named if settings.receipt_profile else paper

    def use_printer(self, put: Callable[[AnyView], bool]) -> None:
        """From now on new slips also go to a printer of the till's own; `put` returns at once, false for no room."""
        self._print = put

    def print_as(self, other: "Slips") -> None:
        """New slips go where those of another till's counter go, if anywhere."""
        self._print = other._print

    def print_new(self, view: AnyView) -> bool:
        """Hand on a slip that was written just now. Returns whether it will be printed here; one that finds no room is
        told of in the log and on the status page."""
        if self._print is None:
            return False
        taken = self._print(view)
        if not taken:
            _log.warning("slip %s was not printed: too many wait for the printer", view.number)
        return taken

    def of_receipt(self, told: Committed, reader: Reader, *, copy: bool = False) -> ReceiptView:
        """A sale. The balance is the one the sale was made under, with the sale in it, so a reprint says the same."""
        detail = told.detail
        view = view_of_receipt(
            told.receipt,
            detail,
            shop=self.shop(detail.currency),
            names=self._cache.names(tuple({line.sku for line in detail.lines})),
            messages=told.quote.messages if told.quote else (),
            language=reader.language,
            promotions=self._named(detail.programme_version, "promotions"),
            coupons=self._named(detail.programme_version, "coupons"),
            record=told.record,
            member=ending_of(reader.last4),
            balance_points=balance_after(told.receipt, detail),
            copy=copy,
            missed=_missed(told.quote),
            next_tier=self._next_tier(told),
            legal=self._settings.receipt_legal,
            training=self._training,
            options=self._options(detail.programme_version),
        )
        return msgspec.structs.replace(view, till_id=self.till_name)

    def of_return(self, told: TakenBack, sold: Receipt | None, reader: Reader, *, copy: bool = False) -> AnyView:
        """Goods taken back; `sold` is the sale they come from, where this till has it."""
        goods = read_detail(sold).lines if sold else told.detail.goods
        view = view_of_return(
            told.returned,
            told.detail,
            sold=sold,
            shop=self.shop(told.detail.currency),
            names=self._cache.names(tuple({line.sku for line in goods})),
            language=reader.language,
            record=told.record,
            member=ending_of(reader.last4),
            copy=copy,
            training=self._training,
        )
        return msgspec.structs.replace(view, till_id=self.till_name)

    def of_void(self, told: Voided, reader: Reader, *, copy: bool = False) -> VoidView:
        """A receipt undone."""
        view = view_of_void(
            told.void,
            msgspec.json.decode(told.void.detail, type=VoidDetail),
            sold=told.receipt,
            shop=self.shop(""),
            language=reader.language,
            record=told.record,
            member=ending_of(reader.last4),
            copy=copy,
            training=self._training,
        )
        return msgspec.structs.replace(view, till_id=self.till_name)

    def of_return_void(self, told: Unreturned, sold: Receipt | None, reader: Reader, *, copy: bool = False) -> VoidView:
        """A return undone; `sold` is the sale that its goods come from, where this till has it."""
        view = view_of_return_void(
            told.void,
            msgspec.json.decode(told.void.detail, type=VoidDetail),
            currency=told.detail.currency or (read_detail(sold).currency if sold else ""),
            shop=self.shop(""),
            language=reader.language,
            record=told.record,
            member=ending_of(reader.last4),
            copy=copy,
            training=self._training,
        )
        return msgspec.structs.replace(view, till_id=self.till_name)

    def shop(self, currency: str) -> Shop:
        """Whose paper it is; `currency` of slips that name none, the programme's where it is not at hand."""
        programmes = self._cache.programmes()
        currency = currency or (programmes[0].programme.currency if programmes else "")
        return Shop(name=self._shop_name, currency=currency, address=self._settings.shop_address)

    def _next_tier(self, told: Committed) -> NextTier | None:
        """How far the next tier is once this sale is counted; none where the programme that knows has left the till."""
        tier = told.quote.tier if told.quote else None
        if tier is None or not tier.next_tier or tier.short_of <= 0:
            return None
        names = self._named(told.detail.programme_version, "tiers")
        return NextTier(
            name=names.get(tier.next_tier, tier.next_tier),
            measure="purchases" if tier.measure == "purchases" else "spend",
            short_of=tier.short_of,
        )

    def _options(self, version: str) -> Options:
        """Of a programme; once it has left this till those in force, which seldom differ."""
        held = self._cache.programmes()
        compiled = next((one for one in held if one.version == version), held[0] if held else None)
        return compiled.programme.options if compiled else Options()

    def _named(self, version: str, part: Literal["promotions", "coupons", "tiers"]) -> Mapping[str, str]:
        """Names of a part of a programme by id; none once the programme has left this till."""
        held = {compiled.version: compiled.programme for compiled in self._cache.programmes()}
        if version not in held:
            return {}
        named = self._names.get((version, part))
        if named is None:
            named = {entry.id: entry.name for entry in getattr(held[version], part) if entry.name}
            # Put in place whole: two receipts at once may both look, and find the same.
            self._names = {key: kept for key, kept in self._names.items() if key[0] in held} | {(version, part): named}
        return named


def bare_name(label: str) -> str:
    """A till's label without the word for till, which every slip prints before it: `Till 3` → `3`."""
    first, _, rest = label.partition(" ")
    is_word = any(first.casefold() == tongue.words.till.casefold() for tongue in TONGUES.values())
    return rest.strip() or label if is_word else label


def _missed(quote: Quote | None) -> frozenset[str]:
    """Promotions that were nearly had."""
    if quote is None or not quote.messages:
        return frozenset()
    return frozenset([why.promotion for why in quote.why if not why.applied])


def balance_after(receipt: Receipt, detail: ReceiptDetail | None = None) -> int | None:
    """Points of the account once this sale is in it, as its till knew them; none for a card it did not know.

    Args:
        detail: the receipt's own, where it is at hand.
    """
    view = (detail or read_detail(receipt)).view
    if view is None or view.account_id is None:
        return None
    spent = receipt.redemption.points if receipt.redemption else 0
    return view.balance_points + sum(earned.points for earned in receipt.earned) - spent
