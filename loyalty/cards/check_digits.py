"""Check digits against typing errors; they prove nothing about who made the number."""


def luhn_digit(payload: str) -> str:
    """The check digit to append to `payload`, digits only: `7992739871` → `3`.

    Source: ISO/IEC 7812-1 annex B: every second digit from the right doubled, its digits added.
    """
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in payload[-1::-2])
    single = sum(int(digit) for digit in payload[-2::-2])
    return str(-(doubled + single) % 10)


def gs1_digit(payload: str) -> str:
    """The check digit to append to `payload`, digits only: `400638133393` → `1`.

    Source: GS1 General Specifications 7.9: weights 3, 1, 3, 1… from the right.
    """
    return str(-(3 * sum(map(int, payload[-1::-2])) + sum(map(int, payload[-2::-2]))) % 10)
