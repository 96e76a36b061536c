"""What a new till is handed in one piece, as text or as the content of a QR code: address, code, fingerprint.

Source: sync.md section 7, "QR `{v, url, code, central_key_fpr}`".
"""

import msgspec

from sync.enrolment import read_code
from sync.refusals import BadCode

LONGEST_TICKET = 1_000


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """The one-time code, the fingerprint of the centre's key, and where the centre is, "" where nobody told."""

    v: int = 1
    url: str = ""
    code: str
    fpr: str


def show_ticket(code: str, fingerprint: str, url: str = "") -> str:
    """A ticket as one line of JSON."""
    return msgspec.json.encode(Ticket(url=url, code=code, fpr=fingerprint)).decode()


def read_ticket(text: str) -> Ticket:
    """A ticket as a scanner read it.

    Raises:
        BadCode: no ticket, of a later kind, or its code or fingerprint is none.
    """
    try:
        ticket = msgspec.json.decode(text.strip()[:LONGEST_TICKET], type=Ticket)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        ticket = None
    if ticket is None or ticket.v != 1:
        raise BadCode("This is no enrolment ticket; scan it again, or type code and fingerprint.")
    return msgspec.structs.replace(ticket, code=read_code(ticket.code), fpr=read_code(ticket.fpr))
