"""Points of an older scheme: all rows or none, mistakes by line, asked by one and approved by another, once."""

import msgspec
import pytest
from sqlalchemy import select, update

from central.coalition.registry import load_coalition
from central.corrections.corrections import Correction, MayNotCorrect, OwnWish
from central.corrections.opening import KnownFile
from central.corrections.opening_file import KEPT_FOR_MS, BadOpening, OpeningFile, keep_opening, read_opening
from central.corrections.wishes import BadWish, OpeningWish
from central.database import tables as t
from central.ports import writing
from loyalty.cards.card_keys import one_card_key
from loyalty.cards.cards import CardRules
from loyalty.moments import utc_date
from loyalty.trouble import InvariantBroken
from tests.central.office import ANA, FINN, Office, give, merge
from tests.central.tills import ANNA, BEN, CARD_KEY, CARDS, COALITION, DAY, Centre, told

HEAD = "account,card,issuer,terms,points,last_day\n"


@pytest.fixture
def office(centre: Centre) -> Office:
    return Office(centre)


def read(office: Office, text: str) -> OpeningFile:
    """Read a file and keep its rows."""
    with writing(office.centre.engine) as tx:
        on = utc_date(office.centre.now)
        opening = read_opening(tx, text.encode(), msgspec.convert(CARDS, CardRules), one_card_key(CARD_KEY), on)
        keep_opening(tx, opening, office.centre.now)
    return opening


def wish_for(opening: OpeningFile, **facts: object) -> OpeningWish:
    usual = {"file_id": opening.file_id, "rows_id": opening.rows_id, "scheme": "stamps", "accounts": len(opening.rows)}
    return OpeningWish(**usual | facts)


def ask(office: Office, text: str) -> Correction:
    return office.ask(wish_for(read(office, text)))


def load(office: Office, text: str) -> Correction:
    """Asked by Ana, approved by Bea."""
    return office.approve(ask(office, text).correction_id)


def kept(office: Office) -> int:
    return len(office.rows(select(t.opening_rows.c.rows_id)))


def test_points_are_issued_by_account_or_card_under_their_own_terms_and_last_days(office: Office) -> None:
    anna, ben = office.centre.member(), office.centre.member(BEN)
    done = load(office, f"{HEAD}{anna},,acme,acme-1,70,2027-01-31\n,{ANNA},acme,acme-1,5,2027-01-31\n"
                        f",{BEN},bolt,bolt-1,9,9999-12-31\n")  # fmt: skip
    assert (done.state, done.points) == ("done", 84)
    assert office.held(anna) == [("2027-01-31", "acme", 75, 0)]
    assert office.held(ben) == [("9999-12-31", "bolt", 9, 0)]
    assert office.kinds(anna) == [(1, "opening.v1")]
    assert office.adds_up()


def test_nothing_is_issued_until_another_person_approves_however_few_points_it_is(office: Office) -> None:
    anna = office.centre.member()
    asked = ask(office, f"{HEAD}{anna},,acme,acme-1,1,2027-01-31\n")
    assert (asked.state, asked.points, office.held(anna)) == ("asked", 1, [])
    with pytest.raises(OwnWish):
        office.approve(asked.correction_id, ANA)
    office.approve(asked.correction_id)
    assert office.held(anna) == [("2027-01-31", "acme", 1, 0)]
    (payload,) = [bytes(one) for (one,) in office.rows(select(t.centre_event.c.payload))]
    assert b'"asked_by":"ana","approved_by":"bea"' in payload
    assert kept(office) == 0


def test_a_partner_asks_for_no_opening(office: Office) -> None:
    anna = office.centre.member()
    wish = wish_for(read(office, f"{HEAD}{anna},,bolt,bolt-1,1,2027-01-31\n"))
    with pytest.raises(MayNotCorrect):
        office.ask(wish, FINN)


def test_what_is_approved_is_what_was_asked(office: Office) -> None:
    anna, ben = office.centre.member(), office.centre.member(BEN)
    asked = ask(office, f"{HEAD},{ANNA},acme,acme-1,70,2027-01-31\n")
    with writing(office.centre.engine) as tx:
        tx.execute(update(t.card).where(t.card.c.account_id == anna).values(account_id=ben))
    office.approve(asked.correction_id)
    assert (office.held(anna), office.held(ben)) == ([("2027-01-31", "acme", 70, 0)], [])


def test_rows_that_were_changed_while_they_waited_stop_the_approval(office: Office) -> None:
    anna = office.centre.member()
    asked = ask(office, f"{HEAD}{anna},,acme,acme-1,70,2027-01-31\n")
    (rows,) = office.rows(select(t.opening_rows.c.rows))[0]
    with writing(office.centre.engine) as tx:
        tx.execute(update(t.opening_rows).values(rows=bytes(rows).replace(b"70]", b"99]")))
    with pytest.raises(InvariantBroken):
        office.approve(asked.correction_id)
    assert office.held(anna) == []


