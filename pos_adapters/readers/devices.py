"""Which device a port's name means now, and that no two readers mean the same one.

A by-id or by-path link, or the numbers of a USB device (`hwgrep://1a86:7523`), find a reader again that was pulled out
and plugged in elsewhere; ttyACM0 may be another device tomorrow. Names are resolved anew at each opening.
"""

import os
import re
from collections import Counter
from collections.abc import Sequence

import serial

from pos_adapters.readers.profile import BadReaderProfile, Profile

HWGREP = "hwgrep://"


def device_of(port: str) -> str:
    """The device that a port's name stands for now; the name itself where it stands for none, or is a URL.

    Raises: BadReaderProfile: a URL that pyserial does not know.
    """
    if "://" not in port:
        return os.path.realpath(port)
    try:
        found = serial.serial_for_url(port, do_not_open=True).port
    except (ValueError, re.error) as trouble:  # hwgrep takes a pattern
        raise BadReaderProfile(f"{port} is no port: {trouble}. Name a device path or a pyserial URL.") from None
    except OSError:
        return port  # not plugged in now
    return os.path.realpath(found) if port.startswith(HWGREP) else port.lower()


def check_apart(profiles: Sequence[Profile]) -> None:
    """Raises: BadReaderProfile: two readers share a name, or a device, and each would get half of what it sends."""
    for name, count in Counter(profile.name for profile in profiles).items():
        if count > 1:
            raise BadReaderProfile(
                f"{count} readers have one name, {name}. Give each its own in the settings, such as name: door.",
                name=name,
            )
    on: dict[str, str] = {}
    for profile in profiles:
        if (other := on.setdefault(device_of(profile.port), profile.name)) != profile.name:
            raise BadReaderProfile(
                f"Readers {other} and {profile.name} are on one device, {profile.port}. Give each its own port; a "
                "by-path link tells apart two readers of the same make.",
                name=profile.name,
                port=profile.port,
            )
