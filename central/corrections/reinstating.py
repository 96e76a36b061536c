"""A till that was revoked by mistake: asked by one, approved by another, and all that it sold since is booked.

The events themselves are posted as the till sent them, by `central.intake.reinstated`, once the decision stands.
"""

import msgspec
from sqlalchemy import Connection

from central.coalition.streams import stream_head
from central.corrections.fixing import points_of
from central.corrections.wishes import ReinstateWish
from central.intake.quarantine import opened_upload, upload_row
from central.intake.reinstated import kept_uploads, reinstate_stream, revoked_streams
from central.streams.heads import read_fit_head
from loyalty.facts.fixed import Fixable
from loyalty.trouble import Refusal


class NotRevoked(Refusal):
    code = "correction.not_revoked"


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept apart of an enrolment beyond what is booked: events, the points they are about, whose."""

    events: int
    points: int
    accounts: frozenset[int | str]


def check_reinstate(connection: Connection, wish: ReinstateWish) -> int:
    """The points that what is kept is about. Raises: NotRevoked."""
    if not any((one.till_id, one.epoch) == (wish.till_id, wish.epoch) for one in revoked_streams(connection)):
        raise NotRevoked("This enrolment of the till is not revoked; `central status` shows the state of each.")
    return kept_of(connection, wish).points


def reinstate(tx: Connection, wish: ReinstateWish) -> None:
    """The decision. Raises: NotRevoked."""
    if not reinstate_stream(tx, wish.till_id, wish.epoch):
        raise NotRevoked("This enrolment of the till is not revoked any more; look again.")


def kept_of(connection: Connection, wish: ReinstateWish) -> Kept:
    """Look into every upload that is kept; what two of them hold counts once."""
    points: dict[tuple[int, int], int] = {}
    accounts: set[int | str] = set()
    for key in kept_uploads(connection, wish.till_id, wish.epoch):
        booked = stream_head(connection, key.till_id, key.epoch).seq
        opened = opened_upload(connection, upload_row(connection, key))
        for seq, payload in enumerate(opened.payloads, opened.header.first_seq) if opened else ():
            if seq <= booked or (key.epoch, seq) in points:
                continue
            head = read_fit_head(payload)
            points[key.epoch, seq] = points_of(head) if isinstance(head, Fixable) else 0
            if isinstance(head, Fixable) and (whose := head.account_id or head.card_token):
                accounts.add(whose)
    return Kept(events=len(points), points=sum(points.values()), accounts=frozenset(accounts))
