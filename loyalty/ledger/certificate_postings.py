"""What events do to certificates: money in, money out, back, off and lapsed, in currency rows.

A fact is never refused. What a certificate does not hold is owed to the partner that took it, which is paid once the
money comes; until then the worklist has it. Source: settlement.md section 2 (a redemption is paid by who issued);
docs/certificates.md.
"""

from collections.abc import Iterable
from datetime import date

import msgspec

from loyalty.certificates import STORED, Certificate, CertificateSold, PutOn, Spend, TakenOff, gathered, slices_of
from loyalty.facts.certificate_events import CertificateEvent, CertificateKept, CertificateMoved
from loyalty.facts.receipts import Receipt
from loyalty.facts.reversals import Return, ReturnVoid, Void
from loyalty.ledger.books import Books, Bucket, Posted
from loyalty.ledger.posting_writer import Writer
from loyalty.lots import EventRef, LotKey, Slice
from loyalty.members import Use, certificate_use


def post_certificate(event: CertificateEvent, ref: EventRef, books: Books) -> Posted:
    """What a word about one certificate does to the books."""
    if isinstance(event, CertificateKept):
        writer = Writer(ref, None, books, "", event.on)
        if event.what == "freed":
            change(writer, event.code, blocked="")
        else:
            lapse(writer, event.code, event.on)
        return writer.posted((), ())
    place = event.place
    writer = Writer(ref, None, books, place.partner_id, place.business_date)
    if event.what == "blocked":
        change(writer, event.code, blocked=event.reason or "blocked")
    elif event.amount_minor and event.valid_through:
        sold = CertificateSold(
            line=0, code=event.code, amount_minor=event.amount_minor, valid_through=event.valid_through
        )
        put_on(writer, (sold,))
    return writer.posted((), ())


def certificates_in(event: object) -> frozenset[str]:
    """The tokens of the certificates that an event does something to."""
    if isinstance(event, Receipt | Return | Void | ReturnVoid):
        return frozenset({*(one.code for one in sold_in(event)), *codes_of((*event.uses, *event.shared_uses))})
    return frozenset({event.code}) if isinstance(event, CertificateMoved | CertificateKept) else frozenset()


def sold_in(event: Receipt | Return | Void | ReturnVoid) -> tuple[CertificateSold, ...]:
    """The certificates that are goods of a sale, or of what takes it back."""
    if isinstance(event, Receipt):
        return event.certificates_sold
    return event.certificates_again if isinstance(event, ReturnVoid) else event.certificates_back


def codes_of(uses: Iterable[Use]) -> dict[str, int]:
    """Minor units that uses take off each certificate, below 0 where they give back; those of no certificate left
    out."""
    family = certificate_use("")
    sums: dict[str, int] = {}
    for use in uses:
        if use.name.startswith(family):
            code = use.name.removeprefix(family)
            sums[code] = sums.get(code, 0) - use.amount
    return sums


def put_on(writer: Writer, sold: Iterable[CertificateSold]) -> None:
    """Money that was paid for certificates; what was taken of one before the money came is paid out of it."""
    for one in sold:
        held = writer.certificate(one.code)
        key = LotKey(valid_through=one.valid_through, issuer_id=writer.partner_id, terms_id=STORED)
        part = Slice(key=key, points=one.amount_minor)
        writer.post("issued", "available", part, unit="currency", at=writer.partner_id)
        held = msgspec.structs.replace(
            held,
            lots=slices_of(gathered((*held.lots, part))),
            put_on=(*held.put_on, PutOn(of=writer.ref, slices=(part,))),
        )
        writer.certificates[one.code] = _cover(writer, held)


def redeem(writer: Writer, uses: Iterable[Use]) -> None:
    """What a sale paid with certificates: soonest to lapse first, lapsed ones where the sale was made in time."""
    for code, asked in codes_of(uses).items():
        if asked <= 0:
            continue
        held = writer.certificate(code)
        fresh = Spend(of=writer.ref, partner_id=writer.partner_id, period_no=writer.books.period_no, on=writer.on,
                      slices=())  # fmt: skip
        held, spend = _draw(writer, code, held, fresh, asked)
        if held.blocked:
            writer.flag("certificate_blocked", code=code, asked_minor=asked, reason=held.blocked)
        writer.certificates[code] = msgspec.structs.replace(held, spends=(*held.spends, spend))


