"""Terms that would have priced what is booked already: points and redemptions keep the terms of their day for good, so
such terms begin after them."""

from collections.abc import Iterable
from datetime import date

from sqlalchemy import Connection, and_, func, or_, select

from central.database.tables import event, posting
from loyalty.terms import Terms

BY_NAME = "opening.v1"  # points of an older scheme name their terms, whatever the day


def booked_before(connection: Connection, new: Terms, others: Iterable[Terms], today: date) -> str:
    """The last day (ISO) on which something was booked that new terms would have priced; "" where nothing was.

    Args:
        others: all terms beside them, known and new.
        today: what a till with a wrong clock dated later stops no terms.
    """
    mine = (new.from_on, new.terms_id)
    after = (one.from_on for one in others if one.partner_id == new.partner_id and (one.from_on, one.terms_id) > mine)
    until = min(after, default=date.max)
    p, e = posting.c, event.c
    by = and_(e.till_id == p.by_till, e.epoch == p.by_epoch, e.seq == p.by_seq, e.account_id == p.account_id)
    issued = and_(p.unit == "point", p.source == "issued", p.issuer_id == new.partner_id)
    redeemed = and_(p.target.in_(("redeemed", "pending")), p.unit != "currency", p.at_partner_id == new.partner_id)
    days = e.business_date >= new.from_on.isoformat(), e.business_date < until.isoformat()
    last = select(func.max(e.business_date)).select_from(event.join(posting, by)).where(
        *days, e.business_date <= today.isoformat(), e.kind != BY_NAME, or_(issued, redeemed)
    )  # fmt: skip
    return connection.execute(last).scalar() or ""
