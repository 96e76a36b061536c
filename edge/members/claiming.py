"""A receipt without a card, and a card that is brought later: looked at here as far as this till can, decided at head
office.

What is plainly not to be granted is refused at once, with the next step; the rest is written as a claim, and the points
that this till can work out are told as provisional. Source: docs/members.md "A receipt claimed later".
"""

from collections.abc import Iterable
from datetime import date, timedelta

import msgspec

from edge.journal.journal import Entry
from edge.line.counter_line import CounterLine
from edge.members.asks import ClaimAsk, ClaimMade
from edge.refusals import CardBlocked, IdReused
from edge.sale.approving import approve
from edge.sale.asked_before import hashes_before
from edge.sale.asks import ask_sha256
from edge.sale.recalling import check_id, check_same, record_of
from edge.sale.till import Till
from loyalty.approvals import stamped
from loyalty.baskets import Place
from loyalty.facts.claiming import NotPriceable, claimed_points
from loyalty.facts.member_events import Claimed, DeskDetail
from loyalty.facts.receipts import Receipt, read_detail
from loyalty.facts.return_voids import standing_returns
from loyalty.facts.reversals import ReturnDetail, Void
from loyalty.programme.member_rules import ClaimRules
from loyalty.trouble import Refusal
from sync.chain import StreamHead


class ClaimsOff(Refusal):
    code = "claim.not_offered"


class ClaimHasCard(Refusal):
    code = "claim.has_card"


class ClaimVoided(Refusal):
    code = "claim.voided"


class ClaimReturned(Refusal):
    code = "claim.returned"


class ClaimedBefore(Refusal):
    code = "claim.claimed"


class ClaimTooOld(Refusal):
    code = "claim.too_old"


class ClaimTooMany(Refusal):
    code = "claim.too_many"


class ClaimReceiptUnknown(Refusal):
    code = "claim.receipt_unknown"
    status = 404


class ClaimWrongRecord(Refusal):
    code = "claim.wrong_record"
    status = 422


class ClaimIncomplete(Refusal):
    code = "claim.incomplete"
    status = 422


class ClaimUnknown(Refusal):
    code = "claim.unknown"
    status = 404


def claim_receipt(till: Till, ask: ClaimAsk) -> ClaimMade:
    """Write a claim; the same ask again is answered the same.

    Raises:
        IdReused, IdReserved, CardBlocked; ClaimsOff, ClaimHasCard, ClaimVoided, ClaimReturned, ClaimedBefore,
        ClaimTooOld, ClaimTooMany, ClaimReceiptUnknown, ClaimWrongRecord, ClaimIncomplete; OverrideWanted and the like.
    """
    check_id(ask.claim_id)
    ask, approval = approve(till.approver, till.journal, ask, ask.claim_id)
    sha = ask_sha256(ask)
    with till.journal.writing():
        if (before := till.journal.find(ask.claim_id)) is not None:
            return _again(before, sha, hashes_before(till.names, ask, ask.card.token, _with_card))
        rules = till.current().programme.members.claims
        if rules is None:
            raise ClaimsOff("Receipts cannot be claimed later here. Scan the card before paying the next time.")
        if reason := till.names.blocked(ask.card.token):
            raise CardBlocked("This card is blocked. Send the member to customer service.", reason=reason)
        place = _place(till, ask)
        on = place.business_date.isoformat()
        so_far = till.journal.members.claims_on(ask.card.token, on)
        if so_far >= rules.per_card_per_day:
            raise ClaimTooMany(
                f"This card has claimed {so_far} receipts today, as many as it may. Bring the others tomorrow.",
                claimed=so_far,
            )
        points = _look(till, ask, place.business_date, rules)
        approval = till.approver.wanted({"claim": so_far}, approval)
        detail = DeskDetail(cashier=ask.cashier, offline=till.is_offline())
        event = Claimed(
            receipt_id=ask.claim_id,
            place=place,
            card_token=ask.card.token,
            last4=ask.card.last4,
            named=ask.named,
            till_id=till.identity.till_id if ask.of_ours else "",
            points=points,
            detail=stamped(msgspec.Raw(msgspec.json.encode(detail)), approval),
        )
        till.names.say(place, ask.card.token)
        head = till.journal.append(event, ask_sha256=sha)
        of = ask.named.receipt_id if ask.of_ours else f"{ask.named.store}/{ask.named.till}/{ask.named.receipt_id}"
        till.journal.members.keep_claim(ask.claim_id, of, ask.card.token, on)
    till.on_written()
    return _made(event, head, replayed=False)


