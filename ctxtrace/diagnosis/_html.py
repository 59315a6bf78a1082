"""A timeline as one HTML file, which needs nothing beside itself.

The names in it come from the program that was watched, and so perhaps from a request of anyone's.
Three things keep them from becoming markup or code, each without the others: they are nowhere but
in one block of JSON, in which nothing can end the block; the script puts them into the page by
`textContent` alone; and the content security policy runs that one script, known by its hash, and
lets nothing be fetched, whatever the page holds.

The files that the page is made of lie in the folder `_report`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import pkgutil
import re
from typing import Any

# One script once they are joined: each file uses what those before it define.
_SCRIPTS = (
    "model.js",
    "paint.js",
    "arrows.js",
    "labels.js",
    "overview.js",
    "chart.js",
    "text.js",
    "details.js",
    "choose.js",
    "mouse.js",
    "main.js",
)

_PLACE = re.compile("@@([a-z]+)@@")


def page(timeline: dict[str, Any]) -> str:
    """Return the report of a timeline, to be written to a file in UTF-8.

    Args:
        timeline: What `json.dumps` takes: lanes, runs, crossings and losses.

    Raises:
        ValueError: A time in it is not a number, which JSON cannot say.
    """
    style = _read("style.css")
    script = "\n".join(map(_read, _SCRIPTS))
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    parts = {"policy": policy, "style": style, "script": script, "timeline": _block(timeline)}
    # In one pass: what is put in is not searched for places in its turn.
    return _PLACE.sub(lambda place: parts[place[1]], _read("page.html"))


def _read(name: str) -> str:
    # Also out of a zip file. The browser hashes what it has read, and reads every line end as \n.
    found = pkgutil.get_data(__name__, f"_report/{name}")
    assert found is not None
    return found.decode().replace("\r\n", "\n")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _block(timeline: dict[str, Any]) -> str:
    """Return JSON that means the same inside a script element: nothing in it can be markup."""
    # All beyond ASCII is escaped, U+2028, U+2029 and lone surrogates among it.
    text = json.dumps(timeline, allow_nan=False, separators=(",", ":"))
    return text.translate({ord(char): f"\\u{ord(char):04x}" for char in "<>&"})
