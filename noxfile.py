"""The tests, as they run on every machine: ``nox`` for the fast tier, ``nox -l`` for all.

The cells of the matrix are CPython 3.9 to 3.13 times three sets of dependencies:

* bare: the package alone, with the oldest versions that pyproject.toml admits of what it needs.
  It must work with no vendor installed. These are the tests in tests/core.
* lowest: the oldest versions of vendors, too, and the tests that need them; those in `LONG` on the
  newest Python alone. On the Pythons between the oldest and the newest by name only.
* latest: the newest that this Python installs, the same tests, and the examples of the
  documentation; on the newest Python those in tests/core, too; on the Pythons between the oldest
  and the newest without those `FROM_OUTSIDE`.

What goes after ``--`` goes to pytest: ``nox -s "tests-3.12(latest)" -- -k pool``.

Interpreters: what lies on PATH or under ``~/.pyenv`` is used as it is; uv downloads what is
missing, where it can. One that cannot be had fails the run, and so does a session that did not
run to its end: the last session, ``summary``, looks for the counts of each.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"

PYTHONS = ["3.9", "3.10", "3.11", "3.12", "3.13"]
NEWEST = PYTHONS[-1]
DEPENDENCIES = ["bare", "lowest", "latest"]

# The last LangSmith that holds the parent run strongly in the context, and the first that
# holds it weakly.
LANGSMITHS = ["0.7.29", "0.7.30"]
LANGSMITH_PYTHON = "3.12"

# CPython's own tests, by the Python whose tests they are and the file that they lie in.
CPYTHON = {
    ("thread_pools", "3.9"): "test_concurrent_futures.py",
    ("thread_pools", "3.10"): "test_concurrent_futures.py",
    ("thread_pools", "3.13"): "test_concurrent_futures/test_thread_pool.py",
    ("task_groups", "3.11"): "test_asyncio/test_taskgroups.py",
    ("task_groups", "3.12"): "test_asyncio/test_taskgroups.py",
    ("task_groups", "3.13"): "test_asyncio/test_taskgroups.py",
    **{("generators", python): "test_generators.py" for python in PYTHONS},
}

ROOT = Path(__file__).parent
RESULTS = ROOT / ".nox" / "results"
SUMMARY = RESULTS / "summary.txt"


def _put_pyenv_first() -> None:
    """Let nox and uv find the interpreters that pyenv installed.

    pyenv's own shims lie on PATH under the same names and fail for each version that is not
    switched on.
    """
    folders = [
        str(folder)
        for version in PYTHONS
        for folder in sorted(
            Path.home().glob(f".pyenv/versions/{version}.*/bin"),
            key=lambda folder: [int(n) for n in folder.parent.name.split(".") if n.isdigit()],
            reverse=True,
        )
    ]
    os.environ["PATH"] = os.pathsep.join([*folders, os.environ.get("PATH", os.defpath)])


def _has_cpython_tests(python: str, file: str) -> bool:
    """Whether the interpreter brings CPython's own tests; those that uv downloads do not."""
    found = shutil.which(f"python{python}")
    if found is None:
        return False
    library = Path(found).resolve().parent.parent / "lib" / f"python{python}"
    return (library / "test" / file).exists()


_put_pyenv_first()

# On CI, all of them: there, an interpreter without them is a mistake to hear about.
RUNNABLE_CPYTHON = [
    (what, python)
    for (what, python), file in CPYTHON.items()
    if os.environ.get("CI") or _has_cpython_tests(python, file)
]

