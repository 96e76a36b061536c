"""A partner's account: what is withheld from it, when it is released, and what else it bears."""

import csv
import io
from datetime import date
from typing import Any

import msgspec
import pytest

from central.coalition.registry import load_coalition
from central.leases.leasing import reclaim_overdue
from central.ports import reading, writing
from central.settlement.annex import annex_csv
from central.settlement.closing import close_period
from central.settlement.partner_accounts import PartnerAccount, UnknownPartnerAccount, account_csv, partner_account
from central.verify.books import verify_books
from central.verify.lines import _minor_in_micro
from loyalty.amounts import _EXPONENTS, minor_in_micro
from loyalty.facts.reversals import ReturnLine
from loyalty.members import MemberView
from tests.central.busy_day import busy_day, close, codes, run
from tests.central.test_leasing import HOUR, LEASING, under_rules
from tests.central.tills import COALITION, DAY, NOW, Centre, told, under

TOKEN = "ab" * 16


def account(centre: Centre, partner_id: str = "acme") -> PartnerAccount:
    with reading(centre.engine) as tx:
        return partner_account(tx, partner_id)


def lines(centre: Centre, period_no: int, partner_id: str = "acme") -> list[tuple[str, str, int, int, int]]:
    """Kind, with whom, the period it corrects, points, minor units."""
    return [(line.kind, line.counterparty_id, line.origin_period_no, line.points, line.amount_minor)
            for line in account(centre, partner_id).lines if line.period_no == period_no]  # fmt: skip


def borne(centre: Centre, partner_id: str = "acme") -> list[tuple[Any, ...]]:
    """Cause, receipt, points, those without cover, sum, the operator's share, state."""
    return [(one.cause, one.receipt_id, one.points, one.open_points, one.amount_minor, one.operator_minor, one.state)
            for one in account(centre, partner_id).borne]  # fmt: skip


def end_of(centre: Centre, period_no: int, through: str) -> Any:
    return close_period(
        centre.engine, period_no=period_no, through=date.fromisoformat(through), now_ms=centre.now,
        randomness=centre.random,
    )  # fmt: skip


def spend_what_is_not_there(centre: Centre) -> int:
    """Anna spends 50 points at acme that nobody has; the 99 that the sale earns do not cover them."""
    anna, till = centre.member(), centre.till()
    till.hello()
    till.sell("R1", 10_000, told(anna, 0, 50), spend=50)
    till.upload()
    return anna


def adds_up(centre: Centre) -> bool:
    violations = verify_books(centre.engine).violations
    assert violations == (), violations
    return True


# What nothing covers


def test_what_nothing_covers_is_withheld_on_the_statement_of_its_period_and_released_on_the_one_in_which_it_is_covered(
    centre: Centre,
) -> None:
    anna = spend_what_is_not_there(centre)
    closed = end_of(centre, 1, "2026-03-31")
    # acme-1 reimburses 9,000 micro a point: 45 cents for 50. Nothing is paid, and nobody owes anything.
    assert lines(centre, 1) == [("uncovered", "operator", 1, 50, -45), ("suspense:offline", "operator", 1, 50, 45)]
    assert [one.total_minor for one in closed.statements] == [0, 0]
    assert borne(centre) == [("uncovered", "R1", 50, 50, 45, 0, "withheld")]
    assert (account(centre).withheld_minor, account(centre).owed_minor) == (45, 0)
    # In April bolt grants her 60, of which 50 cover it: bolt funds 9,000 micro each.
    bolt = centre.till("S2")
    bolt.sell("B1", 6_000, told(anna))
    bolt.upload()
    closed = end_of(centre, 2, "2026-04-30")
    assert lines(centre, 2) == [
        ("reimbursement", "bolt", 1, 50, -45),
        ("uncovered", "operator", 1, -50, 45),
        ("suspense:offline", "operator", 1, -50, -45),
    ]
    assert {one.partner_id: one.total_minor for one in closed.statements} == {"acme": -45, "bolt": 45}
    assert closed.netting.operator_minor == 0
    assert borne(centre) == [("uncovered", "R1", 50, 0, 0, 0, "released")]
    assert (account(centre).withheld_minor, account(centre).owed_minor) == (0, -45)
    assert adds_up(centre)


