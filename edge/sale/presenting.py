"""What is laid on the counter besides goods: coupons and certificates, as this till knows them.

A coupon's code carries its own check, so it is known offline. What is kept of it is its number, with which nobody
could present it again; that goes for coupons printed here too, whose codes are made anew each time they are shown.
A certificate's code stands for money, and so may any code that nobody here knows: of these a token is kept.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from edge.cache.cache import Cache
from edge.identity import TillIdentity
from edge.journal.journal import Journal
from edge.sale.asked_before import tokens_before
from edge.sale.asks import CommitAsk, ask_sha256
from edge.sale.card_names import CardNames
from edge.sale.certificate_names import code_token, name_of, new_name
from loyalty.baskets import Basket, Place
from loyalty.cards.card_keys import CardKey
from loyalty.facts.receipts import Receipt
from loyalty.members import MemberView, Use, WalletItem, coupon_use
from loyalty.moments import moment_of
from loyalty.pricing.coupons import coupon_key, kinds_of, read_coupon, with_codes
from loyalty.pricing.messages import counters_here
from loyalty.programme.compiled import Compiled, plain_code
from loyalty.programme.programme import CouponKind


class Presented(msgspec.Struct, frozen=True, kw_only=True):
    """A basket with what stands for its codes, and what this till knows of them.

    Attributes:
        bearer: coupons in hand, as their codes tell.
        shared: counters of no account that this basket looks at, as far as this till moved them; none where it looks
            at none.
        entered: what stands for a code → the code as it was entered, to answer with.
        besides: what stands for a certificate → what is on it and may not pay here now, in minor units.
    """

    basket: Basket
    bearer: tuple[WalletItem, ...] = ()
    shared: tuple[Use, ...] | None = None
    entered: dict[str, str] = {}
    besides: dict[str, int] = {}


def present(
    compiled: Compiled,
    basket: Basket,
    view: MemberView | None,
    journal: Journal,
    identity: TillIdentity,
    place: Place,
    cache: Cache,
) -> Presented:
    """Read the codes of a basket; nothing is written."""
    kinds, account_id = kinds_of(compiled), view.account_id if view else None
    keys = [coupon_key(key) for key in identity.card_keys.accepted] if basket.coupons else []
    known = {plain_code(item.code) for item in (view.wallet if view else ())} | compiled.by_code.keys()
    items: list[WalletItem] = []
    codes: list[str] = []
    entered: dict[str, str] = {}
    for code in basket.coupons:
        item = _read(keys, code, kinds, account_id)
        if item is not None:
            items.append(item)
        stands = code if plain_code(code) in known else new_name(identity, code)
        codes.append(item.code if item else stands)
        entered.setdefault(codes[-1], code)
    certificates = []
    for asked in basket.certificates:
        certificates.append(msgspec.structs.replace(asked, code=name_of(identity, journal, cache, asked.code)))
        entered.setdefault(certificates[-1].code, asked.code)
    heard = counters_here(compiled, moment_of(place).on)
    names = [*compiled.shared, *heard, *(coupon_use(item.code) for item in items)]
    basket = msgspec.structs.replace(basket, coupons=tuple(codes), certificates=tuple(certificates))
    return Presented(
        basket=with_tokens(basket, lambda code: name_of(identity, journal, cache, code)),
        bearer=tuple(items),
        shared=journal.own_uses.shared(names) if names else None,
        entered=entered,
    )


def _read(
    keys: Sequence[bytes], code: str, kinds: Mapping[str, CouponKind], account_id: int | None
) -> WalletItem | None:
    """A coupon under whichever key it was made; one that fits nobody at hand, where no key says whose it is."""
    read = [item for key in keys if (item := read_coupon(key, code, kinds, account_id=account_id)) is not None]
    return next((item for item in read if item.account_id != 0), read[0] if read else None)


def sha_of_sale(ask: CommitAsk, identity: TillIdentity) -> str:
    """What a commit is known again by, under the key that codes are named under now."""
    return _sha_under(identity.card_keys.in_force[0], ask)


def shas_of_before(ask: CommitAsk, identity: TillIdentity, names: CardNames) -> Iterator[str]:
    """What it may have been known by before a card key was retired: under each key, by each name of its card."""
    for token in tokens_before(names, ask.sale.card):
        told = msgspec.structs.replace(ask, sale=msgspec.structs.replace(ask.sale, card=token))
        yield from (_sha_under(one, told) for one in identity.card_keys.keys)


def _sha_under(key: CardKey, ask: CommitAsk) -> str:
    """The hash of a commit with a token for every code: with the code itself it could be tried until that is found."""
    basket = ask.sale.basket
    if not (basket.coupons or basket.certificates or basket.certificates_sold):
        return ask_sha256(ask)

    def named(code: str) -> str:
        return code_token(key.secret, code)

    basket = msgspec.structs.replace(
        basket,
        coupons=tuple(map(named, basket.coupons)),
        certificates=tuple(msgspec.structs.replace(one, code=named(one.code)) for one in basket.certificates),
    )
    basket = with_tokens(basket, named)
    return ask_sha256(msgspec.structs.replace(ask, sale=msgspec.structs.replace(ask.sale, basket=basket)))


def with_tokens(basket: Basket, named: Callable[[str], str]) -> Basket:
    """A basket with tokens in place of the codes of certificates that it sells."""
    if not basket.certificates_sold:
        return basket
    sold = tuple(msgspec.structs.replace(one, code=named(one.code)) for one in basket.certificates_sold)
    return msgspec.structs.replace(basket, certificates_sold=sold)


def with_coupon_codes(receipt: Receipt, identity: TillIdentity) -> Receipt:
    """A receipt as it is shown: the coupons that it issues with their codes, the same each time; without them where
    the keys of codes are gone."""
    if not receipt.coupons_issued:
        return receipt
    if identity.is_wiped:
        return msgspec.structs.replace(receipt, coupons_issued=())
    coded = with_codes(
        receipt.coupons_issued,
        coupon_key(identity.card_keys.newest.secret),
        till_id=receipt.place.till_id,
        receipt_id=receipt.receipt_id,
        account_id=receipt.account_id,
    )
    return msgspec.structs.replace(receipt, coupons_issued=tuple(coded))
