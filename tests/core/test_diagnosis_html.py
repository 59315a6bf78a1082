"""The HTML report as a file. What a browser makes of it is looked at in tests/browser."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from browser import timelines

from ctxtrace.diagnosis import _html
from ctxtrace.diagnosis._html import page


class Elements(HTMLParser):
    """The elements of a page, as `(tag, attributes, text)`; nothing may begin one in vain."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.open = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs), []))
        self.open = True

    def handle_endtag(self, tag: str) -> None:
        self.open = False

    def handle_data(self, data: str) -> None:
        if self.open:
            self.found[-1][2].append(data)

    def texts(self, tag: str, **attributes: str) -> list[str]:
        return [
            "".join(text)
            for name, those, text in self.found
            if name == tag and attributes.items() <= those.items()
        ]

    def tags(self) -> list[str]:
        return [tag for tag, _, _ in self.found]

    def policy(self) -> str:
        (policy,) = (
            str(attributes["content"])
            for _, attributes, _ in self.found
            if attributes.get("http-equiv") == "Content-Security-Policy"
        )
        return policy

    def script(self) -> str:
        data, script = self.texts("script")
        assert data.startswith("{")
        return script


def data_of(text: str) -> Any:
    (block,) = Elements(text).texts("script", type="application/json", id="timeline")
    return json.loads(block)


def sha256(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


@pytest.mark.parametrize("name", ["empty", "whole", "service", "hostile"])
def test_the_data_in_a_page_is_the_timeline(name: str) -> None:
    timeline = getattr(timelines, name)()
    before = copy.deepcopy(timeline)
    assert data_of(page(timeline)) == before
    assert timeline == before


def test_names_that_are_markup_add_no_element() -> None:
    sound, harmful = Elements(page(timelines.empty())), Elements(page(timelines.hostile()))
    assert harmful.tags() == sound.tags()
    assert [those for _, those, _ in harmful.found] == [those for _, those, _ in sound.found]


def test_names_that_are_markup_would_add_elements_if_they_were_not_escaped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_html, "_block", json.dumps)
    assert "img" in Elements(page(timelines.hostile())).tags()


def test_the_block_of_data_holds_nothing_that_html_or_javascript_reads_as_its_own() -> None:
    text = page(timelines.hostile())
    (block,) = Elements(text).texts("script", type="application/json")
    assert block.isascii()
    assert not set("<>&") & set(block)
    assert r"\u003c/script\u003e\u003cimg src=x onerror=alert(1)\u003e" in block
    assert r"\u003c!--" in block
    assert r"\u2028alert(3)\u2029" in block
    assert r"\u001b]0;title" in block


def test_a_name_that_looks_like_a_place_of_the_template_stays_a_name() -> None:
    timeline = timelines.whole()
    timeline["title"] = "@@script@@@@policy@@@@timeline@@"
    assert data_of(page(timeline)) == timeline


def test_no_place_of_the_template_is_left_open() -> None:
    assert "@@" not in page(timelines.service())


def test_a_page_can_be_written_as_utf8_whatever_the_names_are() -> None:
    assert page(timelines.hostile()).encode("utf-8")


def test_the_policy_admits_the_script_and_the_style_of_the_page_and_nothing_else() -> None:
    elements = Elements(page(timelines.service()))
    (style,) = elements.texts("style")
    assert elements.policy().split("; ") == [
        "default-src 'none'",
        f"style-src {sha256(style)}",
        f"script-src {sha256(elements.script())}",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def test_the_policy_comes_before_what_it_governs() -> None:
    text = page(timelines.whole())
    policy = text.index("Content-Security-Policy")
    assert policy < text.index("<style") < text.index("<script")


def test_line_ends_of_windows_in_the_packages_files_do_not_change_the_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual = page(timelines.whole())
    get_data = _html.pkgutil.get_data

    def with_crlf(package: str, name: str) -> bytes:
        found = get_data(package, name)
        assert found is not None
        return found.replace(b"\n", b"\r\n")

    monkeypatch.setattr(_html.pkgutil, "get_data", with_crlf)
    assert page(timelines.whole()) == usual


def test_nothing_in_a_page_leads_out_of_it() -> None:
    elements = Elements(page(timelines.service()))
    for tag, attributes, _ in elements.found:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form"}
        assert "src" not in attributes
        assert str(attributes.get("href", "#")).startswith("#")
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
    (style,) = elements.texts("style")
    assert not re.search(r"url\(|@import|//", style)
    assert not re.search(
        r"https?:|fetch\(|XMLHttpRequest|WebSocket|sendBeacon|EventSource|import\(",
        elements.script(),
    )


def test_the_script_puts_texts_into_the_page_as_texts() -> None:
    script = Elements(page(timelines.service())).script()
    assert "textContent" in script
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|eval\(|Function\(|"
        r"setAttribute\(\s*[\"'](?:on|style|src|href)|createContextualFragment|setHTML",
        script,
    )


def test_a_time_that_json_cannot_say_is_refused() -> None:
    timeline = timelines.whole()
    timeline["runs"][0]["end"] = float("inf")
    with pytest.raises(ValueError, match="Out of range float values"):
        page(timeline)


def test_every_file_of_the_report_is_part_of_the_page() -> None:
    files = Path(_html.__file__).with_name("_report").iterdir()
    assert {file.name for file in files} == {"page.html", "style.css", *_html._SCRIPTS}
