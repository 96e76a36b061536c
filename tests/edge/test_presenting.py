"""Coupons, certificates, prizes and the wallet at the till: what they do, and what is kept of them."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import msgspec
import pytest

from edge.journal.journal import Journal, open_epoch
from edge.sale.certificate_names import code_token
from edge.sale.covering import CertificateNotCovered, PrizeNotCovered, WalletNotCovered
from edge.sale.presenting import present
from edge.sale.taking_back import take_back, void_receipt
from edge.sale.till import Till
from loyalty.cards.card_keys import CardKey, CardKeys
from loyalty.facts.receipts import Receipt
from loyalty.members import PublishedMember, WalletItem
from loyalty.pricing.leases import NotEnoughPoints
from loyalty.programme.programme import read_programme
from loyalty.trouble import Refusal
from sync.lanes import LaneState
from sync.wire import Page
from tests.edge.conftest import OpenTill
from tests.edge.counter import (
    ANA,
    BEN,
    FakeClock,
    back,
    grant_float,
    hold,
    identity,
    published,
    void,
)
from tests.edge.laden import BARE, PROGRAMME, committed, laden_till, laying, with_stored

GROCERIES = ("bread", 2_000)
GC = "GC-7781 0042"


@pytest.fixture
def till(open_till: OpenTill) -> Till:
    """With the laden programme, Ana's 1,000 points and a float of 5,000; on files, so that it can be opened again."""
    till = open_till()
    till.cache.load_programme(read_programme(PROGRAMME))
    till.cache.load_members([published("ana"), published("ben")])
    grant_float(till, 5_000)
    return till


def coupon_of(till: Till, receipt_id: str = "r0", card: str | None = None) -> str:
    """The code that a sale of 20.00 prints."""
    (coupon,) = till.commit(committed(receipt_id, laying(GROCERIES, card=card))).receipt.coupons_issued
    return coupon.code


def personal_of(till: Till, receipt_id: str = "r0") -> str:
    (coupon,) = till.commit(committed(receipt_id, laying(("bread", 100), events=("survey",)))).receipt.coupons_issued
    return coupon.code


def tried(till: Till, code: str, **more: object) -> tuple[int, tuple[str, ...], list[tuple[str, str]]]:
    """What a code takes off bread for 5.00 a day later: the discount, the codes used, and those refused with why."""
    told = till.quote(laying(("bread", 500), **{"days": 1, "card": None, "coupons": (code,), **more}))
    entered = told.entered
    used = tuple(entered[one] for one in told.quote.coupons_used)
    refused = [(entered[one.code], one.reason) for one in told.quote.coupons_refused]
    return told.quote.totals.discount_minor, used, refused


# Coupons for the next visit


def test_a_sale_from_twenty_euros_on_prints_a_coupon_that_is_good_from_tomorrow_for_thirty_days(till: Till) -> None:
    kept = till.commit(committed("r1", laying(GROCERIES, card=None)))
    (coupon,) = kept.receipt.coupons_issued
    assert (coupon.promotion, coupon.coupon, coupon.holder) == ("come-again", "next-visit", "bearer")
    assert (coupon.from_on, coupon.through) == (date(2026, 3, 6), date(2026, 4, 4))
    assert (coupon.code[:2], len(coupon.code)) == ("TC", 34)
    assert till.commit(committed("r2", laying(("bread", 1_999), card=None))).receipt.coupons_issued == ()


def test_a_retry_and_a_reprint_show_the_same_code_after_a_restart_too(till: Till, open_till: OpenTill) -> None:
    code = coupon_of(till, "r1")
    assert code == coupon_of(till, "r1")
    assert code != coupon_of(till, "r2")
    till.journal.close()
    after = open_till()
    assert [one.code for one in after.receipt("r1").receipt.coupons_issued] == [code]


def test_a_quote_has_no_code_yet(till: Till) -> None:
    (coupon,) = till.quote(laying(GROCERIES, card=None)).quote.coupons_issued
    assert coupon.code == ""


