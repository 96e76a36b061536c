"""Setting head office up from the command line, and what it says when something is missing."""

import io
import json
from pathlib import Path

import pytest

from tallypoint.cli import main

SHIPPED = Path(__file__).parents[2] / "tallypoint"


@pytest.fixture
def office(tmp_path, capsys):
    """Runs an action of `central` on one folder; answers status and what was printed as JSON."""

    def act(*arguments: str) -> tuple[int, dict]:
        status = main(["central", *arguments, "--data", str(tmp_path / "office"), "--json"])
        return status, json.loads(capsys.readouterr().out)

    return act


def test_a_file_of_members_needs_a_column_of_cards_and_a_mark_in_front_of_it_is_no_letter(office, tmp_path):
    office("coalition", str(SHIPPED / "coalitions" / "harbour.yaml"))
    office("publish", str(SHIPPED / "programmes" / "harbour.yaml"))
    file = tmp_path / "members.csv"
    file.write_text("card;language\n2037215727383;en\n")
    status, said = office("members", str(file))
    assert (status, said["code"]) == (2, "file.unreadable")
    assert "no column `card`" in said["detail"]
    file.write_text("\ufeffcard,language\n2037215727383,en\n")
    status, said = office("members", str(file))
    assert (status, said["made"], said["set_aside"]) == (0, 1, [])


def test_head_office_is_set_up_in_a_few_commands(office, tmp_path):
    (tmp_path / "members.csv").write_text("card,language\n2037215727383,en\n12345,en\n")
    assert len(office("init")[1]["fingerprint"]) >= 16
    assert office("coalition", str(SHIPPED / "coalitions" / "harbour.yaml")) == (0, {"partners": 2})
    assert len(office("publish", str(SHIPPED / "programmes" / "harbour.yaml"))[1]["version"]) == 64
    status, said = office("members", str(tmp_path / "members.csv"))
    assert (status, said["made"], [line for line, _ in said["set_aside"]]) == (0, 1, [3])
    assert len(office("slot", "--store", "leith", "--label", "1")[1]["till_id"]) == 32
    assert office("verify") == (
        0,
        {
            "batches": 0,
            "events": 0,
            "accounts": 0,
            "points": {},
            "uncovered_points": 0,
            "granted_points": 0,
            "violations": [],
            "blocks": 0,
        },
    )


def test_a_login_that_waits_is_unlocked_by_its_name(office, typed):
    office("init")
    typed("a long enough password")
    assert office("user", "--login", "ana", "--role", "head_office") == (0, {"login": "ana"})
    assert office("unlock", "--login", "Ana") == (0, {"login": "ana"})
    status, said = office("unlock", "--login", "ben")
    assert (status, said["code"]) == (2, "login.malformed_user")


def test_the_fingerprint_stays_the_same(office):
    assert office("init") == office("init")


def test_an_unknown_store_ends_with_a_code_and_a_remedy(office, capsys):
    assert office("slot", "--store", "nowhere", "--label", "1")[0] == 2


@pytest.mark.parametrize(
    "asked",
    [
        ("verify",), ("status",), ("alerts",), ("quarantine",), ("restored",), ("backup", "--to", "backups"),
        ("bundle", "--to", "b.zip"), ("revoke", "1", "--reason", "lost"), ("slot", "--store", "leith", "--label", "1"),
    ],
)  # fmt: skip
def test_where_there_is_no_head_office_nothing_is_well_and_none_is_made(office, tmp_path, asked, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, said = office(*asked)
    assert (status, said["code"]) == (2, "central.not_here")
    assert list(tmp_path.iterdir()) == []


def test_an_address_of_no_database_and_one_where_nobody_answers_are_told_in_words(office, monkeypatch):
    office("init")
    nobody = "postgresql+psycopg://x@127.0.0.1:1/y"
    for url, code in (("nonsense", "central.settings_malformed"), (nobody, "database.away")):
        monkeypatch.setenv("TALLYPOINT_CENTRAL_DATABASE_URL", url)
        for asked in ("status", "serve", "worker"):
            status, said = office(asked)
            assert (status, said["code"]) == (3, code), asked


def test_members_before_a_programme_say_what_to_do_first(office, tmp_path, capsys):
    office("init")
    (tmp_path / "members.csv").write_text("card\n2037215727383\n")
    status, said = office("members", str(tmp_path / "members.csv"))
    assert status == 2
    assert "Publish a programme first" in said["detail"]


def test_a_corrupt_programme_is_refused_and_the_old_one_stays(office, tmp_path):
    office("coalition", str(SHIPPED / "coalitions" / "harbour.yaml"))
    published = office("publish", str(SHIPPED / "programmes" / "harbour.yaml"))[1]["version"]
    (tmp_path / "bad.yaml").write_text("id: harbour\ncurrency: EUR\npromotions: 7\n")
    status, said = office("publish", str(tmp_path / "bad.yaml"))
    assert (status, said["code"]) == (2, "programme.malformed")
    assert office("publish", str(SHIPPED / "programmes" / "harbour.yaml"))[1]["version"] == published


@pytest.fixture
def typed(monkeypatch):
    """What is typed where a secret is asked for."""

    def type_in(text: str) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(text + "\n"))

    return type_in


