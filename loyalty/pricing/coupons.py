"""Codes that set promotions off, and coupons for the next visit with a code that carries its own check.

A plain code is a word of the programme. A coupon has a number of its own: fourteen bytes that say what kind it is,
from when and until when it is good and which one it is, and six more that only who holds the programme's key can make.
Base 32 without letters that look like digits, so it can be read out, typed, or scanned as Code 128 or QR.
Source: engine.md capabilities 5 and 25; docs/programme.md "Codes and coupons".
"""

import hashlib
import hmac
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta

import msgspec

from loyalty.members import LAST_VISIT, MemberView, Use, WalletItem, coupon_use
from loyalty.pricing.workings import Reason, Workings
from loyalty.programme.compiled import Compiled, Rule, plain_code
from loyalty.programme.programme import CouponKind
from loyalty.programme.tracking import VISIT

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ = {letter: value for value, letter in enumerate(_ALPHABET)} | {"O": 0, "I": 1, "L": 1}
_DAY_ZERO = date(2020, 1, 1)
_TOLD_BYTES, _CHECK_BYTES = 14, 6
_LENGTH = (_TOLD_BYTES + _CHECK_BYTES) * 8 // 5
PREFIX = "TC"


class RefusedCode(msgspec.Struct, frozen=True, kw_only=True):
    """A code that did not work; it never stops the sale."""

    code: str
    reason: str
    say: str


class Entered(msgspec.Struct, frozen=True, kw_only=True):
    """A code that may set rules off, in its turn; `item` where it is a coupon with a number of its own."""

    code: str
    turn: int
    rules: tuple[int, ...]
    item: WalletItem | None = None


class IssuedCoupon(msgspec.Struct, frozen=True, kw_only=True):
    """A coupon for the next visit: its kind, whose it is, its first and last day, and its code once it is written."""

    promotion: str
    coupon: str
    holder: str
    from_on: date
    through: date
    code: str = ""


def read_codes(workings: Workings, bearer: Sequence[WalletItem]) -> tuple[list[Entered], list[RefusedCode]]:
    """The codes of a basket in the order in which they were entered: those that may set something off, and the others.

    Args:
        bearer: coupons in hand, as this till knows them; the member's own are in the wallet.
    """
    compiled, view = workings.compiled, workings.view
    items = {
        plain_code(item.code): item for item in (*bearer, *(view.wallet if view else ())) if item.kind == "coupon"
    }
    entered: list[Entered] = []
    refused: list[RefusedCode] = []
    seen: set[str] = set()
    taken: set[int] = set()
    for turn, code in enumerate(workings.basket.coupons):
        plain = plain_code(code)
        item = items.get(plain)
        rules = compiled.by_coupon.get(item.of, ()) if item else compiled.by_code.get(plain, ())
        reason = "entered_twice" if plain in seen else "" if rules else "unknown_code"
        if item and not reason:
            reason = _spoiled(item, workings)
        if not reason and not item and taken.issuperset(rules):
            reason = "kept_out"
        seen.add(plain)
        if reason:
            refused.append(RefusedCode(code=code, reason=reason, say=SAY[reason]))
            continue
        # A plain code asks for its promotions, each coupon for one use of them.
        rules = tuple(no for no in rules if item or no not in taken)
        entered.append(Entered(code=code, turn=turn, rules=rules, item=item))
        taken.update(rules)
    return entered, refused


SAY = {
    "unknown_code": "This code is not known; go on without it.",
    "entered_twice": "This code was entered already.",
    "not_yet_good": "This is not good yet; keep it for later.",
    "no_longer_good": "This is no longer good.",
    "used_before": "This was used before.",
    "of_another_member": "This belongs to another member.",
    "needs_card": "This needs the loyalty card it was given to.",
    "kept_out": "This does not combine with another offer on this receipt.",
    "does_nothing": "Nothing in this basket counts for it; keep it for later.",
    "nothing_left": "Nothing is left on it.",
    "unknown_prize": "This prize is not known; go on without it.",
    "not_in_basket": "Ring up the prize first; its goods are not in the basket.",
    "not_enough_points": "There are not enough points for this prize.",
    "other_tier": "This prize is for members of another tier.",
    "held_elsewhere": "It is being paid with at another till now. Take another tender, or try again later.",
    "not_active_yet": "This certificate was sold here just now; it can pay once head office has heard of it.",
    "blocked": "This certificate is blocked; keep it, and send its bearer to customer service.",
    "offline": "Without the line no more can be paid with this certificate; try again once head office is reached.",
    "known_too_long": "Head office was not heard for a week, so certificates cannot be taken; take another tender.",
}


