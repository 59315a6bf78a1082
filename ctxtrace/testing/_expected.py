"""What a test says of its trace: the arguments of the marker `single_trace`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


SOURCES = ("langsmith", "otel")


class Expected(NamedTuple):
    """What is expected of a recording.

    Attributes:
        root: Name of the root of each tree; None for any.
        runs: Names of runs that are to be there.
        roots: How many trees.
        sources: The tracers that are to have recorded it; empty for those that did.
    """

    root: str | None = None
    runs: tuple[str, ...] = ()
    roots: int = 1
    sources: tuple[str, ...] = ()


def checked_sources(source: str | Collection[str]) -> tuple[str, ...]:
    """Return the sources as a tuple.

    Raises:
        ValueError: One of them is none, or there is none.
    """
    __tracebackhide__ = True
    named: tuple[Any, ...] = (source,) if isinstance(source, str) else tuple(source)
    unknown = [name for name in named if name not in SOURCES]
    if unknown or not named:
        what = f"{unknown[0]!r} is no source of runs" if unknown else "no source is named"
        raise ValueError(f"{what}; valid are {', '.join(map(repr, SOURCES))}, or several of them")
    return named


_VALID = (
    "valid are single_trace(root='name', runs=['name', ...], roots=1, source='langsmith' or 'otel' "
    "or a list of both), each of them optional, and single_trace(False) for a test that is not to "
    "be judged"
)


def opts_out(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether a marker says that the test is not to be judged."""
    return args == (False,) and not kwargs


def expected_of(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Expected:
    """Read the arguments of the marker.

    Raises:
        ValueError: They are none of the marker's; the text lists what is.
    """
    __tracebackhide__ = True
    names = ("root", "runs", "roots", "source")
    given = {**dict(zip(names, args)), **kwargs}
    unknown = [*map(repr, args[len(names) :]), *(name for name in kwargs if name not in names)]
    unknown += [name for name in names[: len(args)] if name in kwargs]
    if unknown:
        raise ValueError(f"single_trace does not take {', '.join(unknown)}; {_VALID}")
    root, runs, roots = given.get("root"), given.get("runs"), given.get("roots", 1)
    if root is not None and not isinstance(root, str):
        raise ValueError(f"root={root!r} is no name; {_VALID}")
    if isinstance(roots, bool) or not isinstance(roots, int) or roots < 1:
        raise ValueError(f"roots={roots!r} is no number of trees, from 1 on; {_VALID}")
    try:
        source = given.get("source")
        sources = () if source is None else checked_sources(source)
    except (TypeError, ValueError) as error:
        raise ValueError(f"source={given['source']!r}: {error}; {_VALID}") from None
    return Expected(root, _names(runs), roots, sources)


def _names(runs: str | Collection[str] | None) -> tuple[str, ...]:
    __tracebackhide__ = True
    if runs is None:
        return ()
    names: tuple[Any, ...] = (runs,) if isinstance(runs, str) else ()
    if not names:
        try:
            names = tuple(runs)
        except TypeError:
            names = (runs,)
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"runs={runs!r} are no names; {_VALID}")
    return names
