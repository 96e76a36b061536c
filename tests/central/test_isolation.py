"""What a transaction may rely on, whatever the server was set up for."""

import pytest
from sqlalchemy import text

from central.ports import open_engine, reading, writing


@pytest.mark.postgresql
def test_a_server_that_would_isolate_otherwise_is_told_how(lent_postgres: str) -> None:
    engine = open_engine(f"{lent_postgres}&options=-c%20default_transaction_isolation%3Dserializable")
    with writing(engine) as tx:
        assert tx.execute(text("SHOW transaction_isolation")).scalar_one() == "read committed"
    with reading(engine) as tx:
        assert tx.execute(text("SHOW transaction_isolation")).scalar_one() == "repeatable read"
    engine.dispose()
