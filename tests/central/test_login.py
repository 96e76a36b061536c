"""Who may see what: passwords, throttling, sessions, rights and form tokens."""

import re
import threading
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher
from flask import Flask
from sqlalchemy import select

from central.console.base import Console
from central.console.console import HEAD_OFFICE, PUBLIC, RIGHTS, console_pages
from central.database.tables import console_session, console_user
from central.login import BadUser, Logins, LoginTaken, WrongLogin, create_user, unlock
from central.ports import reading, writing
from loyalty.trouble import Refusal
from tests.central.settling import SmallCentre

QUICK = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
PASSWORD = "a long enough one"


@pytest.fixture
def centre(central_url: str) -> Iterator[SmallCentre]:
    made = SmallCentre(central_url)
    yield made
    made.engine.dispose()


@pytest.fixture
def logins(centre: SmallCentre) -> Logins:
    return Logins(centre.engine, centre.clock, centre.randomness, QUICK)


def add(centre: SmallCentre, login: str = "ana", role: str = "head_office", partner: str = "", password=PASSWORD):
    return create_user(
        centre.engine, now_ms=centre.clock.now_ms, randomness=centre.randomness,
        login=login, password=password, role=role, partner_id=partner, hasher=QUICK,
    )  # fmt: skip


def test_the_right_password_opens_a_session(centre: SmallCentre, logins: Logins) -> None:
    add(centre)
    session = logins.session_of(logins.sign_in("Ana ", PASSWORD))
    assert (session.person.login, session.person.role, session.person.partner_id) == ("ana", "head_office", "")


def test_neither_password_nor_token_is_stored(centre: SmallCentre, logins: Logins) -> None:
    add(centre)
    token = logins.sign_in("ana", PASSWORD)
    with reading(centre.engine) as tx:
        stored = str([*tx.execute(select(console_user)).all(), *tx.execute(select(console_session)).all()])
    assert PASSWORD not in stored
    assert token not in stored
    assert "$argon2id$" in stored


def test_a_wrong_password_and_an_unknown_login_get_the_same_answer(centre: SmallCentre, logins: Logins) -> None:
    add(centre)
    said = []
    for login, password in (("ana", "not the password"), ("nobody", PASSWORD)):
        with pytest.raises(WrongLogin) as refused:
            logins.sign_in(login, password)
        said.append((refused.value.say, refused.value.figures))
    assert said[0] == said[1]


def test_five_wrong_tries_lock_a_login_for_a_while_even_for_the_right_password(
    centre: SmallCentre, logins: Logins
) -> None:
    add(centre)
    for _ in range(5):
        with pytest.raises(WrongLogin):
            logins.sign_in("ana", "guess")
    with pytest.raises(WrongLogin):
        logins.sign_in("ana", PASSWORD)
    centre.clock.now_ms += 30_001
    assert logins.session_of(logins.sign_in("ana", PASSWORD))


def test_a_login_that_is_unlocked_may_try_at_once_and_starts_from_five_tries_again(
    centre: SmallCentre, logins: Logins
) -> None:
    add(centre)
    add(centre, "ben")
    for login in ("ana", "ben"):
        for _ in range(7):
            with pytest.raises(WrongLogin):
                logins.sign_in(login, "guess")
    assert unlock(centre.engine, "Ana ").login == "ana"
    for _ in range(4):
        with pytest.raises(WrongLogin):
            logins.sign_in("ana", "guess")
    assert logins.session_of(logins.sign_in("ana", PASSWORD))
    with pytest.raises(WrongLogin):
        logins.sign_in("ben", PASSWORD)
    with pytest.raises(BadUser, match="Nobody has the login cleo"):
        unlock(centre.engine, "cleo")


