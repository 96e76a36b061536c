"""Head office is upgraded while it serves: servers of two versions on one database, tills of three versions at them."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
import yaml
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, func, select

from central import migrations
from central.database import tables as t
from central.migrations import SchemaBusy, SchemaNewer, keep_serving, upgrade
from central.ports import open_engine, reading, writing
from central.verify.books import verify_books
from edge.line.http_line import HttpLine
from loyalty.programme.programme import read_programme
from sync import envelope, till_messages
from sync.keys import one_key
from sync.wire import PROTO, Answer
from tallypoint.in_process import NOWHERE, InProcess, Node, StoryClock
from tests.central.later.build import SCHEMAS
from tests.central.tills import COALITION, Centre, told
from tests.edge.counter import PROGRAMME, commit, line, sale

ROOT = Path(__file__).parents[2]
OLD, NEW = PROTO + 1, PROTO + 2  # of the protocol: tills speak the new one, the one before, and the one before that


class Server:
    """A head office in a process of its own; `schema` and `newest` say of which version."""

    def __init__(self, folder: Path, database_url: str, newest: int, schema: str) -> None:
        settings = folder / f"server-{newest}.yaml"
        said = {"data_dir": str(folder), "database_url": database_url, "listen_port": 0, "chores": False}
        settings.write_text(yaml.safe_dump(said))
        self._arguments = [sys.executable, "-m", "tests.central.later.build", str(settings), str(newest), schema]
        self._said = folder / f"server-{newest}.log"
        self.url = ""

    def begin(self) -> "Server":
        """Start, without waiting."""
        with self._said.open("w") as said:
            self._process = subprocess.Popen(
                self._arguments, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=said, stderr=said
            )
        return self

    def answers(self, within_s: float = 60) -> "Server":
        """Wait until it does."""
        ends = time.monotonic() + within_s
        while time.monotonic() < ends and self._process.poll() is None:
            if found := re.search(r"^Head office answers on (\S+),", self._said.read_text(), re.MULTILINE):
                self.url = found[1]
                return self
            time.sleep(0.05)
        raise AssertionError(f"it does not answer: {self._said.read_text()}")

    def end(self, *, at_once: bool = False) -> None:
        """SIGTERM, or SIGKILL."""
        (self._process.kill if at_once else self._process.terminate)()
        self._process.wait(60)


class Shop(InProcess):
    """The coalition in a folder; its tills ask the servers that run in turn."""

    servers: tuple[Server, ...] = ()
    http: HttpLine
    asked = 0

    def exchange(self, url: str, body: bytes) -> Answer:
        if not self.servers:
            return super().exchange(url, body)
        self.asked += 1
        server = self.servers[self.asked % len(self.servers)]
        return self.http.exchange(server.url + url.removeprefix(NOWHERE), body, 20_000)

    def settle(self, *nodes: Node) -> None:
        for node in nodes:
            for _ in range(400):
                self.clock.move(min(node.uplink.run_once(), 600_000))
                if node.journal.backlog() == 0 and node.cache.programmes() and not node.uplink.is_offline():
                    break
            else:
                raise AssertionError(f"never level: {node.uplink.status()}")


@pytest.fixture
def speaks(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """By the till's key, which version of the protocol it speaks."""
    by_key: dict[str, int] = {}

    def saying(pack: Callable[..., bytes]) -> Callable[..., bytes]:
        def said(tag: bytes, message: Any, signer: Any, *body: bytes) -> bytes:
            proto = by_key.get(signer.public, PROTO)
            return pack(tag, msgspec.structs.replace(message, proto=proto), signer, *body)

        return said

    monkeypatch.setattr(till_messages, "pack", saying(till_messages.pack))
    monkeypatch.setattr(envelope, "pack", saying(envelope.pack))
    return by_key


