"""What lapses: lots whose last valid day has passed move from available to expired.

Source: DECISIONS 6; settlement.md "Expire". When the run starts is the caller's business.
"""

from datetime import date

from loyalty.ledger.books import NO_TERMS, Books, Posted, Posting
from loyalty.lots import END_OF_DAY, EventRef, Expiry, is_live
from loyalty.moments import Moment


def expire_lots(
    account_id: int,
    ref: EventRef,
    on: date,
    books: Books,
    *,
    now: Moment | None = None,
    expiry: Expiry = END_OF_DAY,
) -> Posted:
    """What the expiry run of a date does to one account.

    Args:
        account_id: the account, open in `books`.
        ref: the run's event.
        on: the business date of the run. A lot is good through its last valid day, so those before `on` lapse; and
            those of `on` itself where points go earlier.
        books: not changed here, see `Books.take`.
        now: store time of the run; without it its day has just begun.
        expiry: when lots go on their last valid day.
    Returns:
        One posting per lapsed lot, soonest first; none, and no new version, where nothing lapses.
    """
    lots = books.lots(account_id)
    lapsed = sorted((lot for lot in lots if not is_live(lot.key, expiry, on, now)), key=lambda lot: lot.key)
    version = books.account(account_id).version + (1 if lapsed else 0)
    postings = tuple(
        Posting(
            account_id=account_id,
            account_version=version,
            n=n,
            unit="point",
            source="available",
            target="expired",
            amount=lot.points,
            key=lot.key,
            at_partner_id=lot.key.issuer_id,
            at_terms_id=NO_TERMS,
            by=ref,
            of=ref,
            period_no=books.period_no,
            origin_period_no=books.period_no,
        )
        for n, lot in enumerate(lapsed, 1)
    )
    return Posted(ref=ref, account_id=account_id, account_version=version, postings=postings)
