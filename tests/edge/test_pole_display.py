"""A display of two lines on a serial port follows the sale, comes back after its cable did, and holds nothing up."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.counter.screens import Screen
from edge.devices.pole_display import PoleDisplay, state_of
from edge.devices.serial_line import LineSetup
from receipt_templates.as_display import display_named
from tests.edge.paper import FarEnd, wait_until
from tests.edge.rim import Rim, commit, quote
from tests.receipt_templates.display_decoder import show


@pytest.fixture
def far(tmp_path: Path) -> Iterator[FarEnd]:
    far = FarEnd(tmp_path / "pole")
    yield far
    far.pull_out()


@pytest.fixture
def rim(tmp_path: Path, far: FarEnd) -> Iterator[Rim]:
    rim = Rim(tmp_path, display_port=str(far.path), display_profile="cd5220-cp858")
    rim.peripherals.start()
    yield rim
    rim.peripherals.stop()


def last(far: FarEnd) -> tuple[str, str]:
    """What stands on the display now."""
    frames = far.taken().split(b"\x1b@")
    shown = show(b"\x1b@" + frames[-1], "cd5220", "cp858") if frames[-1].count(b"\r") == 2 else None
    return (shown.upper.rstrip(), shown.lower.rstrip()) if shown else ("", "")


def test_the_display_follows_a_sale(rim: Rim, far: FarEnd):
    wait_until(lambda: last(far) == ("Café Central", "WELCOME"), "idle")
    rim.post("/v1/quotes", quote())
    # Two lines rung up, 10.00 less 2.00 and 2.50: the last is the bread.
    wait_until(lambda: last(far) == ("Rye bread       2.50", "TOTAL          10.50"), "the sale")
    rim.post("/v1/receipts", commit())
    # A point for every ten cents, and 1,240 were there.
    wait_until(lambda: last(far) == ("BONUS           +105", "BALANCE        1,345"), "paid")
    said = rim.client.get("/v1/status").json["pole_display"]
    assert (said["state"], said["opened"], said["trouble"]) == ("up", 1, "")


def test_a_display_that_was_away_shows_what_is_true_now(rim: Rim, far: FarEnd):
    wait_until(lambda: last(far)[1] == "WELCOME", "idle")
    far.pull_out()
    far.got.clear()
    rim.post("/v1/quotes", quote())
    wait_until(lambda: rim.client.get("/v1/status").json["pole_display"]["state"] == "down", "noticed")
    far.plug_in()
    wait_until(lambda: last(far) == ("Rye bread       2.50", "TOTAL          10.50"), "the sale")
    said = rim.client.get("/v1/status").json["pole_display"]
    assert (said["state"], said["opened"]) == ("up", 2)


def test_a_sale_without_a_card_shows_no_points(rim: Rim, far: FarEnd):
    rim.post("/v1/receipts", commit(card=None))
    wait_until(lambda: last(far) == ("SAVED           2.00", "TOTAL          10.50"), "paid")


def test_a_long_name_runs_where_the_display_does_not_move_it(tmp_path: Path, far: FarEnd):
    pole = PoleDisplay(
        LineSetup(port=str(far.path)), display_named("utc"), screen=Screen, shop="Harbour Market of Leith, Edinburgh"
    )
    pole.start()
    try:
        wait_until(lambda: b"\x1buAarbour Market of Lei" in far.taken(), "it moves")
    finally:
        assert pole.stop(5.0)
    assert far.taken().startswith(b"\x1f\x1buAHarbour Market of Le\r\x1buBWELCOME             \r")


def test_a_display_that_is_not_there_is_told_of_and_tried_again(tmp_path: Path, far: FarEnd):
    far.pull_out()
    pole = PoleDisplay(LineSetup(port=str(far.path)), display_named("cd5220"), screen=Screen, shop="Shop")
    pole.start()
    try:
        wait_until(lambda: pole.health().trouble, "missed")
        assert (pole.health().state, pole.health().frames) == ("down", 0)
        far.plug_in()
        wait_until(lambda: pole.health().frames > 0, "there")
    finally:
        assert pole.stop(5.0)


def test_a_state_that_cannot_be_put_into_two_lines_leaves_the_last_one(far: FarEnd):
    states = [Screen()]
    pole = PoleDisplay(
        LineSetup(port=str(far.path)), display_named("cd5220-cp858"), screen=lambda: states[-1], shop="Shop"
    )
    pole.start()
    try:
        wait_until(lambda: last(far) == ("Shop", "WELCOME"), "idle")
        states.append(Screen(phase="done", currency="???"))
        wait_until(lambda: pole.health().trouble, "told")
        states.append(Screen(offline=True))
        wait_until(lambda: last(far) == ("Shop", "OFFLINE"), "on with the next")
        assert pole.health().trouble == ""
    finally:
        assert pole.stop(5.0)


def test_a_line_shows_what_it_costs_after_its_discount(rim: Rim):
    body = quote()
    body["basket"]["lines"].reverse()
    rim.post("/v1/quotes", body)
    state = state_of(rim.desk.screens.now(), "Shop")
    assert (state.item, state.item_minor, state.total_minor) == ("Espresso beans 1 kg", 800, 1050)