BY_NAME_ONLY = [f"tests-{python}(lowest)" for python in PYTHONS[1:-1]]
MATRIX = [
    name
    for python in PYTHONS
    for deps in DEPENDENCIES
    if (name := f"tests-{python}({deps})") not in BY_NAME_ONLY
]
# All tests at once: those of the core beside vendors that are installed.
WHOLE = f"tests-{NEWEST}(latest)"
# The tests that the source distribution holds, run with what the wheel installs.
PACKAGED = "package(core)"
# Where coverage is measured, which makes the tests last twice as long: all tests on the oldest
# Python and on the newest. What the other cells add is 0.1 % of the lines.
MEASURED = [f"tests-{PYTHONS[0]}(bare)", WHOLE]
# What starts processes to look at them from outside; and what runs each program several times, too.
FROM_OUTSIDE = [
    f"--ignore-glob=*/{files}"
    for files in (
        "test_benchmarks*",
        "test_demo_offline*",
        "test_exits*",
        "test_pytest*",
        "test_recorder_imports*",
        "test_reporting*",
    )
]
LONG = [*FROM_OUTSIDE, "--ignore-glob=*/test_corpus*", "--ignore-glob=*/test_diagnosis*"]
COUNTED = [
    PACKAGED,
    *MATRIX,
    *(f"langsmith({version})" for version in LANGSMITHS),
    *(f"cpython({what}-{python})" for what, python in RUNNABLE_CPYTHON),
]

nox.options.default_venv_backend = "uv"
nox.options.error_on_missing_interpreters = True
nox.options.error_on_external_run = True
# The fast tier, cheapest first.
nox.options.sessions = [
    "clean",
    "lint",
    "types",
    "docs",
    *COUNTED,
    "coverage",
    "summary",
]


def _slug(name: str) -> str:
    return name.replace("(", "-").replace(")", "")


def _counts(name: str) -> Path:
    return RESULTS / "counts" / f"{_slug(name)}.json"


def _coverage_data(name: str) -> Path:
    # "coverage combine" looks in a folder for files that begin with .coverage.
    return RESULTS / "coverage" / f".coverage.{_slug(name)}"


def _must_be(session: nox.Session, python: str) -> None:
    """Fail unless the session has the interpreter that its name promises."""
    version = tuple(map(int, python.split(".")))
    session.run(
        "python",
        "-c",
        f"import sys; assert sys.version_info[:2] == {version}, sys.version",
        silent=True,
    )


def _install(session: nox.Session, *arguments: str) -> None:
    # Editable, so that coverage names the files of the checkout and what runs is what was last
    # written. Whether the built package is whole is the business of the session "package".
    session.install("--editable", *arguments)


