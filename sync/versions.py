"""Which versions of the protocol a side reads: its own, the two before it, and uploads of any age.

A till is never newer than its centre: the centre is upgraded first. What a till of an older version says is read in the
shape it was said in and brought up to today's; from two versions back on it hears nothing more of lanes and leases, but
whatever it uploads is still taken. Source: sync.md section 6.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from sync.framing import Parts, read_json
from sync.refusals import TillTooOld, UnknownProto
from sync.wire import PROTO, Count

KEPT = 2  # older versions that are answered in full

M = TypeVar("M", bound=msgspec.Struct)


class Spoken(msgspec.Struct, frozen=True, kw_only=True):
    """What every message says of itself, whatever its version."""

    proto: Count = 1


class Older(msgspec.Struct, frozen=True, kw_only=True):
    """How one kind of message looked in an older version: its shape, and how it becomes today's.

    The header of a batch only ever grows, for it is read again from the evidence.
    """

    shape: type[Any]
    upgrade: Callable[[Any], Any]


class Versions(msgspec.Struct, frozen=True, kw_only=True):
    """What one build of the centre reads.

    Attributes:
        newest: its own version.
        older: by name of the message and version, where that one looked otherwise than today's.
    """

    newest: int = PROTO
    older: Mapping[tuple[str, int], Older] = MappingProxyType({})

    def read(self, parts: Parts, kind: type[M], *, is_upload: bool = False) -> M:
        """A message as today's value, its signature not yet checked.

        Args:
            is_upload: facts, which are taken whatever their age.
        Raises:
            BadEnvelope.
            UnknownProto: of a till that is newer than this centre.
            TillTooOld: it asks for something in a version that is not spoken any more.
        """
        proto, oldest = read_json(parts, Spoken).proto, self.newest - KEPT
        if not 1 <= proto <= self.newest:
            raise UnknownProto(
                f"This till speaks TPS/{proto}, head office only up to TPS/{self.newest}. Update head office first;"
                " the till keeps what it has.",
                proto=proto,
                newest=self.newest,
            )
        if proto < oldest and not is_upload:
            raise TillTooOld(
                f"This till speaks TPS/{proto}, head office answers from TPS/{oldest} on. What it uploads is taken;"
                " update the till to hear more.",
                proto=proto,
                oldest=oldest,
            )
        older = self.older.get((kind.__name__, proto))
        if older is None:
            return read_json(parts, kind)
        upgraded: M = older.upgrade(read_json(parts, older.shape))
        return upgraded


OURS = Versions()
