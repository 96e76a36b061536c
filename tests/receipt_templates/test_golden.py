"""Slips as they leave the printer, in files a person can read. They were read line by line; change them by hand."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import pytest

from receipt_templates.compose import AnyView
from receipt_templates.profiles import PROFILES, PrinterProfile
from receipt_templates.render import render
from receipt_templates.sample_slips import sample_named
from tests.receipt_templates.escpos_decoder import decode_escpos, pages_of
from tests.receipt_templates.samples import (
    aurora,
    aurora_coupons,
    aurora_offline,
    aurora_void,
    harbour,
    harbour_coupons,
    harbour_return,
    polish,
    polish_coupons,
    russian,
    russian_coupons,
)


def sample(name: str, language: str) -> AnyView:
    """A slip that ships, in a language's words."""
    return msgspec.structs.replace(sample_named(name), language=language)


GOLDEN = Path(__file__).parent / "golden"
PAPER = {32: PROFILES["narrow-32"], 42: PROFILES["generic-42"], 48: PROFILES["wide-48"]}
SLIPS: list[tuple[str, Callable[[], AnyView], PrinterProfile]] = [
    *((f"en-receipt-{columns}", harbour, PAPER[columns]) for columns in (32, 42, 48)),
    *((f"pt-BR-receipt-{columns}", aurora, PAPER[columns]) for columns in (32, 42, 48)),
    ("pt-BR-receipt-offline-copy-42", aurora_offline, PAPER[42]),
    ("en-return-42", harbour_return, PAPER[42]),
    ("pt-BR-void-42", aurora_void, PAPER[42]),
    ("pl-receipt-42", polish, PROFILES["polish-42"]),
    ("ru-receipt-42", russian, PROFILES["russian-42"]),
    *((f"en-coupons-{columns}", harbour_coupons, PAPER[columns]) for columns in (32, 42)),
    ("pt-BR-coupons-42", aurora_coupons, PAPER[42]),
    ("pl-coupons-42", polish_coupons, PROFILES["polish-42"]),
    ("ru-coupons-42", russian_coupons, PROFILES["russian-42"]),
]
OTHERS = (
    "balance", "certificate-redeemed", "certificate-sold", "claim", "close", "exchange", "void-exchange", "void-return",
    "welcome",
)  # fmt: skip
PRINTERS = {"en": PAPER[42], "pt-BR": PAPER[42], "pl": PROFILES["polish-42"], "ru": PROFILES["russian-42"]}
SLIPS += [
    (f"{language}-{name}-42", partial(sample, name, language), printer)
    for name in OTHERS
    for language, printer in PRINTERS.items()
]
SLIPS += [
    ("en-sale-32", partial(sample, "sale-en", "en"), PAPER[32]),
    ("en-sale-48", partial(sample, "sale-en", "en"), PAPER[48]),
    *(
        (f"{language}-sale-42", partial(sample, f"sale-{language}", language), printer)
        for language, printer in PRINTERS.items()
    ),
    *((f"en-{name}-42", partial(sample, name, "en"), PAPER[42]) for name in ("sale-training", "sale-approved")),
]
CASES = pytest.mark.parametrize(("name", "view", "profile"), SLIPS, ids=[name for name, _, _ in SLIPS])


def golden(name: str) -> str:
    return (GOLDEN / f"{name}.txt").read_text("utf-8")


@CASES
def test_a_slip_reads_as_its_golden_file(name: str, view: Callable[[], AnyView], profile: PrinterProfile):
    assert render(view(), "text", profile) == golden(name)


@CASES
def test_paper_reads_as_the_text_does(name: str, view: Callable[[], AnyView], profile: PrinterProfile):
    seen = decode_escpos(render(view(), "escpos", profile), pages_of(profile))
    large = next(at for at, line in enumerate(seen.lines) if line.width == 2)
    on_paper, in_file = seen.text.splitlines(), golden(name).splitlines()
    # Large letters take two columns each, so the centred headline begins further left on paper.
    assert on_paper.pop(large).strip() == in_file.pop(large).strip()
    assert on_paper == in_file
    assert (seen.warnings, seen.resets, seen.page_choices) == ([], 2, 1)  # as it was switched on, and the job's own


def test_every_golden_file_belongs_to_a_slip():
    assert {path.stem for path in GOLDEN.iterdir()} == {name for name, _, _ in SLIPS}


@CASES
def test_no_question_mark_is_printed_that_was_not_written(
    name: str, view: Callable[[], AnyView], profile: PrinterProfile
):
    seen = decode_escpos(render(view(), "escpos", profile), pages_of(profile))
    # The one there is asks "Questions?" in its language; what has no record asks nothing.
    assert seen.text.count("?") == (1 if view().record else 0)