def _count(name: str) -> dict[str, str]:
    """Make room for the counts of a session; return the variable that says where."""
    path = _counts(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    return {"CTXTRACE_COUNTS": str(path)}


def _pytest(session: nox.Session, name: str, *where: str) -> None:
    arguments = ("-m", "pytest", "--numprocesses=auto", *where, *session.posargs)
    if name not in MEASURED:
        session.run("python", *arguments, env=_count(name))
        return
    data = _coverage_data(name)
    data.parent.mkdir(parents=True, exist_ok=True)
    for old in data.parent.glob(f"{data.name}.*"):
        old.unlink()
    session.run("coverage", "run", *arguments, env={**_count(name), "COVERAGE_FILE": str(data)})


def _known_to_git(session: nox.Session) -> set[str]:
    """What is checked out or new; not what git ignores, for that is left by builds and tests."""
    whoever_owns_it = ("-c", "safe.directory=*")
    files = ("ls-files", "--cached", "--others", "--exclude-standard")
    listed = session.run("git", *whoever_owns_it, *files, external=True, silent=True)
    return {name for name in str(listed).splitlines() if (ROOT / name).is_file()}


def _must_be_the_same(session: nox.Session, archive: Path, has: set[str], known: set[str]) -> None:
    if lacks := known - has:
        session.error(f"{archive.name} lacks {', '.join(sorted(lacks))}")
    if stray := has - known:
        names = ", ".join(sorted(stray))
        session.error(f"{archive.name} has what git does not know; add it, or ignore it: {names}")


@nox.session(python=False)
def clean(session: nox.Session) -> None:
    """Forget the results of earlier runs."""
    shutil.rmtree(RESULTS, ignore_errors=True)


@nox.session(python=NEWEST)
def lint(session: nox.Session) -> None:
    """Check style and the directions of import."""
    session.install("--group", "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session(python=NEWEST)
def types(session: nox.Session) -> None:
    """Check the types from inside and from outside."""
    _install(session, ".[all]", "--group", "integration", "--group", "types")
    for python in (PYTHONS[0], NEWEST):
        session.run("pyright", "--pythonversion", python)
    # The newest anyio, which the types name, cannot be read as Python 3.9 by mypy.
    for python in (PYTHONS[1], NEWEST):
        session.run("mypy", "--python-version", python)
    session.run("pyright", "--verifytypes", "ctxtrace", "--ignoreexternal")


@nox.session(python=NEWEST)
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error, and so is a name that leads nowhere."""
    _install(session, ".[all]", "--group", "docs")
    session.run(
        "sphinx-build", "-E", "-n", "-W", "--keep-going", "-q", "-b", "html", "docs", "docs/_build"
    )


@nox.session(python=NEWEST)
@nox.parametrize("which", [nox.param(which, id=which) for which in ("core", "all")])
def package(session: nox.Session, which: str) -> None:
    """Build the package, compare it with the checkout, and run its tests and the demo."""
    folder = Path(session.create_tmp()).resolve()
    shutil.rmtree(folder / "dist", ignore_errors=True)
    # The wheel from the source distribution, so both are shown to be whole.
    session.run("uv", "build", "--quiet", "--out-dir", str(folder / "dist"))
    (wheel,) = (folder / "dist").glob("*.whl")
    (source,) = (folder / "dist").glob("*.tar.gz")
    shutil.rmtree(folder / "source", ignore_errors=True)
    shutil.unpack_archive(source, folder / "source")
    (tree,) = (folder / "source").iterdir()
    known = _known_to_git(session)
    unpacked = {path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()}
    _must_be_the_same(session, source, unpacked - {"PKG-INFO"}, known)
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    _must_be_the_same(
        session, wheel, packed, {name for name in known if name.startswith("ctxtrace/")}
    )

    # The tests as the source distribution has them, and nothing to import but what is installed.
    shutil.rmtree(tree / "ctxtrace")
    extra, group, where = ("[all]", "integration", "tests")
    if which == "core":
        extra, group, where = ("", "test", "tests/core")
    with session.chdir(tree):
        session.install(f"ctxtrace{extra} @ {wheel.as_uri()}", "--group", group)
        found = session.run("python", "-c", "print(__import__('ctxtrace').__file__)", silent=True)
        if "site-packages" not in Path(str(found)).parts:
            session.error(f"the tests would run with {found}")
        _pytest(session, f"package({which})", where)
        session.install(f"ctxtrace[cli] @ {wheel.as_uri()}", "--group", "package")
        session.run("ctxtrace", "demo")
        session.run("twine", "check", "--strict", str(wheel), str(source))


@nox.session(python=PYTHONS)
@nox.parametrize("deps", [nox.param(deps, id=deps) for deps in DEPENDENCIES])
def tests(session: nox.Session, deps: str) -> None:
    """Run the tests in one cell of the matrix."""
    assert isinstance(session.python, str)
    _must_be(session, session.python)
    name = f"tests-{session.python}({deps})"
    if deps == "bare":
        _install(session, ".", "--group", "test", "--resolution", "lowest-direct")
        _pytest(session, name, "tests/core")
    elif deps == "lowest":
        _install(session, ".[all]", "--group", "integration", "--resolution", "lowest-direct")
        left_out = [] if session.python == NEWEST else LONG
        _pytest(session, name, "tests", "--ignore=tests/core", "--ignore=tests/docs", *left_out)
    else:
        _install(session, ".[all]", "--group", "integration", "--resolution", "highest")
        left_out = [] if name == WHOLE else ["--ignore=tests/core"]
        if session.python in PYTHONS[1:-1]:
            left_out += FROM_OUTSIDE
        if session.python == "3.12":  # which starts no threads while it ends
            left_out.remove("--ignore-glob=*/test_exits*")
        _pytest(session, name, "tests", *left_out)


@nox.session(python=LANGSMITH_PYTHON)
@nox.parametrize("version", [nox.param(version, id=version) for version in LANGSMITHS])
def langsmith(session: nox.Session, version: str) -> None:
    """Run the vendors' tests on the LangSmiths to either side of a change."""
    _must_be(session, LANGSMITH_PYTHON)
    _install(session, ".[all]", "--group", "integration", f"langsmith=={version}")
    _pytest(session, f"langsmith({version})", "tests/vendors", *FROM_OUTSIDE)


@nox.session
@nox.parametrize(
    ["what", "python"],
    [nox.param(what, python, id=f"{what}-{python}") for what, python in CPYTHON],
)
def cpython(session: nox.Session, what: str) -> None:
    """Run CPython's own tests with what is ours in the place of what is Python's."""
    assert isinstance(session.python, str)
    _must_be(session, session.python)
    _install(session, ".")
    session.run(
        "python",
        f"tests/cpython/run_{what}.py",
        *session.posargs,
        env=_count(f"cpython({what}-{session.python})"),
    )


@nox.session(python=NEWEST)
def coverage(session: nox.Session) -> None:
    """Judge the coverage of the cells that measure it at once."""
    session.install("coverage[toml]")
    for name in MEASURED:
        data = _coverage_data(name)
        if not list(data.parent.glob(f"{data.name}.*")):
            session.error(f"{name} left no coverage data: run it first")
    env = {"COVERAGE_FILE": str(RESULTS / ".coverage")}
    session.run("coverage", "combine", "--keep", "-q", str(RESULTS / "coverage"), env=env)
    session.run("coverage", "html", "-q", "-d", str(RESULTS / "html"), "--fail-under=0", env=env)
    session.run("coverage", "report", env=env)


@nox.session(python=False)
def summary(session: nox.Session) -> None:
    """Add up the tests of all sessions; fail if one of them has no counts."""
    passed = failed = 0
    missing = []
    for name in COUNTED:
        try:
            counts = json.loads(_counts(name).read_text())
        except FileNotFoundError:
            missing.append(name)
            continue
        passed += counts["passed"]
        failed += counts["failed"]
        print(f"{name:32} {counts['passed']:6} passed, {counts['failed']} failed")
    for what, python in CPYTHON:
        if (what, python) not in RUNNABLE_CPYTHON:
            print(
                f"cpython({what}-{python}) was not selected: python{python} was not found with "
                "CPython's own tests beside it (pyenv's and python.org's have them)"
            )
    # A session without counts is a failure among the tests, too.
    line = f"{passed} passed, {failed + len(missing)} failed"
    SUMMARY.parent.mkdir(parents=True, exist_ok=True)
    SUMMARY.write_text(line + "\n")
    print(line, flush=True)
    if missing:
        session.error(f"no counts from {', '.join(missing)}")


# What takes longer, or a quiet machine: by name only.


@nox.session(python=PYTHONS)
def chance(session: nox.Session) -> None:
    """Repeat twenty times as often what the tests leave to chance."""
    _install(session, ".[all]", "--group", "integration")
    files = sorted(ROOT.glob("tests/*/test_*.py"))
    session.run(
        "pytest",
        "--numprocesses=auto",
        *(str(file) for file in files if "from chance" in file.read_text()),
        *session.posargs,
        env={"CTXTRACE_CHANCE": "20"},
    )


@nox.session(python=NEWEST)
def soak(session: nox.Session) -> None:
    """Run long, and see that nothing grows."""
    _install(session, ".[all]", "--group", "integration")
    session.run("python", "benchmarks/soak.py")
    session.run("python", "benchmarks/soak_streams.py")
    session.run("python", "benchmarks/soak_queues.py")
    session.run("python", "benchmarks/soak_install.py")
    session.run("python", "benchmarks/soak_flush.py")


@nox.session(python=["3.9", "3.10", NEWEST])
def servers(session: nox.Session) -> None:
    """Stream from a real server to clients that go away, and look at the traces."""
    assert isinstance(session.python, str)
    _must_be(session, session.python)
    _install(session, ".[all]", "--group", "servers")
    session.run("python", "tests/servers/run_streams.py", *session.posargs)


@nox.session(python=PYTHONS)
def exits(session: nox.Session) -> None:
    """End processes in every way, and count what arrives."""
    assert isinstance(session.python, str)
    _must_be(session, session.python)
    _install(session, ".[all]", "--group", "servers")
    session.run("python", "tests/exits/run_exits.py", *session.posargs)


@nox.session(python=["3.9", NEWEST])
def workers(session: nox.Session) -> None:
    """Recycle the workers of gunicorn, uvicorn and Celery, and count what arrives."""
    assert isinstance(session.python, str)
    _must_be(session, session.python)
    _install(session, ".[all]", "--group", "workers")
    session.run("python", "tests/servers/run_workers.py", *session.posargs)
    session.run("python", "tests/servers/run_celery.py")


@nox.session(python=["3.11", NEWEST])
def langfuse(session: nox.Session) -> None:
    """Flush what Langfuse keeps."""
    assert isinstance(session.python, str)
    _must_be(session, session.python)
    _install(session, ".", "--group", "test", "--group", "langfuse")
    session.run("python", "-m", "pytest", "tests/langfuse/check_langfuse.py", *session.posargs)


@nox.session(python=PYTHONS)
def traced_generators(session: nox.Session) -> None:
    """Run CPython's tests of generators with LangSmith's @traceable, without install() and with."""
    assert isinstance(session.python, str)
    _must_be(session, session.python)
    _install(session, ".[langsmith]")
    file = "tests/cpython/run_traced_generators.py"
    session.run("python", file, "--control")
    session.run("python", file)


@nox.session(python=PYTHONS)
def bench(session: nox.Session) -> None:
    """Measure what the boundaries cost, beside the peers'; docs/benchmarks.md shows it."""
    assert isinstance(session.python, str)
    _must_be(session, session.python)
    _install(session, ".[all]", "--group", "integration", "--group", "bench")
    session.run("python", "benchmarks/run.py", *session.posargs)


@nox.session(python=PYTHONS)
def comparison(session: nox.Session) -> None:
    """Cross every boundary with each peer's tools, and with ctxtrace, and say what became of it."""
    assert isinstance(session.python, str)
    _must_be(session, session.python)
    _install(session, ".[all]", "--group", "comparison")
    session.run("python", "tests/comparison/run_comparison.py", *session.posargs)


@nox.session(python=NEWEST)
def browser(session: nox.Session) -> None:
    """Look at the HTML report in a real Chromium, which must be installed with its driver."""
    _must_be(session, NEWEST)
    _install(session, ".", "--group", "test", "--group", "browser")
    session.run("python", "-m", "pytest", "tests/browser/browse_report.py", *session.posargs)


@nox.session
@nox.parametrize(
    ["peer", "python"],
    [
        nox.param(peer, python, id=f"{peer}-{python}")
        # The newest Python that LangChain and LangGraph do not reach by themselves, and the newest.
        for python in ("3.10", NEWEST)
        for peer in ("langsmith", "langchain-core", "langgraph")
    ],
)
def peers(session: nox.Session, peer: str) -> None:
    """Run the unit tests of LangSmith, LangChain core or LangGraph, without install() and with."""
    assert isinstance(session.python, str)
    _must_be(session, session.python)
    _install(session, ".[all]", "pip", "pytest", "pytest-timeout", "pytest-xdist")
    folder = str(Path(session.create_tmp()).resolve() / peer)
    session.run("python", "tests/peers/run_peers.py", "fetch", peer, folder)
    session.install("--requirement", f"{folder}/requirements.txt")
    session.run("python", "tests/peers/run_peers.py", "run", peer, folder, "--", *session.posargs)
