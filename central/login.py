"""Who may see what: people of head office and of partners, their passwords and their sessions.

Passwords are argon2 hashes; a session is a random token of which only the hash is kept. Tries are counted in the table,
so that several processes count together. Source: console.md; dependencies.md "Passwords".
"""

import hashlib
import threading
from typing import Literal

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy import Connection, Engine, delete, select, update

from central.database.tables import console_session, console_user, partner
from central.ports import Clock, Randomness, SystemRandomness, reading, writing
from loyalty.trouble import Refusal

Role = Literal["head_office", "partner_finance"]

SHORTEST_PASSWORD = 10
SESSION_MS = 12 * 3_600_000
IDLE_MS = 3_600_000
FREE_TRIES = 5
FIRST_LOCK_MS = 30_000
LONGEST_LOCK_MS = 15 * 60_000
# A hash takes a quarter of a second and 64 MiB, so strangers may not run many at a time.
LOGINS_AT_A_TIME = 2
# Nor may those who queue for it take all threads of the server from the tills.
LOGINS_IN_LINE = 4
SYSTEM_RANDOMNESS = SystemRandomness()


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may use the console; `partner_id` is "" at head office."""

    user_id: str
    login: str
    name: str
    role: Role
    partner_id: str


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A signed-in person; `csrf` must come back with every form."""

    person: Person
    csrf: str


class WrongLogin(Refusal):
    code = "login.refused"
    status = 401


class TooManyLogins(Refusal):
    code = "login.busy"
    status = 503


class BadUser(Refusal):
    code = "login.malformed_user"
    status = 422


class LoginTaken(Refusal):
    code = "login.taken"


def create_user(
    engine: Engine,
    *,
    login: str,
    password: str,
    role: Role,
    now_ms: int,
    partner_id: str = "",
    name: str = "",
    randomness: Randomness = SYSTEM_RANDOMNESS,
    hasher: PasswordHasher | None = None,
) -> Person:
    """Let somebody in.

    Args:
        partner_id: whose statements a `partner_finance` sees; "" for `head_office`.
        name: shown on pages; the login where empty.
    Raises:
        BadUser: a short password, an unknown role, a role that does not fit the partner, an unknown partner.
        LoginTaken: somebody has this login.
    """
    person = Person(
        user_id=randomness.bytes(8).hex(),
        login=login.strip().lower(),
        name=name or login,
        role=role,
        partner_id=partner_id,
    )
    password_hash = (hasher or PasswordHasher()).hash(password)
    with writing(engine) as tx:
        _check_person(tx, person, password)
        tx.execute(
            console_user.insert().values(
                **msgspec.structs.asdict(person),
                password_hash=password_hash,
                created_at_ms=now_ms,
            )
        )
    return person


def person_named(connection: Connection, login: str) -> Person:
    """The active person behind a login. Raises: BadUser."""
    active = select(console_user).where(console_user.c.login == login.strip().lower(), console_user.c.state == "active")
    row = connection.execute(active).first()
    if row is None:
        raise BadUser(f"Nobody has the login {login}; make one with `tallypoint central user`.", login=login)
    return Person(user_id=row.user_id, login=row.login, name=row.name, role=row.role, partner_id=row.partner_id)


def unlock(engine: Engine, login: str) -> Person:
    """End the wait after too many wrong passwords, as the right one does. Raises: BadUser."""
    with writing(engine) as tx:
        person = person_named(tx, login)
        here = update(console_user).where(console_user.c.user_id == person.user_id)
        tx.execute(here.values(failures=0, locked_until_ms=0))
    return person


