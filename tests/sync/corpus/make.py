"""Freezes a corpus of TPS/1: `python -m tests.sync.corpus.make FOLDER`, once for each version of the protocol.

A day of two tills with everything they may say: claims, hellos, pages, batches (a gap, one sent twice, one event of an
unknown type), leases. A folder that holds a corpus is never written again: old tills do not change what they say.
"""

import json
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec

from central.verify.books import verify_books
from loyalty.facts.events import Opened
from sync.versions import OURS
from sync.wire import Ack, LeaseAnswer, Problem
from tests.central import tills
from tests.central.tills import ANNA, COALITION, MINUTE, PROGRAMME, Till, told, under
from tests.sync.corpus.world import ACCOUNTS, Corpus, Exchange, FixedCentre, fixed_slot, ledger_digest

OPEN_HOLDS: dict[str, Any] = {**PROGRAMME, "spending": {**PROGRAMME["spending"], "online": True}}


class Recorder:
    """Passes requests on to a session and keeps both sides."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.kept: list[tuple[str, int, bytes, Any]] = []

    def answer(self, now_ms: int, path: str, data: bytes, store: Any) -> Any:
        said = self._session.answer(now_ms, path, data, store)
        self.kept.append((path, now_ms, data, said))
        return said


def tell_the_day(centre: FixedCentre) -> None:
    """What the tills say, in turn."""
    numbers = iter((1, 2))

    def slot_of(tx: Any, _: Any, *, store_id: str, **__: Any) -> Any:
        return fixed_slot(tx, next(numbers), store_id)

    with patch.object(tills, "open_slot", slot_of):
        first, second = Till(centre, "S1"), Till(centre, "S2")
    anna = ACCOUNTS[ANNA]
    for till in (first, second):
        till.append(Opened(receipt_id="opened:1", reason="enrolled"))
        till.hello()
        for lane in ("hotlist", "programme", "members"):
            till.page(lane)
    receipt = first.receipt("R1", 10_000, told(anna), sku="milk")
    sale = first.append(receipt)
    first.sell("R2", 700)
    first.append(b'{"type":"gift.v1","receipt_id":"G1"}')
    first.upload()
    centre.now += MINUTE
    first.send(first.batch(first=1, last=3))  # again, as after a lost answer
    second.sell("R3", 3_000, told(anna, 1, 90))
    second.sell("R4", 1_200, told(anna, 1, 90), spend=50)
    assert isinstance(second.send(second.batch(first=2)), Problem)  # a gap
    second.upload()
    asked = second.ask("H1", anna, 40)
    assert isinstance(asked, LeaseAnswer) and asked.granted == 40, asked
    (grant,) = second.leases(asked)
    view = told(anna, 3, 70)
    spent = second.receipt("R5", 900, view, spend=30, authority=under(grant))
    second.append(spent)
    second.take_back("B1", sale, receipt, 500)
    second.upload()
    other = first.receipt("R6", 450, None)
    first.void(first.append(other), other)
    first.close(receipts=3, voids=1, net_minor=10_000)
    centre.now += MINUTE
    assert isinstance(first.upload(), Ack)
    first.hello()
    first.page("members")


def main(folder: Path) -> None:
    """Tell the day and keep it. Raises: FileExistsError, for what is frozen stays as it is."""
    folder.mkdir(parents=True)
    programme = msgspec.json.encode(OPEN_HOLDS)
    centre = FixedCentre(f"sqlite:///{folder / 'made.db'}", COALITION, programme, OURS)
    recorder = Recorder(centre.session)
    centre.session = recorder  # type: ignore[assignment]
    tell_the_day(centre)
    assert verify_books(centre.engine).violations == ()
    listed = []
    for n, (path, now_ms, data, said) in enumerate(recorder.kept, 1):
        (folder / f"{n:03}.ask").write_bytes(data)
        (folder / f"{n:03}.answer").write_bytes(said.body)
        listed.append(Exchange(n=n, path=path, now_ms=now_ms, status=said.status, says=_says(said)))
    corpus = Corpus(digest=ledger_digest(centre), exchanges=tuple(listed))
    (folder / "corpus.json").write_bytes(msgspec.json.format(msgspec.json.encode(corpus), indent=1) + b"\n")
    (folder / "coalition.json").write_text(json.dumps(COALITION, indent=1) + "\n", "utf-8")
    (folder / "programme.json").write_text(json.dumps(OPEN_HOLDS, indent=1) + "\n", "utf-8")
    centre.engine.dispose()
    for left in folder.glob("made.db*"):
        left.unlink()


def _says(said: Any) -> str:
    if said.status == 200:
        return ""
    length = int.from_bytes(said.body[:2], "big")
    return str(json.loads(said.body[2 : 2 + length])["code"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
