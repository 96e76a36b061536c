"""How head office itself is: what the doctor says, worst first, and when each chore was last done."""

from typing import Any

from flask import Blueprint, render_template

from central.console.base import Console, UnknownPage
from central.ports import reading
from central.upkeep.chore_notes import chore_states
from central.upkeep.chores import EVERY_S


def add_health(pages: Blueprint, console: Console) -> None:
    """The page."""

    @pages.get("/health")
    def health() -> Any:
        if console.examine is None:
            raise UnknownPage("This console was set up without its health.")
        with reading(console.engine) as tx:
            states = {state.chore: state for state in chore_states(tx)}
        chores = [(chore, every_s, states.get(chore)) for chore, every_s in EVERY_S.items()]
        return render_template("console/health.html", said=console.examine(), chores=chores)
