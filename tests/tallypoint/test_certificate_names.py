"""Certificates while the card key is changed: one name each, for good; what is sold later goes by the newer key."""

import hashlib
import hmac
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select

from central.database import tables as t
from central.keys.card_keys import KeyRing, make_card_key
from central.members.card_change import retire_card_key, standing
from central.ports import Settings, reading
from central.posting.certificates import free_certificate
from central.verify.books import verify_books
from edge.refusals import ExchangeReused, IdReused
from edge.sale.asks import CommitAsk, ReturnAsk, SaleAsk
from edge.sale.certificates import CertificateBlocked, CertificateOrder, order_certificate
from edge.sale.exchanging import ExchangeAsk, exchange
from loyalty.baskets import Basket, CertificateAsk, CertificateSale, Line
from loyalty.facts.reversals import ReturnLine
from loyalty.moments import utc_date
from tallypoint.in_process import Node
from tests.central.tills import NOW
from tests.tallypoint.test_certificates import MINUTE, Shops

OLD, NEW = "GC-7781-0042", "GC-7781-0043"


class Gifts(Shops):
    """The same shops; certificates by their codes."""

    @property
    def ring(self) -> KeyRing:
        return KeyRing(self.all.card_key, self.all.folder / "programme-card.key")

    def new_key(self) -> None:
        settings = Settings(data_dir=str(self.all.folder))
        assert make_card_key(settings, self.all.engine, self.all.randomness, self.clock.wall_ms()) == "2"

    def retire(self, key_id: str = "1") -> tuple[int, int]:
        stood = retire_card_key(self.all.engine, self.ring, key_id, self.clock.wall_ms(), force=True)
        return stood.certificates, stood.certificates_minor

    def standing(self) -> list[tuple[int, int]]:
        """Of each key, how many certificates with money are named under it, and how much is left on them."""
        with reading(self.all.engine) as tx:
            told = standing(tx, self.ring.read(tx))
        return [(one.certificates, one.certificates_minor) for one in told.keys]

    def hear(self, *nodes: Node) -> None:
        """These tills say hello and hear what changed; the others are away."""
        for _ in range(2):
            self.clock.move(61 * MINUTE)
            for node in nodes:
                self.all.sync(node)

    def give(self, node: Node, receipt_id: str, code: str, amount: int) -> CommitAsk:
        line = Line(line=1, sku="GIFT", amount_minor=amount)
        sold = (CertificateSale(line=1, code=code),)
        return self._ask(node, receipt_id, line, certificates_sold=sold)

    def pay(self, node: Node, receipt_id: str, code: str, amount: int) -> CommitAsk:
        line = Line(line=1, sku="bread", amount_minor=amount)
        return self._ask(node, receipt_id, line, certificates=(CertificateAsk(code=code),))

    def _ask(self, node: Node, receipt_id: str, line: Line, **more: object) -> CommitAsk:
        basket = Basket(receipt_id=receipt_id, currency="EUR", lines=(line,), **more)  # type: ignore[arg-type]
        ask = CommitAsk(sale=SaleAsk(basket=basket, sold_at_ms=self.clock.wall_ms()), receipt_id=receipt_id)
        node.till.commit(ask)
        return ask

    def order(self, node: Node, action: str, code: str, amount: int = 0) -> tuple[str, int]:
        ask = CertificateOrder(
            request_id=f"{action}-{code}", action=action, code=code, amount_minor=amount,  # type: ignore[arg-type]
            currency="EUR", sold_at_ms=self.clock.wall_ms(),
        )  # fmt: skip
        standing = order_certificate(node.till, ask).standing
        return standing.state, standing.balance_minor

    def name(self, code: str, key_no: int) -> str:
        """A code's token, worked out by the standard library from the key's file: what a thief does."""
        ending = "" if key_no == 1 else f"-{key_no}"
        key = (self.all.folder / f"programme-card{ending}.key").read_bytes()
        return hmac.new(key, b"code\0" + code.replace("-", "").upper().encode(), hashlib.sha256).digest()[:16].hex()

    def rows(self) -> dict[str, int]:
        with reading(self.all.engine) as tx:
            asked = select(t.certificate.c.code, t.certificate.c.balance_minor)
            return {code: left for code, left in tx.execute(asked)}


@pytest.fixture
def gifts(tmp_path: Path, central_url: str) -> Iterator[Gifts]:
    made = Gifts(tmp_path / "all", central_url)
    yield made
    made.all.close()


def sound(gifts: Gifts) -> None:
    assert verify_books(gifts.all.engine).violations == ()


