"""A view through its layout into blocks.

Layouts are Jinja files of this package and nothing else: sandboxed, undefined names refused, every printed value
escaped for the markup and stripped of printer control (see `markup`). They choose and order; figures come worked out.
"""

from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from receipt_templates import languages
from receipt_templates.blocks import Block
from receipt_templates.markup import escaped, parse
from receipt_templates.normalise import NO_BREAK
from receipt_templates.reversal_views import ReturnView, VoidView
from receipt_templates.view import ReceiptView

AnyView = ReceiptView | ReturnView | VoidView

_LAYOUTS: dict[type, str] = {ReceiptView: "receipt.j2", ReturnView: "return.j2", VoidView: "void.j2"}

_JINJA = SandboxedEnvironment(
    loader=FileSystemLoader(Path(__file__).parent / "layouts"),
    undefined=StrictUndefined,
    finalize=escaped,
    autoescape=False,  # what is made here is markup of ours, not HTML; `finalize` escapes for it
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,  # else the last line of an included layout runs into the next one
    auto_reload=False,
)


def blocks_of(view: AnyView) -> tuple[Block, ...]:
    """The blocks of a slip, in the view's language; English where we do not speak it."""
    tongue = languages.tongue_of(view.language)
    source = _JINJA.get_template(_LAYOUTS[type(view)]).render(
        view=view,
        words=tongue.words,
        tender=lambda kind: tongue.tenders.get(kind, kind),
        amount=lambda minor: languages.amount(tongue, minor, view.currency),
        money=lambda minor: languages.money(tongue, minor, view.currency),
        quantity=lambda milli: languages.quantity(tongue, milli),
        number=lambda count: languages.number(tongue, str(count)),
        points=lambda count: languages.points(tongue, count),
        moment=lambda at: languages.date_and_time(tongue, at),
        day=lambda on: languages.day(tongue, on).replace(" ", NO_BREAK),
        grouped=lambda code: " ".join(code[i : i + 4] for i in range(0, len(code), 4)),
        fill=languages.fill,
        authority=lambda kind: languages.authority_in_words(tongue.words, kind),
    )
    return parse(source)
