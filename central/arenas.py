"""The C library's heaps of a process with many threads: two, instead of one for every thread up to eight a core.

glibc gives each thread a heap of its own and none of them gives back what it once held. Head office's threads take
turns at the same work, so the same memory fills one heap after the other for an hour. Python runs one thread at a time,
so nobody waits for a heap. What is free in between two pieces that are held stays with a heap, too, until it is told
to give it back. Source: mallopt(3), M_ARENA_MAX; malloc_trim(3); docs/bench.md "The soak".
"""

import ctypes

M_ARENA_MAX = -8
ARENAS = 2
GIVE_BACK_S = 60.0


def bound_arenas(arenas: int = ARENAS) -> bool:
    """Bound them, before threads are started; whether this C library has such heaps at all."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(M_ARENA_MAX, arenas))


def give_back() -> bool:
    """Give the system what is free in all heaps; whether this C library can, and there was any."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim is not None and bool(trim(0))