def handwritten(code: str) -> str:
    return " ".join(code[i : i + 4] for i in range(0, len(code), 4)).lower().replace("0", "o").replace("1", "l")


@pytest.mark.parametrize("typed", [str, handwritten])
def test_the_code_is_taken_at_the_next_sale_however_it_is_typed(till: Till, typed: Callable[[str], str]) -> None:
    code = typed(coupon_of(till))
    assert tried(till, code) == (200, (code,), [])
    kept = till.commit(committed("r1", laying(("bread", 500), days=1, card=None, coupons=(code,))))
    assert (kept.receipt.net_minor, len(kept.receipt.shared_uses)) == (300, 1)


def test_the_code_is_taken_at_a_till_that_never_heard_of_it(till: Till, clock: FakeClock) -> None:
    code = coupon_of(till)
    assert tried(laden_till(clock), code) == (200, (code,), [])


def test_a_coupon_is_used_up_at_once_and_stays_so_after_a_restart(till: Till, open_till: OpenTill) -> None:
    code = coupon_of(till)
    till.commit(committed("r1", laying(("bread", 500), days=1, card=None, coupons=(code,))))
    assert tried(till, code) == (0, (), [(code, "used_before")])
    till.journal.close()
    assert tried(open_till(), handwritten(code)) == (0, (), [(handwritten(code), "used_before")])


def test_two_tills_that_are_apart_may_both_take_it_and_head_office_will_see(till: Till, clock: FakeClock) -> None:
    code, other = coupon_of(till), laden_till(clock)
    asks = committed("r1", laying(("bread", 500), days=1, card=None, coupons=(code,)))
    uses = [one.commit(asks).receipt.shared_uses for one in (till, other)]
    assert uses[0] == uses[1]


def changed(code: str, at: int) -> str:
    return code[:at] + ("8" if code[at] != "8" else "9") + code[at + 1 :]


def test_a_code_that_does_not_serve_says_why_and_never_stops_the_sale(till: Till) -> None:
    code = coupon_of(till)
    whys: list[tuple[str, dict[str, object], str]] = [
        (code, {"days": 0}, "not_yet_good"),
        (code, {"days": 30}, ""),  # the fourth of April is its last day
        (code, {"days": 31}, "no_longer_good"),
        (changed(code, 33), {}, "unknown_code"),  # the check
        (changed(code, 9), {"days": 31}, "unknown_code"),  # a later last day
        (code[:33], {}, "unknown_code"),
        ("TC" + "7" * 32, {}, "unknown_code"),
        ("SPRING", {}, "unknown_code"),
    ]
    for n, (typed, more, why) in enumerate(whys):
        refused = [(typed, why)] if why else []
        assert tried(till, typed, **more) == (0 if why else 200, () if why else (typed,), refused), typed
        days = more.get("days", 1)
        kept = till.commit(committed(f"w{n}", laying(("bread", 500), card=None, days=days, coupons=(typed,))))
        assert kept.receipt.net_minor == (500 if why else 300)
        if not why:
            void_receipt(till, void(f"w{n}"))


def test_the_same_coupon_laid_down_twice_counts_once(till: Till) -> None:
    code = coupon_of(till)
    told = till.quote(laying(("bread", 500), days=1, card=None, coupons=(code, handwritten(code)))).quote
    assert (told.totals.discount_minor, len(told.coupons_used)) == (200, 1)
    assert [one.reason for one in told.coupons_refused] == ["entered_twice"]


def test_two_coupons_of_a_kind_act_each_in_its_turn(till: Till) -> None:
    codes = (coupon_of(till, "r1"), coupon_of(till, "r2"))
    assert till.quote(laying(("bread", 500), days=1, card=None, coupons=codes)).quote.totals.discount_minor == 400


