"""Certificates at one till: what it knows of one, taking it as tender, selling, topping up, blocking, asking.

The rule, in words for the cashier. A certificate that was sold here can pay once head office has heard of it. With the
line head office sets aside what is to be paid, and it pays that. Without the line it pays only what this till knows to
be on it, and at most the programme's `offline_minor` until head office is heard. After a week without head office none
is taken.
Source: offline-redemption.md "Redemption ladder"; docs/certificates.md.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from edge.journal.journal import Entry
from edge.refusals import IdReused, VoidOfCertificate
from edge.sale.asks import Asked, Written, ask_sha256
from edge.sale.certificate_names import name_of
from edge.sale.presenting import Presented
from edge.sale.recalling import check_id, check_same, record_of
from loyalty.amounts import format_minor
from loyalty.certificates import CertificateRow, CertificateSold
from loyalty.facts.certificate_events import CertificateMoved, CertificateMovedDetail
from loyalty.facts.receipts import Receipt
from loyalty.ledger.certificate_postings import certificates_in
from loyalty.lots import FOREVER, EventRef
from loyalty.members import WalletItem
from loyalty.moments import DAY_MS
from loyalty.pricing.coupons import SAY
from loyalty.pricing.stored_value import CertificatesNotSold
from loyalty.programme.compiled import Compiled
from loyalty.programme.programme import Certificates, valid_through
from loyalty.trouble import Refusal

if TYPE_CHECKING:
    from edge.sale.till import Till

KNOWN_FOR_MS = 7 * DAY_MS
Action = Literal["enquire", "activate", "top_up", "block"]
State = Literal["active", "not_active_yet", "blocked", "used_up", "expired", "unknown"]
_DONE = {"activate": "activated", "top_up": "topped_up", "block": "blocked"}


class CertificateKnown(Refusal):
    code = "certificate.active_already"


class CertificateUnknown(Refusal):
    code = "certificate.unknown"


class CertificateBlocked(Refusal):
    code = "certificate.blocked"


class CertificateUsed(Refusal):
    code = "certificate.used"


class CertificateAmount(Refusal):
    code = "certificate.bad_amount"
    status = 422


class CertificateOrder(Asked, frozen=True, kw_only=True):
    """What is asked about one certificate; `code` as it was scanned."""

    request_id: str
    action: Action
    code: str
    amount_minor: int = 0
    currency: str = ""
    reason: str = ""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What a till knows of a certificate now: what is on it by last day, and what it may pay here, and until when head
    office set that aside (`held_until_ms`; 0 where it did not)."""

    state: State
    balance_minor: int = 0
    may_pay_minor: int = 0
    parts: tuple[tuple[date, int], ...] = ()
    refused: str = ""
    held_until_ms: int = 0


