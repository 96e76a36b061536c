"""What happens to a certificate outside a sale: a till puts money on it or blocks it, head office lets it lapse.

Source: house.md section 3; docs/certificates.md.
"""

from datetime import date
from typing import Annotated, Literal

import msgspec

from loyalty.baskets import Place
from loyalty.facts.receipts import EMPTY

Token = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]
Amount = Annotated[int, msgspec.Meta(ge=0, le=10**13)]


class CertificateMoved(
    msgspec.Struct, frozen=True, kw_only=True, tag="certificate.v1", tag_field="type", omit_defaults=True
):
    """A till's word about one certificate.

    Attributes:
        what: `activated` or `topped_up` with money that was taken outside a receipt of ours; `blocked`.
        code: the certificate's token.
        valid_through: the last day of the money; none for `blocked`.
    """

    receipt_id: str
    place: Place
    what: Literal["activated", "topped_up", "blocked"]
    code: Token
    amount_minor: Amount = 0
    valid_through: date | None = None
    reason: str = ""
    detail: msgspec.Raw = EMPTY


class CertificateMovedDetail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who did it, and what the till knew of the certificate before."""

    cashier: str = ""
    offline: bool = False
    known_minor: int | None = None


class CertificateKept(
    msgspec.Struct, frozen=True, kw_only=True, tag="certificate_kept.v1", tag_field="type", omit_defaults=True
):
    """Head office's word about one certificate: what had its last day before `on` lapses, or a block is lifted."""

    receipt_id: str
    what: Literal["lapsed", "freed"]
    code: Token
    on: date
    asked_by: str = ""
    detail: msgspec.Raw = EMPTY


CertificateEvent = CertificateMoved | CertificateKept
