"""What the package says of itself, and what the page of the supported versions does."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

import ctxtrace

ROOT = Path(__file__).parents[2]
DECLARED = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "project" / "supported-versions.md").read_text(encoding="utf-8")
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")


def declared(table: str) -> dict[str, str]:
    """The oldest versions in one of the lists of pyproject.toml."""
    (listed,) = re.findall(rf"^{table} = \[(.*?)\]$", DECLARED, re.MULTILINE | re.DOTALL)
    return dict(re.findall(r'"([\w-]+)(?:\[.*?\])?>=([\d.]+)', listed))


def test_the_page_names_the_oldest_version_of_each_library_and_its_extra() -> None:
    rows = re.findall(r"^\| ([\w-]+) \| ([\d.]+) \| `(\w+)` \|$", PAGE, re.MULTILINE)
    assert {library: oldest for library, oldest, _ in rows} == declared("all")
    assert all(declared(extra)[library] == oldest for library, oldest, extra in rows)


def test_the_page_names_what_is_needed_whatever_is_traced() -> None:
    (needed,) = re.findall(r"^ctxtrace needs (.*?)\. It needs no", PAGE, re.MULTILINE | re.DOTALL)
    versions = re.findall(r"\b(\w+), from ([\d.]+) on", needed)
    assert dict(versions) == declared("dependencies")


def test_the_page_names_the_oldest_version_of_what_the_tests_use_besides() -> None:
    (used,) = re.findall(
        r"^The tests with .*? use (.*?) at the oldest", PAGE, re.MULTILINE | re.DOTALL
    )
    versions = {name.lower(): oldest for name, oldest in re.findall(r"(\w+)\s([\d.]+\d)", used)}
    assert sorted(versions) == ["fastapi", "starlette", "trio", "uvloop"]
    group = declared("integration")
    assert all(group[name] == oldest for name, oldest in versions.items())


def test_the_page_names_the_pythons_that_are_declared_and_tested() -> None:
    (named,) = re.findall(r"^CPython ((?:3\.\d+(?:, | and )?)+)\.", PAGE, re.MULTILINE)
    pythons = re.findall(r"3\.\d+", named)
    assert re.findall(r'"Programming Language :: Python :: (3\.\d+)"', DECLARED) == pythons
    assert f'requires-python = ">={pythons[0]}"' in DECLARED
    noxfile = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    assert f"PYTHONS = {pythons}".replace("'", '"') in noxfile


def test_types_are_declared_to_be_there() -> None:
    assert (Path(ctxtrace.__file__).parent / "py.typed").is_file()


@pytest.mark.parametrize("module", ["testing", "lifecycle.gunicorn"])
def test_the_reference_has_every_name_of_a_public_module(module: str) -> None:
    public = importlib.import_module(f"ctxtrace.{module}")
    named = re.findall(rf"^\.\. auto\w+:: ctxtrace\.{module}\.(\w+)", REFERENCE, re.MULTILINE)
    assert sorted(named) == sorted(public.__all__)
