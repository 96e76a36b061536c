"""What a cashier may not do alone: who approves it, how often a wrong code may be tried, and what is kept of it."""

import hashlib
import json
import threading
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from edge.ports import BadSettings, read_settings
from edge.sale.approving import hash_of_code, read_hash
from loyalty.facts.receipts import read_detail
from tests.edge.rim import CARD, PAYMENT, Rim, basket, commit, line

CODE = "4711"
SALT = bytes(range(16))
HASH = hash_of_code(CODE, SALT)
BOSS = {"supervisor": "91", "reason": "regular customer", "code": CODE}
GOODS_BACK = {
    "return_id": "B1", "of": None, "currency": "EUR",
    "lines": [{"line": 1, "sku": "mug", "amount_minor": 890, "quantity": "1"}],
}  # fmt: skip


def rim_of(folder: Path, **approvals: int) -> Rim:
    return Rim(folder, supervisors={"91": HASH}, approvals=approvals)


@pytest.fixture
def rim(tmp_path: Path) -> Rim:
    return rim_of(tmp_path, void=0, return_without_receipt=500, charged_difference=100, points_spent=300, day_close=1)


def refused(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json["code"]


def test_a_hash_is_scrypt_as_another_library_makes_it() -> None:
    theirs = hashlib.scrypt(b"4711", salt=SALT, n=2**15, r=8, p=1, maxmem=64 * 1024 * 1024, dklen=32)
    wanted = f"scrypt$15$8$1$AAECAwQFBgcICQoLDA0ODw==${b64encode(theirs).decode()}"
    assert HASH.split("$") == wanted.split("$")
    known = read_hash(HASH)
    assert known.is_of(" 4711 ")
    assert not known.is_of("4712")
    assert not known.is_of("")


@pytest.mark.parametrize("text", ["", "4711", "scrypt$15$8$1$AA==", "scrypt$40$8$1$AA==$AA==", "md5$15$8$1$AA==$AA=="])
def test_settings_with_a_hash_that_is_none_do_not_start(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadSettings, match="supervisor-code"):
        Rim(tmp_path, supervisors={"91": text})


def test_supervisors_and_limits_are_settings(tmp_path: Path) -> None:
    file = tmp_path / "till.toml"
    file.write_text(f'data_dir = "d"\n[supervisors]\n91 = "{HASH}"\n[approvals]\nvoid = 0\nreturn = 5000\n')
    settings = read_settings(file, {})
    assert (settings.supervisors, settings.approvals) == ({"91": HASH}, {"void": 0, "return": 5000})
    settings = read_settings(file, {"TALLYPOINT_TILL_APPROVALS": "void=100|points_spent=50"})
    assert settings.approvals == {"void": 100, "points_spent": 50}
    with pytest.raises(BadSettings, match="approvals"):
        read_settings(file, {"TALLYPOINT_TILL_APPROVALS": "viod=100"})


def test_a_void_wants_a_supervisor_and_goes_through_with_one(rim: Rim) -> None:
    rim.post("/v1/receipts", commit())
    answer = rim.post("/v1/receipts/R1/void", {"cashier": "4"})
    assert refused(answer) == (403, "override.wanted")
    assert answer.json["figures"] == {"action": "void", "limit": 0, "found": 1050}
    assert answer.json["detail"] == (
        "This void needs a supervisor. Call one, and send it again with their number and code."
    )
    head = rim.journal.head()
    done = rim.post("/v1/receipts/R1/void", {"cashier": "4", "override": BOSS})
    assert (done.status_code, done.json["approved_by"]) == (201, "91")
    assert rim.journal.head().seq == head.seq + 1
    kept = json.loads(bytes(rim.journal.find("void:R1").event.detail))
    assert kept == {
        "cashier": "4", "override": {"supervisor": "91", "reason": "regular customer", "actions": ["void"]},
    }  # fmt: skip


def test_a_return_without_a_receipt_wants_one_from_its_limit_on(rim: Rim) -> None:
    below = {**GOODS_BACK, "return_id": "B0", "lines": [{**GOODS_BACK["lines"][0], "amount_minor": 499}]}
    assert rim.post("/v1/returns", below).status_code == 201
    answer = rim.post("/v1/returns", GOODS_BACK)
    assert refused(answer) == (403, "override.wanted")
    assert answer.json["figures"] == {"action": "return_without_receipt", "limit": 500, "found": 890}
    assert rim.post("/v1/returns", {**GOODS_BACK, "override": BOSS}).json["approved_by"] == "91"
    # Of a receipt the same money needs nobody: `return` has no limit here.
    rim.post("/v1/receipts", commit(basket=basket(line(1, "mug", 890))))
    assert rim.post("/v1/returns", {"return_id": "B2", "of": "R1", "lines": [{"line": 1}]}).status_code == 201


def test_another_price_than_quoted_wants_one(rim: Rim) -> None:
    # Quoted: 200 off the coffee, nothing off the bread.
    alone = commit(charged=[{"line": 1, "discount_minor": 250}, {"line": 2, "discount_minor": 49}])
    assert rim.post("/v1/receipts", alone).status_code == 201  # 50 + 49
    more = commit(receipt_id="R2", charged=[{"line": 1, "discount_minor": 150}, {"line": 2, "discount_minor": 50}])
    answer = rim.post("/v1/receipts", more)
    assert refused(answer) == (403, "override.wanted")
    assert answer.json["figures"] == {"action": "charged_difference", "limit": 100, "found": 100}
    assert rim.post("/v1/receipts", {**more, "override": BOSS}).json["approved_by"] == "91"


def test_spending_many_points_wants_one(rim: Rim) -> None:
    goods = basket(line(1, "lamp", 9000))
    assert rim.post("/v1/receipts", commit(basket=goods, points_to_spend=200)).status_code == 201
    answer = rim.post("/v1/receipts", commit(receipt_id="R2", basket=goods, points_to_spend=300))
    assert answer.json["figures"] == {"action": "points_spent", "limit": 300, "found": 300}
    done = rim.post("/v1/receipts", commit(receipt_id="R2", basket=goods, points_to_spend=300, override=BOSS))
    assert done.json["totals"]["points_spent"] == 300
    assert read_detail(rim.journal.find("R2").event).override.actions == ("points_spent",)


def test_an_approval_that_nothing_wanted_is_kept_too(rim: Rim) -> None:
    assert rim.post("/v1/receipts", commit(override=BOSS)).json["approved_by"] == "91"
    kept = read_detail(rim.journal.find("R1").event).override
    assert (kept.supervisor, kept.reason, kept.actions, kept.by_pos) == ("91", "regular customer", (), False)


def test_a_retry_is_told_the_same_and_another_supervisor_is_another_body(rim: Rim) -> None:
    first = rim.post("/v1/receipts", commit(override=BOSS))
    again = rim.post("/v1/receipts", commit(override=BOSS))
    assert again.json == {**first.json, "replayed": True}
    # What is written was approved then: a retry needs no code any more.
    assert rim.post("/v1/receipts", commit(override={**BOSS, "code": "wrong"})).status_code == 200
    assert refused(rim.post("/v1/receipts", commit())) == (409, "receipt.id_reused")
    assert refused(rim.post("/v1/receipts", commit(override={**BOSS, "supervisor": "92"}))) == (
        409, "receipt.id_reused")  # fmt: skip


@pytest.mark.parametrize("wrong", [{"code": "4712"}, {"code": ""}, {"supervisor": "12"}])
def test_a_wrong_code_is_refused_and_nothing_is_written(rim: Rim, wrong: dict[str, str]) -> None:
    head = rim.journal.head()
    answer = rim.post("/v1/receipts", commit(override={**BOSS, **wrong}))
    assert refused(answer) == (403, "override.wrong")
    assert answer.json["detail"] == "The supervisor's number or code is wrong. 4 more tries."
    assert rim.journal.head() == head


THROTTLE = """
    wrong 0     override.wrong
    wrong 0     override.wrong
    right 0     ok                    a right code forgets the wrong ones
    wrong 0     override.wrong
    wrong 0     override.wrong
    wrong 0     override.wrong
    wrong 0     override.wrong
    wrong 0     override.wrong        the fifth
    right 59    override.locked       right or not, nobody may try for a minute
    right 1     ok
    wrong 0     override.wrong
    wrong 0     override.wrong
    wrong 0     override.wrong
    wrong 0     override.wrong
    wrong 0     override.wrong
    wrong 60    override.wrong        the sixth: two minutes now
    right 61    override.locked
    right 59    ok
"""


def test_wrong_codes_make_everybody_wait(rim: Rim) -> None:
    for n, step in enumerate(THROTTLE.strip().splitlines()):
        which, seconds, outcome = step.split()[:3]
        rim.clock.move(int(seconds) * 1000)
        code = CODE if which == "right" else "0000"
        body = commit(receipt_id=f"R{n}", override={**BOSS, "code": code}, sold_at=None)
        answer = rim.post("/v1/receipts", body)
        assert (answer.json.get("code") or "ok") == outcome, step


def test_who_tries_at_once_has_no_more_tries(rim: Rim) -> None:
    """Closes, claims and voids, each in a thread of its own as the server has them."""
    rim.post("/v1/receipts", commit())
    gate = threading.Barrier(12)

    def guess(no: int) -> str:
        body = {"override": {"supervisor": "91", "code": f"00{no:02}"}}
        gate.wait()
        with rim.app.test_client() as client:
            path = "/v1/day-close" if no % 2 else "/v1/receipts/R1/void"
            return str(client.post(path, json=body).json["code"])

    with ThreadPoolExecutor(12) as pool:
        said = list(pool.map(guess, range(12)))
    assert (said.count("override.wrong"), said.count("override.locked")) == (5, 7)


def test_neither_a_restart_nor_training_gives_more_tries(tmp_path: Path) -> None:
    def start() -> Rim:
        return Rim(tmp_path, in_files=True, supervisors={"91": HASH})

    rim = start()
    for n in range(3):
        rim.post("/v1/receipts", commit(receipt_id=f"R{n}", override={**BOSS, "code": "0000"}))
    for n in range(2):
        body = commit(receipt_id=f"R{n}", override={**BOSS, "code": "0000"}, training=True)
        assert refused(rim.post("/v1/receipts", body)) == (403, "override.wrong")
    rim.journal.close()
    assert refused(start().post("/v1/receipts", commit(override=BOSS))) == (429, "override.locked")


def test_where_the_till_knows_no_supervisor_the_pos_has_asked(tmp_path: Path) -> None:
    rim = Rim(tmp_path, approvals={"void": 0})
    rim.post("/v1/receipts", commit())
    assert refused(rim.post("/v1/receipts/R1/void", {})) == (403, "override.wanted")
    done = rim.post("/v1/receipts/R1/void", {"override": {"supervisor": "91"}})
    assert done.json["approved_by"] == "91"
    assert json.loads(bytes(rim.journal.find("void:R1").event.detail))["override"]["by_pos"] is True


def test_the_slip_names_who_approved_it(rim: Rim) -> None:
    text = rim.post("/v1/receipts", commit(override=BOSS)).json["text"]
    assert "Approved by" in text
    assert "regular customer" in text
    assert "Approved by" in rim.client.get("/v1/receipts/R1?format=text").text


def test_no_code_is_in_any_file_and_nothing_of_a_person_in_a_reason(tmp_path: Path) -> None:
    rim = Rim(tmp_path, in_files=True, supervisors={"91": hash_of_code("code-of-the-boss", SALT)})
    for n, reason in enumerate((PAYMENT, "for anna@example.org", "call +49 30 1234567")):
        override = {"supervisor": "91", "reason": reason, "code": "code-of-the-boss"}
        rim.post("/v1/receipts", commit(receipt_id=f"R{n}", override=override))
        assert read_detail(rim.journal.find(f"R{n}").event).override.reason == ""
    rim.journal.checkpoint()
    written = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    assert b'"supervisor":"91"' in written
    for secret in (b"code-of-the-boss", PAYMENT.encode(), CARD.encode(), b"anna@", b"30 1234567"):
        assert secret not in written