def test_what_was_sold_before_a_change_pays_on_and_what_is_sold_after_it_goes_by_the_new_key(gifts: Gifts) -> None:
    acme, bolt = gifts.acme, gifts.bolt
    gifts.give(acme, "R1", OLD, 5000)
    gifts.level()
    gifts.new_key()
    gifts.hear(acme)  # bolt does not hold the new key yet
    gifts.give(acme, "R2", NEW, 2000)
    gifts.level()
    # Named so that bolt, too, knows it.
    assert gifts.rows() == {gifts.name(OLD, 1): 5000, gifts.name(NEW, 1): 2000}
    gifts.pay(bolt, "R1", NEW, 500)
    gifts.hear(acme, bolt)
    gifts.retire()
    gifts.hear(acme, bolt)
    for node in (acme, bolt):
        assert gifts.order(node, "enquire", OLD) == ("active", 5000)
        assert gifts.order(node, "enquire", NEW) == ("active", 1500)
    gifts.pay(bolt, "R2", OLD, 1800)
    gifts.give(bolt, "R3", "GC-9", 3000)
    gifts.level()
    assert gifts.rows() == {gifts.name(OLD, 1): 3200, gifts.name(NEW, 1): 1500, gifts.name("GC-9", 2): 3000}
    gifts.pay(acme, "R3", "GC-9", 1000)
    gifts.give(acme, "R4", OLD, 100)  # topped up: it keeps its name
    gifts.level()
    assert gifts.rows() == {gifts.name(OLD, 1): 3300, gifts.name(NEW, 1): 1500, gifts.name("GC-9", 2): 2000}
    sound(gifts)


def test_the_drill_a_stolen_key_with_a_copy_of_a_till_finds_no_code_that_was_sold_after_it_was_retired(
    gifts: Gifts,
) -> None:
    """Short codes that are counted up are the worst case: the thief tries all ten thousand of them."""
    acme, bolt = gifts.acme, gifts.bolt
    gifts.give(acme, "R1", OLD, 5000)
    gifts.new_key()
    gifts.hear(acme, bolt)
    gifts.retire()
    gifts.hear(acme, bolt)
    sold = gifts.give(acme, "R2", NEW, 2000)
    gifts.level()
    gifts.pay(bolt, "R1", NEW, 100)
    gifts.level()
    stolen = (gifts.all.folder / "programme-card.key").read_bytes()
    held = _tokens([path for till in ("one", "two") for path in (gifts.all.folder / till).glob("*.db*")])
    found = {
        code
        for code in (f"GC-7781-{number:04d}" for number in range(10_000))
        if hmac.new(stolen, b"code\0" + code.replace("-", "").upper().encode(), hashlib.sha256).digest()[:16] in held
    }
    assert found == {OLD}  # what was sold before stays within reach: the bound that the documents name
    # Nor by the hash under which a retry is known, all else of the ask being in the journal.
    hashes = _ask_hashes(gifts.all.folder / "one" / "journal.db")
    basket = msgspec.structs.replace(
        sold.sale.basket, certificates_sold=(CertificateSale(line=1, code=gifts.name(NEW, 1)),)
    )
    guess = msgspec.structs.replace(sold, sale=msgspec.structs.replace(sold.sale, basket=basket))
    assert hashlib.sha256(msgspec.json.encode(guess)).hexdigest() not in hashes
    right = msgspec.structs.replace(
        basket, certificates_sold=(CertificateSale(line=1, code=gifts.name(NEW, 2)),)
    )
    guess = msgspec.structs.replace(sold, sale=msgspec.structs.replace(sold.sale, basket=right))
    assert hashlib.sha256(msgspec.json.encode(guess)).hexdigest() in hashes  # so the guess is well made
    sound(gifts)


def _tokens(files: list[Path]) -> set[bytes]:
    """Every 16 bytes in some files, as they are and as hex digits stand for them."""
    found = set()
    for data in (path.read_bytes() for path in files):
        found |= {data[at : at + 16] for at in range(len(data) - 15)}
        for digits in re.findall(rb"[0-9a-fA-F]{32,}", data):
            found |= {bytes.fromhex(digits[at : at + 32].decode()) for at in range(len(digits) - 31)}
    return found


def _ask_hashes(path: Path) -> set[str]:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as journal:
        return {sha for (sha,) in journal.execute("SELECT ask_sha256 FROM event")}


def test_head_office_says_how_much_is_left_on_those_that_are_named_under_each_key(gifts: Gifts) -> None:
    acme, bolt = gifts.acme, gifts.bolt
    gifts.give(acme, "R1", OLD, 5000)
    gifts.give(acme, "R2", NEW, 2000)
    gifts.level()
    gifts.pay(bolt, "R1", OLD, 5000)  # nothing is left on it
    gifts.pay(bolt, "R2", NEW, 700)
    gifts.new_key()
    gifts.hear(acme, bolt)
    gifts.give(bolt, "R3", "GC-8", 1000)
    gifts.level()
    assert gifts.standing() == [(2, 2300), (0, 0)]
    assert gifts.retire() == (2, 2300)
    gifts.hear(acme, bolt)
    gifts.give(acme, "R3", "GC-9", 3000)
    gifts.level()
    assert gifts.standing() == [(2, 2300), (1, 3000)]
    gifts.pay(acme, "R4", "GC-8", 1000)
    gifts.level()
    assert gifts.standing() == [(1, 1300), (1, 3000)]


