"""An enrolment ticket drawn as a QR code: SVG for a page, blocks of characters for a terminal."""

import io

import segno

_QUIET = 4  # modules of white around it: ISO/IEC 18004, 9.1


def ticket_svg(ticket: str) -> str:
    """The SVG element, without any style of its own, so that a page without inline styles may hold it."""
    out = io.BytesIO()
    segno.make(ticket, error="m", micro=False).save(
        out, kind="svg", scale=5, border=_QUIET, xmldecl=False, svgns=True, dark="#000", light="#fff", title="Ticket"
    )
    return out.getvalue().decode()


def ticket_ansi(ticket: str) -> str:
    """Half blocks for a terminal, two modules to a character."""
    out = io.StringIO()
    segno.make(ticket, error="m", micro=False).terminal(out, border=_QUIET, compact=True)
    return out.getvalue()