def test_a_personal_coupon_serves_the_card_it_was_given_to(till: Till) -> None:
    code = personal_of(till)

    def cake(card: str | None) -> tuple[int, list[str]]:
        told = till.quote(laying(("cake", 380), card=card, coupons=(code,))).quote
        return told.totals.discount_minor, [one.reason for one in told.coupons_refused]

    assert cake(ANA) == (380, [])
    assert cake(BEN) == (0, ["of_another_member"])
    assert cake(None) == (0, ["needs_card"])
    till.commit(committed("r1", laying(("cake", 380), coupons=(code,))))
    assert cake(ANA) == (0, ["used_before"])


def test_of_a_member_of_another_store_a_till_knows_which_coupons_it_took_itself(
    till: Till, open_till: OpenTill
) -> None:
    code = personal_of(till)
    till.cache.load_members([published("ana", version=2, counters=None)])
    ask = laying(("cake", 380), coupons=(code,))

    def cake(at: Till) -> tuple[int, list[str]]:
        told = at.quote(ask).quote
        return told.totals.discount_minor, [one.reason for one in told.coupons_refused]

    assert cake(till) == (380, [])
    till.commit(committed("r1", ask))
    assert cake(till) == (0, ["used_before"])
    # Head office tells of her once more: without counters, and the till forgets what else she did here.
    heard = published("ana", version=3, own_seq=till.journal.head().seq, counters=None)
    till.journal.own_uses.forget(till.cache.take_page(*page_of(heard)))
    assert cake(till) == (0, ["used_before"])
    till.journal.close()
    again = open_till()
    assert cake(again) == (0, ["used_before"])
    void_receipt(again, void("r1"))
    assert cake(again) == (380, [])


def test_coupons_of_before_a_new_card_key_serve_until_the_old_one_is_retired(till: Till, clock: FakeClock) -> None:
    bearers, personal = coupon_of(till), personal_of(till, "p0")
    first, second = CardKey(key_id="1", key="1e" * 32), CardKey(key_id="2", key="4c" * 32)

    def hold(*keys: CardKey) -> None:
        till.use_identity(msgspec.structs.replace(till.identity, later_card_keys=CardKeys(keys=keys)))

    def cake(code: str, card: str) -> int:
        return till.quote(laying(("cake", 380), card=card, coupons=(code,))).quote.totals.discount_minor

    hold(first, second)
    assert tried(till, bearers) == (200, (bearers,), [])
    assert [cake(personal, card) for card in (ANA, BEN)] == [380, 0]
    newer = coupon_of(till, "r8")
    assert newer != bearers and tried(till, newer) == (200, (newer,), [])
    # A receipt of before is printed again under the new key, and is the same coupon.
    (again,) = till.receipt("r0").receipt.coupons_issued
    assert again.code != bearers and tried(till, again.code) == (200, (again.code,), [])
    # A till that has not heard of the new key cannot read what was made with it.
    assert tried(laden_till(clock), newer)[0] == 0
    hold(msgspec.structs.replace(first, retired=True), second)
    assert tried(till, bearers)[0] == cake(personal, ANA) == 0
    assert tried(till, newer) == (200, (newer,), [])


def test_a_coupon_in_the_members_wallet_needs_no_code_of_ours(till: Till) -> None:
    item = WalletItem(code="HAPPY-77", of="yours", account_id=1)
    till.cache.load_members([published("ana", version=2, wallet=(item,))])
    ask = laying(("cake", 380), coupons=("happy 77",))
    assert till.quote(ask).quote.totals.discount_minor == 380
    till.commit(committed("r1", ask))
    assert [one.reason for one in till.quote(ask).quote.coupons_refused] == ["used_before"]


def test_a_void_and_a_return_of_everything_give_the_coupon_back(till: Till) -> None:
    code = coupon_of(till)
    ask = laying(("bread", 500), days=1, card=None, coupons=(code,))
    till.commit(committed("r1", ask))
    void_receipt(till, void("r1"))
    assert tried(till, code) == (200, (code,), [])
    till.commit(committed("r2", ask))
    take_back(till, back("b1", "r2", (1, 1_000, 0)))
    assert tried(till, code) == (200, (code,), [])


