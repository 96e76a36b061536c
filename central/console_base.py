"""What the pages of the console stand on, and the troubles they share."""

from sqlalchemy import Engine

from central.audit import note_down
from central.gate import here
from central.login import Logins
from central.ports import Clock, Randomness, writing
from loyalty.trouble import BadInput


class BadAction(BadInput):
    code = "console.bad_form"


class UnknownPage(BadInput):
    code = "console.unknown_page"
    status = 404


class Console:
    """What the pages stand on."""

    def __init__(self, engine: Engine, clock: Clock, randomness: Randomness, logins: Logins, secure: bool) -> None:
        self.engine = engine
        self.clock = clock
        self.randomness = randomness
        self.logins = logins
        self.secure = secure

    def note(self, action: str, about: str, **figures: int | str) -> None:
        """Put what the person at hand did on the audit list."""
        with writing(self.engine) as tx:
            note_down(
                tx,
                self.randomness,
                user_id=here().person.user_id,
                action=action,
                about=about,
                now_ms=self.clock.wall_ms(),
                figures=figures,
            )
