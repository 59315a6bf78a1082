"""Measure what ctxtrace costs, beside the bare standard library and the peers.

Every figure is the median of the ratios of measurements taken in turns, in one run, on one
machine. What was measured is written to a file in docs/measured, and docs/benchmarks.md is made
from all files there (``--report``).
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import _tables
from _bench import BYTES_LEFT, Plan, in_unit, median, ratio, take
from _machine import circumstances
from _peers import PEERS, left_out

ROOT = Path(__file__).parents[1]
MEASURED = ROOT / "docs" / "measured"

# Each is a module here. Those that start processes and those that leave most behind come last.
GROUPS = (
    "pools",
    "streams",
    "tasks",
    "queues",
    "snapshots",
    "installing",
    "diagnosing",
    "imports",
    "plugin",
    "scale",
)


def show(taken: dict[str, Any]) -> None:
    """Print one measure, as soon as it is there."""
    print(f"{taken['group']}: {taken['what']}" + (f", {taken['case']}" if taken["case"] else ""))
    for name in taken["values"]:
        compared = "" if taken["unit"] == BYTES_LEFT else f"  {ratio(taken, name)}"
        print(f"    {name}: {in_unit(taken, median(taken, name))}{compared}", flush=True)


def measure(groups: list[str], plan: Plan) -> list[dict[str, Any]]:
    # What is on in the shell would be on for the bare subjects too.
    for variable in [name for name in os.environ if name.startswith(("LANGSMITH_", "LANGCHAIN_"))]:
        del os.environ[variable]
    modules = [importlib.import_module(name) for name in groups]
    gc.collect()
    gc.freeze()  # what was imported
    found = []
    for name, module in zip(groups, modules):
        began = time.perf_counter()
        for declared in module.measures(plan):
            found.append(take(name, declared, plan))
            show(found[-1])
        print(f"{name}: {time.perf_counter() - began:.0f} s\n", flush=True)
    return found


def write(path: Path, run: dict[str, Any]) -> None:
    """Write a run down; of an earlier one there only the groups stay that were not measured now."""
    groups = {taken["group"] for taken in run["measures"]}
    runs = []
    for earlier in json.loads(path.read_text(encoding="utf-8"))["runs"] if path.exists() else ():
        kept = [taken for taken in earlier["measures"] if taken["group"] not in groups]
        if kept:
            runs.append({**earlier, "measures": kept})
    path.write_text(_tables.dumps({"runs": [*runs, run]}), encoding="utf-8")
    print(f"written to {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="GROUP", choices=GROUPS, default=GROUPS)
    parser.add_argument("--without", action="append", choices=PEERS, default=[])
    parser.add_argument("--rounds", type=int, help="instead of each measure's own")
    parser.add_argument(
        "--smoke", action="store_true", help="only see that it runs; written to --json alone"
    )
    parser.add_argument("--json", type=Path, help="where to, or with --report where from")
    parser.add_argument(
        "--report", action="store_true", help="make the page and its plots, and measure nothing"
    )
    options = parser.parse_args()
    if options.report:
        import _plots

        files = [options.json] if options.json else sorted(MEASURED.glob("bench-*.json"))
        reports = _tables.load(files)
        _tables.rewrite(ROOT / "docs" / "benchmarks.md", reports)
        _plots.draw(ROOT / "docs" / "benchmarks", reports)
        return
    out = left_out(options.without)
    plan = Plan(options.smoke, options.rounds, frozenset(out))
    run: dict[str, Any] = {**circumstances(), "smoke": options.smoke, "left_out": out}
    began = time.perf_counter()
    run["measures"] = measure([name for name in GROUPS if name in options.only], plan)
    run["minutes"] = round((time.perf_counter() - began) / 60, 1)
    path = options.json
    if path is None and not options.smoke:
        path = MEASURED / "bench-{}.{}.json".format(*sys.version_info)
    if path is not None:
        write(path, run)


if __name__ == "__main__":
    main()
