"""Chance: every draw of a run comes from its seed, a stream for each who draws."""

from random import Random


def dice_for(seed: int, *names: str) -> Random:
    """The stream of a seed that these names stand for."""
    # A text seeds through SHA-512, the same in every process whatever its hash seed.
    return Random("/".join((str(seed), *names)))


class DrawnBytes:
    """`central.ports.Randomness` from dice."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice

    def bytes(self, n: int) -> bytes:
        """So many bytes, secret to nobody."""
        return self._dice.randbytes(n)
