"""A till and an echo in one process of their own: `python -m bench.till FOLDER MEMBERS`.

The till is the whole service with its files; the echo reads JSON and writes it again, by the same library, behind
Flask and the same server. Asked for a programme, it puts it in force and says how many promotions concern the basket;
asked for nothing, what this process has spent of its processor.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from time import process_time_ns
from typing import Any

import msgspec
from flask import Flask, Response, request

from bench.children import serve
from bench.goods import MEMBER, basket
from bench.programmes import programme
from edge.identity import TillIdentity
from edge.ports import Settings
from edge.service import THREADS, TillService
from edge.web_server import WebServer
from loyalty.cards import Card, card_token
from loyalty.compiled import candidates_for
from loyalty.members import MemberRow, PublishedMember, Use
from sync.keys import Signer
from sync.wire import Identity

CARD = "2012345678903"  # of member 7
PAGE = 5_000  # rows that are taken at once, about as many as come down in one page


def main(folder: Path, members: int) -> None:
    """Serve until nobody asks any more."""
    service = TillService(Settings(data_dir=str(folder)), identity=_identity(), port=0)
    echo = WebServer(echo_app(), host="127.0.0.1", port=0, threads=THREADS)
    try:
        _load(service, members)
        service.start()
        echo.start()
        hello = {"till": f"{service.url}/v1/quotes", "echo": f"{echo.url}/echo", "card": CARD}
        hello["members"] = service.cache.counts()["member"]
        serve(hello, lambda wanted: _swap(service, **wanted) if wanted else {"processor_us": process_time_ns() / 1_000})
    finally:
        echo.stop()
        service.stop()


def echo_app() -> Flask:
    """What a request costs of which nothing is asked."""
    app = Flask("echo")

    @app.post("/echo")
    def echo() -> Response:
        told = msgspec.json.decode(request.get_data(cache=False))
        return Response(msgspec.json.encode(told), mimetype="application/json")

    return app


def _swap(service: TillService, density: Any, size: int, lines: int) -> dict[str, int]:
    bought = basket(lines)
    service.cache.load_programme(programme(density, size, bought))
    return {"concerned": len(candidates_for(service.cache.programmes()[0], bought.lines))}


def _load(service: TillService, members: int) -> None:
    page: list[PublishedMember] = []
    for member in _members(service.identity, members):
        page.append(member)
        if len(page) == PAGE:
            service.cache.load_members(page)
            page = []
    service.cache.load_members(page)


def _members(identity: TillIdentity, count: int) -> Iterator[PublishedMember]:
    assert MEMBER.account_id is not None
    ours = card_token(identity.card_key, Card(kind="ean13", number=CARD, last4=CARD[-4:]))
    for account in range(1, count + 1):
        row = MemberRow(
            account_id=account,
            version=1,
            balance_points=MEMBER.balance_points,
            counters=(Use(name="visits", amount=account % 50 + 1),),
        )
        token = ours if account == MEMBER.account_id else f"{account:032x}"
        yield PublishedMember(row=row, cards=(token,))


def _identity() -> TillIdentity:
    centre = Signer(bytes(31) + b"\x01", 1)
    granted = Identity(
        till_id="01" * 16, epoch=1, key_no=1, genesis="11" * 32, partner_id="acme", store_id="S1", label="1",
        centre_public_key=centre.public, centre_key_no=1, card_key="22" * 32, card_key_id="k1", server_at_ms=0,
    )  # fmt: skip
    return TillIdentity(seed="33" * 32, install_id="44" * 16, granted=granted)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
