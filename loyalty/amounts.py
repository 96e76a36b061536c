"""Integers with units: money in minor units, quantities in thousandths, and one rounding function per rule."""

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Annotated, Literal

import msgspec

from loyalty.trouble import InvariantBroken, Refusal

Rounding = Literal["half_up", "half_even", "down", "up"]
Spreading = Literal["largest_remainder", "floor_first", "floor_last", "half_down_first"]

MICRO = 1_000_000
LARGEST_MINOR = 10**15  # far above any receipt, far below 63 bits after a multiplication by basis points

# What a document or an event may say; looked at where it is decoded, so that no figure comes in unbounded.
Whole = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_MINOR)]
Positive = Annotated[int, msgspec.Meta(ge=1, le=LARGEST_MINOR)]
Step = Annotated[int, msgspec.Meta(ge=-LARGEST_MINOR, le=LARGEST_MINOR)]

# ISO 4217 list one: the active codes by the number of their decimals.
_CODES = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP
    CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR
    JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN
    NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP
    SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD YER ZAR ZMW ZWG""",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_EXPONENTS = {code: exponent for exponent, codes in _CODES.items() for code in codes.split()}

CURRENCIES = tuple(sorted(_EXPONENTS))

_QUANTITY = re.compile(r"(\d{1,9})(?:\.(\d{1,3}))?", re.ASCII)


class UnknownCurrency(Refusal):
    code = "money.unknown_currency"
    status = 422


class NotExact(Refusal):
    code = "money.not_exact"
    status = 422


class BadQuantity(Refusal):
    code = "quantity.malformed"
    status = 422


def is_currency(code: str) -> bool:
    """Whether this is an active code of ISO 4217, list one."""
    return code in _EXPONENTS


def exponent_of(currency: str) -> int:
    """Decimals of a currency's minor unit: 2 for EUR, 0 for JPY, 3 for KWD.

    Raises:
        UnknownCurrency: not an active code.
    Source: ISO 4217, list one.
    """
    try:
        return _EXPONENTS[currency]
    except KeyError:
        raise UnknownCurrency(
            f"{currency!r} is not an active ISO 4217 currency code; use three capital letters such as EUR.",
            currency=currency,
        ) from None


def round_ratio(numerator: int, denominator: int, mode: Rounding = "half_up") -> int:
    """`numerator / denominator` as a whole number, rounded once.

    Args:
        numerator: any sign; negative ratios round as the mirror of positive ones.
        denominator: above zero.
        mode: half_up (away from zero on a tie), half_even, down (to zero), up (away from zero).
    """
    if denominator <= 0:
        raise InvariantBroken("a ratio needs a positive denominator", denominator=denominator)
    sign = -1 if numerator < 0 else 1
    whole, rest = divmod(abs(numerator), denominator)
    if mode == "down" or rest == 0:
        return sign * whole
    twice = 2 * rest
    if mode == "up" or twice > denominator:
        return sign * (whole + 1)
    if twice == denominator and (mode == "half_up" or whole % 2 == 1):
        return sign * (whole + 1)
    return sign * whole


def share_out(total: int, weights: Sequence[int], rule: Spreading = "largest_remainder") -> tuple[int, ...]:
    """Split `total` in proportion to `weights`; the rule says who gets what rounding leaves over.

    Args:
        total: units to hand out, 0 or more.
        weights: 0 or more each; at least one above 0 unless `total` is 0.
        rule: largest_remainder (ties go to the first); floor_first (a unit each from the first on); floor_last (all
            to the last); half_down_first (each rounded half down, the first evens it out). No weight gets nothing.
    Returns:
        One part per weight, 0 or more each; together they make `total`.
    Source: engine.md, "remainder of a spread amount".
    """
    whole = sum(weights)
    if total == 0:
        return (0,) * len(weights)
    if total < 0 or whole <= 0 or min(weights) < 0:
        raise InvariantBroken("cannot share out", total=total, weights=list(weights))
    if len(weights) == 1:
        return (total,)
    if rule == "half_down_first":
        return _half_down(total, weights, whole)
    parts = [total * weight // whole for weight in weights]
    left = total - sum(parts)
    if rule == "largest_remainder":
        rests = [total * weight % whole for weight in weights]
        # Sorting is stable, backwards too: of equal remainders the first comes first.
        for i in sorted(range(len(rests)), key=rests.__getitem__, reverse=True)[:left]:
            parts[i] += 1
    elif rule == "floor_first":
        for i in [i for i, weight in enumerate(weights) if weight][:left]:
            parts[i] += 1
    else:
        parts[max(i for i, weight in enumerate(weights) if weight)] += left
    return tuple(parts)


def _half_down(total: int, weights: Sequence[int], whole: int) -> tuple[int, ...]:
    """Each part rounded, a half down; what is then missing or too much is evened out from the first part on."""
    parts = [(2 * total * weight + whole - 1) // (2 * whole) for weight in weights]
    left = total - sum(parts)
    for i, weight in enumerate(weights):
        if left == 0:
            break
        step = left if left > 0 else -min(-left, parts[i])
        if weight:
            parts[i] += step
            left -= step
    return tuple(parts)


def micro_to_minor(micro: int, currency: str) -> int:
    """Micro-units of the major currency as minor units, half up away from zero.

    Source: settlement.md, "Rounding": once per statement line, at close.
    """
    return round_ratio(micro, minor_in_micro(currency))


def minor_in_micro(currency: str) -> int:
    """Micro-units in one minor unit: 10,000 for EUR, 1,000,000 for JPY."""
    return int(MICRO // 10 ** exponent_of(currency))


def parse_minor(text: str, currency: str) -> int:
    """A decimal amount such as `-12.50` as minor units, exactly.

    Raises:
        NotExact: not a decimal number, finer than the currency's minor unit, or larger than any sale.
    """
    exponent = exponent_of(currency)
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise NotExact(f"{text!r} is not a decimal amount.", amount=text) from None
    if not amount.is_finite() or abs(amount) > LARGEST_MINOR:
        raise NotExact(f"{text!r} is larger than any sale; check the amount.", amount=text)
    minor = amount.scaleb(exponent)
    # The way back shows digits that the decimal context has rounded away.
    if minor != minor.to_integral_value() or minor.scaleb(-exponent) != amount:
        raise NotExact(f"{text!r} is not a whole number of minor units of {currency}.", amount=text)
    return int(minor)


@lru_cache(maxsize=1_024)
def format_minor(minor: int, currency: str) -> str:
    """Minor units as a plain decimal, `-1250` EUR → `-12.50`; no grouping, no symbol."""
    exponent = exponent_of(currency)
    sign = "-" if minor < 0 else ""
    if exponent == 0:
        return f"{sign}{abs(minor)}"
    whole, rest = divmod(abs(minor), 10**exponent)
    return f"{sign}{whole}.{rest:0{exponent}d}"


@lru_cache(maxsize=1_024)  # the same few are on every receipt
def parse_quantity(text: str) -> int:
    """A quantity such as `1`, `0.350` or `12.5` in thousandths; more than three decimals are refused."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise BadQuantity(
            f"Quantity {text[:20]!r} is not a decimal with at most three places; send for example \"0.350\".",
            quantity=text[:20],
        )
    return int(match[1]) * 1000 + int((match[2] or "").ljust(3, "0"))


def format_quantity(milli: int) -> str:
    """Thousandths as the contract writes them: `1500` → `1.500`."""
    return f"{milli // 1000}.{milli % 1000:03d}"


def format_units(milli: int) -> str:
    """Thousandths as a person says them: `2000` → `2`, `350` → `0.35`."""
    return format_quantity(milli).rstrip("0").rstrip(".")