class Certified(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: how the certificate stands, and what was written, none for an enquiry."""

    standing: Standing
    say: str
    written: Written | None = None


UNKNOWN = Standing(state="unknown", refused="unknown_code")


def lay_down(till: "Till", compiled: Compiled, presented: Presented, on: date) -> Presented:
    """What this till knows of the certificates that are laid against a basket, beside its coupons.

    Raises:
        CertificateBlocked: one that is being sold is blocked.
    """
    rule = compiled.programme.certificates
    basket = presented.basket
    if rule is None:
        return presented
    for one in basket.certificates_sold:
        if standing_of(till, rule, one.code, on).state == "blocked":
            raise CertificateBlocked("This certificate is blocked. Keep it, and sell the customer another one.")
    standings = {asked.code: standing_of(till, rule, asked.code, on, pays=True) for asked in basket.certificates}
    items = (_item(asked.code, standings[asked.code]) for asked in basket.certificates)
    return msgspec.structs.replace(
        presented,
        bearer=(*presented.bearer, *(item for item in items if item)),
        besides={code: one.balance_minor - one.may_pay_minor for code, one in standings.items()},
    )


class Laid(Protocol):
    """A certificate that is laid against a basket, by its code; amount 0 for as much as there is."""

    @property
    def code(self) -> str: ...

    @property
    def amount_minor(self) -> int: ...


def hold_certificates(till: "Till", certificates: Sequence[Laid]) -> None:
    """Have head office set aside what certificates are to pay of a basket, where there is a line; call it outside any
    transaction. What they may pay is then looked up by `lay_down`."""
    if not certificates or till.certificate_holds is None or till.is_offline():
        return
    journal, heard = till.journal, till.journal.outbox.acked().seq
    # What was paid in an earlier epoch and is still to be sent nobody here remembers by its certificate.
    is_behind = bool(journal.left.heads())
    for asked in certificates:
        code = name_of(till.identity, journal, till.cache, asked.code)
        if is_behind or journal.certificates.was_paid_after(code, heard):
            till.certificate_holds.wait(code)
        elif (row := till.cache.certificate(code)) is not None and row.parts and not row.blocked:
            till.certificate_holds.hold(code, asked.amount_minor or sum(amount for _, amount in row.parts))


def let_go_certificates(till: "Till", certificates: Sequence[Laid]) -> None:
    """Have head office let go of what it set aside for a basket that is laid aside; call it outside any transaction."""
    if till.certificate_holds is not None:
        for asked in certificates:
            till.certificate_holds.let_go(name_of(till.identity, till.journal, till.cache, asked.code))


def end_holds(till: "Till", receipt: Receipt) -> None:
    """A sale is written: head office lets go of what it held for it as it arrives."""
    if till.certificate_holds is not None:
        for code in certificates_in(receipt):
            till.certificate_holds.spent(code)


def standing_of(till: "Till", rule: Certificates, code: str, on: date, *, pays: bool = False) -> Standing:
    """What this till knows of a certificate, by its token, on a business date.

    Args:
        pays: it is laid against a basket, for which head office was to be asked. Where it was not, for the line has
            come back since, or another sale has had what was set aside, the rule without the line applies.
    """
    journal, cache = till.journal, till.cache
    # A page that came between the row and the moves would count something twice.
    with journal.still():
        row = cache.certificate(code)
        own = journal.certificates.after(code, row.own_seq if row else 0)
    if own.blocked or (row and row.blocked):
        return Standing(state="blocked", refused="blocked", parts=row.parts if row else ())
    if row is None:
        if own.fresh_minor > 0:
            return Standing(state="not_active_yet", balance_minor=own.fresh_minor, refused="not_active_yet")
        return UNKNOWN
    gone = max(0, own.taken_back_minor - own.undone_minor)
    live = max(0, row.live_minor(on) + min(0, own.used_minor) - gone)
    if not live:
        if own.fresh_minor > 0 and not row.parts:
            return Standing(state="not_active_yet", balance_minor=own.fresh_minor, refused="not_active_yet")
        return Standing(state=_why_empty(row, on), refused="nothing_left", parts=row.parts)
    may_pay, refused, until_ms = live, "", 0
    held = till.certificate_holds.held(code) if till.certificate_holds else None
    aside = till.certificate_holds.aside(code) if till.certificate_holds else None
    is_unasked = pays and till.certificate_holds is not None and held is None
    if till.clock.now().wall_ms - cache.heard_ms("members") > KNOWN_FOR_MS:
        may_pay, refused = 0, "known_too_long"
    elif till.is_offline() or is_unasked or (held and held.amount_minor is None):
        may_pay = min(live, max(0, rule.offline_minor + min(0, own.used_minor)))
        if aside is not None and aside.amount_minor > may_pay:
            may_pay, until_ms = min(live, aside.amount_minor), aside.until_ms
        refused = "" if may_pay else "offline"
    elif held and held.amount_minor is not None:
        may_pay, until_ms = min(live, held.amount_minor), aside.until_ms if aside else 0
        refused = "" if may_pay else "held_elsewhere"
    return Standing(
        state="active", balance_minor=live, may_pay_minor=may_pay, parts=row.parts, refused=refused,
        held_until_ms=until_ms,
    )  # fmt: skip


def order_certificate(till: "Till", ask: CertificateOrder) -> Certified:
    """Answer an enquiry, or write what happened to a certificate: one durable transaction.

    Raises:
        IdReused, IdReserved, TrainingSale, BadTime, NoProgramme, CertificatesNotSold.
        CertificateKnown, CertificateUnknown, CertificateBlocked, CertificateAmount: the sentence says what to do.
    """
    check_id(ask.request_id)
    till.check_training(ask)
    programme = till.current().programme
    rule = programme.certificates
    if rule is None:
        raise CertificatesNotSold("This programme has no certificates. Take another tender.")
    ask = msgspec.structs.replace(ask, code=name_of(till.identity, till.journal, till.cache, ask.code))
    place = till.place(ask)
    if ask.action == "enquire":
        standing = standing_of(till, rule, ask.code, place.business_date)
        return Certified(standing=standing, say=in_words(standing, programme.currency))
    sha = ask_sha256(ask)
    with till.journal.writing():
        if (before := till.journal.find(ask.request_id)) is not None:
            check_same(before, sha)
            return _again(before, programme.currency)
        known = standing_of(till, rule, ask.code, place.business_date)
        _check(ask, known, programme.currency)
        through = valid_through(rule.lifetime, place.business_date)
        detail = CertificateMovedDetail(cashier=ask.cashier, offline=till.is_offline(), known_minor=known.balance_minor)
        event = CertificateMoved(
            receipt_id=ask.request_id,
            place=place,
            what=_DONE[ask.action],  # type: ignore[arg-type]
            code=ask.code,
            amount_minor=ask.amount_minor,
            valid_through=None if ask.action == "block" else through,
            reason=ask.reason,
            detail=msgspec.Raw(msgspec.json.encode(detail)),
        )
        head = till.journal.append(event, ask_sha256=sha)
    till.on_written()
    return _done(event, Written(head=head, record=record_of(head), replayed=False), programme.currency)


def check_unused(till: "Till", sold: Iterable[CertificateSold], of: EventRef | None) -> None:
    """Refuse to undo the sale of a certificate with which something was paid since, as far as this till knows.

    Args:
        of: the place of that sale; what head office told before it had the sale says nothing of its money.
    Raises:
        CertificateUsed: what to do instead.
    """
    for one in sold:
        row = till.cache.certificate(one.code)
        spent = till.journal.certificates.used_since(one.code, of) < 0
        is_in = row is not None and not (of and of.epoch == till.journal.head().epoch and of.seq > row.own_seq)
        left = sum(amount for _, amount in row.parts) if row and is_in else one.amount_minor
        if spent or left < one.amount_minor:
            raise CertificateUsed(
                f"The certificate of line {one.line} was used already. Take back the other goods without it; what is"
                " left on it stays good.",
                line=one.line,
            )


def check_may_go_on(till: "Till", back: Iterable[CertificateSold], seq: int) -> None:
    """Refuse to undo a return of certificates that somebody else has by now, or that are blocked, as far as this till
    knows.

    Args:
        seq: of the return, which took them out of use.
    Raises:
        VoidOfCertificate: what to do instead.
    """
    for one in back:
        row, own = till.cache.certificate(one.code), till.journal.certificates.after(one.code, seq)
        instead = "Keep it, and sell the goods again with a new certificate."
        if own.blocked or (row and row.blocked):
            raise VoidOfCertificate(f"The certificate of line {one.line} is blocked. {instead}", line=one.line)
        if own.fresh_minor > 0:
            raise VoidOfCertificate(
                f"The certificate of line {one.line} was sold or topped up again after it came back. {instead}",
                line=one.line,
            )


def left_on(till: "Till", code: str, on: date) -> int | None:
    """What is on a certificate by its token, in minor units, with all that was done here and that head office has not
    heard of yet; None where it has told nothing of it."""
    with till.journal.still():
        row = till.cache.certificate(code)
        own = till.journal.certificates.after(code, row.own_seq if row else 0)
    return row.live_minor(on) + own.fresh_minor + own.used_minor if row else None


def in_words(standing: Standing, currency: str) -> str:
    """How a certificate stands, in a sentence that ends with what to do."""
    money = format_minor(standing.balance_minor, currency)
    if standing.state == "active":
        if standing.may_pay_minor == standing.balance_minor:
            return f"{money} is left on it. It can pay now."
        may = format_minor(standing.may_pay_minor, currency)
        if standing.may_pay_minor:
            return f"{money} is left on it. It can pay {may} here now; take the rest in another tender."
        return f"{money} is left on it. {SAY[standing.refused]}"
    return {
        "not_active_yet": SAY["not_active_yet"],
        "blocked": SAY["blocked"],
        "used_up": "Nothing is left on it. Take another tender.",
        "expired": "Its last day is over. Take another tender.",
        "unknown": "This till does not know this certificate. Take another tender, or ask again once the line is back.",
    }[standing.state]


def last_day(parts: Iterable[tuple[date, int]]) -> date | None:
    """The last day of any part; None where one never lapses, or there is none."""
    days = [day for day, _ in parts]
    return None if not days or max(days) == FOREVER else max(days)


def _item(code: str, standing: Standing) -> WalletItem | None:
    if standing.state == "unknown":
        return None
    if standing.state == "expired":
        through = last_day(standing.parts) or date.min
        return WalletItem(code=code, kind="certificate", through=max(through, date.min + timedelta(days=1)))
    return WalletItem(
        code=code, kind="certificate", balance_minor=standing.may_pay_minor, refused=standing.refused,
        through=last_day(standing.parts), held_until_ms=standing.held_until_ms,
    )  # fmt: skip


def _why_empty(row: CertificateRow, on: date) -> State:
    return "expired" if any(day < on for day, _ in row.parts) else "used_up"


def _check(ask: CertificateOrder, known: Standing, currency: str) -> None:
    if ask.action == "block":
        return
    if ask.amount_minor <= 0 or ask.currency not in ("", currency):
        raise CertificateAmount(f"Send the amount that was paid, in {currency}.", amount_minor=ask.amount_minor)
    if known.state == "blocked":
        raise CertificateBlocked("This certificate is blocked. Keep it, and sell the customer another one.")
    if ask.action == "activate" and known.state in ("active", "not_active_yet"):
        raise CertificateKnown("This certificate is active already. Top it up instead.")
    if ask.action == "top_up" and known.state == "unknown":
        raise CertificateUnknown("This till does not know this certificate. Activate it first, or wait for the line.")


def _again(before: Entry, currency: str) -> Certified:
    if not isinstance(before.event, CertificateMoved):
        raise IdReused("This id stands for something else already.", receipt_id=before.event.receipt_id)
    return _done(before.event, Written(head=before.head, record=record_of(before.head), replayed=True), currency)


def _done(event: CertificateMoved, written: Written, currency: str) -> Certified:
    """The answer to what was written, from its bytes alone: a retry is told the same."""
    known = msgspec.json.decode(event.detail, type=CertificateMovedDetail).known_minor or 0
    money = format_minor(event.amount_minor, currency)
    if event.what == "blocked":
        say = "The certificate is blocked here now, and everywhere once head office has heard."
        return Certified(standing=Standing(state="blocked", refused="blocked"), say=say, written=written)
    parts = ((event.valid_through or FOREVER, event.amount_minor),)
    if event.what == "activated":
        standing = Standing(state="not_active_yet", balance_minor=event.amount_minor, parts=parts)
        say = f"{money} is on it. It can pay once head office has heard of it."
    else:
        standing = Standing(state="active", balance_minor=known + event.amount_minor, may_pay_minor=known, parts=parts)
        say = f"{money} more is on it. The new money can pay once head office has heard of it."
    return Certified(standing=standing, say=say, written=written)