def spoiled_for(item: WalletItem, view: MemberView | None, on: date) -> str:
    """Why an item of stored value does not serve here and today, by whose it is and its days; empty when it does."""
    if item.account_id is not None:
        if view is None:
            return "needs_card"
        if view.account_id != item.account_id:
            return "of_another_member"
    if item.from_on and on < item.from_on:
        return "not_yet_good"
    return "no_longer_good" if item.through and on > item.through else ""


def _spoiled(item: WalletItem, workings: Workings) -> str:
    reason = spoiled_for(item, workings.view, workings.place.business_date)
    if reason:
        return reason
    # Of a member of another store a till knows what it took itself, and no more.
    is_told = item.account_id is not None and workings.counters is not None
    known = workings.counters if is_told else workings.shared
    return "used_before" if item.used or (known or {}).get(coupon_use(item.code), 0) > 0 else ""


def set_off(entered: Iterable[Entered], workings: Workings) -> list[Rule]:
    """The rules that codes and events set off, each as often as a coupon asks for it, with its turn among the codes."""
    rules = workings.compiled.rules
    found: list[Rule] = []
    events = set(workings.basket.events) - {VISIT}
    if _is_first_visit(workings):
        events.add(VISIT)
    for event in events:
        found += [rules[no] for no in workings.compiled.by_event.get(event, ())]
    for one in entered:
        found += [msgspec.structs.replace(rules[no], turn=one.turn) for no in one.rules]
    return found


def _is_first_visit(workings: Workings) -> bool:
    """Whether these are the member's first goods of the day; where nobody told this till of the past they are not."""
    counters = workings.counters
    today = workings.place.business_date.toordinal()
    return bool(workings.lines) and counters is not None and counters.get(LAST_VISIT, 0) < today


def judge_codes(
    entered: Iterable[Entered], workings: Workings
) -> tuple[tuple[str, ...], tuple[RefusedCode, ...], tuple[Use, ...], tuple[Use, ...]]:
    """What became of the codes that set rules off.

    Returns:
        Codes used; codes refused; what the member's own coupons and those of bearers add to their counters.
    """
    used, refused = [], []
    own: list[Use] = []
    shared: list[Use] = []
    for one in entered:
        if one.turn in workings.turns:
            used.append(one.code)
            if one.item:
                uses = shared if one.item.account_id is None else own
                uses.append(Use(name=coupon_use(one.item.code), amount=1))
            continue
        refused.append(_refused(one.code, workings.refused.get(one.turn, ())))
    return tuple(used), tuple(refused), tuple(own), tuple(shared)


def _refused(code: str, reasons: Sequence[Reason]) -> RefusedCode:
    for reason in reasons:
        if reason.condition in ("exclusive", "group", "best_of"):
            return RefusedCode(code=code, reason="kept_out", say=reason.say)
        if reason.condition == "who.card":
            return RefusedCode(code=code, reason="needs_card", say=reason.say)
        if reason.condition != "then":
            return RefusedCode(code=code, reason="not_now", say=reason.say)
    return RefusedCode(code=code, reason="does_nothing", say=SAY["does_nothing"])


# Coupons for the next visit


def issued(rule: Rule, kind: CouponKind, workings: Workings) -> IssuedCoupon | None:
    """A coupon of a kind as of today; none for a personal one where no member is known."""
    if kind.holder == "personal" and (workings.view is None or workings.view.account_id is None):
        return None
    from_on = workings.place.business_date + timedelta(days=kind.good_after_days)
    return IssuedCoupon(
        promotion=rule.promotion.id,
        coupon=kind.id,
        holder=kind.holder,
        from_on=from_on,
        through=from_on + timedelta(days=kind.good_for_days - 1),
    )


def coupon_key(programme_key: bytes) -> bytes:
    """The key that coupon codes are made with, from the one that every till of the programme holds."""
    return hmac.digest(programme_key, b"TP-COUPON1", "sha256")


