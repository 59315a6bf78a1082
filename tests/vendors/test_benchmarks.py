"""The benchmarks run: every group, every subject, for a moment each. Of their figures nothing."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LIMIT = 120.0  # seconds; only ever reached by a failure

POOLS = {
    "bare",
    "a `copy_context().run` lambda",
    "LangSmith's `ContextThreadPoolExecutor`",
    "LangChain's `ContextThreadPoolExecutor`",
    "OpenTelemetry's `ThreadingInstrumentor`",
    "`ctxtrace.ThreadPoolExecutor`",
    "`ctxtrace.install()`",
}
STREAMS = {
    "bare",
    "`@streaming`",
    "`@traced_stream`, no tracer",
    "`@traced_stream`, LangSmith on",
    "LangSmith's `@traceable`",
    "the same, under `ctxtrace.install()`",
    "LangChain's `RunnableGenerator`",
}
SUBJECTS = {
    "pools": POOLS,
    "streams": STREAMS,
    "tasks": {"bare", "`ctxtrace.create_task`", "`ctxtrace.create_task_group`"},
    "queues": {"bare", "put and get", "put and receive", "put and serve", "`ContextQueue`"},
    "snapshots": {"bare", "ctxtrace"},
    "installing": {
        "bare",
        "with `install()`",
        'with `install(variables="trace")`',
        "with `install()`, decorated before it",
        "with `install()`, decorated after it",
    },
    "diagnosing": {"bare", "with `diagnose()`"},
    "imports": {
        "`import contextvars`",
        "`import ctxtrace`",
        "`from ctxtrace import ThreadPoolExecutor`",
        "`from concurrent.futures import ThreadPoolExecutor`",
    },
    "plugin": {
        "without the fixture",
        "with `trace_capture`",
        "without the plugin",
        "with the plugin, unused",
    },
    "scale": {"bare", "ctxtrace", "ctxtrace, a run"},
}


def smoke(path: Path) -> dict[str, Any]:
    """Run the benchmarks without those peers that only they install."""
    command = [sys.executable, str(ROOT / "benchmarks" / "run.py"), "--smoke", "--json", str(path)]
    done = subprocess.run(
        [*command, "--without", "logfire", "--without", "langfuse"],
        env={**os.environ, "LANGSMITH_TRACING": "true"},  # which must not reach the bare ones
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = json.loads(path.read_text(encoding="utf-8"))["runs"]
    return run


def has_a_figure_for_each_subject(taken: dict[str, Any]) -> bool:
    # Of what a crossing leaves there should be nothing.
    at_least = -math.inf if taken["unit"] == "bytes left" else 0
    return all(
        values and all(at_least < value < math.inf for value in values)
        for values in taken["values"].values()
    )


def compared(taken: dict[str, Any]) -> set[str]:
    """Return the subjects that a measure names where it says what is compared with what."""
    names = {taken["baseline"], taken["ours"], *taken["peers"]}
    for target in taken["targets"]:
        names |= {target["subject"], *target["of"], target["minus"] or target["subject"]}
    return names


def test_the_benchmarks_run_and_have_a_figure_for_every_subject(tmp_path: Path) -> None:
    run = smoke(tmp_path / "measured.json")  # once: it takes ten seconds
    subjects: dict[str, set[str]] = {}
    for taken in run["measures"]:
        subjects.setdefault(taken["group"], set()).update(taken["values"])
        assert has_a_figure_for_each_subject(taken), taken
        assert compared(taken) <= set(taken["values"]), taken
    assert subjects == SUBJECTS
    assert set(run["machine"]) == {"processor", "cores", "system", "architecture"}
    assert run["versions"]["langsmith"] == version("langsmith")
    assert set(run["left_out"]) == {"logfire", "langfuse"}
    assert run["smoke"]
