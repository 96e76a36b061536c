"""Head office from the counter: numbers are fetched before they run out, sealed data is brought, questions are asked.

A till that stays alone, or is offline, gets no answer to any of it and goes on. Source: sync.desk; docs/members.md.
"""

from collections import deque
from collections.abc import Callable

from edge.cache.cache import Cache
from edge.identity import TillIdentity
from edge.journal.journal import Journal
from edge.ports import Clock
from loyalty.trouble import Refusal
from sync.desk import UNHEARD, ClaimState, ConsentNow, DeskAnswer, DeskWanted, FoundCard, Person, Sealed, seal_person

LOOKUPS, LOOKUPS_MS = 20, 600_000
FEW_NUMBERS = 100  # below so many a till asks for more
SEALED_AT_ONCE = 20


class TooManyFound(Refusal):
    code = "members.too_many_lookups"
    status = 429


Ask = Callable[[DeskWanted], DeskAnswer | None]


class CounterLine:
    """One till's questions to head office.

    Args:
        ask: carries one there and back; none where head office is out of reach.
        random_bytes: gives so many secret bytes.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        cache: Cache,
        identity: TillIdentity,
        clock: Clock,
        ask: Ask,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._journal, self._cache, self._identity, self._clock = journal, cache, identity, clock
        self._ask, self._random_bytes = ask, random_bytes
        self._looked_up: deque[int] = deque(maxlen=LOOKUPS)
        self._brought_upto = ""

    def keep(self) -> int:
        """A chore: fetch numbers and the key, bring what is sealed, show accounts after a restore of head office, let
        the hotlist speak for own blocks. How much of what was sealed arrived."""
        self.fetch_numbers()
        brought = self.bring_sealed()
        self.show_accounts()
        self._settle_blocks()
        return brought

    def fetch_numbers(self) -> None:
        """Ask for the next span, where numbers run short or the key is not known."""
        kept = self._journal.members
        if kept.numbers_left() < FEW_NUMBERS or not kept.sealing_key():
            self._ask(DeskWanted(what="numbers", left=kept.numbers_left(), taken=kept.newest_span()))

    def bring_sealed(self) -> int:
        """Bring who new members are, once their events are there; how many arrived, or never will."""
        kept, brought = self._journal.members, 0
        # On from where the last portion ended: some may wait long, for an event that head office keeps apart.
        for event_id, sealed in kept.sealed_waiting(SEALED_AT_ONCE, self._brought_upto):
            told = self._ask(DeskWanted(what="sealed", about=event_id, sealed=sealed))
            if told is None:
                break
            self._brought_upto = event_id
            # By head office's clock: to one that stood years behind and was set, all would be old at once.
            if told.took:
                with self._journal.writing():
                    kept.sealed_taken(event_id, told.refused, told.server_at_ms)
                brought += 1
            elif told.refused == UNHEARD:
                with self._journal.writing():
                    kept.sealed_unheard(event_id, told.server_at_ms, self._journal.kept_ms)
        return brought

    def show_accounts(self) -> None:
        """After head office was put back, or a new epoch began: say what cards led to the accounts that events here
        name, once these are there. Until all members have come again, sales still name accounts of before."""
        journal, told = self._journal, self._journal.told_accounts
        if (through := told.through()) is None:
            return
        head, is_over = journal.head().seq, not self._cache.has_members_before(journal.outbox.generation())
        if head > through:
            cards = self._cache.cards_of_accounts(told.named_after(through))
            with journal.writing():
                told.note(cards, head)
        if journal.backlog() or journal.left.heads():
            return
        while shown := told.waiting():
            answer = self._ask(DeskWanted(what="accounts", accounts=shown))
            if answer is None or not answer.took:
                return
            with journal.writing():
                told.taken(shown)
        if is_over:
            with journal.writing():
                told.end()

    def seal(self, person: Person, about: str) -> Sealed | None:
        """Seal to head office; none while its key is not known."""
        key = self._journal.members.sealing_key()
        if not key:
            return None
        return seal_person(person, key, self._random_bytes(32), till_id=self._identity.till_id, about=about)

    def find(self, person: Person) -> tuple[FoundCard, ...] | None:
        """The cards of whoever has a telephone or e-mail; none where head office cannot be asked.

        Raises:
            TooManyFound: numbers are being tried.
        """
        now_ms = self._clock.now().mono_ms
        if len(self._looked_up) == LOOKUPS and now_ms - self._looked_up[0] < LOOKUPS_MS:
            raise TooManyFound("Too many people were looked for here. Wait ten minutes, or ask for the card.")
        self._looked_up.append(now_ms)
        about = f"find:{self._random_bytes(8).hex()}"
        sealed = self.seal(person, about)
        told = self._ask(DeskWanted(what="find", about=about, sealed=sealed)) if sealed else None
        return told.found if told else None

    def consents(self, card_token: str) -> tuple[ConsentNow, ...] | None:
        """The consents of a card; none where head office cannot be asked."""
        told = self._ask(DeskWanted(what="consents", card_token=card_token))
        return told.consents if told else None

    def claim(self, claim_id: str) -> tuple[ClaimState, int, str] | None:
        """What became of a claim: state, points, reason; none where head office cannot be asked."""
        told = self._ask(DeskWanted(what="claim", about=claim_id))
        return (told.claim, told.claim_points, told.claim_reason) if told else None

    def _settle_blocks(self) -> None:
        with self._journal.writing():
            self._journal.members.settle_blocks(
                self._journal.outbox.acked().seq, self._clock.now().wall_ms, self._cache.whole_ms("hotlist")
            )
