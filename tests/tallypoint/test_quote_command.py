"""`tallypoint quote` prints what a till would answer."""

import json
from pathlib import Path

import pytest

from tallypoint.cli import main

ROOT = Path(__file__).parents[2]
PROGRAMME = """
id: p
currency: EUR
spending: {step_points: 100, step_minor: 100}
promotions:
  - {id: base, then: [{kind: earn, points: 1, per_minor: 100}]}
  - id: once
    limits: {times: 1, per: month}
    then: [{kind: amount_off, amount_minor: 200}]
"""
BASKET = {"currency": "EUR", "lines": [{"line": 1, "sku": "a", "amount_minor": 1250}]}


@pytest.fixture
def files(tmp_path):
    (tmp_path / "p.yaml").write_text(PROGRAMME)
    (tmp_path / "b.json").write_text(json.dumps(BASKET))
    (tmp_path / "m.json").write_text('{"account_id": 9, "version": 3, "balance_points": 450, "counters": []}')
    return tmp_path


def quote(files, capsys, *more):
    arguments = ["quote", "--programme", str(files / "p.yaml"), "--basket", str(files / "b.json"), *more]
    assert main(arguments) == 0
    return json.loads(capsys.readouterr().out)


def test_a_bare_basket_is_priced_without_a_member(files, capsys):
    said = quote(files, capsys)
    assert said["member"] is None
    assert said["totals"] == {
        "gross_minor": 1250,
        "discount_minor": 0,
        "paid_with_points_minor": 0,
        "net_minor": 1250,
        "points_earned": 0,
        "points_spent": 0,
        "paid_with_certificates_minor": 0,
        "to_pay_minor": 1250,
    }


def test_a_member_earns_saves_and_may_spend_in_whole_steps(files, capsys):
    said = quote(files, capsys, "--member", str(files / "m.json"), "--at", "2026-03-05T10:00:00+01:00")
    assert (said["totals"]["discount_minor"], said["totals"]["points_earned"]) == (200, 10)
    assert (said["redemption"]["most_points"], said["redemption"]["step"]) == (400, 100)


def test_points_to_spend_of_a_whole_request_pay(files, capsys):
    (files / "b.json").write_text(json.dumps({"quote_id": "q1", "basket": BASKET, "points_to_spend": 300}))
    said = quote(files, capsys, "--member", str(files / "m.json"), "--at", "2026-03-05T10:00:00+01:00")
    # 12.50 - 2.00 - 3.00 = 7.50, which earns 7
    assert (said["quote_id"], said["totals"]["net_minor"], said["totals"]["points_earned"]) == ("q1", 750, 7)


def test_history_uses_up_a_limit_within_its_month(files, capsys):
    earlier = [{"quote_id": "h1", "basket": BASKET, "sold_at": "2026-03-01T10:00:00+01:00"}]
    (files / "h.json").write_text(json.dumps(earlier))
    more = ("--member", str(files / "m.json"), "--history", str(files / "h.json"))
    in_march = quote(files, capsys, *more, "--at", "2026-03-05T10:00:00+01:00")
    in_april = quote(files, capsys, *more, "--at", "2026-04-05T10:00:00+01:00")
    assert (in_march["totals"]["discount_minor"], in_april["totals"]["discount_minor"]) == (0, 200)
    assert in_march["member"]["balance_points"] == 460


LADEN = """
id: q
currency: EUR
coupons: [{id: back}]
certificates: {sold: {tags: [gift-card]}}
promotions:
  - {id: back, trigger: {kind: coupon, coupon: back}, then: [{kind: amount_off, amount_minor: 300}]}
  - {id: tea, limits: {times_in_all: 2}, then: [{kind: amount_off, amount_minor: 50}]}
  - {id: kiosk, where: {till_kinds: [kiosk]}, then: [{kind: amount_off, amount_minor: 10}]}
"""
IN_HAND = [
    {"code": "ABC", "of": "back", "through": "2026-03-31"},
    {"code": "GC1", "kind": "certificate", "balance_minor": 500},
]
LAID = {"coupons": ["abc", "XYZ"], "certificates": [{"code": "GC1"}]}


@pytest.fixture
def laden(files):
    (files / "p.yaml").write_text(LADEN)
    (files / "b.json").write_text(json.dumps({"basket": BASKET, **LAID}))
    (files / "hand.json").write_text(json.dumps(IN_HAND))
    return files


def test_coupons_and_certificates_in_hand_are_handed_in_as_a_list(laden, capsys):
    more = ("--bearer", str(laden / "hand.json"), "--at", "2026-03-31T10:00:00+01:00")
    said = quote(laden, capsys, *more)
    # 12.50 less 0.50 and 3.00; the certificate pays 5.00 of the 9.00.
    assert (said["totals"]["net_minor"], said["totals"]["to_pay_minor"]) == (900, 400)
    assert said["coupons"]["used"] == ["abc"]
    assert [(one["code"], one["reason"]) for one in said["coupons"]["refused"]] == [("XYZ", "unknown_code")]
    late = quote(laden, capsys, *more[:2], "--at", "2026-04-01T10:00:00+01:00")
    assert late["coupons"]["refused"][0]["reason"] == "no_longer_good"
    assert quote(laden, capsys)["stored"]["refused"][0]["reason"] == "unknown_code"


def test_history_uses_up_coupons_and_what_everybody_has_together(laden, capsys):
    earlier = [{"basket": BASKET, "coupons": ["ABC"], "sold_at": f"2026-03-0{day}T10:00:00+01:00"} for day in (1, 2)]
    (laden / "h.json").write_text(json.dumps(earlier))
    more = ("--bearer", str(laden / "hand.json"), "--history", str(laden / "h.json"))
    said = quote(laden, capsys, *more, "--at", "2026-03-05T10:00:00+01:00")
    assert said["coupons"]["refused"][0] == {"code": "abc", "reason": "used_before", "say": "This was used before."}
    assert said["totals"]["discount_minor"] == 0  # what two may have is gone as well


def test_the_kind_of_till_can_be_told(laden, capsys):
    assert quote(laden, capsys)["totals"]["discount_minor"] == 50
    assert quote(laden, capsys, "--till-kind", "kiosk")["totals"]["discount_minor"] == 60


def test_a_malformed_programme_ends_with_its_code_and_a_remedy(files, capsys):
    (files / "p.yaml").write_text("id: p\ncurrency: EUR\npromotoins: []\n")
    assert main(["quote", "--programme", str(files / "p.yaml"), "--basket", str(files / "b.json")]) == 2
    assert "programme.malformed" in capsys.readouterr().err


def test_a_missing_file_is_named(files, capsys):
    assert main(["quote", "--programme", str(files / "none.yaml"), "--basket", str(files / "b.json")]) == 2
    assert "none.yaml" in capsys.readouterr().err


def test_the_example_of_the_readme_works(capsys):
    arguments = ["quote", "--programme", str(ROOT / "tallypoint/programmes/harbour.yaml")]
    assert main([*arguments, "--basket", str(ROOT / "docs/examples/basket.json")]) == 0
    assert json.loads(capsys.readouterr().out)["totals"]["gross_minor"] == 968


def test_programme_check_names_the_line(files, capsys):
    (files / "p.yaml").write_text("id: p\ncurrency: EUR\npromotions:\n  - id: a\n    then: [{kind: gift}]\n")
    assert main(["programme", "check", str(files / "p.yaml")]) == 1
    assert "p.yaml:5:" in capsys.readouterr().err


def test_programme_check_prints_the_version_of_a_sound_document(files, capsys):
    assert main(["programme", "check", str(files / "p.yaml"), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["version"]) == 64
