"""What the database keeps for all processes of head office, by name."""

from sqlalchemy import Connection, bindparam, select

from central.database.asking import ask_one
from central.database.tables import setting

_SETTING = select(setting.c.value).where(setting.c.name == bindparam("named"))


def get_setting(connection: Connection, name: str, default: str = "") -> str:
    """A value that the database keeps for all processes."""
    found = ask_one(connection, _SETTING, {"named": name})
    return default if found is None else found


def generation(connection: Connection) -> int:
    """Begun with each restore from a backup, later than any before it; 0 where there was none."""
    return int(get_setting(connection, "generation", "0"))
