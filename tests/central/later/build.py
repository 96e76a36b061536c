"""A server in a process of its own, as one of two versions: `python -m tests.central.later.build FILE NEWEST SCHEMA`.

Args: its settings, the newest version of the protocol that it reads, and the schema that it works with: 0001 is
today's, 0002 that of the next version, whose code names the new column in rows that it reads and writes.
"""

import sys
from pathlib import Path

from sqlalchemy import Column, Text

from central import migrations
from central.database.tables import metadata

SCHEMAS = Path(__file__).parent / "versions"
USED = ("account", "flag", "stream", "till")  # whose new column the next version names


def become(newest: int, schema: str) -> None:
    """Before anything else is imported: statements are made once, from the tables as they are by then."""
    if schema == "0002":
        migrations.VERSIONS = (*migrations.VERSIONS, SCHEMAS)
        for name in USED:
            weather = Column("weather", Text, nullable=False, default="foul", server_default="fair")
            metadata.tables[name].append_column(weather)
    from sync.centre_session import CentreSession
    from sync.versions import Versions

    CentreSession.__init__.__defaults__ = (Versions(newest=newest), ())


def main() -> None:
    become(int(sys.argv[2]), sys.argv[3])
    from central.ports import read_settings
    from central.service import run_central

    run_central(read_settings(Path(sys.argv[1]), {}), tell=lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
