"""The samples of each dialect, out of samples/*.yaml: bytes in hex beside the meaning that was worked out by hand."""

from pathlib import Path
from typing import Any

import msgspec

from loyalty.cards.cards import CardRules, Outcome, WalletCheck
from pos_adapters.readers.interpreter import Interpreter
from pos_adapters.readers.port import framer_of
from pos_adapters.readers.profile import Profile
from pos_adapters.readers.shipped import make_profile
from tests.pos_adapters.samples import RULES, meaning

FOLDER = Path(__file__).parent / "samples"


class DialectSample(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    hex: str
    outcomes: list[str]
    replies: str = ""

    @property
    def wire(self) -> bytes:
        return bytes.fromhex(self.hex)

    @property
    def meanings(self) -> list[str]:
        return [one.encode().decode("unicode_escape") for one in self.outcomes]


class Dialect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    profile: str
    samples: list[DialectSample]
    override: dict[str, Any] = {}

    def reader(self, **more: Any) -> Profile:
        return make_profile({"profile": self.profile, "port": "/dev/null", **self.override, **more})


def read_dialects() -> dict[str, Dialect]:
    return {
        path.stem: msgspec.yaml.decode(path.read_bytes(), type=Dialect) for path in sorted(FOLDER.glob("*.yaml"))
    }


DIALECTS = read_dialects()
EACH = [
    (dialect, sample, f"{name}: {sample.name}") for name, dialect in DIALECTS.items() for sample in dialect.samples
]


class DialectBench:
    """A reader with a shipped profile on the bench: bytes at a time of our choosing, outcomes and answers collected."""

    def __init__(self, profile: Profile, rules: CardRules = RULES, now_ms: int = 0) -> None:
        self.profile = profile
        self.framer = framer_of(profile)
        self.interpreter = Interpreter(rules, profile, lambda: WalletCheck(now_ms, b"k" * 32))
        self.outcomes: list[Outcome] = []
        self.replies = b""

    def send(self, data: bytes, at_ms: int) -> None:
        self._take(self.framer.feed(data, at_ms), at_ms)

    def wait(self, until_ms: int) -> None:
        self._take(self.framer.tick(until_ms), until_ms)

    def _take(self, frames, at_ms: int) -> None:
        self.replies += self.framer.take_replies()
        for frame in frames:
            outcome = self.interpreter.interpret(frame, at_ms)
            assert not any(frame.data), "a frame is wiped once it was read"
            if outcome is not None:
                self.outcomes.append(outcome)

    def meanings(self) -> list[str]:
        return [meaning(outcome) for outcome in self.outcomes]
