"""The verdicts as tables: what the centre makes of a batch, and of a hello."""

from sync.chain import StreamHead, walk
from sync.verdicts import judge_batch, judge_hello
from sync.wire import BatchHeader, Hello, Lanes
from tests.sync.memory import GENESIS, NOON, TILL_A

START = StreamHead(till_id=TILL_A, epoch=2)
OURS = [START, *walk(START, GENESIS, [b"%d" % n for n in range(1, 21)])]
# The other history is ours up to event 5 and another one from event 6 on.
OTHER = [*OURS[:6], *walk(OURS[5], GENESIS, [b"other %d" % n for n in range(6, 21)])]

# The centre stands at event 10 of epoch 2.
BATCHES = """
    epoch first last history   verdict
    2     11    20   ours      take from 0
    2     11    11   ours      take from 0
    2      1    10   ours      already
    2      1     3   ours      already                  however old
    2     10    10   ours      already
    2      8    15   ours      take from 3
    2      1    11   ours      take from 10
    2     12    15   ours      gap, need 11
    2     20    20   ours      gap, need 11
    2     11    15   other     fork at 10
    2      1    10   other     fork at 10
    2      7     9   other     fork at 9
    2      3     5   other     already                  the part both share
    2      4    12   other     fork at 10               begins like ours, turned off before 10
    2      8    12   other     fork at 7
    1     11    12   ours      older epoch
    1      1     3   ours      older epoch
    3     11    12   ours      later epoch
"""

HELLOS = """
    epoch head acked history install   announced verdict
    2     10   10    ours    this      10        go
    2     15   10    ours    this      12        go
    2     15    8    ours    this      12        go                an ack was lost
    2     10   10    ours    this       0        go
    2     18   14    ours    this      18        go                the centre was restored and is filled again
    2      9    9    ours    this      10        rewind: 9 of 10
    2      0    0    ours    this      10        rewind: 0 of 10
    2     12   10    ours    this      15        rewind: 12 of 15  lost only what was never uploaded
    2     10   10    other   this      10        fork at 10
    2      8    8    other   this      10        fork at 8
    2     15   10    other   this      10        fork at 10
    2     15    7    other   this      10        fork at 7
    2     10   10    ours    another   10        clone
    1     10   10    ours    this      10        older epoch
    3     10   10    ours    this      10        later epoch
"""


def rows(table: str, columns: int) -> list[tuple[str, ...]]:
    lines = [line for line in table.splitlines() if line.strip()][1:]
    return [tuple(line.split(maxsplit=columns)) for line in lines]


def in_words(verdict) -> str:
    words = {
        "Take": lambda: f"take from {verdict.from_index}",
        "Already": lambda: "already",
        "Gap": lambda: f"gap, need {verdict.need}",
        "Fork": lambda: f"fork at {verdict.at_seq}",
        "OlderEpoch": lambda: "older epoch",
        "LaterEpoch": lambda: "later epoch",
        "Go": lambda: "go",
        "Rewind": lambda: f"rewind: {verdict.head_seq} of {verdict.known_seq}",
        "Clone": lambda: "clone",
    }
    return words[type(verdict).__name__]()


def hash_at(seq: int) -> str:
    assert 1 <= seq < 10, "the centre is asked below its head only"
    return OURS[seq].hash


def test_a_batch_is_judged_by_sequence_and_hash():
    for epoch, first, last, name, said in rows(BATCHES, 4):
        history = {"ours": OURS, "other": OTHER}[name]
        header = BatchHeader(
            till_id=TILL_A,
            epoch=int(epoch),
            key_no=1,
            counter=1,
            sent_at_ms=NOON,
            first_seq=int(first),
            last_seq=int(last),
            prev_hash=history[int(first) - 1].hash,
            head_hash=history[int(last)].hash,
            raw_bytes=1,
            body_sha256="0" * 64,
            clock_error_ms=0,
            boot="b",
            backlog=0,
            cursors=Lanes(),
            grants=0,
        )
        verdict = judge_batch(OURS[10], header, hash_at, history[int(first) : int(last) + 1])
        assert said.startswith(in_words(verdict)), (epoch, first, last, name, said, verdict)


def test_a_first_batch_is_taken_from_the_beginning():
    header = BatchHeader(
        till_id=TILL_A,
        epoch=2,
        key_no=1,
        counter=1,
        sent_at_ms=NOON,
        first_seq=1,
        last_seq=2,
        prev_hash=START.hash,
        head_hash=OURS[2].hash,
        raw_bytes=1,
        body_sha256="0" * 64,
        clock_error_ms=0,
        boot="b",
        backlog=0,
        cursors=Lanes(),
        grants=0,
    )
    assert in_words(judge_batch(START, header, hash_at, OURS[1:3])) == "take from 0"


def test_a_hello_is_judged_by_where_the_till_stands_and_stood():
    for epoch, head, acked, name, install, announced, said in rows(HELLOS, 6):
        history = {"ours": OURS, "other": OTHER}[name]
        hello = Hello(
            till_id=TILL_A,
            epoch=int(epoch),
            key_no=1,
            counter=1,
            sent_at_ms=NOON,
            head_seq=int(head),
            head_hash=history[int(head)].hash,
            acked_seq=int(acked),
            acked_hash=history[int(acked)].hash,
            install_id=install,
            boot="b",
            version="1",
            backlog=0,
            cursors=Lanes(),
            grants=0,
        )
        verdict = judge_hello(OURS[10], hello, hash_at, announced_seq=int(announced), install_id="this")
        assert said.startswith(in_words(verdict)), (epoch, head, acked, name, said, verdict)
