"""The first page of troubleshooting leads to every section of the others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
FIRST = DOCS / "troubleshooting.md"
PAGES = sorted((DOCS / "troubleshooting").glob("*.md"))


def anchors_of(page: Path) -> list[str]:
    """Name the sections of a page, as GitHub and Sphinx do."""
    headings = re.findall(r"^## (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_section_can_be_found_on_the_first_page(page: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", FIRST.read_text(encoding="utf-8"))
    anchors = anchors_of(page)
    assert anchors
    assert [each for each in anchors if f"troubleshooting/{page.name}#{each}" not in links] == []


def test_the_messages_on_the_first_page_stand_where_they_lead() -> None:
    text = FIRST.read_text(encoding="utf-8")
    text = text.partition("\n## By error message\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)`.*?\]\((troubleshooting/\w+\.md)#", text, re.MULTILINE)
    assert len(rows) > 10
    for message, page in rows:
        # Without what differs each time, and without the type, which a heading may leave out.
        words = re.sub(r"^\w+: ", "", message)
        said = " ".join((DOCS / page).read_text(encoding="utf-8").split())
        assert all(part in said for part in re.split(r" at 0x…|'…'", words)), message
