"""How often tests repeat what chance decides: Hypothesis's programs, and races of threads.

A few times in each cell of the matrix, which are many; ``nox -s chance`` does it far more often.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings

_TIMES = int(os.environ.get("CTXTRACE_CHANCE", "1"))


def examples(number: int, **others: Any) -> settings:
    """Try this many examples, times what the environment says."""
    return settings(max_examples=number * _TIMES, deadline=None, **others)


def rounds(number: int) -> range:
    """Race this many times, times what the environment says."""
    return range(number * _TIMES)