def test_a_till_that_enrols_after_the_retirement_is_paid_with_what_was_sold_before_it(gifts: Gifts) -> None:
    gifts.give(gifts.acme, "R1", OLD, 5000)
    gifts.level()
    gifts.new_key()
    gifts.hear(gifts.acme, gifts.bolt)
    gifts.retire()
    late = gifts.all.add_till("S1", "late")
    gifts.hear(late)
    assert gifts.order(late, "enquire", OLD) == ("active", 5000)
    gifts.pay(late, "R1", OLD, 1200)
    gifts.hear(late, gifts.acme)
    assert gifts.order(gifts.acme, "enquire", OLD) == ("active", 3800)
    sound(gifts)


def test_a_retry_over_the_retirement_is_the_same_sale(gifts: Gifts) -> None:
    acme = gifts.acme
    gifts.give(acme, "R1", OLD, 5000)
    gifts.level()
    ask = gifts.pay(acme, "R2", OLD, 700)
    gifts.new_key()
    gifts.hear(acme, gifts.bolt)
    gifts.retire()
    gifts.hear(acme, gifts.bolt)
    again = acme.till.commit(ask)
    assert again.replayed and gifts.order(acme, "enquire", OLD) == ("active", 4300)
    other = msgspec.structs.replace(ask.sale.basket, certificates=(CertificateAsk(code=NEW),))
    with pytest.raises(IdReused):
        acme.till.commit(msgspec.structs.replace(ask, sale=msgspec.structs.replace(ask.sale, basket=other)))


def test_an_exchange_over_the_retirement_is_the_same_exchange(gifts: Gifts) -> None:
    acme, bolt = gifts.acme, gifts.bolt
    gifts.give(acme, "R1", OLD, 5000)
    gifts.level()
    gifts.pay(acme, "R2", OLD, 700)
    gifts.level()
    basket = Basket(
        receipt_id="R3", currency="EUR", lines=(Line(line=1, sku="ham", amount_minor=900),),
        certificates=(CertificateAsk(code=OLD),),
    )  # fmt: skip
    sale = CommitAsk(sale=SaleAsk(basket=basket, sold_at_ms=gifts.clock.wall_ms()), receipt_id="R3")
    back = ReturnAsk(return_id="B1", of="R2", lines=(ReturnLine(line=1, quantity_milli=1000),), sold_at_ms=NOW)
    ask = ExchangeAsk(exchange_id="X1", back=back, sale=sale)
    first = exchange(acme.till, ask)
    gifts.new_key()
    gifts.hear(acme, bolt)
    gifts.retire()
    gifts.hear(acme, bolt)
    again = exchange(acme.till, ask)
    assert (first.replayed, again.replayed) == (False, True)
    assert (again.back.head, again.sold.head) == (first.back.head, first.sold.head)
    other = msgspec.structs.replace(basket, certificates=(CertificateAsk(code=NEW),))
    unlike = msgspec.structs.replace(sale, sale=msgspec.structs.replace(sale.sale, basket=other))
    with pytest.raises(ExchangeReused):
        exchange(acme.till, msgspec.structs.replace(ask, sale=unlike))
    # 50.00, less 7.00 that came back, less 9.00
    gifts.level()
    assert gifts.order(bolt, "enquire", OLD) == ("active", 4100)
    sound(gifts)


def test_a_code_that_two_tills_sold_under_two_keys_is_spent_whole_and_blocked_whole(gifts: Gifts) -> None:
    """Each within the hour in which the key was retired, before either heard of the other."""
    acme, bolt = gifts.acme, gifts.bolt
    gifts.new_key()
    gifts.hear(acme, bolt)
    gifts.retire()
    gifts.hear(acme)
    gifts.give(acme, "R1", NEW, 2000)
    gifts.give(bolt, "R1", NEW, 1000)
    gifts.level()
    assert gifts.rows() == {gifts.name(NEW, 2): 2000, gifts.name(NEW, 1): 1000}
    gifts.hear(acme, bolt)
    gifts.pay(bolt, "R2", NEW, 2000)
    gifts.level()
    gifts.pay(acme, "R2", NEW, 400)
    gifts.level()
    assert gifts.rows() == {gifts.name(NEW, 2): 0, gifts.name(NEW, 1): 600}
    assert gifts.order(acme, "block", NEW)[0] == "blocked"
    gifts.level()
    for node in (acme, bolt):
        assert gifts.order(node, "enquire", NEW)[0] == "blocked"
    with pytest.raises(CertificateBlocked):
        gifts.give(bolt, "R3", NEW, 100)
    freed = [
        free_certificate(
            gifts.all.engine, gifts.name(NEW, key_no), utc_date(gifts.clock.wall_ms()), "ana",
            gifts.clock.wall_ms(), gifts.all.randomness,
        )
        for key_no in (1, 2)
    ]  # fmt: skip
    assert freed == [True, False]
    gifts.level()
    assert gifts.order(bolt, "enquire", NEW) == ("active", 600)
    sound(gifts)