def test_no_card_number_is_kept_of_a_file(office: Office) -> None:
    office.centre.member()
    ask(office, f"{HEAD},{ANNA},acme,acme-1,70,2027-01-31\n")
    for table in (t.opening_rows, t.correction):
        assert ANNA not in str(office.rows(select(table)))


def test_the_same_file_is_taken_in_once_and_waits_once(office: Office) -> None:
    anna = office.centre.member()
    text = f"{HEAD}{anna},,acme,acme-1,70,2027-01-31\n"
    first = ask(office, text)
    with pytest.raises(KnownFile) as refused:
        ask(office, text)
    assert f"waits already, as {first.correction_id}" in refused.value.say
    office.approve(first.correction_id)
    with pytest.raises(KnownFile) as refused:
        ask(office, text)
    assert "was taken in before" in refused.value.say
    assert office.held(anna) == [("2027-01-31", "acme", 70, 0)]
    load(office, text + "\n")
    assert office.held(anna) == [("2027-01-31", "acme", 140, 0)]  # another file


def test_a_file_that_was_refused_may_be_asked_for_again(office: Office) -> None:
    anna = office.centre.member()
    text = f"{HEAD}{anna},,acme,acme-1,70,2027-01-31\n"
    office.refuse(ask(office, text).correction_id)
    assert (kept(office), office.held(anna)) == (0, [])
    load(office, text)
    assert office.held(anna) == [("2027-01-31", "acme", 70, 0)]


def test_rows_that_nobody_asks_for_are_not_kept_longer_than_a_day(office: Office) -> None:
    anna = office.centre.member()
    waiting = ask(office, f"{HEAD}{anna},,acme,acme-1,1,2027-01-31\n")
    looked_at = read(office, f"{HEAD}{anna},,acme,acme-1,2,2027-01-31\n")
    office.centre.now += KEPT_FOR_MS + 1
    read(office, f"{HEAD}{anna},,acme,acme-1,3,2027-01-31\n")
    with pytest.raises(BadOpening) as refused:
        office.ask(wish_for(looked_at))
    assert "load the file again" in refused.value.say
    assert (kept(office), office.approve(waiting.correction_id).state) == (2, "done")


def test_what_lapsed_or_was_closed_while_it_waited_is_said_and_it_goes_on_waiting(office: Office) -> None:
    anna, ben = office.centre.member(), office.centre.member(BEN)
    lapses = ask(office, f"{HEAD}{ben},,acme,acme-1,70,2026-03-02\n")
    closes = ask(office, f"{HEAD}{anna},,acme,acme-1,70,2027-01-31\n")
    office.ask(merge(anna, ben))
    office.centre.now += DAY
    for asked, says in ((lapses, "have lapsed while this file waited"), (closes, f"Account {anna} of this file is")):
        with pytest.raises(BadOpening) as refused:
            office.approve(asked.correction_id)
        assert says in refused.value.say
    assert office.rows(select(t.correction.c.state).where(t.correction.c.kind == "opening")) == [("asked",)] * 2
    assert office.held(ben) == []


def test_a_wish_that_does_not_fit_its_file_is_refused(office: Office) -> None:
    anna = office.centre.member()
    opening = read(office, f"{HEAD}{anna},,acme,acme-1,70,2027-01-31\n")
    for facts in ({"file_id": "0" * 32}, {"accounts": 2}):
        with pytest.raises(BadOpening):
            office.ask(wish_for(opening, **facts))
    for scheme in (" ", "x" * 101):
        with pytest.raises(BadWish):
            office.ask(wish_for(opening, scheme=scheme))


def test_points_of_an_opening_count_in_no_limit(office: Office) -> None:
    anna = office.centre.member()
    load(office, f"{HEAD}{anna},,acme,acme-1,5000000,2027-01-31\n")
    assert office.ask(give(anna, 100)).state == "done"


def test_a_file_that_is_no_text_is_refused(office: Office) -> None:
    with writing(office.centre.engine) as tx, pytest.raises(BadOpening) as refused:
        keys = one_card_key(CARD_KEY)
        read_opening(tx, b"\xff\xfe", msgspec.convert(CARDS, CardRules), keys, utc_date(office.centre.now))
    assert "UTF-8" in refused.value.say


def test_a_file_as_spreadsheets_save_it_begins_with_a_mark_that_is_no_column(office: Office) -> None:
    anna = office.centre.member()
    load(office, f"\ufeff{HEAD}{anna},,acme,acme-1,70,2027-01-31\n")
    assert office.held(anna) == [("2027-01-31", "acme", 70, 0)]


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
