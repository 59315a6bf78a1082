"""Run the unit tests of LangSmith, LangChain core and LangGraph, with install() and without.

    python tests/peers/run_peers.py fetch PEER FOLDER
    python tests/peers/run_peers.py run PEER FOLDER [-- arguments of pytest]

`fetch` unpacks the source distribution of the version that is installed here into the folder,
and writes ``requirements.txt`` there: what its tests need, as its own pyproject.toml says. `run`
runs the tests twice, in two processes of their own, and compares them test by test. What passes
without install() and does not with it is run again by itself, to tell chance from loss, and
what is lost fails the run. So does a run that says nothing: too few tests passed, install() was
not in force, or pytest did not come to its end.

Before Python 3.11, what is skipped for want of it is then run both ways, too: install() brings
some of it.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent

# Tests that differ are run again so often, each way.
AGAIN = 3
# More of them than this are not chance, and are not run again.
FEW = 60

PASSED = ("passed", "xfailed")


class Peer(NamedTuple):
    """Whose tests, and how its own makefile runs them."""

    groups: tuple[str, ...]
    """The dependency groups that its tests need."""

    tests: str
    """Where its unit tests are."""

    package: str
    """What its modules' names begin with: install() must have changed something there."""

    at_least: int
    """How many tests must have passed without install()."""

    options: tuple[str, ...] = ()

    environment: tuple[tuple[str, str], ...] = ()

    path: tuple[str, ...] = ()
    """Folders of its source that its tests expect on the path."""

    without: tuple[str, ...] = ()
    """What its groups name and is left out."""


PEERS = {
    "langsmith": Peer(
        groups=("dev", "lint", "test"),
        tests="tests/unit_tests",
        package="langsmith",
        at_least=2500,
        # Has the tests' httpx be the fork that LangSmith prefers, or their mocks mock nothing.
        path=("tests/httpx2_alias",),
        without=(
            # Asks for another pillow than the group it stands in.
            "strands-agents-tools",
            # Checkers and profilers, which no test imports.
            "mypy",
            "pyright",
            "py-spy",
            "ruff",
            "ty",
        ),
    ),
    "langchain-core": Peer(
        groups=("test",),
        tests="tests/unit_tests",
        package="langchain_core",
        at_least=2000,
        options=("--benchmark-disable", "--disable-socket", "--allow-unix-socket"),
    ),
    "langgraph": Peer(
        groups=("test",),
        tests="tests",
        package="langgraph",
        at_least=2000,
        # Without the databases that need a server.
        environment=(("NO_DOCKER", "true"),),
    ),
}


def fetch(name: str, folder: Path) -> None:
    """Unpack the tests of the installed version, and say what they need."""
    version = importlib.metadata.version(name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # pip, and not uv, which downloads nothing that it does not install.
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    subprocess.run([*pip, "--no-binary", name, f"{name}=={version}"], check=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    archive.unlink()
    (source,) = folder.iterdir()
    source.rename(folder / "source")
    peer = PEERS[name]
    if not any((folder / "source" / peer.tests).rglob("test_*.py")):
        raise SystemExit(f"the source distribution of {name} {version} carries no tests")
    requirements = [f"{name}=={version}", *_requirements(folder / "source", peer)]
    (folder / "requirements.txt").write_text("\n".join(requirements) + "\n")


def _requirements(source: Path, peer: Peer) -> list[str]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    from packaging.requirements import Requirement

    declared = tomllib.loads((source / "pyproject.toml").read_text())["dependency-groups"]

    def members(group: str) -> list[str]:
        found: list[str] = []
        for each in declared.get(group, ()):
            found += members(each["include-group"]) if isinstance(each, dict) else [each]
        return found

    wanted = dict.fromkeys(each for group in peer.groups for each in members(group))
    return [each for each in wanted if Requirement(each).name not in peer.without]


class Outcomes(NamedTuple):
    """What came of one run of the tests."""

    tests: dict[str, str]
    said: dict[str, str]
    sites: list[list[str]]
    status: int
    log: Path


class Run:
    """A run of some tests, that began when this was made."""

    def __init__(
        self, folder: Path, name: str, installed: bool, tests: list[str], options: list[str]
    ) -> None:
        self.label = "with install():" if installed else "without install():"
        peer = PEERS[name]
        self._home = Path(tempfile.mkdtemp(prefix="peer-", dir=folder))
        # Each run has a copy of its own: tests write files where they are, too.
        source = self._home / "source"
        shutil.copytree(folder / "source", source)
        (self._home / "tmp").mkdir()
        plugins = ["-p", "_installing"] if installed else []
        command = [
            *(sys.executable, "-m", "pytest"),
            *(*plugins, "-p", "_recording", "-p", "no:cacheprovider"),
            # In one process, so that they run in the same order both times.
            *("-n", "0", "--continue-on-collection-errors"),
            *("--timeout=120", "--timeout-method=signal", "-q", "--no-header", "--tb=short"),
            *(*peer.options, *options, *tests),
        ]
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._home),
            "TMPDIR": str(self._home / "tmp"),
            "PYTHONPATH": os.pathsep.join(map(str, (HERE, *(source / each for each in peer.path)))),
            "PYTHONHASHSEED": "0",
            "CTXTRACE_OUTCOMES": str(self._home / "outcomes"),
            "CTXTRACE_SITES": str(self._home / "sites"),
            **dict(peer.environment),
        }
        self._began = time.monotonic()
        self._log = folder / f"{self._home.name}-{'with' if installed else 'without'}.log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command,
                cwd=source,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def outcomes(self) -> Outcomes:
        """Wait for the end."""
        status = self._process.wait()
        took = time.monotonic() - self._began
        tests: dict[str, str] = {}
        said: dict[str, str] = {}
        outcomes = self._home / "outcomes"
        for line in outcomes.read_text().splitlines() if outcomes.exists() else ():
            test, tests[test], said[test] = json.loads(line)
        sites = self._home / "sites"
        listed = json.loads(sites.read_text()) if sites.exists() else []
        shutil.rmtree(self._home, ignore_errors=True)
        counts = Counter(tests.values())
        summary = ", ".join(f"{counts[outcome]} {outcome}" for outcome in sorted(counts))
        self.summary = f"{self.label:19} {len(tests)} tests: {summary}; {took:.0f} s"
        return Outcomes(tests, said, listed, status, self._log)


