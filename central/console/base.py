"""What the pages of the console stand on, and the troubles they share."""

from collections.abc import Callable

from sqlalchemy import Engine

from central.audit import note_down
from central.console.gate import here
from central.corrections.correction_limits import Limits, limits_of
from central.keys.card_keys import KeyRing
from central.login import Logins
from central.members.people import People
from central.ports import Clock, Randomness, Settings, writing
from central.upkeep.doctor import Examined
from loyalty.trouble import BadInput

USUAL_LIMITS = limits_of(Settings())


class BadAction(BadInput):
    code = "console.bad_form"


class UnknownPage(BadInput):
    code = "console.unknown_page"
    status = 404


class Console:
    """What the pages stand on.

    Args:
        limits: of corrections that people ask for.
        card_keys: the programme's, to find a member by a card; without them cards are not looked for.
        seal: seals a block before statements are issued.
        centre_public: the centre's public key, whose fingerprint new tills check; without it no codes are made here.
        public_url: where tills find this head office, "" where nobody set it.
        people: the keys of personal data; without them nobody's name is shown, not even masked.
        examine: what the doctor says of this head office; without it there is no page of its health.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        randomness: Randomness,
        logins: Logins,
        secure: bool,
        limits: Limits = USUAL_LIMITS,
        card_keys: KeyRing | None = None,
        seal: Callable[[], object] = lambda: None,
        examine: Callable[[], Examined] | None = None,
        centre_public: str = "",
        public_url: str = "",
        people: People | None = None,
    ) -> None:
        self.centre_public = centre_public
        self.public_url = public_url
        self.people = people
        self.engine = engine
        self.limits = limits
        self.card_keys = card_keys
        self.seal = seal
        self.examine = examine
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