def page_of(member: PublishedMember) -> tuple[Page, LaneState]:
    rows = (msgspec.Raw(msgspec.json.encode(member)),)
    page = Page(lane="members", from_cursor="", to_cursor="9", version=9, more=False, rows=rows)
    return page, LaneState(cursor="9", version=9)


# What is kept


def files_of(folder: Path) -> bytes:
    files = [path for path in folder.iterdir() if path.is_file()]
    assert {path.name for path in files} >= {"journal.db", "journal.db-wal", "cache.db"}
    return b"".join(path.read_bytes() for path in files).upper()


def test_what_is_kept_of_a_coupon_cannot_be_presented_again(till: Till, tmp_path: Path) -> None:
    codes = [coupon_of(till, "r1"), coupon_of(till, "r2"), personal_of(till, "r3")]
    forged = changed(coupon_of(till, "r4"), 33)
    till.commit(committed("s1", laying(("bread", 500), days=1, card=None, coupons=(codes[0], handwritten(codes[1])))))
    till.commit(committed("s2", laying(("cake", 380), card=BEN, coupons=(codes[2], forged))))
    stored = files_of(tmp_path)
    for code in codes:
        assert code[2:24].encode() in stored  # the number
        assert code[-9:].encode() not in stored  # letters that are all check
    assert forged[-9:].encode() not in stored
    entry = till.journal.find("s1")
    assert entry is not None and isinstance(entry.event, Receipt)
    number = entry.event.shared_uses[0].name.removeprefix("coupon:")
    assert tried(till, number) == (0, (), [(number, "unknown_code")])
    assert tried(till, f"TC{number}") == (0, (), [(f"TC{number}", "unknown_code")])


def test_a_coupon_of_a_kind_that_is_gone_leaves_no_check_behind_either(till: Till, tmp_path: Path) -> None:
    code = coupon_of(till)
    till.cache.load_programme(read_programme(BARE))
    kept = till.commit(committed("r1", laying(("bread", 500), days=1, card=None, coupons=(code,))))
    assert kept.receipt.net_minor == 500
    assert code[-9:].encode() not in files_of(tmp_path)


def test_a_certificates_code_stands_nowhere_in_the_tills_files(till: Till, tmp_path: Path) -> None:
    till.cache.load_members([with_stored(GC, 1_500)])
    ask = laying(("bread", 1_000), certificates=(("gc77810042", 0),))
    told = till.quote(ask)
    assert (told.quote.totals.to_pay_minor, told.entered[told.quote.certificates[0].code]) == (0, "gc77810042")
    till.commit(committed("r1", ask))
    # Laid down as a coupon by mistake, and one that nobody knows.
    wrong = laying(("bread", 100), card=None, certificates=(("NOBODYS-9", 0),), coupons=(GC, "GC 99"))
    till.commit(committed("r2", wrong, digest=till.quote(wrong).quote.digest))
    stored = files_of(tmp_path)
    assert code_token(identity().card_key, GC).upper().encode() in stored
    for secret in (b"GC77810042", GC.encode(), b"NOBODYS-9", b"NOBODYS9", b"GC 99"):
        assert secret not in stored


def test_a_code_of_the_programme_is_kept_as_it_was_entered(till: Till) -> None:
    by_code = PROGRAMME.replace("kind: event, event: survey", "kind: code, codes: [TEST]")
    till.cache.load_programme(read_programme(by_code))
    kept = till.commit(committed("r1", laying(("bread", 100), coupons=("te st",))))
    assert (kept.detail.coupons, len(kept.receipt.coupons_issued)) == (("te st",), 1)


def test_a_certificate_typed_otherwise_is_the_same_sale_again(till: Till) -> None:
    till.cache.load_members([with_stored(GC, 1_500)])
    first = till.commit(committed("r1", laying(("bread", 1_000), certificates=((GC, 1_000),))))
    again = till.commit(committed("r1", laying(("bread", 1_000), certificates=(("gc-77810042", 1_000),))))
    assert (first.replayed, again.replayed, again.head) == (False, True, first.head)