def test_each_further_round_of_guessing_locks_longer(centre: SmallCentre, logins: Logins) -> None:
    add(centre)
    locked_s = []
    for _ in range(7):
        with pytest.raises(WrongLogin):
            logins.sign_in("ana", "guess")
        with reading(centre.engine) as tx:
            until_ms = tx.execute(select(console_user.c.locked_until_ms)).scalar_one()
        locked_s.append(max(0, until_ms - centre.clock.now_ms) // 1000)
        centre.clock.now_ms = max(centre.clock.now_ms, until_ms) + 1
    assert locked_s == [0, 0, 0, 0, 30, 60, 120]


def test_four_wrong_tries_are_forgiven(centre: SmallCentre, logins: Logins) -> None:
    add(centre)
    for _ in range(4):
        with pytest.raises(WrongLogin):
            logins.sign_in("ana", "guess")
    logins.sign_in("ana", PASSWORD)
    with reading(centre.engine) as tx:
        assert tx.execute(select(console_user.c.failures)).scalar_one() == 0


def test_a_session_ends_when_it_is_signed_out(centre: SmallCentre, logins: Logins) -> None:
    add(centre)
    token = logins.sign_in("ana", PASSWORD)
    logins.sign_out(token)
    assert logins.session_of(token) is None


def test_a_session_ends_after_an_hour_of_silence(centre: SmallCentre, logins: Logins) -> None:
    add(centre)
    token = logins.sign_in("ana", PASSWORD)
    for _ in range(3):
        centre.clock.now_ms += 50 * 60_000
        assert logins.session_of(token)
    centre.clock.now_ms += 61 * 60_000
    assert logins.session_of(token) is None


def test_a_session_ends_after_half_a_day_however_busy(centre: SmallCentre, logins: Logins) -> None:
    add(centre)
    token = logins.sign_in("ana", PASSWORD)
    for _ in range(23):
        centre.clock.now_ms += 30 * 60_000
        assert logins.session_of(token)
    centre.clock.now_ms += 30 * 60_000
    assert logins.session_of(token) is None


def test_a_closed_login_ends_its_sessions(centre: SmallCentre, logins: Logins) -> None:
    add(centre)
    token = logins.sign_in("ana", PASSWORD)
    with writing(centre.engine) as tx:
        tx.execute(console_user.update().values(state="closed"))
    assert logins.session_of(token) is None
    with pytest.raises(WrongLogin):
        logins.sign_in("ana", PASSWORD)


@pytest.mark.parametrize(
    ("role", "partner", "password"),
    [
        ("head_office", "A", PASSWORD),
        ("partner_finance", "", PASSWORD),
        ("partner_finance", "Z", PASSWORD),
        ("owner", "", PASSWORD),
        ("head_office", "", "too short"),
    ],
)
def test_a_user_that_makes_no_sense_is_refused(centre: SmallCentre, role: str, partner: str, password: str) -> None:
    with pytest.raises(BadUser):
        add(centre, role=role, partner=partner, password=password)


class SlowHasher:
    """Checks a password once the test lets it."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def hash(self, _password: str) -> str:
        return "?"

    def verify(self, _hash: str, _password: str) -> bool:
        return not self.go_on.wait(20)


def test_those_who_queue_to_sign_in_leave_threads_to_the_tills(centre: SmallCentre) -> None:
    slow = SlowHasher()
    logins = Logins(centre.engine, centre.clock, centre.randomness, slow)
    refused: list[str] = []

    def try_it() -> None:
        try:
            logins.sign_in("ana", PASSWORD)
        except Refusal as refusal:
            refused.append(refusal.code)

    strangers = [threading.Thread(target=try_it) for _ in range(9)]
    for stranger in strangers:
        stranger.start()
    for stranger in strangers:
        stranger.join(0.5)
    assert refused == ["login.busy"] * 3
    slow.go_on.set()
    for stranger in strangers:
        stranger.join(20)
    assert refused[3:] == ["login.refused"] * 6


def test_a_login_belongs_to_one_person(centre: SmallCentre) -> None:
    add(centre)
    with pytest.raises(LoginTaken):
        add(centre, login="ANA")


# The door


@pytest.fixture
def app(centre: SmallCentre, logins: Logins) -> Flask:
    made = Flask("test")
    made.register_blueprint(console_pages(Console(centre.engine, centre.clock, centre.randomness, logins, True)))
    return made


def test_every_page_names_who_may_open_it(app: Flask) -> None:
    ours = [rule.endpoint for rule in app.url_map.iter_rules() if rule.endpoint.startswith("console.")]
    assert {name.removeprefix("console.") for name in ours} == RIGHTS.keys() | PUBLIC


def test_pages_send_a_stranger_to_the_login(app: Flask) -> None:
    answer = app.test_client().get("/console/periods")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/console/login")


def test_a_strangers_form_changes_nothing(app: Flask) -> None:
    answer = app.test_client().post("/console/periods/1/close", data={"through": "2026-11-30", "sure": "yes"})
    assert answer.status_code == 401


def sign_in(app: Flask, login: str):
    client = app.test_client()
    form = client.get("/console/login", base_url="https://localhost").get_data(as_text=True)
    token = re.search(r'name="csrf" value="(\w+)"', form)[1]
    answer = client.post(
        "/console/login", data={"login": login, "password": PASSWORD, "csrf": token}, base_url="https://localhost"
    )
    return client, answer


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(centre: SmallCentre, app: Flask) -> None:
    add(centre)
    _, answer = sign_in(app, "ana")
    cookie = answer.headers["Set-Cookie"]
    assert answer.status_code == 303
    for word in ("HttpOnly", "Secure", "SameSite=Strict", "Path=/console"):
        assert word in cookie


def test_a_login_form_of_another_browser_is_refused(centre: SmallCentre, app: Flask) -> None:
    add(centre)
    answer = app.test_client().post("/console/login", data={"login": "ana", "password": PASSWORD, "csrf": "1" * 64})
    assert answer.status_code == 403


def test_a_form_without_the_sessions_token_changes_nothing(centre: SmallCentre, app: Flask) -> None:
    add(centre)
    client, _ = sign_in(app, "ana")
    answer = client.post("/console/logout", base_url="https://localhost")
    assert answer.status_code == 403
    assert client.get("/console/", base_url="https://localhost").status_code == 200


def test_a_wrong_login_is_told_on_the_form(app: Flask) -> None:
    _, answer = sign_in(app, "nobody")
    assert answer.status_code == 401
    assert "Login or password is wrong" in answer.get_data(as_text=True)


def test_what_only_head_office_may_open_is_closed_to_partners(centre: SmallCentre, app: Flask) -> None:
    add(centre, "finn", "partner_finance", "C")
    client, _ = sign_in(app, "finn")
    closed = {name for name, roles in RIGHTS.items() if roles == HEAD_OFFICE}
    assert closed == {
        "findings", "finding", "reopen", "settle", "close", "members", "find_member", "member", "approve_correction",
        "refuse_correction", "new_move", "ask_move", "kept_apart", "kept_item", "replay_item", "replay_kept",
        "fix_item", "write_item_off", "tills", "open_place", "health", "approvals",
        "partner_cash", "give_card", "reinstate_till",
    }  # fmt: skip
    for page in ("worklist", "members", "quarantine", "tills", "health"):
        answer = client.get(f"/console/{page}", base_url="https://localhost")
        assert answer.status_code == 403
        assert "login.not_allowed" in answer.get_data(as_text=True)


def test_every_answer_carries_the_headers_that_keep_scripts_and_frames_out(app: Flask) -> None:
    answer = app.test_client().get("/console/login")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
