"""Every sample slip on one page: paper of three widths, the HTML page, fiscal lines and the display, side by side."""

import re
from collections.abc import Iterable, Mapping
from html import escape

import msgspec

from receipt_templates.as_fiscal import render_fiscal
from receipt_templates.as_html import render_html
from receipt_templates.as_text import render_text
from receipt_templates.compose import AnyView, blocks_of
from receipt_templates.languages import TONGUES
from receipt_templates.two_lines import two_lines
from receipt_templates.view_on_display import display_of

WIDTHS = (32, 42, 48)
_STYLE = """
body{margin:0;padding:1.5rem;background:#eceae6;color:#222;font:1rem/1.45 system-ui,sans-serif}
h1{font-size:1.5rem}h2{margin:2.5rem 0 .5rem;font-size:1.15rem}
.row{display:flex;flex-wrap:wrap;gap:1.25rem;align-items:flex-start}
figure.look{margin:0}figure.look>figcaption{font-size:.8rem;color:#555;margin-bottom:.25rem}
pre{margin:0;padding:.9rem .8rem;background:#fff;box-shadow:0 1px 3px #0003;font:13px/1.35 ui-monospace,monospace}
pre.display{background:#10251b;color:#8fffc0;letter-spacing:.08em}
.page{background:#fff;box-shadow:0 1px 3px #0003;width:23rem;padding:.1rem 0}
"""


def gallery(views: Mapping[str, AnyView]) -> str:
    """A complete page; no script, nothing fetched.

    Args:
        views: by name. Sales are shown in their own language, the other slips in all four.
    """
    parts = [_section(name, _in_languages(name, view)) for name, view in views.items()]
    style = re.search("<style>(.*?)</style>", render_html([]), re.DOTALL)
    assert style is not None
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n<title>Receipts</title>\n'
        f"<style>{style[1]}{_STYLE}</style>\n</head>\n<body>\n<h1>Receipts</h1>\n{''.join(parts)}</body>\n</html>\n"
    )


def _in_languages(name: str, view: AnyView) -> tuple[AnyView, ...]:
    if name.startswith("sale-"):
        return (view,)
    return tuple(msgspec.structs.replace(view, language=language) for language in TONGUES)


def _section(name: str, views: Iterable[AnyView]) -> str:
    looks = []
    for at, view in enumerate(views):
        blocks = blocks_of(view)
        for columns in WIDTHS if at == 0 else (42,):
            looks.append(
                _look(f"{view.language}, {columns} columns", f"<pre>{escape(render_text(blocks, columns))}</pre>")
            )
        page = re.search("<article.*</article>", render_html(blocks), re.DOTALL)
        assert page is not None
        looks.append(_look(f"{view.language}, page", f'<div class="page" lang="{view.language}">{page[0]}</div>'))
        if fiscal := render_fiscal(view).lines:
            looks.append(_look(f"{view.language}, fiscal printer", f"<pre>{escape(chr(10).join(fiscal))}</pre>"))
        shown = two_lines(display_of(view))
        looks.append(
            _look(
                f"{view.language}, display", f'<pre class="display">{escape(shown.upper)}\n{escape(shown.lower)}</pre>'
            )
        )
    return f'<h2>{escape(name)}</h2>\n<div class="row">\n{"".join(looks)}</div>\n'


def _look(caption: str, inside: str) -> str:
    return f'<figure class="look"><figcaption>{escape(caption)}</figcaption>{inside}</figure>\n'
