"""Terms: which hold on a day, and terms that could not be settled."""

import pytest

from loyalty.terms import BadTerms, Terms, check_terms, terms_on
from tests.loyalty.build import day


def terms(terms_id, from_on="2026-01-01", partner_id="acme", **prices):
    return Terms(terms_id=terms_id, partner_id=partner_id, from_on=day(from_on), **prices)


DATED = (
    terms("a1", "2026-01-01"),
    terms("a3", "2026-03-01"),
    terms("a2", "2026-02-01"),
    terms("b1", partner_id="bolt"),
)
DAYS = """
    acme  2025-12-31  none
    acme  2026-01-01  a1
    acme  2026-01-31  a1
    acme  2026-02-01  a2
    acme  2026-02-28  a2
    acme  2026-03-01  a3
    acme  2030-01-01  a3
    bolt  2026-03-01  b1
    core  2026-03-01  none
"""


@pytest.mark.parametrize("row", DAYS.strip().splitlines())
def test_the_last_terms_to_begin_hold_from_their_first_day(row):
    partner, on, wanted = row.split()
    found = terms_on(DATED, partner, day(on))
    assert (found.terms_id if found else "none") == wanted


def test_of_terms_that_begin_together_the_greater_id_holds_in_whatever_order_they_come():
    one, other = terms("a1"), terms("a2")
    assert (
        terms_on([one, other], "acme", day("2026-01-01")) == terms_on([other, one], "acme", day("2026-01-01")) == other
    )


def test_terms_with_an_advance_up_to_the_funding_are_taken():
    check_terms([terms("a1", funding_micro=9_500, advance_micro=9_500, expiry_back_micro=9_500), terms("a2")])


def test_paying_more_for_a_point_than_its_issuer_owes_is_legal():
    check_terms([terms("a1", funding_micro=9_000, reimburse_micro=9_500)])


WRONG = [
    ("a negative price", [terms("a1", fee_micro=-1)]),
    ("a negative reimbursement", [terms("a1", reimburse_micro=-1)]),
    ("an advance above the funding", [terms("a1", funding_micro=9_500, advance_micro=9_501)]),
    ("more back at expiry than was advanced", [terms("a1", funding_micro=9, advance_micro=5, expiry_back_micro=6)]),
    ("an id twice", [terms("a1"), terms("a1", "2026-02-01")]),
    ("an id twice at two partners", [terms("a1"), terms("a1", partner_id="bolt")]),
]


@pytest.mark.parametrize(("what", "wrong"), WRONG, ids=[what for what, _ in WRONG])
def test_terms_that_could_not_be_settled_are_refused(what, wrong):
    with pytest.raises(BadTerms) as told:
        check_terms(wrong)
    assert told.value.figures == {"terms_id": "a1"}
