"""Two tills and a centre under a bad line: everything arrives exactly once, in order.

The line loses requests and answers, brings requests twice and late, hands over answers to other requests; tills
crash and begin again; the centre comes back from an old backup. Then it heals, and all must agree.
"""

import copy
import random
from collections import Counter

import pytest

from sync.till_messages import Request
from sync.till_session import WaitUntil
from sync.wire import Answer
from tests.sync.memory import KEY_A, KEY_B, TILL_A, TILL_B, MemoryCentre, grant
from tests.sync.talk import Talk

SEEN: Counter[str] = Counter()


class Fleet:
    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.centre = MemoryCentre((TILL_A, KEY_A), (TILL_B, KEY_B))
        self.centre.grants = [grant(number, till) for till in (TILL_A, TILL_B) for number in (1, 2, 3)]
        bits = self.dice.getrandbits
        self.tills = [Talk(self.centre, TILL_A, KEY_A, bits), Talk(self.centre, TILL_B, KEY_B, bits)]
        self.late: list[tuple[Talk, Request]] = []
        self.stale: list[Answer] = []
        self.backup: dict[str, object] = {}

    def step(self, talk: Talk, *, trouble: bool) -> None:
        if trouble:
            self.happen(talk)
        request = talk.next()
        if isinstance(request, WaitUntil):
            talk.now = request.mono_ms
            return
        fate = (
            self.dice.choice(("lost", "twice", "answer lost", "late", "stale", "ok", "ok", "ok")) if trouble else "ok"
        )
        SEEN[fate] += 1
        if fate in ("twice", "late"):
            self.late.append((talk, request))
        if fate in ("lost", "late"):
            talk.session.no_answer(talk.moment(), request)
            return
        answer = talk.carry(request)
        SEEN[f"{request.kind} {answer.status}"] += 1
        self.stale.append(answer)
        talk.now += self.dice.randrange(50)
        if fate == "answer lost":
            talk.session.no_answer(talk.moment(), request)
        else:
            talk.give(request, self.dice.choice(self.stale) if fate == "stale" else answer)

    def happen(self, talk: Talk) -> None:
        talk.sell(self.dice.randrange(4))
        if self.late and self.dice.random() < 0.3:
            sender, request = self.late.pop(self.dice.randrange(len(self.late)))
            sender.carry(request)
        if self.dice.random() < 0.05:
            SEEN["crash"] += 1
            talk.start()
        if self.dice.random() < 0.02:
            self.centre.hotlist.append(b'"card"')

    def heal(self) -> None:
        for talk in self.tills:
            talk.sell(1)
            for _ in range(200):
                self.step(talk, trouble=False)
            assert talk.status().suspended == ""
            assert talk.status().line.state == "online"
            assert talk.status().backlog == 0
            assert talk.till.acked() == talk.till.head() == self.centre.stream(talk.till.start.till_id, 1)
            assert self.centre.posted[talk.till.start.till_id] == talk.till.payloads
            assert len(talk.till.rows) == len(self.centre.hotlist) == talk.till.lane("hotlist").version
            assert [kept.grant.grant_no for kept in talk.till.grants] == [1, 2, 3]


@pytest.mark.parametrize("seed", range(25))
def test_everything_arrives_exactly_once_and_in_order(seed):
    fleet = Fleet(seed)
    for _ in range(400):
        fleet.step(fleet.dice.choice(fleet.tills), trouble=True)
    fleet.heal()
    assert fleet.centre.kept == []


@pytest.mark.parametrize("seed", range(25))
def test_a_centre_restored_from_an_old_backup_is_filled_again_by_its_tills(seed):
    fleet = Fleet(seed)
    for step in range(400):
        if step == 150:
            fleet.backup = copy.deepcopy({name: getattr(fleet.centre, name) for name in ("tills", "heads", "posted")})
        if step == 300:
            for name, kept in fleet.backup.items():
                setattr(fleet.centre, name, kept)
            fleet.centre.generation = 2
        fleet.step(fleet.dice.choice(fleet.tills), trouble=True)
    fleet.heal()
    assert fleet.centre.kept == []


def test_the_line_did_all_it_can_do():
    for seed in range(3):
        test_everything_arrives_exactly_once_and_in_order(seed)
        test_a_centre_restored_from_an_old_backup_is_filled_again_by_its_tills(seed)
    for happened in ("lost", "twice", "answer lost", "late", "stale", "crash", "batch 409", "batch 200", "page 200"):
        assert SEEN[happened], happened
