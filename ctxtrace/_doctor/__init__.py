"""What `ctxtrace doctor` says: what is installed here, and what is known to go wrong with it."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ..patches import PLACES, SITES
from ._pitfalls import PITFALLS, WEAK_FROM
from ._situation import PACKAGES, look, version_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..patches._patch import Place
    from ._pitfalls import Pitfall
    from ._situation import Situation

# Where the pages lie in the source.
PAGES = "docs/"

# The modules of libraries that `install` changes, and what they are installed as. All else that
# it changes is Python's own.
_LIBRARIES = {
    "langchain_core": "langchain-core",
    "langgraph": "langgraph",
    "langsmith": "langsmith",
    "uvloop": "uvloop",
}

_WIDTH = 88


class Site(NamedTuple):
    """What `install` would make of one site in this process, as far as can be told."""

    name: str
    state: Literal["would be patched", "not installed", "not needed"]
    detail: str
    """Why, unless it would be patched."""


class Findings(NamedTuple):
    """What is true of this process, and what follows from it."""

    ctxtrace: str | None
    situation: Situation
    sites: tuple[Site, ...]
    pitfalls: tuple[Pitfall, ...]

    @property
    def needs_attention(self) -> bool:
        return any(pitfall.needs_attention for pitfall in self.pitfalls)

    def to_dict(self) -> dict[str, Any]:
        """Return all that `render` shows, as data."""
        seen = self.situation
        return {
            "ctxtrace": self.ctxtrace,
            "python": {
                "version": seen.python_version,
                "implementation": seen.implementation,
                "free_threaded": seen.free_threaded,
                "threads_inherit_context": seen.threads_inherit_context,
            },
            "platform": {"system": seen.system, "machine": seen.machine},
            "packages": {package: seen.packages.get(package) for package in PACKAGES},
            "tracing": {
                "langsmith": seen.langsmith._asdict(),
                "opentelemetry": {
                    **seen.opentelemetry._asdict(),
                    "exporters": list(seen.opentelemetry.exporters),
                },
            },
            "sites": [site._asdict() for site in self.sites],
            "pitfalls": [
                {
                    "name": pitfall.name,
                    "needs_attention": pitfall.needs_attention,
                    "what": pitfall.what,
                    "do": pitfall.do,
                    "page": PAGES + pitfall.page,
                }
                for pitfall in self.pitfalls
            ],
            "needs_attention": self.needs_attention,
        }

    def render(self, *, color: bool = False) -> str:
        """Write it for a terminal or a pipe, in ASCII alone.

        Args:
            color: Use ANSI colours.
        """
        urgent = [pitfall for pitfall in self.pitfalls if pitfall.needs_attention]
        advice = [pitfall for pitfall in self.pitfalls if not pitfall.needs_attention]
        sections = [
            ("Installed", "1", _versions(self.situation)),
            ("Tracing, as the environment says", "1", _tracing(self.situation)),
            ("install() would change", "1", _by_state(self.sites)),
            ("Needs attention", "1;31", _paragraphs(urgent)),
            ("To know of these versions", "1", _paragraphs(advice)),
        ]
        lines = [_first_line(self)]
        for heading, code, body in sections:
            if body:
                shown = f"\x1b[{code}m{heading}\x1b[0m" if color else heading
                lines += ["", shown, "", *(f"  {line}".rstrip() for line in body)]
        if not urgent:
            lines += ["", "Nothing needs attention."]
        return "\n".join(lines)


def examine() -> Findings:
    """Look at this process and its environment. Imports no library, and changes nothing."""
    return findings(look(), version_of("ctxtrace"))


def findings(situation: Situation, ctxtrace: str | None = None) -> Findings:
    """Say what follows from a situation."""
    sites = tuple(_site(name, situation) for name in SITES)
    pitfalls = [pitfall for pitfall in PITFALLS if pitfall.applies(situation)]
    pitfalls.sort(key=lambda pitfall: not pitfall.needs_attention)  # those that do come first
    return Findings(ctxtrace, situation, sites, tuple(pitfalls))


def _site(name: str, situation: Situation) -> Site:
    places = [place for place in PLACES if place.site == name]
    missing = dict.fromkeys(_missing(place, situation) for place in places)
    if places[0].needless:
        return Site(name, "not needed", places[0].needless)
    if "" not in missing:
        return Site(name, "not installed", f"{', '.join(missing)} is not installed")
    if name == "langsmith_parents" and not situation.at_least("langsmith", WEAK_FROM):
        return Site(name, "not needed", "the contexts of this LangSmith hold the run itself")
    return Site(name, "would be patched", "")


def _missing(place: Place, situation: Situation) -> str:
    """Return the library that a place is in and that is not installed, or ``""``."""
    package = _LIBRARIES.get(place.module.partition(".")[0], "")
    return "" if not package or situation.has(package) else package


# --- The words ------------------------------------------------------------------------------


def _first_line(found: Findings) -> str:
    seen = found.situation
    parts = [
        f"ctxtrace {found.ctxtrace or '(not installed)'}",
        f"{seen.implementation} {seen.python_version}"
        + (", free-threaded" if seen.free_threaded else ""),
        f"{seen.system} {seen.machine}".strip(),
    ]
    return ", ".join(parts)


def _versions(seen: Situation) -> list[str]:
    width = max(map(len, PACKAGES))
    return [
        f"{package:{width}}  {seen.packages[package]}"
        for package in PACKAGES
        if package in seen.packages
    ] or ["none of the tracers and frameworks that ctxtrace knows"]


def _tracing(seen: Situation) -> list[str]:
    langsmith, otel = seen.langsmith, seen.opentelemetry
    lines: list[str] = []
    if seen.has("langsmith"):
        lines += [
            f"LangSmith: {langsmith.tracing}"
            + (f" ({langsmith.variable})" if langsmith.variable else ", no variable is set")
            + f"; {'an' if langsmith.api_key else 'no'} API key"
            + ("; runs are sent as spans" if langsmith.opentelemetry else "")
        ]
    if seen.has("opentelemetry-api", "opentelemetry-sdk"):
        lines += [
            "OpenTelemetry: "
            + ("disabled" if otel.disabled else "on when the program sets a provider")
            + f"; exporter: {', '.join(otel.exporters) or 'not named'}"
            + f"; {'an' if otel.endpoint else 'no'} endpoint"
        ]
    return lines or ["no tracer is installed"]


def _by_state(sites: Iterable[Site]) -> list[str]:
    """Name the sites that would be patched, and then the others by why they would not."""
    grouped: dict[str, list[str]] = {}
    for site in sites:
        grouped.setdefault(site.detail, []).append(site.name)
    return [
        line
        for detail in sorted(grouped)
        for line in _wrapped(
            f"not {', '.join(grouped[detail])}: {detail}" if detail else ", ".join(grouped[detail])
        )
    ]


def _paragraphs(pitfalls: list[Pitfall]) -> list[str]:
    lines: list[str] = []
    for pitfall in pitfalls:
        lines += [""] if lines else []
        lines.append(pitfall.name)
        for text in (pitfall.what, pitfall.do, f"See {PAGES}{pitfall.page}"):
            lines += _wrapped(text, indent="  ")
    return lines


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH - 2,
        initial_indent=indent,
        subsequent_indent=indent or "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
