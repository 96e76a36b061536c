"""Blocks as one small HTML page: it reads well on a screen, aloud, and on paper of a receipt's width."""

from collections.abc import Iterable
from html import escape
from itertools import groupby

from receipt_templates.as_svg import svg_of
from receipt_templates.blocks import Block, Code, Feed, Note, Pair, Rule, Text
from receipt_templates.columns import kept_together

_STYLE = """
.receipt{max-width:22rem;margin:1rem auto;padding:0 .75rem;color:#111;background:#fff}
.receipt{font:1rem/1.4 ui-monospace,monospace}
.receipt p,.receipt dl,.receipt dd,.receipt figure{margin:0}
.receipt p,.receipt dt,.receipt dd{white-space:pre-line;overflow-wrap:anywhere}
.receipt dl div{display:flex;justify-content:space-between;align-items:flex-end;gap:1rem}
.receipt dd{flex:none;max-width:70%;text-align:right;font-variant-numeric:tabular-nums}
.receipt .center,.receipt figure,.receipt .note{text-align:center;text-wrap:balance}.receipt .right{text-align:right}
.receipt .bold{font-weight:700}.receipt .tall{font-size:1.25rem}.receipt .large{font-size:1.5rem}
.receipt .indent{padding-left:1.5rem}.receipt .gap{height:.7rem}.receipt .note{margin-top:.7rem}
.receipt figure{padding:.4rem 0}.receipt svg{max-width:100%;height:auto}
.receipt hr{border:0;border-top:1px dashed;margin:.6rem 0}
@page{margin:4mm}@media print{.receipt{margin:0 auto;padding:0}}
"""


def render_html(blocks: Iterable[Block], *, language: str = "en", title: str = "") -> str:
    """A complete page; every text escaped, no script, nothing fetched.

    Args:
        language: of the texts, as `lang` wants it: en, pt-BR, ru, pl.
        title: of the page; the receipt's number.
    """
    inside = []
    for is_pair, group in groupby(blocks, key=lambda block: isinstance(block, Pair)):
        parts = [_element(block) for block in group]
        # Neighbouring pairs are one list of names and figures.
        inside += ["<dl>", *parts, "</dl>"] if is_pair else parts
    body = "\n".join(part for part in inside if part)
    return (
        f'<!doctype html>\n<html lang="{escape(language)}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{escape(title)}</title>\n'
        f'<style>{_STYLE}</style>\n</head>\n<body>\n<article class="receipt">\n{body}\n</article>\n</body>\n</html>\n'
    )


def _element(block: Block) -> str:
    match block:
        case Text():
            return f"<p{_classes(block.align, block.size, bold=block.bold)}>{_text(block.text)}</p>"
        case Pair():
            classes = _classes("indent" if block.indent else "left", block.size, bold=block.bold)
            return f"<div{classes}><dt>{_text(block.left)}</dt><dd>{_text(block.right)}</dd></div>"
        case Rule():
            return "<hr>"
        case Note():
            return f'<p class="note">{_text(block.text)}</p>' if block.text.strip() else ""
        case Code():
            return _code(block)
        case Feed():
            return '<div class="gap" aria-hidden="true"></div>'
        case _:
            return ""  # paper is cut, pages are not


def _code(code: Code) -> str:
    """The code to scan, with the text that stands in for it below: a page has room for both."""
    text = f"<figcaption>{escape(code.fallback_text)}</figcaption>" if code.fallback_text else ""
    drawn = svg_of(code)
    return f'<figure data-code="{code.kind}">{drawn}{text}</figure>' if drawn or text else ""


def _text(text: str) -> str:
    return escape(kept_together(text))


def _classes(place: str, size: str, *, bold: bool) -> str:
    names = [name for name in (place, size, "bold" if bold else "") if name not in ("", "left", "normal")]
    return f' class="{" ".join(names)}"' if names else ""
