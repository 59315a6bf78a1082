"""The README and the pages of docs/: every code block runs, and prints what the page shows.

Sybil finds the blocks. They are tests of this file, and not items that Sybil's own pytest hook
would collect, because pytest is asked for ``tests`` and the pages lie elsewhere.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
from sybil import Document
from sybil.parsers.myst import CodeBlockParser

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
NO_PAGES = {"_build", "measured"}  # as in docs/conf.py
PAGES = [
    README,
    *sorted(page for page in DOCS.rglob("*.md") if page.relative_to(DOCS).parts[0] not in NO_PAGES),
]

# Its blocks with tests are test files, each named in its first line, and what follows such a block
# is what pytest says of it.
TESTING = DOCS / "how-to" / "testing.md"

# Its steps build on one another. Everywhere else a block can be pasted into a file and run.
CONTINUED = {DOCS / "tutorial.md"}

LANGUAGES = ("python", "text", "toml")

DEMO = 'python3 -m venv .venv && .venv/bin/pip install ".[cli]" && .venv/bin/ctxtrace demo'
TESTS = 'python3 -m venv .venv && .venv/bin/pip install "nox[uv]" && .venv/bin/nox'


class Block(NamedTuple):
    """A fenced block of a page; `language` is one of `LANGUAGES`."""

    page: Path
    line: int
    language: str
    source: str

    @property
    def is_test(self) -> bool:
        return self.language == "python" and "\ndef test_" in self.source


def blocks_of(page: Path) -> list[Block]:
    document = Document.parse(str(page), *(CodeBlockParser(name, id) for name in LANGUAGES))
    return [
        Block(page, example.line, example.region.lexemes["arguments"], str(example.parsed))
        for example in document.examples()
    ]


def examples_of(page: Path) -> list[list[Block]]:
    """Group a page's blocks: what runs together, with the output that belongs to it."""
    groups: list[list[Block]] = []
    of_a_test = page == README  # whose first pictures are the demo's
    for block in blocks_of(page):
        if block.language == "python":
            of_a_test = block.is_test
        if of_a_test or block.language == "toml":
            continue
        if not groups or (block.language == "python" and page not in CONTINUED):
            groups.append([])
        groups[-1].append(block)
    return groups


EXAMPLES = [(page, group) for page in PAGES for group in examples_of(page)]


@pytest.mark.parametrize(
    "blocks",
    [group for _, group in EXAMPLES],
    ids=[f"{page.relative_to(ROOT)}:{group[0].line}" for page, group in EXAMPLES],
)
def test_an_example_runs_and_prints_what_the_page_shows(blocks: list[Block]) -> None:
    module = ModuleType("example")
    printed = ""
    for block in blocks:
        if block.language == "text":
            shown, printed = printed, ""
            assert shown.strip() == block.source.strip(), f"{block.page}:{block.line}"
            continue
        assert not printed, f"the page does not show what is printed before line {block.line}"
        name = re.match(r"# (\w+\.py)\n", block.source)
        # A file, or moved down to its place, so that tracebacks name the page's own line.
        source = block.source if name else "\n" * block.line + block.source
        file = name[1] if name else str(block.page)
        code = compile(source, file, "exec", dont_inherit=True)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(code, vars(module))
        printed = out.getvalue()
    assert not printed, f"the page does not show what is printed: {printed}"


@pytest.fixture(scope="module")
def what_pytest_says(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Run the test files of the page, with its settings."""
    folder = tmp_path_factory.mktemp("testing")
    for block in blocks_of(TESTING):
        if block.is_test:
            name = block.source.partition("\n")[0]
            (folder / name.replace("# ", "")).write_text(block.source, encoding="utf-8")
        elif block.language == "toml":
            (folder / "pyproject.toml").write_text(block.source, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:asyncio"]
    env = {**os.environ, "PYTHONIOENCODING": "utf-8", "COLUMNS": "80"}
    done = subprocess.run(command, cwd=folder, env=env, stdout=subprocess.PIPE, encoding="utf-8")
    return done.stdout


def test_the_tests_that_the_page_shows_fail_as_it_says_and_pass_otherwise(
    what_pytest_says: str,
) -> None:
    blocks = blocks_of(TESTING)
    shown = [
        after.source.rstrip()
        for block, after in zip(blocks, blocks[1:])
        if block.is_test and after.language == "text"
    ]
    failures = what_pytest_says.partition(" FAILURES =")[2].partition("\n")[2]
    failures = failures.partition("\n=====")[0].rstrip()
    assert failures == "\n".join(shown)
    tests = sum(block.source.count("\ndef test_") for block in blocks if block.is_test)
    assert f" {len(shown)} failed, {tests - len(shown)} passed" in what_pytest_says


def test_the_test_in_the_readme_is_the_first_of_that_page() -> None:
    readme = blocks_of(README)
    at = next(number for number, block in enumerate(readme) if block.is_test)
    sources = [block.source for block in blocks_of(TESTING)]
    assert [block.source for block in readme[at : at + 2]] == sources[:2]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_has_no_block_that_nobody_runs(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    fences = re.findall(r"^ *(?:```+|~~~+)(.*)$", text, re.MULTILINE)
    languages = fences[::2]
    # What is in braces is for Sphinx, which the session "docs" runs; shell: see below.
    ours = [language for language in languages if not language.startswith("{")]
    assert set(ours) <= {*LANGUAGES, "shell"}
    assert len([language for language in ours if language != "shell"]) == len(blocks_of(page))
    if page != README:
        assert "shell" not in ours


def test_the_readme_has_two_commands_and_the_second_is_what_ci_runs() -> None:
    text = README.read_text(encoding="utf-8")
    assert re.findall(r"^```shell\n(.*?)\n```$", text, re.MULTILINE | re.DOTALL) == [DEMO, TESTS]
    assert f"\n  {TESTS}\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_the_links_of_a_page_outside_of_the_documentation_lead_somewhere(page: str) -> None:
    # Sphinx looks at those of docs/ alone.
    for link in re.findall(r"\]\(([^)]+)\)", (ROOT / page).read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = ROOT / path
        assert target.is_file(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = [re.sub(r"[^\w -]", "", heading).lower() for heading in headings]
            assert anchor in [slug.replace(" ", "-") for slug in slugs], link
