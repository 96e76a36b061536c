"""What keeps house, put together: for a service that does it beside answering, and for a worker that does only that."""

from pathlib import Path

from sqlalchemy import Engine

from central.keys.centre_keys import centre_signer
from central.keys.people_keys import people_files
from central.members.people import People
from central.ports import Clock, Randomness, Settings, read_key, replayable, writing
from central.streams.sealing import Sealer
from central.tills.store import SqlCentreStore
from central.upkeep.alerts import Alerts
from central.upkeep.chore_notes import Runs, note_runs
from central.upkeep.chores import Chores, chores_of


def open_store(settings: Settings, engine: Engine, randomness: Randomness) -> SqlCentreStore:
    """The tills' side of the database, with the programme's card key."""
    return SqlCentreStore(
        engine,
        randomness,
        card_key=read_key(settings.folder / settings.card_key, randomness),
        card_key_file=settings.folder / settings.card_key,
        people=People(*people_files(settings, randomness)),
        lane_days={"hotlist": settings.hotlist_days, "programme": settings.programme_days},
    )


def open_sealer(settings: Settings, engine: Engine, clock: Clock, randomness: Randomness) -> Sealer:
    """What makes blocks of this database, under the centre's key."""
    signer = centre_signer(settings, engine, randomness)
    return Sealer(engine, signer, clock, Path(settings.block_copies) if settings.block_copies else None)


def open_chores(
    settings: Settings, engine: Engine, store: SqlCentreStore, clock: Clock, randomness: Randomness
) -> Chores:
    """All chores, not started; what ran is noted in the database, for whoever answers."""
    sealer = open_sealer(settings, engine, clock, randomness)

    @replayable
    def note(runs: Runs) -> None:
        with writing(engine) as tx:
            note_runs(tx, runs)

    alerts = Alerts(settings, engine, clock)
    chores = chores_of(
        engine, store, sealer, clock, randomness, settings.grace_days, alerts.step, settings.tombstone_days,
        settings.receipt_days,
    )  # fmt: skip
    return Chores(chores, clock, note=note)