def mint(key: bytes, coupon: IssuedCoupon, *, till_id: str, receipt_id: str, n: int, account_id: int | None) -> str:
    """The code of a coupon: the same for the same receipt, so that printing it again makes no second one.

    Args:
        key: of `coupon_key`.
        n: counts the coupons of a receipt.
        account_id: whose it is; none for its bearer.
    """
    told = _told(coupon, till_id=till_id, receipt_id=receipt_id, n=n)
    return PREFIX + _letters(told + _check(key, told, account_id))


def coupon_number(coupon: IssuedCoupon, *, till_id: str, receipt_id: str, n: int) -> str:
    """What is kept of a coupon once a till has read it: its code without the check. Args: as `mint`."""
    return _letters(_told(coupon, till_id=till_id, receipt_id=receipt_id, n=n))


def _told(coupon: IssuedCoupon, *, till_id: str, receipt_id: str, n: int) -> bytes:
    serial = hashlib.sha256(f"{till_id}\n{receipt_id}\n{n}".encode()).digest()[:7]
    return _kind_bytes(coupon.coupon) + _day(coupon.from_on) + _day(coupon.through) + serial


def read_coupon(
    key: bytes, text: str, kinds: Mapping[str, CouponKind], *, account_id: int | None = None
) -> WalletItem | None:
    """What a scanned or typed coupon says, none where it is no coupon of ours or its check does not fit.

    Args:
        kinds: of the programme, by id.
        account_id: of the member at the till.
    Returns:
        An item without its use, which the shell adds from what it was told. `code` is the number, not the check, so
        that what is kept of a used coupon cannot be presented again. A personal one whose check does not fit this
        member is the account 0's, which is nobody: whose it is only its owner's card could tell.
    """
    told = _bytes(plain_code(text))
    if told is None:
        return None
    body, check = told[:_TOLD_BYTES], told[_TOLD_BYTES:]
    kind = next((one for one in kinds.values() if _kind_bytes(one.id) == body[:3]), None)
    if kind is None:
        return None
    holders = [one for one in (None, account_id) if hmac.compare_digest(check, _check(key, body, one))]
    if not holders and kind.holder == "bearer":
        return None
    return WalletItem(
        code=_letters(body),
        kind="coupon",
        of=kind.id,
        account_id=holders[0] if holders else 0,
        from_on=_DAY_ZERO + timedelta(days=int.from_bytes(body[3:5], "big")),
        through=_DAY_ZERO + timedelta(days=int.from_bytes(body[5:7], "big")),
    )


def _kind_bytes(kind_id: str) -> bytes:
    return hashlib.sha256(kind_id.encode()).digest()[:3]


def _day(day: date) -> bytes:
    return max(0, min(0xFFFF, (day - _DAY_ZERO).days)).to_bytes(2, "big")


def _check(key: bytes, told: bytes, account_id: int | None) -> bytes:
    whose = b"" if account_id is None else account_id.to_bytes(8, "big")
    return hmac.digest(key, told + whose, "sha256")[:_CHECK_BYTES]


def _letters(told: bytes) -> str:
    bits = len(told) * 8
    width = -(-bits // 5)
    number = int.from_bytes(told, "big") << (width * 5 - bits)
    return "".join(_ALPHABET[number >> (5 * i) & 31] for i in reversed(range(width)))


def _bytes(text: str) -> bytes | None:
    body = text.removeprefix(PREFIX)
    if len(body) != _LENGTH or len(body) == len(text) or any(letter not in _READ for letter in body):
        return None
    number = 0
    for letter in body:
        number = number << 5 | _READ[letter]
    return number.to_bytes(_TOLD_BYTES + _CHECK_BYTES, "big")


def kinds_of(compiled: Compiled) -> Mapping[str, CouponKind]:
    """The kinds of coupon of a programme, by id."""
    return {kind.id: kind for kind in compiled.programme.coupons}


def with_codes(
    coupons: Iterable[IssuedCoupon], key: bytes, *, till_id: str, receipt_id: str, account_id: int | None
) -> Iterator[IssuedCoupon]:
    """The coupons of a receipt with their codes."""
    for n, coupon in enumerate(coupons):
        whose = account_id if coupon.holder == "personal" else None
        code = mint(key, coupon, till_id=till_id, receipt_id=receipt_id, n=n, account_id=whose)
        yield msgspec.structs.replace(coupon, code=code)