def refill(writer: Writer, uses: Iterable[Use], of: EventRef) -> None:
    """What a return or void gives back to certificates: first what nothing had covered, then the last used first."""
    for code, taken in codes_of(uses).items():
        wanted = -taken
        if wanted <= 0:
            continue
        held = writer.certificate(code)
        spend = next((one for one in held.spends if one.of == of), None)
        found = spend.owed_minor + sum(one.points for one in spend.slices) if spend else 0
        if wanted > found:
            writer.flag("certificate_returned_more", code=code, asked_minor=wanted, found_minor=found)
        if spend is None:
            writer.certificates[code] = held
            continue
        forgiven = min(wanted, spend.owed_minor)
        wanted -= forgiven
        lots = gathered(held.lots)
        kept: list[Slice] = []
        for part in reversed(spend.slices):
            back = Slice(key=part.key, points=min(wanted, part.points))
            wanted -= back.points
            if back.points:
                writer.post("redeemed", "available", back, unit="currency", at=spend.partner_id)
                lots[part.key] = lots.get(part.key, 0) + back.points
            if part.points > back.points:
                kept.insert(0, Slice(key=part.key, points=part.points - back.points))
        left = msgspec.structs.replace(spend, slices=tuple(kept), owed_minor=spend.owed_minor - forgiven)
        others = tuple(left if one.of == of else one for one in held.spends)
        spends = tuple(one for one in others if one.slices or one.owed_minor)
        writer.certificates[code] = _cover(writer, msgspec.structs.replace(held, lots=slices_of(lots), spends=spends))


def take_again(writer: Writer, uses: Iterable[Use], of: EventRef) -> None:
    """What the void of a return takes of certificates again for the receipt at `of`: soonest to lapse first."""
    for code, asked in codes_of(uses).items():
        if asked <= 0:
            continue
        held = writer.certificate(code)
        before = next((one for one in held.spends if one.of == of), None)
        period_no = writer.recorded.period_no if writer.recorded else writer.books.period_no
        fresh = Spend(of=of, partner_id=writer.partner_id, period_no=period_no, on=writer.on, slices=())
        held, spend = _draw(writer, code, held, before or fresh, asked)
        others = tuple(spend if one.of == of else one for one in held.spends)
        spends = others if before else (*others, spend)
        writer.certificates[code] = msgspec.structs.replace(held, spends=spends)


def take_off(writer: Writer, back: Iterable[CertificateSold], of: EventRef) -> None:
    """The sale of certificates is undone: what is left of the money goes; what was spent of it is flagged, for the
    partner has paid it back."""
    for one in back:
        held = writer.certificate(one.code)
        put = [part for part in held.put_on if part.of == of]
        if not put:
            writer.flag("certificate_returned_more", code=one.code, asked_minor=one.amount_minor, found_minor=0)
            writer.certificates[one.code] = held
            continue
        wanted, lots, lapsed, used = gathered(put[0].slices), gathered(held.lots), gathered(held.lapsed), 0
        gone: dict[Bucket, list[Slice]] = {"available": [], "expired": []}
        sources: tuple[tuple[Bucket, dict[LotKey, int]], ...] = (("available", lots), ("expired", lapsed))
        for key, amount in wanted.items():
            for source, there in sources:
                part = Slice(key=key, points=min(amount, there.get(key, 0)))
                if part.points:
                    writer.post(source, "reversed", part, unit="currency", at=key.issuer_id)
                    there[key] -= part.points
                    amount -= part.points
                    gone[source].append(part)
            used += amount
        if used:
            writer.flag("certificate_used", code=one.code, sold_minor=one.amount_minor, used_minor=used,
                        bearer=writer.partner_id)  # fmt: skip
        taken = TakenOff(by=writer.ref, put=put[0], slices=tuple(gone["available"]), lapsed=tuple(gone["expired"]))
        writer.certificates[one.code] = msgspec.structs.replace(
            held,
            lots=slices_of(lots),
            lapsed=slices_of(lapsed),
            put_on=tuple(part for part in held.put_on if part is not put[0]),
            taken_off=(*held.taken_off, taken),
        )