def test_what_is_never_covered_stays_withheld(centre: Centre) -> None:
    spend_what_is_not_there(centre)
    for period_no, through in enumerate(("2026-03-31", "2026-04-30", "2026-05-31"), 1):
        end_of(centre, period_no, through)
    assert [(one.period_no, one.state, one.owed_minor, one.withheld_minor) for one in account(centre).periods] == [
        (1, "issued", 0, 45), (2, "issued", 0, 0), (3, "issued", 0, 0), (4, "open", 0, 0),
    ]  # fmt: skip
    assert account(centre).withheld_minor == 45
    assert adds_up(centre)


def test_a_contract_may_share_it_with_the_operator_who_has_its_share_back_once_it_is_covered(centre: Centre) -> None:
    acme, bolt = COALITION["partners"]
    shared = {"terms_id": "acme-2", "from_on": "2026-02-01", "funding_micro": 10_000, "reimburse_micro": 9_000,
              "uncovered_micro": 3_000}  # fmt: skip
    with writing(centre.engine) as tx:
        load_coalition(tx, {**COALITION, "partners": [{**acme, "terms": [*acme["terms"], shared]}, bolt]}, NOW)
    anna = spend_what_is_not_there(centre)
    # 50 x 3,000 micro, 15 cents, are paid at once; 30 are withheld.
    closed = end_of(centre, 1, "2026-03-31")
    assert lines(centre, 1) == [("uncovered", "operator", 1, 50, -45), ("suspense:offline", "operator", 1, 50, 30)]
    assert ([one.total_minor for one in closed.statements], closed.netting.operator_minor) == ([-15, 0], 15)
    assert borne(centre) == [("uncovered", "R1", 50, 50, 45, 15, "withheld")]
    till = centre.till("S2")
    till.sell("B1", 5_000, told(anna))
    till.upload()
    closed = end_of(centre, 2, "2026-04-30")
    # The rest of acme's 45, bolt's 45, and the operator's 15 back.
    assert ([one.total_minor for one in closed.statements], closed.netting.operator_minor) == ([-30, 45], -15)
    assert adds_up(centre)


def test_what_nothing_covered_and_was_voided_is_withheld_no_more(centre: Centre) -> None:
    anna, till = centre.member(), centre.till()
    till.hello()
    sold = till.receipt("R1", 10_000, told(anna, 0, 50), spend=50)
    ref = till.append(sold)
    till.upload()
    end_of(centre, 1, "2026-03-31")
    till.void(ref, sold)
    till.upload()
    assert lines(centre, 2) == [("uncovered", "operator", 1, -50, 45), ("suspense:offline", "operator", 1, -50, -45)]
    assert (borne(centre), account(centre).withheld_minor) == ([("uncovered", "R1", 50, 0, 0, 0, "released")], 0)
    assert adds_up(centre)


def test_a_spend_of_nobody_is_its_partners_loss_and_nothing_is_claimed_for_it(centre: Centre) -> None:
    till = centre.till()
    till.hello()
    sold = till.receipt("R1", 10_000, MemberView(balance_points=50, spendable_points=50), spend=50)
    till.append(msgspec.structs.replace(sold, account_id=None, earned=()))
    till.upload()
    assert (lines(centre, 1), borne(centre)) == ([], [("uncovered", "R1", 50, 50, 45, 0, "borne")])


# Leases and tills


