"""Sales that were charged otherwise than quoted, decided again at head office."""

import msgspec

from central.recomputing.judging import judge_receipt
from loyalty.baskets import CertificateAsk
from loyalty.facts.receipts import Charged, Receipt, close_receipt, read_detail
from loyalty.members import Use
from loyalty.pricing.quotes import quote_basket
from tests.loyalty.build import basket, certificate, compiled, line, member, place

RULES = compiled(certificates={"sold": {"sku": ["card"]}})
FOUND = ("charged_differs", {"quoted_minor": 0, "charged_minor": 200})


def sold() -> Receipt:
    """10.00 that a certificate pays, of which the POS took 2.00 off."""
    goods = basket(line(1, 1000), certificates=(CertificateAsk(code="G1"),))
    asked = quote_basket(RULES, goods, place(), member(), bearer=(certificate("G1", 3000),))
    charged = [Charged(line=1, discount_minor=200)]
    return close_receipt(asked, goods, place(), compiled=RULES, card_token=None, charged=charged)


def causes(receipt: Receipt) -> list[str]:
    return [cause for cause, _ in judge_receipt(receipt, {RULES.version: RULES}).findings]


def test_a_certificate_that_paid_just_what_was_charged_is_no_finding_of_its_own() -> None:
    receipt = sold()
    assert receipt.shared_uses == (Use(name="certificate:G1", amount=-800),)
    assert judge_receipt(receipt, {RULES.version: RULES}).findings == (FOUND,)


def test_an_older_till_whose_certificate_paid_what_was_quoted_is_no_finding_of_its_own() -> None:
    receipt = sold()
    detail = msgspec.structs.replace(read_detail(receipt), stored_as_charged=False)
    old = msgspec.structs.replace(
        receipt,
        shared_uses=(Use(name="certificate:G1", amount=-1000),),
        detail=msgspec.Raw(msgspec.json.encode(detail)),
    )
    assert judge_receipt(old, {RULES.version: RULES}).findings == (FOUND,)


def test_a_till_that_takes_more_of_a_certificate_than_it_says_was_due_is_found() -> None:
    receipt = msgspec.structs.replace(sold(), shared_uses=(Use(name="certificate:G1", amount=-1000),))
    assert causes(receipt) == ["decision_differs", "charged_differs"]