# Limits of everybody together


def test_a_promotion_limited_in_all_is_counted_across_members_and_restarts(till: Till, open_till: OpenTill) -> None:
    def tea(one: Till, card: str | None = None) -> int:
        return one.quote(laying(("tea", 250), card=card)).quote.totals.discount_minor

    for n, card in enumerate((ANA, BEN, None)):
        assert tea(till, card) == 100
        till.commit(committed(f"t{n}", laying(("tea", 250), card=card)))
    assert tea(till) == 0
    till.journal.close()
    after = open_till()
    assert tea(after, ANA) == 0
    void_receipt(after, void("t1"))
    assert (tea(after), tea(after)) == (100, 100)


def test_a_new_epoch_does_not_bring_the_offers_back(till: Till, tmp_path: Path, clock: FakeClock) -> None:
    code = coupon_of(till)
    till.commit(committed("r1", laying(("tea", 250), days=1, card=None, coupons=(code,))))
    till.journal.close()
    journal = Journal.open(tmp_path / "journal.db", identity(epoch=2), clock)
    open_epoch(journal, "rewound")
    asked = laying(("tea", 250), coupons=(code,))
    told = present(till.current(), asked.basket, None, journal, identity(epoch=2), till.place(asked), till.cache).shared
    assert told is not None and {use.name.partition(":")[0]: use.amount for use in told} == {"coupon": 1, "promo": 1}


def test_a_budget_is_spent_once_and_comes_back_with_the_goods(till: Till, open_till: OpenTill) -> None:
    def pot(one: Till, minor: int) -> int:
        return one.quote(laying(("pot", minor), card=None)).quote.totals.discount_minor

    till.commit(committed("p1", laying(("pot", 1_200), card=None)))
    # 6.00 of 10.00 are spent: 4.00 still fit, 4.01 do not.
    assert (pot(till, 800), pot(till, 802)) == (400, 0)
    till.journal.close()
    after = open_till()
    assert (pot(after, 800), pot(after, 802)) == (400, 0)
    take_back(after, back("b1", "p1", (1, 1_000, 0)))
    assert pot(after, 2_000) == 1_000


def test_a_basket_that_looks_at_nothing_shared_is_told_of_nothing(till: Till) -> None:
    till.cache.load_programme(read_programme("id: plain\ncurrency: EUR\n"))
    assert till.quote(laying(("bread", 500), card=None)).quote.shared is None


# What pays besides money


def test_certificate_and_wallet_pay_and_are_emptied_until_head_office_tells_otherwise(till: Till) -> None:
    till.cache.load_members([with_stored(GC, 700, 400)])
    ask = laying(("bread", 1_000), certificates=((GC, 0),), from_wallet_minor=1_000)
    quote = till.quote(ask).quote
    assert (quote.totals.paid_with_certificates_minor, quote.from_wallet_minor) == (700, 300)
    assert (quote.totals.net_minor, quote.totals.to_pay_minor, quote.totals.points_earned) == (1_000, 0, 10)
    kept = till.commit(committed("r1", ask, digest=quote.digest))
    assert kept.receipt.net_minor == 1_000
    after = till.quote(ask).quote
    assert [(one.reason) for one in after.certificates_refused] == ["nothing_left"]
    assert (after.from_wallet_minor, after.totals.to_pay_minor) == (100, 900)
    void_receipt(till, void("r1"))
    assert till.quote(ask).quote.totals.to_pay_minor == 0


def test_sold_certificates_are_not_paid_with_stored_value(till: Till) -> None:
    till.cache.load_members([with_stored(wallet_minor=5_000)])
    goods = laying(("bread", 100), from_wallet_minor=5_000)
    card = msgspec.structs.replace(goods.basket.lines[0], line=2, sku="gc20", amount_minor=2_000, tags=("gift-card",))
    basket = msgspec.structs.replace(goods.basket, lines=(*goods.basket.lines, card))
    quote = till.quote(msgspec.structs.replace(goods, basket=basket)).quote
    assert (quote.from_wallet_minor, quote.totals.to_pay_minor) == (100, 2_000)


