"""A certificate from one partner's till through head office to another's, with the services' own classes and bytes."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from central.database import tables as t
from central.ports import reading
from central.settlement.positions import lines_of_period
from central.verify.books import verify_books
from edge.journal.troubles import JournalFull
from edge.sale.asks import CommitAsk, SaleAsk
from edge.sale.certificate_holds import UNHEARD_MS, CertificateHolds
from edge.sale.certificates import CertificateOrder, order_certificate
from edge.sale.covering import CertificateNotCovered
from loyalty.baskets import Basket, CertificateAsk, CertificateSale, Line
from loyalty.programme.programme import programme_from
from sync.desk import DESK_PATH
from tallypoint.in_process import NOWHERE, InProcess, Node, StoryClock
from tests.central.tills import COALITION, NOW, PROGRAMME

CODE = "GC-7781-0042"
GIFTS = {**PROGRAMME, "certificates": {"sold": {"sku": ["GIFT"]}, "lifetime": {"days": 30}, "offline_minor": 1000}}
MINUTE = 60_000


class Shops:
    """acme's till S1 and bolt's till S2, both level with head office."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.clock = StoryClock(NOW)
        self.all = InProcess(folder, self.clock, COALITION, database_url)
        self.all.publish(programme_from(GIFTS))
        self.acme, self.bolt = self.all.add_till("S1", "one"), self.all.add_till("S2", "two")
        self.level()

    def level(self) -> None:
        """Two minutes go by: each brings what it has, then each hears of the other's."""
        for _ in range(2):
            self.clock.move(MINUTE)
            for node in (self.acme, self.bolt):
                self.all.sync(node)

    def sell(self, node: Node, receipt_id: str, line: Line, **more: Any) -> Any:
        basket = Basket(receipt_id=receipt_id, currency="EUR", lines=(line,), **more)
        sale = SaleAsk(basket=basket, sold_at_ms=self.clock.wall_ms())
        return node.till.commit(CommitAsk(sale=sale, receipt_id=receipt_id))

    def left(self, node: Node) -> tuple[str, int]:
        ask = CertificateOrder(request_id="q", action="enquire", code=CODE, sold_at_ms=self.clock.wall_ms())
        standing = order_certificate(node.till, ask).standing
        return standing.state, standing.balance_minor


@pytest.fixture
def shops(tmp_path: Path, central_url: str) -> Any:
    made = Shops(tmp_path / "all", central_url)
    yield made
    made.all.close()


def gift(amount: int) -> dict[str, Any]:
    return {
        "line": Line(line=1, sku="GIFT", amount_minor=amount),
        "certificates_sold": (CertificateSale(line=1, code=CODE),),
    }


def paid(amount: int) -> dict[str, Any]:
    return {"line": Line(line=1, sku="bread", amount_minor=amount), "certificates": (CertificateAsk(code=CODE),)}


def test_sold_at_one_partner_it_pays_at_another_and_both_tills_know_what_is_left(shops: Shops) -> None:
    shops.sell(shops.acme, "R1", **gift(5000))
    assert shops.left(shops.acme) == ("not_active_yet", 5000)
    assert shops.left(shops.bolt) == ("unknown", 0)
    shops.level()
    assert shops.left(shops.acme) == shops.left(shops.bolt) == ("active", 5000)
    done = shops.sell(shops.bolt, "R2", **paid(1800))
    assert done.quote.totals.to_pay_minor == 0
    assert shops.left(shops.bolt) == ("active", 3200)
    shops.level()
    assert shops.left(shops.acme) == shops.left(shops.bolt) == ("active", 3200)
    shops.sell(shops.acme, "R3", **paid(5000))
    shops.level()
    assert shops.left(shops.acme) == shops.left(shops.bolt) == ("used_up", 0)
    shops.all.recompute()
    with reading(shops.all.engine) as tx:
        assert [(one.partner_id, one.kind, one.amount_minor) for one in lines_of_period(tx, 1, "EUR")] == [
            ("acme", "certificate_owed", 1800), ("bolt", "certificate_taken", -1800),
        ]  # fmt: skip
        assert tx.execute(select(t.flag.c.cause)).all() == []
    assert verify_books(shops.all.engine).violations == ()


def test_the_code_is_in_no_file_of_any_till_nor_at_head_office(shops: Shops) -> None:
    shops.sell(shops.acme, "R1", **gift(5000))
    shops.level()
    shops.sell(shops.bolt, "R2", **paid(1800))
    shops.level()
    stored = b"".join(path.read_bytes() for path in shops.all.folder.rglob("*") if path.is_file())
    for secret in (b"GC-7781-0042", b"GC77810042", b"7781-0042"):
        assert secret.lower() not in stored.lower()
    with reading(shops.all.engine) as tx:
        rows = msgspec.json.encode([tuple(row) for row in tx.execute(select(t.certificate))])
    assert b"0042" not in rows or CODE.encode() not in rows