class Logins:
    """Signing in and out, on the tables."""

    def __init__(
        self, engine: Engine, clock: Clock, randomness: Randomness, hasher: PasswordHasher | None = None
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._randomness = randomness
        self._hasher = hasher or PasswordHasher()
        self._turn = threading.BoundedSemaphore(LOGINS_AT_A_TIME)
        self._line = threading.BoundedSemaphore(LOGINS_AT_A_TIME + LOGINS_IN_LINE)
        # Checked for a login that nobody has, so that its answer takes as long.
        self._nobody = self._hasher.hash(randomness.bytes(16).hex())

    def sign_in(self, login: str, password: str) -> str:
        """The token of a new session.

        Raises:
            WrongLogin: one answer for an unknown login, a wrong password, a locked and a closed login.
            TooManyLogins: others are signing in just now.
        """
        now = self._clock.wall_ms()
        with reading(self._engine) as tx:
            found = tx.execute(select(console_user).where(console_user.c.login == login.strip().lower())).mappings()
            row = found.one_or_none()
        right = self._is_right(row["password_hash"] if row else self._nobody, password)
        if row is None:
            raise _refused()
        with writing(self._engine) as tx:
            here = update(console_user).where(console_user.c.user_id == row["user_id"])
            # Counted before it is judged: tries at the same moment lock each other out as well.
            counted = here.values(failures=console_user.c.failures + 1).returning(
                console_user.c.failures, console_user.c.locked_until_ms, console_user.c.state
            )
            failures, locked_until_ms, state = tx.execute(counted).one()
            let_in = right and locked_until_ms <= now and state == "active"
            if let_in:
                tx.execute(here.values(failures=0, locked_until_ms=0))
                return self._begin(tx, row["user_id"], now)
            if failures >= FREE_TRIES and locked_until_ms <= now:
                lock_ms = min(FIRST_LOCK_MS * 2 ** min(failures - FREE_TRIES, 16), LONGEST_LOCK_MS)
                tx.execute(here.values(locked_until_ms=now + lock_ms))
        raise _refused()

    def session_of(self, token: str) -> Session | None:
        """Who holds this token; none when it lapsed, was signed out, or the login was closed."""
        now = self._clock.wall_ms()
        session_hash = _hash(token)
        with reading(self._engine) as tx:
            joined = select(console_session, console_user).join_from(console_session, console_user)
            row = tx.execute(
                joined.where(
                    console_session.c.session_hash == session_hash,
                    console_session.c.expires_ms > now,
                    console_session.c.seen_at_ms > now - IDLE_MS,
                    console_user.c.state == "active",
                )
            ).first()
        if row is None:
            return None
        if row.seen_at_ms < now - 60_000:
            with writing(self._engine) as tx:
                seen = update(console_session).where(console_session.c.session_hash == session_hash)
                tx.execute(seen.values(seen_at_ms=now))
        person = Person(
            user_id=row.user_id, login=row.login, name=row.name, role=row.role, partner_id=row.partner_id
        )
        return Session(person=person, csrf=row.csrf)

    def sign_out(self, token: str) -> None:
        """End a session; one that is over already stays over."""
        with writing(self._engine) as tx:
            tx.execute(delete(console_session).where(console_session.c.session_hash == _hash(token)))

    def _begin(self, tx: Connection, user_id: str, now: int) -> str:
        token = self._randomness.bytes(32).hex()
        tx.execute(delete(console_session).where(console_session.c.expires_ms <= now))
        tx.execute(
            console_session.insert().values(
                session_hash=_hash(token),
                user_id=user_id,
                csrf=self._randomness.bytes(32).hex(),
                created_at_ms=now,
                seen_at_ms=now,
                expires_ms=now + SESSION_MS,
            )
        )
        return token

    def _is_right(self, password_hash: str, password: str) -> bool:
        if not self._line.acquire(blocking=False):
            raise TooManyLogins("Many people are signing in just now. Try again in a few seconds.")
        try:
            with self._turn:
                return self._hasher.verify(password_hash, password)
        except VerificationError:
            return False
        finally:
            self._line.release()


def _refused() -> WrongLogin:
    return WrongLogin("Login or password is wrong, or there were too many tries. Check both; then wait a while.")


def _check_person(tx: Connection, person: Person, password: str) -> None:
    if not person.login or len(password) < SHORTEST_PASSWORD:
        raise BadUser(f"A login and a password of at least {SHORTEST_PASSWORD} characters are needed.")
    if person.role not in ("head_office", "partner_finance") or (person.role == "partner_finance") != bool(
        person.partner_id
    ):
        raise BadUser("The role is head_office without a partner, or partner_finance with one.", role=person.role)
    if person.partner_id and not tx.execute(
        select(partner.c.partner_id).where(partner.c.partner_id == person.partner_id)
    ).first():
        raise BadUser(f"There is no partner {person.partner_id}; load the coalition file first.")
    if tx.execute(select(console_user.c.user_id).where(console_user.c.login == person.login)).first():
        raise LoginTaken(f"Somebody has the login {person.login} already; choose another one.", login=person.login)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