@pytest.fixture
def shop(tmp_path: Path, central_url: str) -> Iterator[Shop]:
    made = Shop(tmp_path / "shop", StoryClock(int(time.time() * 1000)), COALITION, central_url)
    made.http = HttpLine()
    made.publish(read_programme(PROGRAMME))
    yield made
    for server in made.servers:
        server.end(at_once=True)
    made.close()


def sell(node: Node, *names: str) -> None:
    for name in names:
        node.till.commit(commit(name, sale(line(1, "bread", 1_000), card=None)))


def sell_once_known(shop: Shop, node: Node, name: str) -> None:
    shop.settle(node)
    sell(node, name)
    shop.settle(node)


def posted(shop: Shop) -> list[str]:
    with reading(shop.engine) as tx:
        here = t.event.c.kind == "receipt.v1", t.event.c.state == "posted"
        return sorted(tx.execute(select(t.event.c.receipt_id).where(*here)).scalars())


def test_servers_of_two_versions_serve_tills_of_three_while_one_takes_the_place_of_the_other(
    shop: Shop, speaks: dict[str, int], tmp_path: Path, central_url: str
) -> None:
    nodes = oldest, older, newest = [shop.add_till("S1", name) for name in ("oldest", "older", "newest")]
    for node, proto in zip(nodes, (PROTO, OLD, OLD), strict=True):
        speaks[node.uplink._session._signer.public] = proto
    old = Server(tmp_path / "shop", central_url, OLD, "0001").begin().answers()
    shop.servers = (old,)
    shop.settle(*nodes)
    sell(oldest, "a1")
    sell(older, "b1")
    sell(newest, "c1")
    shop.settle(*nodes)

    # The new one brings the database to its schema while the old one takes sales.
    new, n = Server(tmp_path / "shop", central_url, NEW, "0002").begin(), 1
    begun = threading.Thread(target=new.answers)
    begun.start()
    while begun.is_alive():
        n += 1
        sell(oldest, f"a{n}")
        sell(older, f"b{n}")
        shop.settle(oldest, older)
    assert new.url
    assert n > 2, "nothing was sold meanwhile"

    # Both serve, every till at either of them, one request here and the next there.
    shop.servers = (old, new)
    for m in range(3):
        sell(oldest, f"oldest-{m}")
        sell(older, f"older-{m}")
        sell(newest, f"newest-{m}")
        shop.settle(*nodes)

    # Lanes are enrolled at either of them.
    for name, server in (("at-old", old), ("at-new", new)):
        shop.servers = (server,)
        nodes.append(shop.add_till("S1", name))
        shop.servers = (old, new)
        sell_once_known(shop, nodes[-1], name)

    # The old one dies and is started again by its machine: what the new one made only grew, so it goes on.
    old.end(at_once=True)
    old.begin().answers()
    sell(oldest, "after-1")
    shop.settle(oldest)

    # A till is updated before its turn. The old server will not hear it, the new one does; nothing it sold is lost.
    speaks[newest.uplink._session._signer.public] = NEW
    shop.servers = (old,)
    sell(newest, "early-1")
    for _ in range(20):
        shop.clock.move(min(newest.uplink.run_once(), 600_000))
    assert newest.journal.backlog() > 0
    shop.servers = (old, new)
    sell(newest, "early-2")
    shop.settle(*nodes)

    # The last old server is gone.
    shop.servers = (new,)
    old.end()
    sell(newest, "last-c")
    sell(oldest, "last-a")
    shop.settle(*nodes)
    sold = {entry.event.receipt_id for node in nodes for entry in node.journal.entries_after(0)
            if entry.event.__struct_config__.tag == "receipt.v1"}  # fmt: skip
    assert posted(shop) == sorted(sold)
    assert len(sold) == 3 + 2 * (n - 1) + 9 + 2 + 1 + 2 + 2
    with reading(shop.engine) as tx:
        assert tx.execute(select(func.count()).select_from(t.quarantine)).scalar() == 0
        # What the new server wrote into its column, and what stands there of rows that the old one wrote.
        assert set(tx.execute(sa.text("SELECT DISTINCT weather FROM stream")).scalars()) == {"fair", "foul"}
    assert verify_books(shop.engine, one_key(shop.signer.public)).violations == ()


