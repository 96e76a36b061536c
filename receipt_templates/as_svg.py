"""Codes as inline SVG, dark on white whatever the page's colours: for pages that are shown, scanned or printed."""

from itertools import groupby

from receipt_templates.blocks import Code
from receipt_templates.codes import bars, qr_modules

_QUIET_QR, _QUIET_BARS = 4, 11  # modules of white around, which readers need
_BAR_HEIGHT = 34


def svg_of(code: Code) -> str:
    """A code as an `svg` element, one unit a module; empty where its data make none.

    It carries no text: what it says stands beside it for whoever cannot see it.
    """
    return _qr(code.data) if code.kind == "qr" else _barcode(code)


def _qr(data: str) -> str:
    rows = qr_modules(data)
    if not rows:
        return ""
    side = len(rows) + 2 * _QUIET_QR
    path = "".join(
        f"M{x + _QUIET_QR} {y + _QUIET_QR}h{length}v1h-{length}z"
        for y, row in enumerate(rows)
        for x, length in _runs("".join("1" if module else "0" for module in row))
    )
    return _svg(side, side, path, f'class="qr" width="{4 * side}" height="{4 * side}"')


def _barcode(code: Code) -> str:
    modules = bars(code)
    if not modules:
        return ""
    wide = len(modules) + 2 * _QUIET_BARS
    path = "".join(f"M{x + _QUIET_BARS} 0h{length}v{_BAR_HEIGHT}h-{length}z" for x, length in _runs(modules))
    return _svg(wide, _BAR_HEIGHT, path, f'class="bars" width="{2 * wide}" height="{2 * _BAR_HEIGHT}"')


def _runs(modules: str) -> list[tuple[int, int]]:
    """Where dark runs begin, and how long they are."""
    runs, at = [], 0
    for dark, group in groupby(modules):
        length = len(list(group))
        if dark == "1":
            runs.append((at, length))
        at += length
    return runs


def _svg(width: int, height: int, path: str, more: str) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" {more} shape-rendering="crispEdges" aria-hidden="true">'
        f'<path fill="#fff" d="M0 0h{width}v{height}H0z"/><path fill="#000" d="{path}"/></svg>'
    )