def _both_ways(
    folder: Path, name: str, tests: list[str], options: list[str], *, quiet: bool = False
) -> tuple[Outcomes, Outcomes]:
    """Run the tests without install() and with it, at once: both meet the same noise."""
    runs = [Run(folder, name, installed, tests, options) for installed in (False, True)]
    without, under = (each.outcomes() for each in runs)
    if not quiet:
        for each in runs:
            print(each.summary)
    return without, under


def run(name: str, folder: Path, options: list[str]) -> int:
    """Run the tests both ways and compare them; return the exit status."""
    folder = folder.resolve()
    peer = PEERS[name]
    python = sys.version.split()[0]
    print(f"\n{name} {importlib.metadata.version(name)} on Python {python}, its own tests:")
    without, under = both = _both_ways(folder, name, [peer.tests], options)
    states = Counter(state for _, _, state, _ in under.sites)
    print("places:", ", ".join(f"{count} {state}" for state, count in sorted(states.items())))

    complaints = [
        f"pytest ended with exit status {each.status}, see {each.log}"
        for each in both
        if each.status not in (0, 1)
    ]
    passed = [test for test, outcome in without.tests.items() if outcome in PASSED]
    if len(passed) < peer.at_least:
        complaints.append(f"only {len(passed)} passed without install(), not {peer.at_least}")
    if not any(
        state == "patched" and target.startswith(f"{peer.package}.")
        for _, target, state, _ in under.sites
    ):
        complaints.append(f"install() changed nothing in {peer.package}")

    differ = [test for test in passed if under.tests.get(test) not in PASSED]
    for test in differ:
        print(f"\npasses without, {under.tests.get(test, 'did not run')} with install(): {test}")
        print(_indented(under.said.get(test, "")))
    for test, outcome in under.tests.items():
        if outcome in PASSED and without.tests.get(test) not in PASSED:
            print(f"passes with, {without.tests.get(test, 'did not run')} without: {test}")
    lost = _lost(folder, name, differ, options) if len(differ) <= FEW else differ
    complaints += [f"lost under install(): {test}" for test in lost]
    if sys.version_info < (3, 11):
        print("what is skipped for want of Python 3.11:")
        unskipping = [*options, "-p", "_unskipping"]
        without, under = _both_ways(folder, name, [peer.tests], unskipping)
        complaints += [
            f"lost under install(), where it is not skipped: {test}"
            for test, outcome in without.tests.items()
            if outcome in PASSED and under.tests.get(test) not in PASSED
        ]
    for complaint in complaints:
        print(f"ERROR: {complaint}")
    print(f"{len(passed) - len(lost)} passed, {len(lost)} failed", flush=True)
    return 1 if complaints else 0


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines()[-12:])


def _lost(folder: Path, name: str, differ: list[str], options: list[str]) -> list[str]:
    """Run again, by itself, each test that differed; return those that are not chance."""
    lost = []
    for test in differ:
        passes = {False: 0, True: 0}
        for _ in range(AGAIN):
            both = _both_ways(folder, name, [test], options, quiet=True)
            for installed, each in zip((False, True), both):
                passes[installed] += each.tests.get(test) in PASSED
                each.log.unlink()
        told = f"by itself, {passes[False]} of {AGAIN} without, {passes[True]} of {AGAIN} with"
        if passes[True] == AGAIN:
            # It may be lost by what an earlier test left behind.
            file = Run(folder, name, True, [test.partition("::")[0]], options).outcomes()
            among = file.tests.get(test) in PASSED
            file.log.unlink()
            told += f"; {'passes' if among else 'fails'} with the rest of its file"
            chance = among
        else:
            chance = 0 < passes[False] <= passes[True]
        print(f"{'chance' if chance else 'lost'}: {test}: passes {told}")
        if not chance:
            lost.append(test)
    return lost


def main() -> int:
    """Read the command line."""
    arguments = sys.argv[1:]
    options: list[str] = []
    if "--" in arguments:
        cut = arguments.index("--")
        arguments, options = arguments[:cut], arguments[cut + 1 :]
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["fetch", "run"])
    parser.add_argument("peer", choices=list(PEERS))
    parser.add_argument("folder", type=Path)
    given: Any = parser.parse_args(arguments)
    if given.what == "fetch":
        fetch(given.peer, given.folder)
        return 0
    return run(given.peer, given.folder, options)


if __name__ == "__main__":
    sys.exit(main())
