"""Real receipts the whole way: through two tills, sync and ledger, counted again from what head office stored."""

import json
from pathlib import Path

import pytest

from tallypoint.cli import main

FORTY = str(Path(__file__).parent / "forty_lines.csv")


def replayed(capsys, *arguments: str) -> dict:
    assert main(["replay", *arguments, "--map", "online_retail.yaml", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def into(tmp_path, central_url) -> list[str]:
    """Into a folder, with head office on SQLite and on PostgreSQL."""
    return ["--data", str(tmp_path / "replay"), "--database", central_url]


def test_every_line_of_the_file_is_accounted_for(into, capsys):
    said = replayed(capsys, FORTY, *into)
    assert said["lines"] == {"read": 40, "posted": 35, "set_aside": 5}
    assert (said["receipts"], said["returns"], said["anonymous"]) == (13, 3, 3)
    # added up by hand from the file: 369.40 sold, 10.20 + 3.39 + 9.95 + 41.76 = 65.30 returned
    assert (said["sales_minor"], said["returned_minor"]) == (36_940, 6530)
    assert {one["reason"]: one["lines"] for one in said["set_aside"]} == {
        "amount not whole in minor units": 1,
        "negative line in a sale": 1,
        "stock write-off": 3,
    }
    assert (said["posted_twice"], said["violations"]) == (0, [])


def test_replaying_again_posts_nothing_twice(into, capsys):
    once = replayed(capsys, FORTY, *into)
    again = replayed(capsys, FORTY, *into)
    assert again == once
    assert again["posted_twice"] == 0


def test_the_gift_retailer_s_whole_file_adds_up_to_the_penny(real_data, into, capsys):
    file = str(real_data / "online_retail" / "online_retail_2010_12_01_to_05.csv.gz")
    said = replayed(capsys, file, *into)
    assert said["lines"] == {"read": 9999, "posted": 9969, "set_aside": 30}
    assert said["set_aside"] == [{"reason": "stock write-off", "lines": 30}]
    assert (said["receipts"], said["returns"], said["anonymous"]) == (439, 43, 38)
    assert (said["sales_minor"], said["returned_minor"]) == (18_423_983, 358_058)
    assert said["violations"] == []
    assert replayed(capsys, file, *into)["posted_twice"] == 0


def test_a_file_that_is_not_there_ends_with_its_name(tmp_path, capsys):
    assert main(["replay", str(tmp_path / "none.csv"), "--map", "online_retail.yaml"]) == 2
    assert "none.csv" in capsys.readouterr().err