def test_a_reclaimed_lease_is_at_its_partners_risk_until_its_till_has_told_what_it_spent(centre: Centre) -> None:
    one, other = centre.till(), centre.till("S2")
    under_rules(centre, LEASING, one, other)
    member = centre.member()
    one.sell("R1", 100_000, told(member))
    (grant,) = one.leases(one.upload())
    centre.now += 48 * HOUR + 7 * DAY
    with writing(centre.engine) as tx:
        reclaim_overdue(tx, centre.now, centre.random)
    ((cause, _, *figures),) = borne(centre)
    # 300 x 9,000 micro.
    assert (cause, figures) == ("lease_reclaimed", [300, 300, 270, 0, "at risk"])
    # The balance goes elsewhere; 98 of the 200 that the till brings at last are still there, 102 are not.
    other.sell("X1", 10_000, told(member, 3, 1000), spend=950)
    other.upload()
    one.sell("R2", 1000, told(member, 2, 1000), spend=200, authority=under(grant))
    one.upload()
    late, reclaimed = sorted(borne(centre), key=lambda row: row[0] == "lease_reclaimed")
    assert late == ("spent_after_reclaim", "R2", 102, 102, 92, 0, "withheld")  # 91.8 cents
    assert reclaimed[2:] == (300, 100, 90, 0, "at risk")
    assert borne(centre, "bolt") == []
    assert adds_up(centre)


def test_a_till_that_went_back_in_time_is_its_partners_with_all_that_it_spent_without_cover(centre: Centre) -> None:
    anna, till = centre.member(), centre.till()
    till.hello()
    till.sell("R1", 10_000, told(anna, 0, 50), spend=50)
    till.upload()
    till.head, till.events, till.sent = till.start, [], 0
    till.sell("R9", 100)
    till.send(till.batch())
    assert borne(centre) == [("rolled_back", "R1", 50, 50, 45, 0, "withheld")]


def test_a_till_that_went_back_in_time_and_spent_nothing_yet_is_named_all_the_same(centre: Centre) -> None:
    till = centre.till("S2")
    till.sell("R1", 100)
    till.upload()
    till.head, till.events, till.sent = till.start, [], 0
    till.sell("R9", 100)
    till.send(till.batch())
    assert borne(centre, "bolt") == [("rolled_back", "", 0, 0, 0, 0, "at risk")]
    assert borne(centre) == []


# Limits and versions


def test_an_offer_beyond_its_limit_is_honoured_at_the_cost_of_whoever_funds_it(centre: Centre) -> None:
    one, other, anna = centre.till("S1"), centre.till("S2"), centre.member()
    one.sell("R1", 10_000, told(anna), sku="milk")
    other.sell("R1", 2_000, told(anna), sku="milk")
    one.upload()
    other.upload()
    centre.recompute()
    # Ten percent of 20.00, at bolt's till and by bolt's own promotion.
    assert borne(centre, "bolt") == [("limit_overshot", "R1", 0, 0, 200, 0, "borne")]
    assert borne(centre) == []


def test_an_issuer_beyond_its_limit_is_called_to_cover_points_that_stand(centre: Centre) -> None:
    acme, bolt = COALITION["partners"]
    anna, till = centre.member(), centre.till("S2")
    till.sell("R1", 30_000, told(anna))
    till.upload()
    # 300 points of bolt, 9,000 micro each and no advance: 270 cents.
    exposure = account(centre, "bolt").exposure
    assert (exposure.outstanding_points, exposure.total_minor, exposure.limit_minor) == (300, 270, None)
    assert borne(centre, "bolt") == []
    for limit, call in ((270, []), (250, [("issuer_over_limit", "", 300, 0, 20, 0, "margin call")])):
        with writing(centre.engine) as tx:
            load_coalition(tx, {**COALITION, "partners": [acme, {**bolt, "limit_minor": limit}]}, NOW)
        assert borne(centre, "bolt") == call
    # 100 of them are redeemed at acme: 200 are outstanding, and 90 cents are not billed yet.
    shop = centre.till()
    shop.hello()
    shop.sell("R2", 100, told(anna, 1, 300), spend=100)
    shop.upload()
    exposure = account(centre, "bolt").exposure
    assert (exposure.unbilled_minor, exposure.outstanding_minor, exposure.over_minor) == (90, 180, 20)


