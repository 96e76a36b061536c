"""A second interpreter of the programme language, for the tests alone, from docs/programme.md and nothing else.

It is slow and plain on purpose: every promotion is walked over every line, goods are unrolled into units one by one,
and shares are fractions until they are rounded. It takes the types of the document and of the basket from the kernel
and none of its logic, so that what the engine reads wrongly is not read wrongly here for the same reason.
"""

from tests.loyalty.naive.interpreter import Figures, naive_quote

__all__ = ["Figures", "naive_quote"]
