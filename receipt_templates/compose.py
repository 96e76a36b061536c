"""A view through its layout into blocks.

A sale has its own (`sale`). Layouts of the other slips are Jinja files of this package and nothing else: sandboxed,
undefined names refused, every printed value escaped for the markup and stripped of printer control (see `markup`).
They choose and order; figures come worked out.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from receipt_templates import languages
from receipt_templates.blocks import Block
from receipt_templates.goods import goods_of
from receipt_templates.head_and_foot import foot, head, lapsing
from receipt_templates.markup import escaped, parse
from receipt_templates.reversal_views import ReturnView, VoidView
from receipt_templates.sale import coupon_blocks, sale_blocks, step_of_points
from receipt_templates.slip_views import (
    BalanceView,
    CertificateView,
    ClaimView,
    CloseView,
    Control,
    ExchangeView,
    WelcomeView,
)
from receipt_templates.view import ReceiptView

AnyView = (
    ReceiptView
    | ReturnView
    | VoidView
    | CertificateView
    | WelcomeView
    | BalanceView
    | ClaimView
    | ExchangeView
    | CloseView
)

_LAYOUTS: dict[type, str] = {
    ReturnView: "return.j2",
    VoidView: "void.j2",
    CertificateView: "certificate.j2",
    WelcomeView: "welcome.j2",
    BalanceView: "balance.j2",
    ClaimView: "claim.j2",
    ExchangeView: "exchange.j2",
    CloseView: "close.j2",
}

_SHARED = re.compile(r'{% include "(\w+\.j2)" %}\n')


class _Whole(FileSystemLoader):
    """Layouts with what they share put in place once: included at every slip, each part would look up every name."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        source, name, is_fresh = super().get_source(environment, template)
        return _SHARED.sub(lambda part: self.get_source(environment, part[1])[0], source), name, is_fresh


class _Sandbox(SandboxedEnvironment):
    """Sooner for our own values, of which a layout asks most: they have fields, and nothing of the interpreter's."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, msgspec.Struct) and attr in obj.__struct_fields__:
            return True
        return super().is_safe_attribute(obj, attr, value)


_JINJA = _Sandbox(
    loader=_Whole(Path(__file__).parent / "layouts"),
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
    if isinstance(view, ReceiptView):
        return sale_blocks(view, tongue)
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
        day=lambda on: languages.day(tongue, on),
        fill=languages.fill,
        signed=lambda figure, is_money: _signed(tongue, figure, view.currency if is_money else ""),
        compared=lambda controls: any(control.pos is not None for control in controls),
        differs=lambda controls: any(_differs(control) for control in controls),
    )
    return parse(source, _parts(view, tongue))


def _parts(view: AnyView, tongue: languages.Tongue) -> dict[str, Callable[..., Iterable[Block]]]:
    """What a layout marks the place of."""
    return {
        "head": lambda title: head(view, tongue, title),
        "foot": lambda: foot(view, tongue),
        "lapsing": lambda: _lapsing(view, tongue),
        "step_of_points": lambda: step_of_points(view.sold, tongue) if isinstance(view, ExchangeView) else (),
        "goods": lambda: goods_of(view.sold, tongue) if isinstance(view, ExchangeView) else (),
        "coupons": lambda: _coupons(view.sold, tongue) if isinstance(view, ExchangeView) else (),
    }


def _lapsing(view: AnyView, tongue: languages.Tongue) -> Iterable[Block]:
    of = view.sold if isinstance(view, ExchangeView) else view
    return lapsing(of.lapsing, tongue) if isinstance(of, BalanceView | ReceiptView) else ()


def _coupons(sold: ReceiptView, tongue: languages.Tongue) -> Iterable[Block]:
    return (block for coupon in sold.coupons for block in coupon_blocks(coupon, tongue))


def _signed(tongue: languages.Tongue, figure: int, currency: str) -> str:
    written = languages.amount(tongue, figure, currency) if currency else languages.number(tongue, str(figure))
    return f"+{written}" if figure > 0 else written


def _differs(control: Control) -> bool:
    return control.pos is not None and control.pos != control.till