def test_a_receipt_that_comes_out_otherwise_is_borne_by_whoever_published_its_programme(centre: Centre) -> None:
    till, anna = centre.till(), centre.member()
    receipt = till.receipt("R1", 10_000, told(anna))
    ref = till.append(receipt)
    returned = till.returned("B1", ref, receipt, (ReturnLine(line=1, quantity_milli=500),))
    till.append(msgspec.structs.replace(returned, net_minor=5_003))
    till.append(msgspec.structs.replace(till.receipt("R2", 400, told(anna)), net_minor=390))
    till.upload()
    centre.recompute()
    # 3 too many were paid out, 10 too few were taken.
    assert [row for row in borne(centre, "operator") if row[0] == "decision_differs"] == [
        ("decision_differs", "B1", 0, 0, 3, 0, "borne"), ("decision_differs", "R2", 0, 0, 10, 0, "borne"),
    ]  # fmt: skip
    assert borne(centre) == []


def test_a_programme_that_was_never_published_is_the_tills_partners(centre: Centre) -> None:
    till = centre.till()
    sold = till.receipt("R1", 100)
    detail = msgspec.json.decode(sold.detail) | {"programme_version": "f" * 64}
    till.append(msgspec.structs.replace(sold, detail=msgspec.Raw(msgspec.json.encode(detail))))
    till.upload()
    centre.recompute()
    assert borne(centre) == [("programme_unknown", "R1", 0, 0, 0, 0, "borne")]
    assert borne(centre, "operator") == []


# Files and proofs


@pytest.mark.parametrize("currency", sorted(_EXPONENTS))
def test_verification_knows_the_minor_unit_of_every_currency(currency: str) -> None:
    assert _minor_in_micro(currency) == minor_in_micro(currency)


def test_the_file_lists_the_lines_and_what_is_borne(centre: Centre) -> None:
    spend_what_is_not_there(centre)
    end_of(centre, 1, "2026-03-31")
    rows = list(csv.DictReader(io.StringIO("".join(account_csv(account(centre))))))
    names = ("row", "period", "kind", "receipt_id", "points", "open_points", "amount", "operator_share", "state")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("line", "1", "uncovered", "", "50", "", "-0.45", "", ""),
        ("line", "1", "suspense:offline", "", "50", "", "0.45", "", ""),
        ("borne", "", "uncovered", "R1", "50", "50", "0.45", "0.00", "withheld"),
    ]


def test_the_annex_of_a_statement_names_the_receipt_of_what_is_withheld_and_what_released_it(centre: Centre) -> None:
    anna, bolt = spend_what_is_not_there(centre), centre.till("S2")
    bolt.sell("B1", 3_000, told(anna))
    bolt.upload()
    with reading(centre.engine) as tx:
        rows = list(csv.DictReader(io.StringIO("".join(annex_csv(tx, 1, "acme")))))
    names = ("receipt_id", "source", "target", "amount", "at_partner_id", "at_terms_id", "of_seq")
    claims = sorted(tuple(row[name] for name in names) for row in rows if row["unit"] == "claim")
    assert claims == [
        ("B1", "pending", "issued", "30", "acme", "acme-1", "1"),
        ("R1", "issued", "pending", "50", "acme", "acme-1", "1"),
    ]


def test_a_partner_that_does_not_exist_has_no_account(centre: Centre) -> None:
    with pytest.raises(UnknownPartnerAccount):
        account(centre, "nobody")


def test_a_claim_that_is_gone_or_was_changed_is_named(centre: Centre) -> None:
    """On the busy day 50 points were not there at acme; 50 of bolt's covered them before it was over."""
    day = busy_day(centre)
    run(day.centre, "DELETE FROM posting WHERE unit = 'claim' AND target = 'issued'", 1)
    assert codes(day.centre) == ["partner.withheld"]


def test_a_statement_that_its_postings_do_not_come_to_is_named(centre: Centre) -> None:
    day = busy_day(centre)
    close(day)
    # What was withheld and released within the period is on no line; now it was never released.
    assert codes(day.centre) == []
    run(day.centre, "DELETE FROM posting WHERE unit = 'claim' AND target = 'issued'", 1)
    assert codes(day.centre) == ["partner.withheld", "statement.rebuilt"]
