"""What POST /v1/certificates takes and answers, as types."""

from typing import Annotated

import msgspec

from edge.api.answers import Answer, Event
from edge.api.bodies import NO_ZERO, Currency, Id, When
from edge.sale.certificates import Action, State

SHOWN = 4  # the end of a code that may be shown


class CertificateOrderBody(When, frozen=True, kw_only=True):
    """POST /v1/certificates: ask about a certificate, or say what happened to it. An enquiry writes nothing."""

    request_id: Id
    action: Action
    code: Annotated[str, msgspec.Meta(min_length=SHOWN + 1, max_length=200)]
    amount_minor: Annotated[int, msgspec.Meta(ge=0)] = 0
    currency: Currency | None = None
    reason: Annotated[str, msgspec.Meta(max_length=200, pattern=NO_ZERO)] = ""


class CertificatePart(Answer, frozen=True, kw_only=True):
    """Money on a certificate with one last day, null for money that never lapses."""

    amount_minor: int
    valid_through: str | None


class CertificateSaid(Answer, frozen=True, kw_only=True):
    """How a certificate stands as this till knows it; of what was written, how it stood right after.

    `may_pay_minor` is what it may pay at this till now, and `say` the sentence for the cashier.
    """

    request_id: str
    action: Action
    certificate: str
    state: State
    balance_minor: int
    may_pay_minor: int
    valid_through: str | None
    parts: tuple[CertificatePart, ...]
    say: str
    as_of: str | None
    offline: bool
    event: Event | None
    replayed: bool
