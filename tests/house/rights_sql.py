"""deploy/postgresql-rights.sql from the code: `python -m tests.house.rights_sql` after a table was added."""

from pathlib import Path

from central.migrations import rights_of

HEAD = """-- Lets a role serve a centre: it may write everything, but never change or delete what is append-only.
-- The owner of the tables runs it, once and after every upgrade:
--
--     CREATE ROLE tallypoint_service LOGIN PASSWORD '...';
--     psql -v ON_ERROR_STOP=1 -v role=tallypoint_service -f deploy/postgresql-rights.sql DATABASE
--
-- `tallypoint central rights tallypoint_service` does the same. database_url then names this role.

"""

if __name__ == "__main__":
    written = HEAD + "".join(f"{statement};\n" for statement in rights_of(':"role"'))
    Path("deploy/postgresql-rights.sql").write_text(written, "utf-8")
