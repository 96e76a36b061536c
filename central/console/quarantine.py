"""The console's side of quarantine: what waits, one item with its bytes; replay, fix and write-off as plain forms."""

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for

from central.console.asking import ask_wish
from central.console.base import Console
from central.console.gate import here
from central.corrections.fixing import read_fact
from central.corrections.wishes import LONGEST_NOTE, REASONS, FixWish
from central.intake.quarantine import ItemKey, items, key_named, show, write_off
from central.intake.replaying import replay_all, replay_one
from central.ports import reading, writing


def add_quarantine(pages: Blueprint, console: Console) -> None:
    """List, item, and the three decisions."""
    _add_pages(pages, console)
    _add_replaying(pages, console)
    _add_fixing(pages, console)
    _add_writing_off(pages, console)


def _add_pages(pages: Blueprint, console: Console) -> None:
    @pages.get("/quarantine")
    def kept_apart() -> Any:
        decided = request.args.get("state") == "decided"
        with reading(console.engine) as tx:
            return render_template("console/quarantine.html", items=items(tx, decided=decided), decided=decided)

    @pages.get("/quarantine/<path:name>")
    def kept_item(name: str) -> Any:
        with reading(console.engine) as tx:
            shown = show(tx, key_named(tx, name))
        return render_template(
            "console/quarantined.html",
            shown=shown,
            reasons=REASONS["fix"],
            most=LONGEST_NOTE,
            fresh_id=console.randomness.bytes(8).hex(),
        )


def _add_replaying(pages: Blueprint, console: Console) -> None:
    @pages.post("/quarantine/replay")
    def replay_kept() -> Any:
        replay_all(console.engine, console.clock.wall_ms(), console.randomness, here().person.login)
        console.note("quarantine.replayed", "all")
        return redirect(url_for(".kept_apart"), 303)

    @pages.post("/quarantine/replay/<path:name>")
    def replay_item(name: str) -> Any:
        key = _key(console, name)
        replay_one(console.engine, key, console.clock.wall_ms(), console.randomness, here().person.login)
        console.note("quarantine.replayed", key.name)
        return redirect(url_for(".kept_apart", state="decided"), 303)


def _add_fixing(pages: Blueprint, console: Console) -> None:
    @pages.post("/quarantine/fix/<path:name>")
    def fix_item(name: str) -> Any:
        key = _key(console, name)
        wish = FixWish(
            till_id=key.till_id,
            epoch=key.epoch,
            seq=key.seq,
            sha256=key.sha256,
            fact=read_fact(request.form.get("fact", "")),
            reason=request.form.get("reason", ""),
            note=request.form.get("note", "").strip(),
        )
        ask_wish(console, wish, request.form.get("id", "") or console.randomness.bytes(8).hex())
        return redirect(url_for(".corrections"), 303)


def _add_writing_off(pages: Blueprint, console: Console) -> None:
    @pages.post("/quarantine/write-off/<path:name>")
    def write_item_off(name: str) -> Any:
        key, person = _key(console, name), here().person
        with writing(console.engine) as tx:
            write_off(
                tx,
                key,
                note=request.form.get("note", ""),
                by=person.login,
                user_id=person.user_id,
                now_ms=console.clock.wall_ms(),
                randomness=console.randomness,
            )
        return redirect(url_for(".kept_apart", state="decided"), 303)


def _key(console: Console, name: str) -> ItemKey:
    with reading(console.engine) as tx:
        return key_named(tx, name)
