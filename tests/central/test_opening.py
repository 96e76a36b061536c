"""Points of an older scheme: all rows or none, mistakes by line, the same file once."""

import csv

import msgspec
import pytest
from sqlalchemy import select

from central import tables as t
from central.opening import BadOpening, Opened, open_balances
from central.ports import writing
from central.registry import load_coalition
from loyalty.cards import CardRules
from tests.central.office import ANA, Office, merge
from tests.central.tills import ANNA, BEN, CARD_KEY, CARDS, COALITION, Centre, told

HEAD = "account,card,issuer,terms,points,last_day\n"


@pytest.fixture
def office(centre: Centre) -> Office:
    return Office(centre)


def load(office: Office, text: str) -> Opened:
    rows = list(csv.DictReader(text.splitlines()))
    with writing(office.centre.engine) as tx:
        return open_balances(
            tx, text.encode(), rows, scheme="stamps", by=ANA, rules=msgspec.convert(CARDS, CardRules),
            card_key=CARD_KEY, now_ms=office.centre.now, randomness=office.centre.random,
        )  # fmt: skip


def test_points_are_issued_by_account_or_card_under_their_own_terms_and_last_days(office: Office) -> None:
    anna, ben = office.centre.member(), office.centre.member(BEN)
    done = load(office, f"{HEAD}{anna},,acme,acme-1,70,2027-01-31\n,{ANNA},acme,acme-1,5,2027-01-31\n"
                        f",{BEN},bolt,bolt-1,9,9999-12-31\n")  # fmt: skip
    assert (done.accounts, done.points, done.before) == (2, 84, False)
    assert office.held(anna) == [("2027-01-31", "acme", 75, 0)]
    assert office.held(ben) == [("9999-12-31", "bolt", 9, 0)]
    assert office.kinds(anna) == [(1, "opening.v1")]
    assert office.adds_up()


def test_the_same_file_again_changes_nothing(office: Office) -> None:
    anna = office.centre.member()
    text = f"{HEAD}{anna},,acme,acme-1,70,2027-01-31\n"
    first = load(office, text)
    assert load(office, text) == msgspec.structs.replace(first, before=True)
    assert office.held(anna) == [("2027-01-31", "acme", 70, 0)]
    load(office, text + "\n")
    assert office.held(anna) == [("2027-01-31", "acme", 140, 0)]  # another file


def test_one_wrong_row_keeps_the_whole_file_out_and_every_wrong_row_is_named_by_its_line(office: Office) -> None:
    anna = office.centre.member()
    text = (
        f"{HEAD}{anna},,acme,acme-1,70,2027-01-31\n"
        f"{anna},,acme,bolt-1,70,2027-01-31\n"
        f"{anna},,acme,acme-1,-7,2027-01-31\n"
        f"{anna},,acme,acme-1,7,soon\n"
        f"{anna},,acme,acme-1,7,2026-03-01\n"
        f"{anna + 1},,acme,acme-1,7,2027-01-31\n"
        f",12345,acme,acme-1,7,2027-01-31\n"
        f"{anna},{ANNA},acme,acme-1,7,2027-01-31\n"
        f"anna,,acme,acme-1,7,2027-01-31\n"
        f",{BEN},acme,acme-1,7,2027-01-31\n"
    )
    with pytest.raises(BadOpening) as refused:
        load(office, text)
    assert refused.value.say.splitlines()[1:] == [
        "line 3: acme has no terms bolt-1; load the coalition first",
        "line 4: points must be a whole number above 0",
        "line 5: last_day must be a date such as 2027-12-31 (9999-12-31: for ever)",
        "line 6: points good through 2026-03-01 have lapsed already; leave them out",
        "line 8: this is no card of the programme",
        "line 9: name either an account or a card",
        "line 10: account must be a number",
        "line 7: there is no such account, or it is closed; load its member first",
        "line 11: there is no such card, or it is closed; load its member first",
    ]
    assert (office.held(anna), office.rows(select(t.centre_event))) == ([], [])


def test_an_empty_file_is_refused(office: Office) -> None:
    with pytest.raises(BadOpening) as refused:
        load(office, HEAD)
    assert "no rows" in refused.value.say


def test_a_card_of_a_merged_account_leads_to_the_one_it_lives_on_in(office: Office) -> None:
    anna, ben = office.centre.member(), office.centre.member(BEN)
    office.ask(merge(anna, ben))
    load(office, f"{HEAD},{ANNA},acme,acme-1,70,2027-01-31\n")
    assert office.held(ben) == [("2027-01-31", "acme", 70, 0)]
    with pytest.raises(BadOpening):
        load(office, f"{HEAD}{anna},,acme,acme-1,70,2027-01-31\n")


def test_a_scheme_that_was_settled_already_brings_points_without_fee_and_advance(office: Office) -> None:
    """Terms of their own say what is still owed for them: here the funding alone, once they are redeemed."""
    old = {"terms_id": "acme-old", "from_on": "2020-01-01", "funding_micro": 8_000}
    acme, bolt = COALITION["partners"]
    with writing(office.centre.engine) as tx:
        load_coalition(tx, {**COALITION, "partners": [{**acme, "terms": [old, *acme["terms"]]}, bolt]}, 0)
    anna, till = office.centre.member(), office.centre.till("S2")
    till.hello()
    load(office, f"{HEAD}{anna},,acme,acme-old,70,2027-01-31\n")
    till.sell("R1", 100, told(anna, 1, 70), spend=50)
    till.upload()
    spent = select(t.posting.c.terms_id, t.posting.c.at_terms_id, t.posting.c.amount)
    assert office.rows(spent.where(t.posting.c.target == "redeemed")) == [("acme-old", "bolt-1", 50)]
    assert office.adds_up()