# The schema


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def fresh_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without our tables, on each engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'fresh.db'}"
    return str(request.getfixturevalue("fresh_postgres")())


@pytest.fixture
def on_postgresql(fresh_postgres: Callable[[], str]) -> Iterator[Centre]:
    """A centre on PostgreSQL: SQLite has no locks of tables."""
    made = Centre(fresh_postgres())
    yield made
    made.engine.dispose()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The next version's migrations are there."""
    with monkeypatch.context() as there:
        there.setattr(migrations, "VERSIONS", (*migrations.VERSIONS, SCHEMAS))
        yield


def as_next_version(engine: Engine, monkeypatch: pytest.MonkeyPatch, *places: Path) -> None:
    with monkeypatch.context() as there:
        there.setattr(migrations, "VERSIONS", (*migrations.VERSIONS, *places))
        upgrade(engine)


def schema_file(folder: Path, revision: str, down: str, body: str) -> Path:
    folder.mkdir(exist_ok=True)
    words = "import sqlalchemy as sa\nfrom alembic import op\nfrom central.migrations import keep_serving\n\n"
    place = f'revision = "{revision}"\ndown_revision = "{down}"\n\n\n'
    (folder / f"{revision}_x.py").write_text(f"{words}{place}def upgrade() -> None:\n    {body}\n")
    return folder