# Each: what stands on the certificate and in the wallet, what the POS asks of both, bread in minor units, the outcome.
COVERING = """
    700   0     GC 700   0      1000   kept
    700   0     GC 701   0      1000   certificate.not_covered   one minor unit more than there is
    700   0     GC 701   0      700    kept                      the goods do not need it
    700   0     GC 0     0      1000   kept                      as much as there is
    0     0     GC 0     0      1000   certificate.not_covered   nothing is there
    700   0     XX 0     0      1000   certificate.not_covered   nobody knows it
    700   400   GC 700   300    1000   kept
    700   299   GC 700   300    1000   wallet.not_covered
    700   299   GC 700   300    900    kept                      the goods do not need it
    0     0     -- 0     1      1000   wallet.not_covered
"""


@pytest.mark.parametrize("row", COVERING.strip().splitlines())
def test_goods_that_stored_value_does_not_cover_are_not_given_away(till: Till, row: str) -> None:
    on_it, in_wallet, code, asked, of_wallet, bread, outcome = row.split()[:7]
    till.cache.load_members([with_stored("GC", int(on_it), int(in_wallet))])
    certificates = () if code == "--" else ((code, int(asked)),)
    ask = laying(("bread", int(bread)), certificates=certificates, from_wallet_minor=int(of_wallet))
    assert outcome_of(till, "r1", ask) == outcome
    assert (till.journal.find("r1") is not None) is (outcome == "kept")
    # Whose quote said what pays and what does not may sell all the same.
    assert outcome_of(till, "r2", ask, till.quote(ask).quote.digest) == "kept"


def test_what_the_programme_lets_stored_value_pay_is_all_that_may_be_counted_on(till: Till) -> None:
    half = PROGRAMME.replace("wallet: true}", "wallet: true, largest_share_bp: 5000}")
    till.cache.load_programme(read_programme(half))
    till.cache.load_members([with_stored(GC, 700, 700)])
    for ask, code in (
        (laying(("bread", 1_000), certificates=((GC, 501),)), "certificate.not_covered"),
        (laying(("bread", 1_000), certificates=((GC, 500),), from_wallet_minor=1), "wallet.not_covered"),
        (laying(("bread", 1_000), certificates=((GC, 400),), from_wallet_minor=100), "kept"),
    ):
        assert outcome_of(till, "r1", ask) == code


def outcome_of(till: Till, receipt_id: str, ask: object, digest: str = "") -> str:
    try:
        till.commit(committed(receipt_id, ask, digest=digest))  # type: ignore[arg-type]
    except Refusal as refusal:
        return refusal.code
    return "kept"


def test_what_another_sale_has_taken_since_the_quote_is_noticed_at_the_commit(till: Till) -> None:
    till.cache.load_members([with_stored(GC, 700)])
    ask = laying(("bread", 1_000), certificates=((GC, 700),))
    digest = till.quote(ask).quote.digest
    till.commit(committed("r1", laying(("bread", 500), certificates=((GC, 0),))))
    with pytest.raises(CertificateNotCovered, match=r"pays 2\.00 EUR\. Ask that much") as refused:
        till.commit(committed("r2", ask, digest=digest))
    assert refused.value.figures == {"asked_minor": 700, "paid_minor": 200}


def test_without_certificates_in_the_programme_none_are_taken(till: Till) -> None:
    till.cache.load_members([with_stored(GC, 700, 700)])
    till.cache.load_programme(read_programme(BARE))
    with pytest.raises(CertificateNotCovered):
        till.commit(committed("r1", laying(("bread", 1_000), certificates=((GC, 700),))))
    with pytest.raises(WalletNotCovered, match=r"pays 0\.00 EUR"):
        till.commit(committed("r1", laying(("bread", 1_000), from_wallet_minor=700)))