def put_back(writer: Writer, again: Iterable[CertificateSold], undone: EventRef) -> None:
    """The return at `undone` is voided: what it took off certificates is on them again, and pays what was taken of them
    meanwhile."""
    for code in dict.fromkeys(one.code for one in again):
        held = writer.certificate(code)
        mine = [one for one in held.taken_off if one.by == undone]
        buckets: tuple[tuple[Bucket, list[Slice]], ...] = (
            ("available", [part for one in mine for part in one.slices]),
            ("expired", [part for one in mine for part in one.lapsed]),
        )
        for bucket, parts in buckets:
            for part in parts:
                writer.post("reversed", bucket, part, unit="currency", at=part.key.issuer_id)
        (_, back), (_, lapsed) = buckets
        held = msgspec.structs.replace(
            held,
            lots=slices_of(gathered((*held.lots, *back))),
            lapsed=slices_of(gathered((*held.lapsed, *lapsed))),
            put_on=(*held.put_on, *(one.put for one in mine)),
            taken_off=tuple(one for one in held.taken_off if one.by != undone),
        )
        writer.certificates[code] = _cover(writer, held)


def lapse(writer: Writer, code: str, on: date) -> None:
    """What had its last valid day before a date is the issuer's own from now on."""
    held = writer.certificate(code)
    gone = tuple(one for one in held.lots if one.key.valid_through < on)
    for part in gone:
        writer.post("available", "expired", part, unit="currency", at=part.key.issuer_id)
    writer.certificates[code] = msgspec.structs.replace(
        held,
        lots=tuple(one for one in held.lots if one.key.valid_through >= on),
        lapsed=slices_of(gathered((*held.lapsed, *gone))),
    )


def change(writer: Writer, code: str, *, blocked: str) -> None:
    """Block a certificate, or free it."""
    writer.certificates[code] = msgspec.structs.replace(writer.certificate(code), blocked=blocked)


def _draw(writer: Writer, code: str, held: Certificate, spend: Spend, asked: int) -> tuple[Certificate, Spend]:
    """A certificate without what is paid with it now, and the spend with that; what is not there is owed."""
    lots, lapsed, left = gathered(held.lots), gathered(held.lapsed), asked
    taken: list[Slice] = []
    sources: tuple[tuple[Bucket, dict[LotKey, int]], ...] = (("available", lots), ("expired", lapsed))
    for source, there in sources:
        for key in [key for key in there if key.valid_through >= spend.on]:
            part = Slice(key=key, points=min(left, there[key]))
            if part.points:
                writer.post(source, "redeemed", part, unit="currency", at=spend.partner_id)
                there[key] -= part.points
                left -= part.points
                taken.append(part)
    if left:
        writer.flag("certificate_uncovered", code=code, asked_minor=asked, covered_minor=asked - left,
                    bearer=spend.partner_id)  # fmt: skip
    spend = msgspec.structs.replace(spend, slices=(*spend.slices, *taken), owed_minor=spend.owed_minor + left)
    return msgspec.structs.replace(held, lots=slices_of(lots), lapsed=slices_of(lapsed)), spend


def _cover(writer: Writer, held: Certificate) -> Certificate:
    """Money that has come pays what was taken before, the oldest first; it corrects the period of that sale."""
    lots = gathered(held.lots)
    spends: list[Spend] = []
    for spend in held.spends:
        owed, taken = spend.owed_minor, list(spend.slices)
        for key in [key for key in lots if key.valid_through >= spend.on]:
            part = Slice(key=key, points=min(owed, lots[key]))
            if part.points:
                writer.post("available", "redeemed", part, unit="currency", at=spend.partner_id, of=spend.of,
                            origin=spend.period_no)  # fmt: skip
                lots[key] -= part.points
                owed -= part.points
                taken.append(part)
        spends.append(msgspec.structs.replace(spend, slices=tuple(taken), owed_minor=owed))
    return msgspec.structs.replace(held, lots=slices_of(lots), spends=tuple(spends))
