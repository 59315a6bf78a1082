"""docs/measured: the index has every file, and every file names a command that there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MEASURED = ROOT / "docs" / "measured"
INDEX = MEASURED / "index.md"
PAGES = sorted(page for page in MEASURED.glob("*.md") if page != INDEX)


def test_the_index_has_every_page_once_with_its_date() -> None:
    rows = re.findall(
        r"^\| \[[^]]+\]\(([^)]+)\) \| .+ \| ([\d-]+) \| .+ \|$",
        INDEX.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert sorted(name for name, _ in rows) == [page.name for page in PAGES]
    assert all(name.startswith(date) for name, date in rows)


@pytest.mark.parametrize("page", [INDEX, *PAGES], ids=lambda page: page.name)
def test_a_page_names_a_command_that_repeats_it_and_that_there_is(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    sessions = set(re.findall(r"nox -s (\w+)", text))
    defined = re.findall(
        r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sessions
    assert sessions <= set(defined)
    for script in re.findall(r"`python (?:-m pytest )?([\w/]+\.py)", text):
        assert (ROOT / script).is_file(), script