def test_a_prize_takes_its_points_from_the_float_like_any_others(till: Till) -> None:
    kept = till.commit(committed("r1", laying(("mug", 890), ("bread", 100), prizes=("mug",), points_to_spend=100)))
    assert (kept.receipt.net_minor, kept.receipt.redemption and kept.receipt.redemption.points) == (0, 400)
    assert till.journal.float_left(till.clock.now()).points == 4_600
    assert till.balance(ANA).view.spendable_points == 600


def test_a_prize_may_be_paid_out_of_a_hold(till: Till) -> None:
    till.hold(hold("h1", 350))
    ask = laying(("mug", 890), ("bread", 100), prizes=("mug",), points_to_spend=50, hold_id="h1")
    assert till.commit(committed("r1", ask)).receipt.net_minor == 50


def test_a_prize_that_is_not_covered_is_not_given_away(till: Till) -> None:
    ask = laying(("mug", 890), prizes=("mug",))
    digest = till.quote(ask).quote.digest
    till.commit(committed("r1", laying(("bread", 10_000), points_to_spend=500)))
    # 300 points a card are left of 800; 100 more and the mug is out of reach.
    till.commit(committed("r2", laying(("bread", 100), points_to_spend=100)))
    with pytest.raises(PrizeNotCovered, match=r"Prize mug: There are not enough points .* price in another tender"):
        till.commit(committed("r3", ask, digest=digest))
    assert till.journal.find("r3") is None
    kept = till.commit(committed("r3", ask, digest=till.quote(ask).quote.digest))
    assert (kept.receipt.net_minor, kept.receipt.redemption) == (890, None)


PRIZES = """
    mug    ana   mug     kept
    bread  ana   mug     kept                  its goods are not there, so none are given
    mug    ana   pen     prize.not_covered     nobody knows it
    mug    -     mug     prize.not_covered     nobody's points
"""


@pytest.mark.parametrize("row", PRIZES.strip().splitlines())
def test_a_commit_with_a_prize_is_kept_where_no_goods_go_unpaid(till: Till, row: str) -> None:
    sku, who, prize, outcome = row.split()[:4]
    ask = laying((sku, 890), card=ANA if who == "ana" else None, prizes=(prize,))
    assert outcome_of(till, "r1", ask) == outcome
    assert outcome_of(till, "r2", ask, till.quote(ask).quote.digest) == "kept"


def test_points_that_lapsed_before_the_sale_are_not_taken_for_payment(till: Till) -> None:
    facts = {"lapsing_points": 900, "lapsing_on": date(2026, 3, 5)}
    till.cache.load_members([published("ana", **facts)])
    assert till.quote(laying(GROCERIES)).quote.redemption.most_points == 500
    with pytest.raises(NotEnoughPoints, match="At most 100 points"):
        till.commit(committed("r1", laying(GROCERIES, days=1, points_to_spend=500)))
    assert till.commit(committed("r1", laying(GROCERIES, days=1, points_to_spend=100))).receipt.redemption is not None


def test_what_a_sale_spends_of_its_own_points_comes_out_of_no_float(till: Till, clock: FakeClock) -> None:
    own = PROGRAMME.replace("currency: EUR", "currency: EUR\noptions: {spends_what_it_earns: true}")
    own = own.replace("points: 1, per_minor: 100", "points: 10, per_minor: 100")
    till.cache.load_programme(read_programme(own))
    # 30.00 earns 10 a euro of what is paid in money: 500 of the float and p of its own, p = 10 x (30.00 - 5.00 - p).
    kept = till.commit(committed("r1", laying(("bread", 3_000), points_to_spend=727)))
    assert kept.receipt.redemption is not None
    points, earned = kept.receipt.redemption.points, sum(one.points for one in kept.receipt.earned)
    assert (points, earned) == (727, 227)
    assert till.journal.float_left(clock.now()).points == 4_500
    alone = laden_till(clock)
    alone.cache.load_programme(read_programme(own))
    kept = alone.commit(committed("r1", laying(("bread", 3_000), points_to_spend=272)))
    # No float at all: p = 10 x (30.00 - p) gives 272.
    assert kept.receipt.redemption is not None and kept.receipt.redemption.points == 272