def claim_now(till: Till, claim_id: str, line: CounterLine | None) -> ClaimMade:
    """A claim of this till as it stands: head office's decision where it can be asked. Raises: ClaimUnknown."""
    entry = till.journal.find(claim_id)
    if entry is None or not isinstance(entry.event, Claimed):
        raise ClaimUnknown("This till knows no such claim. Ask where the receipt was claimed.")
    made = _made(entry.event, entry.head, replayed=True)
    told = line.claim(claim_id) if line is not None else None
    if told is None or told[0] in ("unknown", "asked"):
        return made
    state, points, reason = told
    return msgspec.structs.replace(made, state=state, points=points, reason=reason)


def _place(till: Till, ask: ClaimAsk) -> Place:
    """Where and when it is claimed. A POS may begin its next day before midnight: what it sold then is claimed on that
    day, and not on the one before. Raises: BadTime."""
    place = till.place(ask)
    entry = till.journal.find(ask.named.receipt_id) if ask.of_ours and ask.business_date is None else None
    if entry is None or not isinstance(entry.event, Receipt):
        return place
    sold = entry.event.place
    if sold.sold_at_ms <= place.sold_at_ms and sold.business_date > place.business_date:
        return msgspec.structs.replace(place, business_date=sold.business_date)
    return place


def _look(till: Till, ask: ClaimAsk, on: date, rules: ClaimRules) -> int | None:
    """What can be said of the receipt here: its points, or none where this till does not have it. Raises: a Refusal."""
    named = ask.named
    if not ask.of_ours:
        if not named.record and (named.total_minor is None or not named.sold_at):
            raise ClaimIncomplete(
                "Type what is printed on the receipt: its number, date, time and total, or its quote record."
            )
        of = f"{named.store}/{named.till}/{named.receipt_id}"
        if till.journal.members.claim_of(of) is not None:
            raise _claimed_before()
        return None
    entry = till.journal.find(named.receipt_id)
    receipt = entry.event if entry else None
    if entry is None or not isinstance(receipt, Receipt):
        raise ClaimReceiptUnknown(
            "This till does not have that receipt. Type its store, till, number, date, time and total from the paper."
        )
    if named.record and named.record.strip().upper() != record_of(entry.head):
        raise ClaimWrongRecord("The quote record is not that of this receipt. Check the eight digits at its foot.")
    if receipt.account_id is not None or receipt.card_token is not None:
        raise ClaimHasCard("This receipt was made with a card already; its points are with that card.")
    if till.journal.members.claim_of(named.receipt_id) is not None:
        raise _claimed_before()
    _check_age(receipt, on, rules)
    return _points(till, entry, receipt)


def _check_age(receipt: Receipt, on: date, rules: ClaimRules) -> None:
    sold_on = receipt.place.business_date
    if not sold_on <= on <= sold_on + timedelta(days=rules.within_days):
        raise ClaimTooOld(
            f"Receipts can be claimed for {rules.within_days} days; this one is of {sold_on}. Tell the customer so.",
            sold_on=sold_on.isoformat(),
            within_days=rules.within_days,
        )


def _points(till: Till, entry: Entry, receipt: Receipt) -> int | None:
    """What the receipt earns, less what came back here; none where its programme has left this till."""
    reversals = [one.event for one in till.journal.reversals_of(receipt.receipt_id)]
    if any(isinstance(one, Void) for one in reversals):
        raise ClaimVoided("This receipt was voided; nothing of it can be claimed.")
    lines = [line for one in standing_returns(reversals)
             for line in msgspec.json.decode(one.detail, type=ReturnDetail).lines]  # fmt: skip
    detail = read_detail(receipt)
    compiled = next((one for one in till.cache.programmes() if one.version == detail.programme_version), None)
    if compiled is None:
        return None
    try:
        earned = sum(part.points for part in claimed_points(compiled, receipt, detail, lines))
        whole = earned or not lines or sum(part.points for part in claimed_points(compiled, receipt, detail))
    except NotPriceable:
        return None
    if lines and whole and not earned:
        raise ClaimReturned("All goods of this receipt came back; there is nothing to earn.")
    return earned


def _claimed_before() -> ClaimedBefore:
    return ClaimedBefore("This receipt was claimed already. Each receipt earns once.")


def _with_card(ask: ClaimAsk, token: str | None) -> ClaimAsk:
    return msgspec.structs.replace(ask, card=msgspec.structs.replace(ask.card, token=token))


def _again(before: Entry, sha: str, earlier: Iterable[str]) -> ClaimMade:
    check_same(before, sha, earlier)
    if not isinstance(before.event, Claimed):
        raise IdReused("This id stands for something else than a claim.", receipt_id=before.event.receipt_id)
    return _made(before.event, before.head, replayed=True)


def _made(event: Claimed, head: StreamHead, *, replayed: bool) -> ClaimMade:
    return ClaimMade(
        state="provisional",
        points=event.points,
        reason="",
        of_receipt=event.named.receipt_id,
        head=head,
        record=record_of(head),
        replayed=replayed,
    )
