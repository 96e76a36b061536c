"""The one call a till makes: a view as text, printer bytes or a page."""

from typing import Literal, overload

from receipt_templates.as_escpos import render_escpos
from receipt_templates.as_html import render_html
from receipt_templates.as_text import render_text
from receipt_templates.compose import AnyView, blocks_of
from receipt_templates.languages import tongue_of
from receipt_templates.profiles import PrinterProfile
from receipt_templates.sale import sale_as_text
from receipt_templates.view import ReceiptView

Kind = Literal["text", "escpos", "html"]


@overload
def render(view: AnyView, kind: Literal["text", "html"], profile: PrinterProfile) -> str: ...
@overload
def render(view: AnyView, kind: Literal["escpos"], profile: PrinterProfile) -> bytes: ...
def render(view: AnyView, kind: Kind, profile: PrinterProfile) -> str | bytes:
    """A slip, ready to hand over.

    Args:
        view: of a receipt, a return or a void.
        kind: `text` keeps every letter and uses the profile's columns only; `escpos` is a whole print job;
            `html` is a whole page.
        profile: of the printer, or of the paper the POS prints on.
    """
    if kind == "text" and isinstance(view, ReceiptView):
        return sale_as_text(view, tongue_of(view.language), profile.columns)
    blocks = blocks_of(view)
    if kind == "text":
        return render_text(blocks, profile.columns)
    if kind == "escpos":
        return render_escpos(blocks, profile)
    return render_html(blocks, language=tongue_of(view.language).language, title=view.number)
