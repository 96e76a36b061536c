"""A short run of the envelope fuzzer; `python -m tests.sync.fuzz_envelope 600` is a long one."""

import pytest

from tests.sync.fuzz_envelope import Broken, Fuzzer, fuzz


def test_nothing_that_is_sent_breaks_the_centre_or_disturbs_another_till() -> None:
    counts, peak = fuzz(20260302, rounds=300)
    kinds = {name.split()[0] for name in counts}
    assert kinds == {"bytes_", "spliced", "length", "field", "bomb", "event", "deep"}
    statuses = {int(name.split()[1]) for name in counts}
    assert {200, 400, 401, 413} <= statuses
    assert 0 < peak < 64 * 1024 * 1024


def test_the_fuzzer_notices_an_answer_that_no_request_may_get(tmp_path, monkeypatch) -> None:
    fuzzer = Fuzzer(tmp_path, 1)

    def crash(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(fuzzer.centre.session, "answer", crash)
    with pytest.raises(Broken, match="answered 500"):
        fuzzer.run(rounds=5)
    fuzzer.centre.engine.dispose()
