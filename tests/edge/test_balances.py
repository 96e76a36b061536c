"""The balance enquiry: what lapses when, what is not confirmed, what can be spent here, how far the next tier is."""

from datetime import date

import pytest

from edge.counter.balances import Enquired, enquire
from edge.sale.asks import CommitAsk
from edge.sale.till import Till
from loyalty.members import Use, WalletItem
from loyalty.programme.programme import read_programme
from tests.edge.conftest import OpenTill
from tests.edge.counter import ANA, BEN, PROGRAMME, commit, grant_float, line, published, sale

TIERS = PROGRAMME + "tiers: [{id: gold, name: Gold, reach: {spend_minor: 10000, period: year}}]\n"
GONE = date(2026, 3, 4)  # yesterday
MARCH, APRIL, MAY = date(2026, 3, 31), date(2026, 4, 30), date(2026, 5, 31)


@pytest.fixture
def till(open_till: OpenTill) -> Till:
    till = open_till()
    till.cache.load_programme(read_programme(TIERS))
    till.cache.load_members([published(
        "ana", lapsing_points=300, lapsing_on=MARCH, lapsing_later=((APRIL, 200), (MAY, 100)),
        counters=(Use(name="spend:2026", amount=4_000),), stored_minor=700,
        wallet=(WalletItem(code="a" * 32, kind="certificate", account_id=1, balance_minor=1_500),
                WalletItem(code="b" * 32, kind="certificate", account_id=1, balance_minor=900, through=GONE)),
    )])  # fmt: skip
    grant_float(till, 5_000)
    return till


def asked(till: Till) -> Enquired:
    return enquire(till, ANA)


def test_what_lapses_next_is_told_with_the_days_after(till: Till) -> None:
    assert asked(till).expiring == ((MARCH, 300), (APRIL, 200), (MAY, 100))


def test_what_was_earned_here_is_pending_until_head_office_confirms_it(till: Till) -> None:
    till.commit(commit("r1", sale(line(1, "bread", 2_000))))
    found = asked(till)
    assert (found.told.view.balance_points, found.pending_points) == (1_020, 20)
    till.cache.load_members([published("ana", points=1_020, version=2, own_seq=till.journal.head().seq)])
    assert asked(till).pending_points == 0


def test_what_was_spent_here_is_gone_at_once_from_the_points_that_lapse_first(till: Till) -> None:
    till.commit(CommitAsk(sale=sale(line(1, "bread", 2_000), points=250), receipt_id="r1"))
    found = asked(till)
    assert found.expiring[0] == (MARCH, 50)
    assert found.told.view.balance_points == 1_000 - 250 + 17  # 17.50 in money earns 17
    assert found.pending_points == 17


def test_what_can_be_spent_now_is_what_the_step_at_hand_allows(till: Till) -> None:
    assert (asked(till).spend.kind, asked(till).spend.points) == ("float", 500)
    online = TIERS.replace("spending: {", "spending: {online: true, ")
    till.cache.load_programme(read_programme(online))
    assert asked(till).spend.kind == "float"  # head office cannot be reached
    till.is_offline = lambda: False
    assert asked(till).spend.kind == "float"  # nor is it ever asked, as in training
    till.ask_points = lambda hold_id, account_id, points, partial: None
    assert (asked(till).spend.kind, asked(till).spend.points) == ("hold", 1_000)


def test_the_tier_is_told_with_what_the_next_one_wants(till: Till) -> None:
    tier = asked(till).tier
    assert tier is not None
    assert (tier.next_tier, tier.measure) == ("gold", "spend")
    assert (tier.wanted, tier.found, tier.short_of) == (10_000, 4_000, 6_000)


def test_certificates_of_the_members_own_count_while_they_are_good(till: Till) -> None:
    found = asked(till)
    assert (found.told.view.stored_minor, found.certificates_minor) == (700, 1_500)


def test_a_card_that_is_not_known_here_has_nothing_to_tell(till: Till) -> None:
    found = enquire(till, BEN)
    assert (found.told.known, found.expiring, found.spend.points, found.tier) == (False, (), 0, None)
