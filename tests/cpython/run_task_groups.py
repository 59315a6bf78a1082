"""Run CPython's own tests of task groups with ctxtrace.TaskGroup.

    python tests/cpython/run_task_groups.py [--control] [-v]

Needs Python 3.11 or later, and an interpreter with the package ``test``.
"""

from __future__ import annotations

import sys

from _runner import Place, run

# What the standard class passes on CPython 3.11.7, 3.12.1 and 3.13.0, less a few for other
# patch releases.
_AT_LEAST = {(3, 11): 33, (3, 12): 33, (3, 13): 37}

if __name__ == "__main__":
    sys.exit(
        run(
            name="TaskGroup",
            places=[Place("asyncio.taskgroups", "TaskGroup"), Place("asyncio", "TaskGroup")],
            modules=["test.test_asyncio.test_taskgroups"],
            wanted=lambda cls: "TaskGroup" in cls.__name__,
            at_least=_AT_LEAST.get(sys.version_info[:2], 40),
        )
    )
