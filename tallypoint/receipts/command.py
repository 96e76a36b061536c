"""`tallypoint receipts preview`: any slip as its paper, its page, its printer's bytes in words, or its two lines."""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from edge.ports import ENVIRONMENT_PREFIX, read_settings
from loyalty.trouble import BadInput
from receipt_templates.as_display import display_named
from receipt_templates.as_escpos import print_job
from receipt_templates.as_fiscal import COLUMNS, LINES, render_fiscal
from receipt_templates.compose import AnyView, blocks_of
from receipt_templates.languages import TONGUES
from receipt_templates.profiles import PROFILES, PrinterProfile, profile_named
from receipt_templates.render import render
from receipt_templates.sample_slips import read_view, sample_named, samples
from receipt_templates.two_lines import two_lines
from receipt_templates.view_on_display import display_of
from tallypoint.files import read_bytes, write_bytes
from tallypoint.receipts.escpos_listing import list_job
from tallypoint.receipts.gallery import gallery

PLAIN = "generic-42"


class NothingToPreview(BadInput):
    code = "receipts.nothing_to_preview"


def register(commands: Any) -> None:
    """Add `receipts preview`."""
    receipts = commands.add_parser("receipts", help="look at receipts before paper does")
    actions = receipts.add_subparsers(dest="action", required=True, metavar="ACTION")
    show = actions.add_parser("preview", help="print a slip here: text, page, printer, fiscal lines or display")
    what = show.add_mutually_exclusive_group()
    what.add_argument("--sample", help=f"one that ships: {', '.join(samples())}")
    what.add_argument("--json", type=Path, dest="file", help="a view in a file, in the form of a sample")
    what.add_argument("--receipt", help="of the till under --settings, or an exchange, by its id; `void:` before it "
                      "for its void, `till_close:` before a day for its close")  # fmt: skip
    what.add_argument("--all", action="store_true", help="every sample on one page of HTML, written to --to")
    form = show.add_mutually_exclusive_group()
    form.add_argument("--html", action="store_const", dest="form", const="html", help="the page")
    form.add_argument("--escpos", action="store_const", dest="form", const="escpos", help="the print job, in words")
    form.add_argument("--bytes", action="store_const", dest="form", const="bytes", help="the print job itself")
    form.add_argument("--fiscal", action="store_const", dest="form", const="fiscal", help="lines of a fiscal printer")
    form.add_argument("--display", action="store_const", dest="form", const="display", help="the customer's display")
    show.add_argument("--language", choices=sorted(TONGUES), help="another language's words")
    show.add_argument("--columns", type=int, help="of the paper, 16 to 64")
    show.add_argument("--lines", type=int, default=LINES, help=f"that the fiscal printer lends (default {LINES})")
    show.add_argument("--profile", default="", help=f"printer or, with --display, display (default {PLAIN}, cd5220)")
    show.add_argument("--copy", action="store_true", help="as a reprint")
    show.add_argument("--settings", type=Path, help="of the till: TOML or YAML; TALLYPOINT_TILL_<NAME> overrules it")
    show.add_argument("--to", type=Path, help="a file to write instead of the standard output")
    show.set_defaults(run=run_preview, form="text")


def run_preview(args: argparse.Namespace) -> int:
    """Print one slip, or write the gallery. Reads a till's folder and changes nothing in it."""
    if args.columns is not None and not 16 <= args.columns <= 64:
        raise NothingToPreview("Paper has 16 to 64 columns.", columns=args.columns)
    if args.all:
        return _put(gallery(samples()).encode(), args.to)
    view = _view(args)
    changes: dict[str, Any] = {"language": args.language} if args.language else {}
    if args.copy:
        changes["copy"] = True
    return _put(_rendered(msgspec.structs.replace(view, **changes), args), args.to)


def _view(args: argparse.Namespace) -> AnyView:
    """The slip that was asked for. Raises: NothingToPreview, and those of its source."""
    if args.sample:
        return sample_named(args.sample)
    if args.file:
        return read_view(read_bytes(args.file))
    if args.receipt:
        # Head office looks at samples without a till's parts installed.
        from tallypoint.receipts.till_slips import slip_of_till

        if args.settings is None and f"{ENVIRONMENT_PREFIX}DATA_DIR" not in os.environ:
            raise NothingToPreview("Name the till that keeps the receipt: --settings FILE, its settings.")

        return slip_of_till(read_settings(args.settings, os.environ), args.receipt, args.language, copy=args.copy)
    raise NothingToPreview(f"Name a slip: --receipt, --json, or --sample with one of {', '.join(samples())}.")


def _rendered(view: AnyView, args: argparse.Namespace) -> bytes:
    if args.form == "display":
        profile = display_named(args.profile or "cd5220")
        lines = two_lines(display_of(view), profile.encoding)
        return f"+{'-' * 20}+\n|{lines.upper}|\n|{lines.lower}|\n+{'-' * 20}+\n".encode()
    if args.form == "fiscal":
        told = render_fiscal(view, columns=args.columns or COLUMNS, lines=args.lines)
        left = f"\n({told.no_room} had no room, {told.barred} looked fiscal)" if told.no_room or told.barred else ""
        if not told.lines and not left:
            return b"(nothing of this slip goes between fiscal lines: it needs paper of its own)\n"
        return ("\n".join(told.lines) + left + "\n").encode()
    printer = _printer(args)
    if args.form == "html":
        return render(view, "html", printer).encode()
    if args.form == "text":
        return render(view, "text", printer).encode()
    job = print_job(blocks_of(view), printer)
    return job.data if args.form == "bytes" else list_job(job.data, _pages(printer)).encode()


def _printer(args: argparse.Namespace) -> PrinterProfile:
    printer = profile_named(args.profile) if args.profile else PROFILES[PLAIN]
    return msgspec.structs.replace(printer, columns=args.columns) if args.columns else printer


def _pages(printer: PrinterProfile) -> Mapping[int, str]:
    return {number: encoding for encoding, number in printer.pages.items()}


def _put(data: bytes, to: Path | None) -> int:
    if to is None:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    else:
        write_bytes(to, data)
        print(f"{to} is written.")
    return 0