# The member's days, the kind of till, tax


def points_on(till: Till, days: int) -> int:
    return till.quote(laying(("bread", 50), days=days)).quote.totals.points_earned


def test_birthday_and_years_of_joining_are_counted_from_the_business_date(till: Till) -> None:
    till.cache.load_members([published("ana", birthday_mmdd="03-07", joined_on=date(2021, 3, 9))])
    # 50 points on the sixth and seventh of March, 70 on the ninth; 0.50 earns nothing else.
    assert [points_on(till, days) for days in range(6)] == [0, 50, 50, 0, 70, 0]
    kept = till.commit(committed("r1", laying(("bread", 50), days=2)))
    assert (kept.detail.view and kept.detail.view.birthday_in_days, kept.receipt.earned[0].points) == (0, 50)


def test_a_promotion_for_a_kind_of_till_runs_where_the_settings_say_so(till: Till) -> None:
    ask = laying(("bread", 500), card=None)
    assert till.quote(ask).quote.totals.discount_minor == 0
    till.settings = msgspec.structs.replace(till.settings, till_kind="self-service")
    assert till.quote(ask).quote.totals.discount_minor == 10


def test_a_minimum_without_tax_looks_at_the_rate_of_the_line(till: Till) -> None:
    # 12.00 with 20 % holds 2.00 of tax: 10.00 without; of 11.99 it is 1.998, which rounds to 2.00: 9.99.
    assert till.quote(laying(("wine", 1_200), tax_bp=2_000)).quote.totals.discount_minor == 50
    assert till.quote(laying(("wine", 1_199), tax_bp=2_000)).quote.totals.discount_minor == 0
    assert till.quote(laying(("wine", 1_199), tax_bp=0)).quote.totals.discount_minor == 50


def test_with_everything_at_once_the_commit_finds_what_the_quote_said(till: Till) -> None:
    member = with_stored(GC, 600, 250, birthday_mmdd="03-06", joined_on=date(2020, 3, 6))
    till.cache.load_members([member])
    codes = (coupon_of(till), personal_of(till, "r00"), "NOPE")
    goods = (("bread", 2_500), ("mug", 890), ("cake", 380), ("tea", 250), ("pot", 400))
    ask = laying(
        *goods, days=1, coupons=codes, events=("enrolment",), prizes=("mug",), points_to_spend=100,
        certificates=((GC, 600),), from_wallet_minor=250,
    )  # fmt: skip
    quote = till.quote(ask).quote
    # 44.20 less 1.00 (tea) and 2.00 (pot), then the coupon's 2.00, of which 0.43 falls on the mug and 0.19 on the cake,
    # then the cake's last 3.61: 8.61 off. Points pay the mug's 8.47 and 1.00, stored value 8.50.
    assert (quote.totals.gross_minor, quote.totals.discount_minor, quote.prizes[0].amount_minor) == (4_420, 861, 847)
    assert (quote.totals.points_spent, quote.totals.net_minor, quote.totals.to_pay_minor) == (400, 2_612, 1_762)
    # 26 for 26.12, 100 for enrolling, 50 and 70 for the two days.
    assert (quote.totals.points_earned, len(quote.coupons_used), len(quote.coupons_issued)) == (246, 2, 1)
    kept = till.commit(committed("r1", ask, digest=quote.digest, programme_version=quote.programme_version))
    assert kept.detail.quoted_digest == ""
    assert kept.quote is not None and kept.quote.totals == quote.totals
    again = till.receipt("r1")
    assert again.quote is not None and again.quote.digest == quote.digest


def test_an_ask_has_the_digest_of_what_stored_value_pays(till: Till) -> None:
    ask = laying(("bread", 1_000), certificates=((GC, 0),))
    digests = set()
    for minor in (700, 600):
        till.cache.load_members([with_stored(GC, minor)])
        digests.add(till.quote(ask).quote.digest)
    assert len(digests) == 2
