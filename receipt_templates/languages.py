"""What differs between languages: words, plurals, figures, dates. One data file each; a missing word stops the load.

The figures agree with Unicode CLDR, which a test checks; tills do not carry its 31 MB.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Literal

import msgspec

from loyalty.amounts import format_minor
from loyalty.leases import Kind
from receipt_templates.normalise import NO_BREAK

FALLBACK = "en"


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
    cancelled: str
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


class Numbers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How figures and dates are written. `{symbol}` is the currency's sign here, or its code."""

    decimal: str
    group: str
    money: str
    symbols: dict[str, str]
    date: str
    months: tuple[str, ...] = ()


class Tongue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One language whole. `points` has a form for each plural class, `tenders` a word for each common kind."""

    language: str
    plural: Literal["en", "pt", "ru", "pl"]
    numbers: Numbers
    points: dict[Literal["one", "few", "many", "other"], str]
    tenders: dict[str, str]
    words: Words


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
    grouped = f"{int(whole):,}".replace(",", tongue.numbers.group)
    return sign + grouped + (tongue.numbers.decimal + rest if rest else "")


def amount(tongue: Tongue, minor: int, currency: str) -> str:
    """Minor units without their currency: `12,50`. Raises: UnknownCurrency."""
    return number(tongue, format_minor(minor, currency))


def money(tongue: Tongue, minor: int, currency: str) -> str:
    """Minor units with their currency, which no line break parts: `R$ 12,50`. Raises: UnknownCurrency."""
    symbol = tongue.numbers.symbols.get(currency, currency)
    written = tongue.numbers.money.format(symbol=symbol, amount=amount(tongue, minor, currency))
    return written.replace(" ", NO_BREAK)


def quantity(tongue: Tongue, milli: int) -> str:
    """Thousandths: `2`, or `0,350` where they are not whole."""
    whole, rest = divmod(milli, 1000)
    return number(tongue, f"{whole}.{rest:03d}" if rest else str(whole))


def points(tongue: Tongue, count: int) -> str:
    """A number of points with its word in the right form: `1 point`, `22 балла`."""
    word = tongue.points[PLURALS[tongue.plural](abs(count))]  # type: ignore[index]
    return f"{number(tongue, str(count))}{NO_BREAK}{word}"


def date_and_time(tongue: Tongue, moment: datetime) -> str:
    """A local moment to the minute: `12 Mar 2026 18:42`, `12/03/2026 18:42`."""
    return f"{day(tongue, moment)} {moment:%H:%M}"


def day(tongue: Tongue, on: date) -> str:
    """A date: `12 Mar 2026`, `12/03/2026`."""
    name = tongue.numbers.months[on.month - 1] if tongue.numbers.months else ""
    return tongue.numbers.date.format(day=on.day, month=on.month, year=on.year, name=name)


def fill(text: str, **figures: str) -> str:
    """A sentence with its figures. Only braces of ours are filled, so a value with braces stays as it is."""
    return text.format(**figures)


def _plural_ru(n: int) -> str:
    if n % 10 == 1 and n % 100 != 11:
        return "one"
    return "few" if n % 10 in (2, 3, 4) and n % 100 not in (12, 13, 14) else "many"


def _plural_pl(n: int) -> str:
    if n == 1:
        return "one"
    return "few" if n % 10 in (2, 3, 4) and n % 100 not in (12, 13, 14) else "many"


# CLDR cardinal rules for whole numbers; Portuguese counts 0 with 1.
PLURALS: Mapping[str, Callable[[int], str]] = {
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
