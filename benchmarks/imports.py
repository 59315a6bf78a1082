"""Imports: how long they take in a new interpreter, and how much later it ends."""

from __future__ import annotations

import subprocess
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

from _bench import Measure, Plan, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS = "`import ctxtrace`"
STANDARD_POOL = "`from concurrent.futures import ThreadPoolExecutor`"
OUR_POOL = "`from ctxtrace import ThreadPoolExecutor`"
LANGSMITH_POOL = "`from langsmith.utils import ContextThreadPoolExecutor`"
LANGCHAIN_POOL = "`from langchain_core.runnables.config import ContextThreadPoolExecutor`"
INSTRUMENTOR = "`from opentelemetry.instrumentation.threading import ThreadingInstrumentor`"
CONTEXTVARS = "`import contextvars`"

ALLOWED = 0.010


def imported(statement: str) -> float:
    """Return the seconds that an import takes in a new interpreter."""
    code = (
        f"import time\nbegan = time.perf_counter()\n{statement.strip('`')}\n"
        "print(time.perf_counter() - began)"
    )
    return float(subprocess.check_output([sys.executable, "-c", code]))


def process(statement: str) -> float:
    """Return the seconds that an interpreter lives that does nothing else."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement.strip("`")], check=True)
    return time.perf_counter() - began


def measures(plan: Plan) -> Iterator[Measure]:
    yield Measure(
        "an import, in a new interpreter",
        {name: partial(imported, name) for name in (CONTEXTVARS, OURS)},
        per="import",
        baseline=CONTEXTVARS,
        ours=OURS,
        targets=(Target(OURS, at_most=ALLOWED),),
    )
    pools = [STANDARD_POOL, OUR_POOL, LANGSMITH_POOL]
    if plan.has("langchain"):
        pools.append(LANGCHAIN_POOL)
    if plan.has("opentelemetry"):
        pools.append(INSTRUMENTOR)
    if plan.smoke:
        pools = pools[:2]  # the others load for a second
    yield Measure(
        "an import that brings a pool, in a new interpreter",
        {name: partial(imported, name) for name in pools},
        per="import",
        baseline=STANDARD_POOL,
        ours=OUR_POOL,
        peers=tuple(pools[2:]),
        rounds=9,
    )
    yield Measure(
        "a whole process that imports",
        {name: partial(process, name) for name in (CONTEXTVARS, OURS, OUR_POOL)},
        per="process",
        baseline=CONTEXTVARS,
        ours=OURS,
        headline="a process that says `import ctxtrace`",
        targets=(Target(OURS, at_most=ALLOWED, minus=CONTEXTVARS),),
        rounds=25,
    )
