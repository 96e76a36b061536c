"""A member's number as GS1 has it: the Global Service Relation Number of a recipient, in all its carriers.

Source: GS1 General Specifications 3.2 and 3.9 (AI 8017, 8018, 8019), figure 7.8.5-2 (predefined lengths); GS1 Digital
Link standard, URI syntax; devices-and-receipts.md A2.
"""

import re

FNC1 = "\x1d"  # sent as GS
# The carriers that begin with FNC1, so that their text is element strings.
GS1_CARRIERS = frozenset({"]C1", "]Q3", "]Q4", "]d2", "]e0"})

# Two first digits → length of identifier and data together. Every other element ends at FNC1.
_PREDEFINED = {
    "00": 20, "01": 16, "02": 16, "03": 16, "04": 18, "11": 8, "12": 8, "13": 8, "14": 8, "15": 8, "16": 8, "17": 8,
    "18": 8, "19": 8, "20": 4, "31": 10, "32": 10, "33": 10, "34": 10, "35": 10, "36": 10, "41": 16,
}  # fmt: skip
_LINK = re.compile(
    r"https?://[^/?#\s]+(?:/[^/?#\s]+)*?/8018/([0-9]{18})(?:/8019/[0-9]{1,10})?(?:[?#]\S*)?", re.IGNORECASE
)
_PROVIDER_IN_LINK = re.compile(r"[/?&;]8017[/=]")


def gsrn_of(body: str, aim: str | None) -> str | None:
    """The 18 digits of AI 8018 in what was read; None where there is no such number, or one that may not stand so.

    Args:
        aim: None for a scanner without AIM ids: then only 8018 in front tells element strings from other text.
    """
    if aim in GS1_CARRIERS or (aim is None and body.startswith("8018")):
        return _in_elements(body)
    match = _LINK.fullmatch(body)
    return match[1] if match and not _PROVIDER_IN_LINK.search(body) else None


def _in_elements(body: str) -> str | None:
    elements = _elements(body)
    found = [one[4:] for one in elements if one.startswith("8018")]
    instances = [one[4:] for one in elements if one.startswith("8019")]
    # The provider's number (8017) never stands beside the recipient's: then it is neither's card.
    if len(found) != 1 or any(one.startswith("8017") for one in elements):
        return None
    if not all(re.fullmatch(r"[0-9]{1,10}", one) for one in instances) or len(instances) > 1:
        return None
    return found[0] if re.fullmatch(r"[0-9]{18}", found[0]) else None


def _elements(body: str) -> list[str]:
    """Element strings, identifier and data; those of predefined length need no FNC1 behind them."""
    elements, at = [], 0
    while at < len(body):
        width = _PREDEFINED.get(body[at : at + 2])
        end = body.find(FNC1, at)
        end = len(body) if end < 0 else end
        if width is not None:
            end = min(end, at + width)
        elements.append(body[at:end])
        at = end + (body[end : end + 1] == FNC1)
    return elements
