"""Which Tallypoint this is."""

from importlib.metadata import PackageNotFoundError, version


def our_version() -> str:
    """The installed version; `unpackaged` when run from a folder of source."""
    try:
        return version("tallypoint")
    except PackageNotFoundError:
        return "unpackaged"
