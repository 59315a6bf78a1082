"""A real browser for the tests, and what holds for each of them: it says and fetches nothing."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.keys import Keys

from ctxtrace.diagnosis._html import page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MISSING = (
    "no {0} was found: install Chromium and its driver (Debian: apt install chromium "
    "chromium-driver), or name them in CTXTRACE_CHROMIUM and CTXTRACE_CHROMEDRIVER"
)


def _program(variable: str, *names: str) -> str:
    named = os.environ.get(variable)
    for name in (named,) if named else names:
        if found := shutil.which(name):
            return found
    # Not skipped: a session that looked at nothing must not look like one that passed.
    pytest.fail(_MISSING.format(named or names[0]), pytrace=False)


@pytest.fixture(scope="session")
def chromium() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    # Both are named, so that Selenium does not look for, and download, any.
    options.binary_location = _program(
        "CTXTRACE_CHROMIUM", "chromium", "chromium-browser", "google-chrome"
    )
    driver = _program("CTXTRACE_CHROMEDRIVER", "chromedriver")
    options.add_argument("--headless=new")
    options.add_argument("--window-size=1440,1060")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # which Chromium does not offer to root
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    yield browser
    browser.quit()


class Reader:
    """Someone who opens a report, and reads it with keys and mouse."""

    def __init__(self, browser: webdriver.Chrome, folder: Path) -> None:
        self.browser = browser
        self.file = folder / "report.html"

    def prefers(self, **features: str) -> None:
        """Set what the user prefers: ``color_scheme="dark"``, ``reduced_motion="reduce"``."""
        named = [
            {"name": f"prefers-{name.replace('_', '-')}", "value": value}
            for name, value in features.items()
        ]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": named})

    def opens(self, timeline: dict[str, Any]) -> None:
        self.file.write_text(page(timeline), encoding="utf-8")
        self.browser.get(self.file.as_uri())

    def sees(self, expression: str) -> Any:
        return self.browser.execute_script(f"return {expression}")

    def says(self, selector: str) -> str:
        return self.sees(f"document.querySelector({json.dumps(selector)}).innerText")

    def presses(self, *keys: str) -> None:
        for key in keys:
            self.browser.switch_to.active_element.send_keys(key)

    def tabs_to(self, selector: str) -> None:
        """Press Tab until this has the focus."""
        for _ in range(40):
            webdriver.ActionChains(self.browser).send_keys(Keys.TAB).perform()
            if self.sees(f"document.activeElement.matches({json.dumps(selector)})"):
                return
        pytest.fail(f"{selector} is not reached by Tab")

    def focused(self) -> str:
        """Return what a screen reader says of the run that has the focus."""
        return self.sees(
            "document.getElementById(document.activeElement.getAttribute('aria-activedescendant'))"
            ".getAttribute('aria-label')"
        )

    def console(self) -> list[str]:
        return [entry["message"] for entry in self.browser.get_log("browser")]

    def fetched(self) -> list[str]:
        """Return the addresses of all that was asked for, but for the report itself."""
        messages = [
            json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")
        ]
        asked = [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]
        return [address for address in asked if not address.startswith(self.file.as_uri())]


@pytest.fixture
def reader(chromium: webdriver.Chrome, tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(chromium, tmp_path)
    reader.prefers(color_scheme="light", reduced_motion="reduce")
    reader.console(), reader.fetched()
    yield reader
    assert reader.console() == []
    assert reader.fetched() == []
