"""What differs between languages: words, plurals, figures, dates. One data file each; a missing word stops the load.

The figures agree with Unicode CLDR, which a test checks; tills do not carry its 31 MB.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal

import msgspec

from loyalty.amounts import exponent_of, format_minor
from loyalty.pricing.leases import Kind
from receipt_templates.normalise import NO_BREAK

FALLBACK = "en"
USUAL = "EUR"  # two decimals
Plural = Literal["one", "few", "many", "other"]


class Words(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every word that a layout prints. Braces name what is filled in."""

    receipt: str
    return_slip: str
    void_slip: str
    copy: str
    number: str
    till: str
    cashier: str
    subtotal: str
    discount: str
    discounts: str
    total: str
    paid: str
    change: str
    paid_out: str
    voided: str
    of_receipt: str
    line: str
    saved: str
    your_points: str
    earned: str
    earned_unconfirmed: str
    spent: str
    spent_hold: str
    spent_lease: str
    spent_float: str
    given_back: str
    taken_back: str
    balance: str
    balance_offline: str
    to_be_confirmed: str
    offline: str
    record: str
    coupon: str
    coupon_days: str
    back_on_certificate: str
    back_in_wallet: str
    withheld: str
    training: str
    training_note: str
    approved_by: str
    reason: str
    lapsing: str
    next_tier: str
    tier: str
    spendable: str
    pending: str
    in_wallet: str
    as_of: str
    balance_slip: str
    certificate_slip: str
    certificate_sold: str
    certificate_topped_up: str
    certificate_redeemed: str
    certificate_left: str
    certificate_waits: str
    certificate_keep: str
    good_through: str
    welcome_slip: str
    welcome_note: str
    card_number: str
    confirm_note: str
    confirm_by_code: str
    claim_slip: str
    claim_points: str
    claim_waits: str
    claim_granted: str
    claim_refused: str
    exchange_slip: str
    goods_back: str
    goods_taken: str
    to_pay: str
    points_net: str
    close_slip: str
    business_day: str
    ours: str
    of_pos: str
    difference: str
    receipts: str
    voids: str
    returns: str
    net_minor: str
    discount_minor: str
    returned_minor: str
    points_earned: str
    points_spent: str
    points_reversed: str
    overrides: str
    offline_receipts: str
    unsent: str
    open_holds: str
    parked_expired: str
    close_agrees: str
    close_differs: str
    close_unexplained: str
    signature: str


