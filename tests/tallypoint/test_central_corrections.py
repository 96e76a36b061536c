"""Accounts corrected, moved, opened and ended from the command line."""

import csv
import io
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tallypoint.cli import main

SHIPPED = Path(__file__).parents[2] / "tallypoint"
CARDS = ("2037215727383", "2037215727390")


class FromCommandLine:
    """Runs actions of `central` on one folder; answers status and what was printed as JSON."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self._capsys, self._monkeypatch = folder, capsys, monkeypatch

    def act(self, *arguments: str) -> tuple[int, Any]:
        status = main(["central", *arguments, "--data", str(self.folder), "--json"])
        return status, json.loads(self._capsys.readouterr().out)

    def said(self, *arguments: str) -> str:
        """What people read."""
        main(["central", *arguments, "--data", str(self.folder)])
        return self._capsys.readouterr().out

    def typed(self, text: str) -> None:
        """What is typed where a secret is asked for."""
        self._monkeypatch.setattr("sys.stdin", io.StringIO(text + "\n"))

    def accounts(self) -> list[int]:
        with sqlite3.connect(self.folder / "central.db") as database:
            return [number for (number,) in database.execute("SELECT account_id FROM account ORDER BY created_at_ms")]


@pytest.fixture
def office(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> FromCommandLine:
    made = FromCommandLine(tmp_path / "office", capsys, monkeypatch)
    made.act("coalition", str(SHIPPED / "coalitions" / "harbour.yaml"))
    made.act("publish", str(SHIPPED / "programmes" / "harbour.yaml"))
    for login in ("ana", "bea"):
        made.typed("a long enough password")
        made.act("user", "--login", login, "--role", "head_office")
    (tmp_path / "members.csv").write_text("card\n" + "\n".join(CARDS) + "\n")
    made.act("members", str(tmp_path / "members.csv"))
    return made


def give(account: int, points: int, *more: str) -> list[str]:
    return ["adjust", str(account), "--give", str(points), "--issuer", "bluebird", "--through", "2099-12-31",
            "--reason", "goodwill", "--by", "ana", *more]  # fmt: skip


def test_points_are_given_taken_approved_refused_and_explained(office: FromCommandLine) -> None:
    account = office.accounts()[0]
    assert office.act(*give(account, 300, "--id", "a1")) == (
        0, {"correction_id": "a1", "state": "done", "points": 300},
    )  # fmt: skip
    assert office.act(*give(account, 3_000, "--id", "a2"))[1]["state"] == "asked"
    assert [row["correction_id"] for row in office.act("corrections")[1]] == ["a2"]
    assert office.act("approve", "a2", "--by", "ana")[1]["code"] == "correction.own_wish"
    assert office.act("approve", "a2", "--by", "bea")[1]["state"] == "done"
    office.act(*give(account, 700, "--id", "a3"))
    assert office.act("refuse", "a3", "--by", "bea", "--note", "counted twice")[1]["state"] == "refused"
    assert office.act("corrections", "--state", "refused")[1][0]["note"] == "counted twice"
    took = office.act("adjust", str(account), "--take", "9999", "--reason", "wrong_points", "--by", "ana")
    assert took[1]["figures"] == {"asked": 9_999, "there": 3_300}
    status, told = office.act("history", str(account))
    assert (status, told["balance"], [one["step"] for one in told["entries"]]) == (0, 3_300, [3_000, 300])
    assert "(goodwill, ana and bea): +3000, balance 3300" in office.said("history", str(account))
    assert office.act("balance-at", str(account), "--version", "1")[1]["points"] == 300
    assert office.act("balance-at", str(account), "--on", "2020-01-01")[1]["points"] == 0
    assert office.act("verify")[0] == 0


def test_points_move_and_accounts_merge(office: FromCommandLine) -> None:
    anna, ben = office.accounts()
    office.act(*give(anna, 300))
    move = office.act("transfer", str(anna), str(ben), "--points", "100", "--reason", "family", "--by", "ana")
    assert move[1]["points"] == 100
    merged = office.act("merge", str(anna), str(ben), "--reason", "duplicate_member", "--by", "ana")
    assert (merged[0], merged[1]["points"]) == (0, 200)
    office.typed(CARDS[0])
    told = office.act("history", "card")[1]
    assert (told["account_id"], told["balance"], told["came_from"]) == (ben, 300, [anna])
    assert f"Merged into account {ben}." in office.said("history", str(anna))
    assert office.act("verify")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["adjust", "{account}", "--reason", "goodwill", "--by", "ana"], "correction.malformed"),
        (["adjust", "{account}", "--give", "5", "--reason", "goodwill", "--by", "ana"], "correction.malformed"),
        (["adjust", "{account}", "--take", "5", "--reason", "goodwill", "--by", "carl"], "login.malformed_user"),
        (["adjust", "anna", "--take", "5", "--reason", "goodwill", "--by", "ana"], "members.unknown_account"),
        (["history", "7"], "members.unknown_account"),
        (["balance-at", "7", "--on", "2026-01-01"], "members.unknown_account"),
        (["approve", "nothing", "--by", "ana"], "correction.not_open"),
        (["expire", "--on", "2999-01-01"], "expiry.too_early"),
        (["leave", "nobody"], "coalition.unknown_partner"),
        (["end-programme", "--last-day", "2020-01-01", "--by", "ana"], "ending.day_is_over"),
        (["leave", "bluebird", "--expire-on", "2099-01-01"], "login.malformed_user"),
        (["leave", "nobody", "--expire-on", "2099-01-01", "--by", "ana"], "coalition.unknown_partner"),
        (["open-balances", "nowhere.csv", "--scheme", "stamps", "--by", "ana"], "file.unreadable"),
    ],
)
def test_what_cannot_be_done_ends_with_a_code_and_a_sentence(
    office: FromCommandLine, arguments: list[str], code: str
) -> None:
    account = str(office.accounts()[0])
    status, said = office.act(*(one.format(account=account) for one in arguments))
    assert (status, said["code"]) == (2, code)


def test_nobody_has_the_card_that_is_asked_for(office: FromCommandLine) -> None:
    office.typed("2037215727406")
    assert office.act("history", "card")[1]["code"] == "members.unknown_account"


def test_an_older_schemes_points_come_from_a_file_once(office: FromCommandLine, tmp_path: Path) -> None:
    office.typed(CARDS[1])
    carried = office.act("history", "card")[1]["account_id"]
    account, file = next(one for one in office.accounts() if one != carried), tmp_path / "old.csv"
    with file.open("w", newline="") as opened:
        rows = csv.writer(opened)
        rows.writerow(["account", "card", "issuer", "terms", "points", "last_day"])
        rows.writerow([account, "", "bluebird", "bluebird-1", 70, "2099-01-31"])
        rows.writerow(["", CARDS[1], "bluebird", "bluebird-1", 5, "2099-01-31"])
    arguments = ("open-balances", str(file), "--scheme", "stamps", "--by", "ana")
    seen = office.act(*arguments, "--preview")[1]
    assert (seen["points"], seen["accounts"], office.act("corrections")[1]) == (75, 2, [])
    status, said = office.act(*arguments, "--id", "o1")
    assert (status, said) == (0, {"correction_id": "o1", "state": "asked", "points": 75})
    assert office.act("balance-at", str(account), "--on", "2099-01-01")[1]["points"] == 0
    assert "75 given, bluebird, good through 2099-01-31, terms bluebird-1" in office.said("corrections")
    assert office.act("approve", "o1", "--by", "ana")[1]["code"] == "correction.own_wish"
    assert office.act("approve", "o1", "--by", "bea")[1]["state"] == "done"
    assert office.act("balance-at", str(account), "--on", "2099-01-01")[1]["points"] == 70
    assert office.act(*arguments)[1]["code"] == "opening.known_file"
    file.write_text(file.read_text() + "x,,bluebird,bluebird-1,5,2099-01-31\n")
    assert "line 4: account must be a number" in office.act(*arguments)[1]["detail"]
    assert office.act("verify")[0] == 0


def test_a_look_says_what_would_move_and_asks_for_nothing(office: FromCommandLine) -> None:
    anna, ben = (str(one) for one in office.accounts())
    office.act(*give(int(anna), 300))
    move = ["transfer", anna, ben, "--points", "100", "--reason", "family", "--by", "ana", "--preview"]
    assert office.said(*move).splitlines() == [
        "100 points of 2 accounts.", "       100 moved, bluebird, good through 2099-12-31, terms bluebird-1",
    ]  # fmt: skip
    assert office.act("merge", anna, ben, "--reason", "family", "--by", "ana", "--preview")[1]["points"] == 300
    assert office.act("balance-at", anna, "--on", "2099-01-01")[1]["points"] == 300
    assert len(office.act("corrections", "--state", "done")[1]) == 1


def test_what_waits_and_cannot_be_done_any_more_says_why_in_the_list(office: FromCommandLine) -> None:
    anna, ben = (str(one) for one in office.accounts())
    office.act(*give(int(anna), 300))
    office.act("transfer", anna, ben, "--reason", "family", "--by", "ana", "--id", "t1")
    office.act(*give(int(anna), 3_000, "--id", "a2"))
    office.act("merge", anna, ben, "--reason", "family", "--by", "ana")
    assert "is closed; it lives on in account" in office.said("corrections")
    assert "is closed" in office.act("corrections")[1][0]["trouble"]


def test_sums_of_a_day_hold_on_the_command_line(office: FromCommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYPOINT_CENTRAL_CORRECT_ASKER_DAY_POINTS", "300")
    monkeypatch.setenv("TALLYPOINT_CENTRAL_CORRECT_ALONE_DAY_POINTS", "250")
    account = office.accounts()[0]
    assert [office.act(*give(account, points))[1].get("state") for points in (200, 60, 41)] == ["done", "asked", None]
    said = office.act(*give(account, 41))[1]
    assert (said["code"], said["figures"]) == ("correction.above_sum", {"limit": 300, "so_far": 260, "points": 41})


def test_a_partner_leaves_and_the_programme_ends(office: FromCommandLine) -> None:
    account = office.accounts()[0]
    office.act(*give(account, 300))
    assert office.act("leave", "bluebird")[1]["points"] == 300
    leave = office.act("leave", "bluebird", "--expire-on", "2099-06-30", "--by", "ana", "--id", "e1")
    assert leave == (0, {"correction_id": "e1", "state": "asked", "points": 300})
    assert [lot["valid_through"] for lot in office.act("leave", "bluebird")[1]["lots"]] == ["2099-12-31"]
    office.act("approve", "e1", "--by", "bea")
    assert [lot["valid_through"] for lot in office.act("leave", "bluebird")[1]["lots"]] == ["2099-06-30"]
    end = ("end-programme", "--last-day", "2099-03-31", "--by", "ana", "--id", "e2")
    assert office.act(*end)[1]["state"] == "asked"
    assert office.act("approve", "e2", "--by", "ana")[1]["code"] == "correction.own_wish"
    assert office.act("approve", "e2", "--by", "bea")[1]["points"] == 300
    lots = office.act("balance-at", str(account), "--on", "2099-01-01")[1]["lots"]
    assert [lot["key"][0] for lot in lots] == ["2099-03-31"]
    assert office.act("expire")[1]["points"] == 0
    assert office.act("verify")[0] == 0
