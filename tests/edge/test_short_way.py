"""The short way of quote and commit: what is plain is answered there, word for word as on the long one."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient

from edge.journal.troubles import JournalFull
from edge.sale.approving import hash_of_code
from edge.web.door import MOST_BYTES
from edge.web.short_way import ShortWay
from tests.edge.rim import CARD, STRANGER, Rim, commit, quote

Environ = dict[str, Any]


class Ways:
    """A till whose long way says when it is taken."""

    def __init__(self, rim: Rim) -> None:
        self.rim = rim
        short = rim.client.application.wsgi_app
        assert isinstance(short, ShortWay)
        self._long_way = short._long_way
        self.taken = 0
        short._long_way = self._count
        self._short = short

    def _count(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.taken += 1
        return self._long_way(environ, start_response)

    def ask(self, path: str = "/v1/quotes", **what: Any) -> tuple[int, dict[str, str], bytes, bool]:
        """Status, headers and body of an answer, and whether the long way gave it."""
        before = self.taken
        client: FlaskClient = self.rim.client
        for name, value in what.pop("cookies", {}).items():
            client.set_cookie(name, value)
        told = client.open(path, **{"method": "POST", "data": msgspec.json.encode(quote()), **_JSON, **what})
        return told.status_code, dict(told.headers), told.data, self.taken > before

    def ask_long(self, **what: Any) -> tuple[int, dict[str, str], bytes]:
        application = self.rim.client.application
        application.wsgi_app = self._long_way
        try:
            return self.ask(**what)[:3]
        finally:
            application.wsgi_app = self._short


_JSON = {"content_type": "application/json"}


@pytest.fixture
def ways(tmp_path: Path) -> Ways:
    return Ways(Rim(tmp_path))


@pytest.mark.parametrize(
    "body", [quote(), quote(card=None), quote(card=CARD, points_to_spend=100), quote(card=STRANGER)]
)
def test_a_plain_quote_is_answered_as_on_the_long_way(ways: Ways, body: dict[str, Any]):
    status, headers, data, went_long = ways.ask(data=msgspec.json.encode(body))
    assert (status, went_long) == (200, False)
    assert (status, headers, data) == ways.ask_long(data=msgspec.json.encode(body))
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"


UNUSUAL: list[tuple[str, int, dict[str, Any]]] = [
    ("another path", 404, {"path": "/v1/quotes/"}),
    ("another method", 405, {"method": "GET"}),
    ("a query", 200, {"query_string": "x=1"}),
    ("a cookie", 200, {"cookies": {"a": "b"}}),
    ("a foreign page", 403, {"headers": {"Origin": "http://evil.example"}}),
    ("our own page", 200, {"headers": {"Origin": "http://localhost"}}),
    ("a browser's word", 403, {"headers": {"Sec-Fetch-Site": "cross-site"}}),
    ("another name", 421, {"headers": {"Host": "evil.example"}}),
    ("a name with a path", 421, {"headers": {"Host": "localhost/evil"}}),
    ("a name with two ports", 421, {"headers": {"Host": "localhost:80:1"}}),
    ("another type", 415, {"content_type": "text/plain"}),
    ("a type with a character set", 200, {"content_type": "application/json; charset=utf-8"}),
    ("no body", 400, {"data": b""}),
    ("half a body", 400, {"data": b'{"basket": {'}),
    ("too much", 413, {"data": b" " * (MOST_BYTES + 1)}),
    ("an unknown field", 400, {"data": msgspec.json.encode(quote(points_to_spent=1))}),
    ("another currency", 422, {"data": msgspec.json.encode(quote(basket={"currency": "USD", "lines": []}))}),
]


@pytest.mark.parametrize(("what", "status", "request_"), UNUSUAL, ids=[one[0] for one in UNUSUAL])
def test_what_is_unusual_goes_the_long_way(ways: Ways, what: str, status: int, request_: dict[str, Any]):
    found, _, _, went_long = ways.ask(**request_)
    assert (found, went_long) == (status, True)


def test_a_refusal_reads_the_same_on_either_way(ways: Ways):
    body = msgspec.json.encode(quote(basket={"currency": "USD", "lines": []}))
    status, headers, data, _ = ways.ask(data=body)
    assert (status, headers, data) == ways.ask_long(data=body)
    assert msgspec.json.decode(data)["code"] == "basket.wrong_currency"


TOKENS = [
    ("Bearer s3cret", 200, False),
    ("bearer  s3cret ", 200, False),
    ("Bearer s3cret2", 401, True),
    ("Bearer S3CRET", 401, True),
    ("Basic s3cret", 401, True),
    ("s3cret", 401, True),
    ("", 401, True),
]


@pytest.mark.parametrize(("sent", "status", "goes_long"), TOKENS)
def test_the_token_of_the_pos_is_asked_for_here_too(tmp_path: Path, sent: str, status: int, goes_long: bool):
    ways = Ways(Rim(tmp_path, pos_token="s3cret"))
    found, _, _, went_long = ways.ask(headers={"Authorization": sent})
    assert (found, went_long) == (status, goes_long)


def test_trouble_of_our_own_is_counted_once(ways: Ways, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("not to be repeated")

    monkeypatch.setattr(ways.rim.desk.till, "quote", broken)
    status, _, data, went_long = ways.ask()
    assert (status, went_long) == (500, True)
    assert b"not to be repeated" not in data
    assert b'tallypoint_till_incidents_total{code="internal.error"} 1\n' in ways.rim.client.get("/metrics").data


COMMITS = [commit(), commit(card=None), commit(card=STRANGER), commit(points_to_spend=100)]


@pytest.mark.parametrize("body", COMMITS)
def test_a_plain_commit_is_answered_as_on_the_long_way(tmp_path: Path, body: dict[str, Any]):
    answers = []
    for way in ("short", "long"):
        (tmp_path / way).mkdir()
        ways = Ways(Rim(tmp_path / way))
        what = {"path": "/v1/receipts", "data": msgspec.json.encode(body)}
        for _ in range(2):  # new, and asked again
            if way == "short":
                *answer, went_long = ways.ask(**what)
                assert not went_long
            else:
                answer = [*ways.ask_long(**what)]
            answers.append(answer)
    assert answers[:2] == answers[2:]
    assert [answer[0] for answer in answers[:2]] == [201, 200]


def test_a_commit_that_is_refused_is_answered_on_the_long_way(ways: Ways):
    for body in (commit(receipt_id="void:R1"), commit(basket={"currency": "USD", "lines": []})):
        found, _, _, went_long = ways.ask(path="/v1/receipts", data=msgspec.json.encode(body))
        assert (found, went_long) == (422, True)


def test_what_went_wrong_is_not_done_a_second_time(ways: Ways, monkeypatch: pytest.MonkeyPatch):
    times = []

    def full(*_: Any) -> None:
        times.append(1)
        raise JournalFull("There is no room on the disk of this till.")

    monkeypatch.setattr(ways.rim.desk.till, "commit_now", full)
    status, _, data, went_long = ways.ask(path="/v1/receipts", data=msgspec.json.encode(commit()))
    assert (status, went_long, times) == (507, True, [1])
    assert msgspec.json.decode(data)["code"] == "journal.disk_full"
    assert b'tallypoint_till_incidents_total{code="journal.disk_full"} 1\n' in ways.rim.client.get("/metrics").data


def test_a_wrong_code_that_comes_with_a_commit_is_counted_once(tmp_path: Path):
    ways = Ways(Rim(tmp_path, supervisors={"12": hash_of_code("4711", b"salt" * 4)}))
    body = commit(override={"supervisor": "12", "reason": "as seen", "code": "1234"})
    _, _, data, _ = ways.ask(path="/v1/receipts", data=msgspec.json.encode(body))
    (tmp_path / "other").mkdir()
    other = Ways(Rim(tmp_path / "other", supervisors={"12": hash_of_code("4711", b"salt" * 4)}))
    _, _, on_the_long_way = other.ask_long(path="/v1/receipts", data=msgspec.json.encode(body))
    assert msgspec.json.decode(data) == msgspec.json.decode(on_the_long_way)
    assert b"more tries" in data