class DisplayWords(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a display of two lines of twenty columns says, most of it beside a figure."""

    welcome: str
    thanks: str
    bonus: str
    balance: str
    total: str
    saved: str
    spend: str
    training: str
    offline: str


class FiscalWords(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Short lines below a fiscal printer's own receipt; none has a word that looks like a part of that receipt."""

    earned: str
    spent: str
    balance: str
    balance_offline: str
    waits: str
    offline: str
    lapsing: str
    record: str
    coupon: str
    training: str
    taken_back: str
    given_back: str


class Numbers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How figures and dates are written. `{symbol}` is the currency's sign here, or its code."""

    decimal: str
    group: str
    money: str
    symbols: dict[str, str]
    date: str
    months: tuple[str, ...] = ()


class Tongue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One language whole. `points` and `purchases` have a form for each plural class, `tenders` a word for each common
    kind. `fiscal_looking` are words that must not be printed beside a fiscal receipt; a star is any ending."""

    language: str
    plural: Literal["en", "pt", "ru", "pl"]
    numbers: Numbers
    points: dict[Plural, str]
    purchases: dict[Plural, str]
    tenders: dict[str, str]
    words: Words
    display: DisplayWords
    fiscal: FiscalWords
    fiscal_looking: tuple[str, ...]


def authority_in_words(words: Words, spent_under: Kind) -> str:
    """At which step points were spent, or are set aside: asked of head office, or offline; "" where none are."""
    return {"hold": words.spent_hold, "lease": words.spent_lease, "float": words.spent_float}.get(spent_under, "")


def tongue_of(language: str) -> Tongue:
    """The language, or English where we do not speak it."""
    return TONGUES.get(language, TONGUES[FALLBACK])


def number(tongue: Tongue, plain: str) -> str:
    """A plain decimal such as `-1234.50` as it is written here: `-1.234,50`."""
    sign, digits = ("-", plain[1:]) if plain.startswith("-") else ("", plain)
    whole, _, rest = digits.partition(".")
    is_short = len(whole) < 4 and (whole[0] != "0" or whole == "0")
    grouped = whole if is_short else f"{int(whole):,}".replace(",", tongue.numbers.group)
    return sign + grouped + (tongue.numbers.decimal + rest if rest else "")


def amount(tongue: Tongue, minor: int, currency: str) -> str:
    """Minor units without their currency: `12,50`; as most are written where none is known. Raises: UnknownCurrency."""
    currency = currency or USUAL
    if -100_000 < minor < 100_000 and exponent_of(currency) == 2:  # of most lines; nothing in them is grouped
        return _short_amount(minor, tongue.numbers.decimal)
    return number(tongue, format_minor(minor, currency))


@lru_cache(maxsize=1_024)  # the same few come off again and again
def _short_amount(minor: int, decimal: str) -> str:
    whole, rest = divmod(abs(minor), 100)
    return f"{'-' if minor < 0 else ''}{whole}{decimal}{rest:02d}"


def money(tongue: Tongue, minor: int, currency: str) -> str:
    """Minor units with their currency, which no line break parts: `R$ 12,50`. Raises: UnknownCurrency."""
    symbol = tongue.numbers.symbols.get(currency, currency)
    written = tongue.numbers.money.format(symbol=symbol, amount=amount(tongue, minor, currency))
    return written.strip().replace(" ", NO_BREAK)


def quantity(tongue: Tongue, milli: int) -> str:
    """Thousandths: `2`, or `0,350` where they are not whole."""
    whole, rest = divmod(milli, 1000)
    return number(tongue, f"{whole}.{rest:03d}" if rest else str(whole))


def points(tongue: Tongue, count: int) -> str:
    """A number of points with its word in the right form: `1 point`, `22 балла`."""
    return _counted(tongue, count, tongue.points)


def purchases(tongue: Tongue, count: int) -> str:
    """A number of purchases, likewise."""
    return _counted(tongue, count, tongue.purchases)


def _counted(tongue: Tongue, count: int, forms: Mapping[Plural, str]) -> str:
    return f"{number(tongue, str(count))}{NO_BREAK}{forms[PLURALS[tongue.plural](abs(count))]}"


def date_and_time(tongue: Tongue, moment: datetime) -> str:
    """A local moment to the minute: `12 Mar 2026 18:42`, `12/03/2026 18:42`. A line may end before the time."""
    return f"{day(tongue, moment)} {moment:%H:%M}"


def day(tongue: Tongue, on: date) -> str:
    """A date, which no line break parts: `12 Mar 2026`, `12/03/2026`."""
    name = tongue.numbers.months[on.month - 1] if tongue.numbers.months else ""
    written = tongue.numbers.date.format(day=on.day, month=on.month, year=on.year, name=name)
    return written.replace(" ", NO_BREAK)


def fill(text: str, **figures: str) -> str:
    """A sentence with its figures. Only braces of ours are filled, so a value with braces stays as it is."""
    return text.format(**figures)


def _plural_ru(n: int) -> Plural:
    if n % 10 == 1 and n % 100 != 11:
        return "one"
    return "few" if n % 10 in (2, 3, 4) and n % 100 not in (12, 13, 14) else "many"


def _plural_pl(n: int) -> Plural:
    if n == 1:
        return "one"
    return "few" if n % 10 in (2, 3, 4) and n % 100 not in (12, 13, 14) else "many"


# CLDR cardinal rules for whole numbers; Portuguese counts 0 with 1.
PLURALS: Mapping[str, Callable[[int], Plural]] = {
    "en": lambda n: "one" if n == 1 else "other",
    "pt": lambda n: "one" if n in (0, 1) else "other",
    "ru": _plural_ru,
    "pl": _plural_pl,
}


def _load() -> Mapping[str, Tongue]:
    files = sorted((Path(__file__).parent / "words").glob("*.yaml"))
    read = [msgspec.yaml.decode(path.read_bytes(), type=Tongue) for path in files]
    return {tongue.language: tongue for tongue in read}


TONGUES = _load()
