"""A sale: head, goods, what they came to and what paid it, points, coupons, foot.

Every sale is worded while its customer waits. A template takes ten times as long, so this slip has none; and its text,
which every POS is answered, is made of the goods without a block for each of them.
"""

from collections.abc import Iterator

from receipt_templates.as_text import as_slip, text_lines
from receipt_templates.blocks import Block, Code, Cut, Feed, Pair, Rule, Text
from receipt_templates.goods import goods_as_text, goods_of
from receipt_templates.head_and_foot import foot, head, lapsing
from receipt_templates.languages import Tongue, amount, authority_in_words, day, fill, money, number, points
from receipt_templates.markup import INDENT, as_printed
from receipt_templates.view import ReceiptView, ViewCoupon


def sale_blocks(view: ReceiptView, tongue: Tongue) -> tuple[Block, ...]:
    """The blocks of a sale."""
    return (*head(view, tongue, "receipt"), *goods_of(view, tongue), *_after_goods(view, tongue))


def sale_as_text(view: ReceiptView, tongue: Tongue, columns: int) -> str:
    """The same as plain text, for `columns` see `render_text`."""
    lines = text_lines(head(view, tongue, "receipt"), columns)
    lines += goods_as_text(view, tongue, columns)
    lines += text_lines(_after_goods(view, tongue), columns)
    return as_slip(lines)


def _after_goods(view: ReceiptView, tongue: Tongue) -> list[Block]:
    blocks: list[Block] = [Rule(), *_sums(view, tongue)]
    if view.member or view.points_earned or view.points_spent or view.balance_points is not None:
        blocks += _points(view, tongue)
    for coupon in view.coupons:
        blocks += coupon_blocks(coupon, tongue)
    blocks += foot(view, tongue)
    if not view.training:
        # What a till scans when goods come back; the number is printed above for those who cannot.
        blocks += (Feed(), Code(kind="qr", data=as_printed(view.number)))
    blocks.append(Cut())
    return blocks


def tender_in_words(tongue: Tongue, kind: str) -> str:
    """A means of payment; one that we have no word for by its own name."""
    return tongue.tenders.get(kind) or as_printed(kind)


def _sums(view: ReceiptView, tongue: Tongue) -> Iterator[Block]:
    """What the goods came to, and what paid it."""
    words, currency = tongue.words, view.currency
    if view.discount_minor:
        yield Pair(left=words.subtotal, right=amount(tongue, view.gross_minor, currency))
        yield Pair(left=words.discounts, right=amount(tongue, -view.discount_minor, currency))
    yield Pair(left=words.total, right=money(tongue, view.total_minor, currency), bold=True, size="tall")
    if view.points_spent:
        paid_minor = view.paid_with_points_minor
        yield Pair(left=points(tongue, view.points_spent), right=amount(tongue, paid_minor, currency))
    for paid in view.stored + view.tenders:
        yield Pair(left=tender_in_words(tongue, paid.kind), right=amount(tongue, paid.amount_minor, currency))
    if (view.points_spent or view.stored) and not view.tenders:
        yield Pair(left=words.paid, right=amount(tongue, view.to_pay_minor, currency))
    if view.change_minor:
        yield Pair(left=words.change, right=amount(tongue, view.change_minor, currency))
    if view.discount_minor:
        yield Feed()
        saved = fill(words.saved, amount=money(tongue, view.discount_minor, currency))
        yield Text(text=saved, align="center", bold=True)


def _points(view: ReceiptView, tongue: Tongue) -> Iterator[Block]:
    """What the member has, and what this sale did to it."""
    words = tongue.words
    yield Rule()
    yield Pair(left=words.your_points, right=as_printed(view.member), bold=True)
    if view.points_earned:
        what = words.earned_unconfirmed if view.unconfirmed else words.earned
        yield Pair(left=what, right=f"+{number(tongue, str(view.points_earned))}")
    if view.points_spent:
        yield Pair(left=words.spent, right=number(tongue, str(-view.points_spent)))
        yield from step_of_points(view, tongue)
    if view.balance_points is not None:
        what = words.balance_offline if view.offline else words.balance
        yield Pair(left=what, right=points(tongue, view.balance_points), bold=True)
    yield from lapsing(view.lapsing, tongue)


def step_of_points(view: ReceiptView, tongue: Tongue) -> Iterator[Block]:
    """At which step the points of a sale were spent; what was spent offline is found by its record."""
    if view.points_spent:
        record = as_printed(view.record) if view.spent_under != "hold" else ""
        yield Pair(left=authority_in_words(tongue.words, view.spent_under), right=record, indent=INDENT)


def coupon_blocks(coupon: ViewCoupon, tongue: Tongue) -> Iterator[Block]:
    """A coupon for the next visit, its code to scan and to read."""
    first, last = day(tongue, coupon.from_on), day(tongue, coupon.through)
    yield Rule()
    yield Text(text=tongue.words.coupon, align="center")
    yield Text(text=as_printed(coupon.name), align="center", bold=True)
    yield Text(text=fill(tongue.words.coupon_days, first=first, last=last), align="center")
    yield Code(kind="qr", data=as_printed(coupon.code))
    yield Text(text=as_printed(in_fours(coupon.code)), align="center")


def in_fours(code: str) -> str:
    """A code as it is read aloud."""
    return " ".join(code[at : at + 4] for at in range(0, len(code), 4))
