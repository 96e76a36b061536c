"""`tallypoint central quarantine`, from the list to a decision of two people."""

from pathlib import Path

import msgspec

from loyalty.facts.events import encode
from loyalty.facts.return_voids import close_return_void
from tests.central.test_quarantine import UNKNOWN, broken, lots
from tests.central.test_return_voids import back
from tests.central.tills import Centre, Till, told
from tests.tallypoint.test_central_corrections import FromCommandLine


def office_of(tmp_path: Path, capsys, monkeypatch) -> tuple[Centre, FromCommandLine]:
    (tmp_path / "office").mkdir()
    centre = Centre(f"sqlite:///{tmp_path / 'office' / 'central.db'}")
    line = FromCommandLine(tmp_path / "office", capsys, monkeypatch)
    for login in ("ana", "bea"):
        line.typed("a long enough password")
        line.act("user", "--login", login, "--role", "head_office")
    return centre, line


def test_a_fix_is_asked_for_approved_and_booked(tmp_path: Path, capsys, monkeypatch) -> None:
    centre, line = office_of(tmp_path, capsys, monkeypatch)
    till, anna = centre.till(), centre.member()
    ref, right = broken(till, anna)
    name = f"{ref.till_id}/1/1"
    status, (one,) = line.act("quarantine")
    assert (status, one["name"], one["cause"]) == (0, name, "event.out_of_range")
    assert line.act("quarantine", "show", name)[1]["item"]["receipt_id"] == ""
    (tmp_path / "right.json").write_bytes(encode(right))
    told = ("quarantine", "fix", name, "--fact", str(tmp_path / "right.json"))
    assert line.act(*told)[1]["code"] == "quarantine.say_which"
    status, asked = line.act(*told, "--reason", "wrong_figures", "--by", "ana", "--id", "f1")
    assert (status, asked) == (0, {"correction_id": "f1", "state": "asked", "points": 40})
    assert line.act("approve", "f1", "--by", "bea")[0] == 0
    assert line.act("quarantine", "--decided")[1][0]["outcome"] == "fixed"
    assert line.act("verify")[1]["violations"] == []


def test_the_void_of_a_return_is_fixed_like_any(tmp_path: Path, capsys, monkeypatch) -> None:
    centre, line = office_of(tmp_path, capsys, monkeypatch)
    till, anna = centre.till(), centre.member()
    sold = till.receipt("R1", 10_000, told(anna))
    returned, at = back(till, "B1", till.append(sold), sold, 250)
    right = close_return_void(returned, at, till.place())
    till.append(msgspec.structs.replace(right, net_minor=10**14))
    till.upload()
    (tmp_path / "right.json").write_bytes(encode(right))
    fix = ("quarantine", "fix", f"{at.till_id}/1/3", "--fact", str(tmp_path / "right.json"))
    status, asked = line.act(*fix, "--reason", "wrong_figures", "--by", "ana", "--id", "f1")
    assert (status, asked) == (0, {"correction_id": "f1", "state": "asked", "points": 25})
    assert line.act("approve", "f1", "--by", "bea")[0] == 0
    assert lots(centre, anna) == 100
    assert line.act("verify")[1]["violations"] == []


def test_what_cannot_be_read_is_written_off(tmp_path: Path, capsys, monkeypatch) -> None:
    centre, line = office_of(tmp_path, capsys, monkeypatch)
    till: Till = centre.till()
    till.append(UNKNOWN)
    till.upload()
    name = f"{till.head.till_id}/1/1"
    assert line.act("quarantine", "replay", "--all") == (0, {"looked_at": 1, "posted": 0})
    assert line.act("quarantine", "replay", name)[1]["code"] == "quarantine.not_readable"
    assert line.act("quarantine", "write-off", name, "--by", "ana")[1]["code"] == "quarantine.no_reason"
    assert line.act("quarantine", "write-off", name, "--by", "ana", "--note", "test") == (0, {"written_off": name})
    assert "written_off  by ana  test" in line.said("quarantine", "--decided")
    assert line.said("quarantine") == "Nothing is there.\n"


def test_all_that_a_till_sold_while_it_was_revoked_by_mistake_is_booked(tmp_path: Path, capsys, monkeypatch) -> None:
    centre, line = office_of(tmp_path, capsys, monkeypatch)
    till, anna = centre.till(), centre.member()
    assert line.act("revoke", "Lane", "--reason", "stolen")[0] == 0
    till.sell("R1", 4_000, told(anna))
    till.sell("R2", 1_000, told(anna))
    till.send(till.batch())
    back = ("reinstate", "Lane", "--reason", "revoked_by_mistake", "--by", "ana")
    assert line.said(*back, "--preview").splitlines() == ["50 points of 1 accounts.", "         2 events are booked."]
    assert line.act(*back, "--id", "r1") == (0, {"correction_id": "r1", "state": "asked", "points": 50})
    assert line.act(*back, "--id", "r1") == (0, {"correction_id": "r1", "state": "asked", "points": 50})
    assert line.act("approve", "r1", "--by", "ana")[1]["code"] == "correction.own_wish"
    assert line.act("approve", "r1", "--by", "bea")[0] == 0
    assert (lots(centre, anna), line.act("quarantine")[1]) == (50, [])
    assert line.act(*back)[1]["code"] == "correction.not_revoked"
    assert line.act("verify")[1]["violations"] == []