def test_tills_ask_for_certificates_only_where_the_programme_has_some(tmp_path: Path) -> None:
    clock = StoryClock(NOW)
    there = InProcess(tmp_path / "plain", clock, COALITION)
    there.publish(programme_from(PROGRAMME))
    node = there.add_till("S1", "one")
    there.sync(node)
    before = node.cache.lane("certificates")
    there.publish(programme_from(GIFTS))
    clock.move(61 * MINUTE)  # the next hello tells of it
    there.sync(node)
    assert (before.version, node.cache.lane("certificates").version) == (0, 1)
    there.close()


def test_two_tills_with_the_line_never_take_one_certificate_twice(shops: Shops) -> None:
    for node in (shops.acme, shops.bolt):
        node.till.certificate_holds = CertificateHolds(node.till.clock, node.uplink.ask_desk)
    shops.sell(shops.acme, "R1", **gift(5000))
    shops.level()
    # Both know of 50.00, and neither has heard of the other's sale.
    shops.sell(shops.acme, "R2", **paid(4000))
    with pytest.raises(CertificateNotCovered):
        shops.sell(shops.bolt, "R3", **paid_just(1001))
    # The first is at head office, but nobody was told of it yet: what it left may be taken, and no more.
    shops.all.sync(shops.acme)
    with pytest.raises(CertificateNotCovered):
        shops.clock.move(UNHEARD_MS)
        shops.sell(shops.bolt, "R4", **paid_just(1001))
    shops.clock.move(UNHEARD_MS)
    shops.sell(shops.bolt, "R5", **paid_just(1000))
    shops.level()
    assert shops.left(shops.acme) == shops.left(shops.bolt) == ("used_up", 0)
    with reading(shops.all.engine) as tx:
        assert tx.execute(select(t.flag.c.cause)).all() == []
    assert verify_books(shops.all.engine).violations == ()


def test_an_ask_of_a_real_till_that_comes_a_second_time_late_takes_nothing_from_others(shops: Shops) -> None:
    said: list[tuple[str, bytes]] = []
    real = shops.acme.uplink._ask_line

    def listened(url: str, body: bytes, deadline_ms: int) -> Any:
        said.append((url, body))
        return real(url, body, deadline_ms)

    shops.acme.uplink._ask_line = listened
    for node in (shops.acme, shops.bolt):
        node.till.certificate_holds = CertificateHolds(node.till.clock, node.uplink.ask_desk)
    shops.sell(shops.acme, "R1", **gift(5000))
    shops.level()
    shops.sell(shops.acme, "R2", **paid(4000))
    shops.level()
    first = next(body for url, body in said if url.endswith(DESK_PATH))
    assert shops.all.exchange(NOWHERE + DESK_PATH, first).status == 200
    shops.clock.move(UNHEARD_MS)
    shops.sell(shops.bolt, "R3", **paid_just(1000))
    shops.level()
    assert shops.left(shops.bolt) == ("used_up", 0)


@pytest.mark.parametrize(("where", "to_pay"), [("journal", 0), ("outbox", 4000)])
def test_a_full_disk_stops_no_quote_that_names_a_certificate(
    shops: Shops, monkeypatch: pytest.MonkeyPatch, where: str, to_pay: int
) -> None:
    """Nothing has to be kept of what head office answers; where the ask cannot be numbered, the line counts as down."""
    node = shops.bolt
    node.till.certificate_holds = CertificateHolds(node.till.clock, node.uplink.ask_desk)
    shops.sell(shops.acme, "R1", **gift(5000))
    shops.level()

    def full(*_: object) -> Any:
        raise JournalFull("no room")

    if where == "journal":
        monkeypatch.setattr(node.journal, "writing", full)
    else:
        monkeypatch.setattr(node.journal.outbox, "next_counter", full)
    more = paid(5000)
    basket = Basket(receipt_id="Q1", currency="EUR", lines=(more["line"],), certificates=more["certificates"])
    quote = node.till.quote(SaleAsk(basket=basket, sold_at_ms=shops.clock.wall_ms())).quote
    assert quote.totals.to_pay_minor == to_pay


def paid_just(amount: int) -> dict[str, Any]:
    return {"line": Line(line=1, sku="bread", amount_minor=amount),
            "certificates": (CertificateAsk(code=CODE, amount_minor=amount),)}  # fmt: skip