def test_a_version_serves_what_a_later_one_only_added_to(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    anna, till = centre.member(), centre.till()
    till.sell("R1", 4_000, told(anna))
    till.upload()
    as_next_version(centre.engine, monkeypatch, SCHEMAS)
    upgrade(centre.engine)  # this version is started again
    till.sell("R2", 1_000, told(anna))
    till.upload()
    assert centre.rows(select(func.sum(t.lot.c.points))) == [(50,)]
    assert verify_books(centre.engine).violations == ()


def test_a_version_refuses_what_a_later_one_took_away_from(
    centre: Centre, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = schema_file(tmp_path / "v", "0002", "0001", 'op.create_table("forecast", sa.Column("day", sa.Text))')
    as_next_version(centre.engine, monkeypatch, place)
    with pytest.raises(SchemaNewer, match="schema 0002; this one knows it up to 0001"):
        upgrade(centre.engine)
    # A third version that only added serves the second one, and not this one.
    schema_file(place, "0003", "0002", 'keep_serving(op.get_bind(), "0002")')
    as_next_version(centre.engine, monkeypatch, place)
    with pytest.raises(SchemaNewer, match="schema 0003"):
        upgrade(centre.engine)


def shape(tx: Connection) -> dict[str, dict[str, bool]]:
    """By table and column, whether a row may be written without naming it."""
    seen = sa.inspect(tx)
    return {
        name: {one["name"]: one["nullable"] or one["default"] is not None for one in seen.get_columns(name)}
        for name in seen.get_table_names()
    }


def harm(before: dict[str, dict[str, bool]], after: dict[str, dict[str, bool]]) -> list[str]:
    """What would stop a server that knows the schema before: what it uses is gone, or it must say what it does not
    know."""
    gone = [f"{name} is gone" for name in before if name not in after]
    for name in before.keys() & after.keys():
        gone += [f"{name}.{column} is gone" for column in before[name] if column not in after[name]]
        gone += [f"{name}.{column} must be given" for column, may_be_left_out in after[name].items()
                 if column not in before[name] and not may_be_left_out]  # fmt: skip
    return sorted(gone)


def harm_of_each(url: str) -> dict[str, list[str]]:
    """Every migration in its order, that says it keeps the version before serving: what would stop that."""
    engine = open_engine(url)
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(map(str, migrations.VERSIONS)))
    script, found = ScriptDirectory.from_config(config), {}
    for one in reversed(list(script.walk_revisions())):
        with reading(engine) as tx:
            before = shape(tx)
        upgrade(engine, one.revision)
        with reading(engine) as tx:
            chosen = select(t.setting.c.value).where(t.setting.c.name == migrations.OLDEST_SERVING)
            serves = tx.execute(chosen).scalar()
            if serves == one.down_revision and serves is not None:
                found[one.revision] = harm(before, shape(tx))
    engine.dispose()
    return found


def test_no_migration_that_says_so_stops_servers_that_still_run(fresh_url: str) -> None:
    assert all(harms == [] for harms in harm_of_each(fresh_url).values())


def test_one_that_would_is_found(fresh_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bad = (
        'op.add_column("audit", sa.Column("weather", sa.Text, nullable=False, server_default="x"))\n'
        '    op.drop_column("store", "name")\n    op.drop_table("cash_entry")\n    op.create_table("forecast",'
        ' sa.Column("day", sa.Text, nullable=False))\n'
        '    op.rename_table("partner", "retailer")\n    keep_serving(op.get_bind(), "0001")'
    )
    place = schema_file(tmp_path / "v", "0002", "0001", bad)
    if fresh_url.startswith("postgresql"):
        needs = 'op.add_column("slot", sa.Column("must", sa.Text, nullable=False))'
        text = (place / "0002_x.py").read_text()
        (place / "0002_x.py").write_text(text.replace("    keep_serving", f"    {needs}\n    keep_serving"))
    monkeypatch.setattr(migrations, "VERSIONS", (*migrations.VERSIONS, place))
    wanted = ["cash_entry is gone", "partner is gone", "store.name is gone"]
    wanted += ["slot.must must be given"] if fresh_url.startswith("postgresql") else []
    assert harm_of_each(fresh_url) == {"0002": sorted(wanted)}


def test_the_example_of_the_next_version_is_one_that_only_adds(fresh_url: str, later: None) -> None:
    assert harm_of_each(fresh_url) == {"0002": []}


def test_a_schema_waits_for_a_long_reader_without_keeping_others_waiting_behind_it(
    on_postgresql: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCK_WAIT_MS", 200)
    monkeypatch.setattr(migrations, "BETWEEN_S", 0.05)
    monkeypatch.setattr(migrations, "TRIES", 3)
    engine = on_postgresql.engine
    with reading(engine) as backup:
        backup.execute(select(t.event)).all()
        with pytest.raises(SchemaBusy, match="those that run serve on"):
            as_next_version(engine, monkeypatch, SCHEMAS)
        # While it is tried again and again, sales go on.
        monkeypatch.setattr(migrations, "TRIES", 1_000)
        tried = threading.Thread(target=as_next_version, args=(engine, monkeypatch, SCHEMAS))
        tried.start()
        till = on_postgresql.till()
        for n in range(5):
            begun = time.monotonic()
            till.sell(f"R{n}", 1_000)
            till.upload()
            assert time.monotonic() - begun < 10
        assert tried.is_alive()
    tried.join(60)
    with reading(engine) as tx:
        assert "forecast" in sa.inspect(tx).get_table_names()


def test_servers_that_start_at_once_bring_it_to_the_new_schema_once(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "VERSIONS", (*migrations.VERSIONS, SCHEMAS))
    troubles: list[BaseException] = []

    def start() -> None:
        engine = open_engine(centre.engine.url.render_as_string(hide_password=False))
        try:
            upgrade(engine)
        except BaseException as trouble:
            troubles.append(trouble)
            raise
        finally:
            engine.dispose()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert troubles == []
    with writing(centre.engine) as tx:
        keep_serving(tx, "0001")
        assert tx.execute(sa.text("SELECT version_num FROM alembic_version")).all() == [("0002",)]