def test_a_card_is_blocked_and_served_again_and_its_number_is_printed_nowhere(office, typed):
    office("coalition", str(SHIPPED / "coalitions" / "harbour.yaml"))
    office("publish", str(SHIPPED / "programmes" / "harbour.yaml"))
    typed("2037215727383")
    status, said = office("block", "--reason", "stolen")
    assert (status, len(said["blocked"])) == (0, 32)
    typed("2037215727383")
    assert office("lift") == (0, {"lifted": said["blocked"]})
    typed("2037215727383")
    assert office("lift")[0] == 2
    typed("12345")
    assert office("block", "--reason", "stolen")[1]["code"] == "central.not_a_card"


def test_a_till_that_was_never_stopped_cannot_be_resumed_and_an_unknown_one_is_named(office):
    office("coalition", str(SHIPPED / "coalitions" / "harbour.yaml"))
    office("slot", "--store", "leith", "--label", "1")
    assert office("resume", "1")[1]["code"] == "central.till_not_stopped"
    assert office("revoke", "2", "--reason", "stolen")[1]["code"] == "central.unknown_till"
    assert office("revoke", "1", "--reason", "stolen")[0] == 0


def test_each_restore_that_is_noted_begins_a_later_generation_than_any_before(office):
    office("init")
    first, second = (office("restored")[1]["generation"] for _ in range(2))
    assert 1_700_000_000 < first < second


def test_rights_are_a_matter_of_postgresql(office):
    office("init")
    assert office("rights", "service")[1]["code"] == "central.no_roles"


def test_closing_a_period_answers_positions_that_sum_to_zero_and_the_same_again(office):
    office("coalition", str(SHIPPED / "coalitions" / "harbour.yaml"))
    office("publish", str(SHIPPED / "programmes" / "harbour.yaml"))
    status, closed = office("close", "--through", "2026-03-31")
    assert status == 0
    assert sum(one["net_minor"] for one in closed["positions"]) == 0
    assert office("close", "--through", "2026-03-31", "--period", str(closed["period_no"]))[1] == closed


def test_a_lane_gets_a_new_machine_by_its_label_or_id_and_stays_where_it_is(office):
    office("coalition", str(SHIPPED / "coalitions" / "harbour.yaml"))
    first = office("slot", "--store", "leith", "--label", "3")[1]
    for name in ("3", first["till_id"]):
        status, again = office("slot", "--till", name)
        assert (status, again["till_id"]) == (0, first["till_id"])
        assert again["code"] != first["code"]
    (till,) = office("status")[1]["tills"]
    assert (till["store_id"], till["label"]) == ("leith", "3")
    assert office("slot", "--till", "3", "--label", "4")[1]["till_id"] == first["till_id"]
    assert office("status")[1]["tills"][0]["label"] == "4"
    assert office("slot", "--till", "9")[1]["code"] == "central.unknown_till"
    assert office("slot", "--store", "leith")[1]["code"] == "central.which_till"


def test_the_status_says_of_each_till_how_it_stands_and_what_is_still_to_be_done(office, tmp_path, capsys):
    office("init")
    typed = ["central", "status", "--data", str(tmp_path / "office")]
    assert main(typed) == 0
    assert capsys.readouterr().out.splitlines() == [
        "No till yet, and an empty worklist.", "to be recomputed: 0, to be told to tills: 0",
    ]  # fmt: skip
    office("coalition", str(SHIPPED / "coalitions" / "harbour.yaml"))
    office("slot", "--store", "leith", "--label", "3")
    assert main(typed) == 0
    (till, _) = capsys.readouterr().out.splitlines()
    assert " ".join(till.split()) == "leith 3 not enrolled 0 receipts, backlog 0, missing 0, comparison not enrolled"
