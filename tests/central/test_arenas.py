"""The heaps of a process with many threads, counted where the system lists them."""

import subprocess
import sys

import pytest

# Twelve threads hold a megabyte each at once, in pieces that Python leaves to the C library; heaps lie at 64 MiB each.
THREADS = """
import threading
{bound}
barrier = threading.Barrier(12)
def work(kept):
    barrier.wait()
    kept += [bytearray(4_096) for _ in range(256)]
    barrier.wait()
threads = [threading.Thread(target=work, args=([],)) for _ in range(11)]
for one in threads: one.start()
barrier.wait(); barrier.wait()
with open("/proc/self/maps") as maps:
    print(sum(int(line.split("-")[0], 16) % (64 << 20) == 0 and "rw-p" in line for line in maps))
"""
# Of 80 MB in small pieces every hundredth is held, so that no heap ends in a free part of its own.
PIECES = """
from central.arenas import give_back
def resident_mib():
    with open("/proc/self/statm") as told:
        return int(told.read().split()[1]) // 256
pieces = [bytearray(4_096) for _ in range(20_000)]
held = pieces[::100]
del pieces
before = resident_mib()
assert give_back()
print(before - resident_mib(), len(held))
"""
BOUND = "from central.arenas import bound_arenas; assert bound_arenas()"


def heaps(bound: str) -> int:
    script = THREADS.format(bound=bound)
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return int(told.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="the heaps are glibc's")
def test_threads_share_two_heaps_instead_of_filling_one_each() -> None:
    assert heaps(BOUND) <= 2 < heaps("")


@pytest.mark.skipif(sys.platform != "linux", reason="the heaps are glibc's")
def test_what_is_free_between_held_pieces_goes_back_to_the_system() -> None:
    told = subprocess.run([sys.executable, "-c", PIECES], capture_output=True, text=True, check=True)
    given_back, held = map(int, told.stdout.split())
    assert held == 200
    assert given_back > 40  # of 80, for pages that hold a part of a piece stay
