"""How pages write money, instants, ages and ids."""

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
from flask import Blueprint, g

from central.corrections.wishes import FixWish
from central.ports import Clock
from central.worklist import causes
from loyalty.amounts import format_minor

ACCOUNTS = ("account_id", "into", "joined")  # figures of findings that name one


def add_filters(pages: Blueprint, clock: Clock, names: Callable[[], dict[str, str]]) -> None:
    """Teach the templates of a blueprint to write figures as people read them.

    Args:
        names: of partners by their ids; asked once for a page.
    """

    def ago(at_ms: int) -> str:
        return age(clock.wall_ms() - at_ms) if at_ms else "never"

    def named(partner_id: str) -> str:
        if "names" not in g:
            g.names = {"operator": "Operator"} | names()
        return str(g.names.get(partner_id, partner_id))

    pages.add_app_template_filter(named)
    pages.add_app_template_filter(money)
    pages.add_app_template_filter(count)
    pages.add_app_template_filter(figure)
    pages.add_app_template_filter(figure_name)
    pages.add_app_template_filter(moment)
    pages.add_app_template_filter(fact_text)
    pages.add_app_template_filter(ago)
    pages.add_app_template_filter(span)
    pages.add_app_template_filter(causes.why, "why")
    pages.add_app_template_filter(causes.title, "title_of")
    pages.add_app_template_global(lambda: getattr(g, "session", None), "session_here")
    pages.add_app_template_global(lambda: moment(clock.wall_ms()), "now")


def money(minor: int, currency: str) -> str:
    """`-1234567` EUR → `−12,345.67`."""
    text = format_minor(abs(minor), currency)
    whole, dot, rest = text.partition(".")
    return f"{'−' if minor < 0 else ''}{int(whole):,}{dot}{rest}"


def span(seconds: int) -> str:
    """`90` → `90 s`, `600` → `10 min`, `21600` → `6 h`: in the largest unit that leaves no rest."""
    for size, unit in ((3_600, "h"), (60, "min")):
        if seconds and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def fact_text(wish: FixWish) -> str:
    """The corrected head of a wish as JSON for people."""
    return msgspec.json.format(msgspec.json.encode(wish.fact), indent=1).decode()


def count(number: int) -> str:
    """`-1234567` → `−1,234,567`."""
    return f"{'−' if number < 0 else ''}{abs(number):,}"


def figure(value: int | str, name: str, currency: str) -> str:
    """A finding's figure: money where its name says minor units, counts grouped, the rest as it is, so that an account
    can be looked up by what is shown."""
    if not isinstance(value, int) or name in ACCOUNTS:
        return str(value)
    return money(value, currency) if name.endswith("_minor") and currency else count(value)


def figure_name(name: str) -> str:
    """`net_minor` → `net`: the unit is in the figure."""
    return name.removesuffix("_minor").replace("_", " ")


def moment(at_ms: int) -> str:
    """`2026-11-22 13:05 UTC`; a dash for never."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC") if at_ms else "–"


def age(ms: int) -> str:
    """`just now`, `5 min`, `3 h`, `12 days`."""
    minutes = ms // 60_000
    if minutes < 1:
        return "just now"
    if minutes < 120:
        return f"{minutes} min"
    if minutes < 2 * 24 * 60:
        return f"{minutes // 60} h"
    return f"{minutes // (24 * 60)} days"
