"""CONTRIBUTING.md: what it has a newcomer write is written into a copy of the checkout, and holds.

A block of Python is a file, named in its first line. A block of changes names a file, and then
gives a line that is there and, with a plus, those that go below it, or in its place.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
import venv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
# What holds for every file, and what the page names beside the files that it adds.
CHECKS = [
    "tests/core/test_imports.py",
    "tests/core/test_cli.py",
    "tests/core/test_doctor.py",
    "tests/docs/test_pictures.py::test_the_reference_has_every_public_name",
]


def files() -> Iterator[tuple[str, str]]:
    for language, source in BLOCKS:
        if language == "python":
            name = re.match(r"# (\S+\.py)\n", source)
            assert name, source
            yield name[1], source[name.end() :]


def changes() -> Iterator[tuple[str, str, str]]:
    """Yield a file, a line that is there, and what is to stand in its place."""
    for language, source in BLOCKS:
        if language == "diff":
            for file, lines in re.findall(r"^(\w\S+)\n((?:[ +-].*\n)+)", source, re.MULTILINE):
                found = re.findall(r"^([ -])(.*\n)((?:\+.*\n)+)", lines, re.MULTILINE)
                for mark, there, added in found:
                    added = re.sub(r"^\+", "", added, flags=re.MULTILINE)
                    yield file, there, added if mark == "-" else there + added


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the checkout in which a newcomer has done what the page says."""
    folder = tmp_path_factory.mktemp("checkout")
    ignore = shutil.ignore_patterns("__pycache__", "_build", "measured")
    shutil.copytree(Path(ctxtrace.__file__).parent, folder / "ctxtrace", ignore=ignore)
    for name in ("docs", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    for name in ("README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    for name, source in files():
        assert not (folder / name).exists(), name
        (folder / name).write_text(source, encoding="utf-8")
    for name, there, changed in changes():
        text = (folder / name).read_text(encoding="utf-8")
        assert f"\n{text}".count(f"\n{there}") == 1, f"{name} has no line, or several: {there}"
        text = f"\n{text}".replace(f"\n{there}", f"\n{changed}")[1:]
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def python(checkout: Path) -> str:
    """Return an interpreter that has the copy installed as editable, and all that this one has."""
    folder = checkout / ".venv"
    venv.create(folder, symlinks=True)
    base = {"base": str(folder), "platbase": str(folder)}
    theirs, ours = sysconfig.get_path("purelib", vars=base), sysconfig.get_path("purelib")
    (Path(theirs) / "copy.pth").write_text(f"{checkout}\nimport site; site.addsitedir({ours!r})\n")
    return str(Path(sysconfig.get_path("scripts", vars=base)) / "python")


def test_what_the_page_adds_passes_its_own_tests_and_those_of_every_file(
    checkout: Path, python: str
) -> None:
    tests = [name for name, _ in files() if "/test_" in name]
    assert len(tests) == 3
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, *CHECKS]
    # Neither counted nor measured with what is really there.
    ours = ("COVERAGE", "CTXTRACE_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    done = subprocess.run(
        command, cwd=checkout, env=env, stdout=subprocess.PIPE, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_page_has_a_first_command_and_then_the_readmes() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    first = next(source for language, source in BLOCKS if language == "shell")
    clone, command = first.splitlines()
    assert clone.startswith("git clone ")
    assert f"```shell\n{command}\n```" in readme


def test_each_block_is_one_that_these_tests_read() -> None:
    assert {language for language, _ in BLOCKS} == {"diff", "python", "shell"}
    assert len(BLOCKS) == PAGE.count("\n```") / 2
    assert sum(there.count("\n") for _, there, _ in changes()) == 11
