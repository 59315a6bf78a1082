"""Sphinx. The session "docs" of the noxfile builds it; a warning is an error."""

from __future__ import annotations

from importlib.metadata import version as version_of
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

project = "ctxtrace"
author = "The ctxtrace authors"
copyright = "The ctxtrace authors"
release = version = version_of("ctxtrace")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
# measured: outputs of runs, committed as they were printed.
exclude_patterns = ["_build", "measured"]

html_theme = "furo"
html_title = f"ctxtrace {version}"

# Links such as [see](asyncio.md#gather-and-taskgroup) work here as they do on GitHub.
myst_heading_anchors = 3

# The docstrings write code in single backticks. What is one of ours there becomes a link.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = True
napoleon_numpy_docstring = False

# Names outside of the project, for the build with -n: to know them it would have to ask
# docs.python.org, and it needs no network.
nitpick_ignore = [
    ("py:exc", "asyncio.QueueEmpty"),
    ("py:exc", "asyncio.QueueFull"),
    ("py:exc", "asyncio.QueueShutDown"),
    ("py:exc", "concurrent.futures.BrokenExecutor"),
    ("py:exc", "queue.Empty"),
    ("py:exc", "queue.Full"),
    ("py:exc", "queue.ShutDown"),
]


def _leave_as_code(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.TextElement | None:
    # An argument, a name of another library: not everything in backticks is ours. What says that
    # it is, and is not there, is a mistake.
    is_ours = node["reftarget"].startswith("ctxtrace.")
    return None if node.get("reftype") != "obj" or is_ours else content


def _as_in_stubs(
    app: Sphinx,
    what: str,
    name: str,
    thing: object,
    options: object,
    arguments: str | None,
    returns: str,
) -> tuple[str, str] | None:
    # A default that only says that the argument was not given.
    return (arguments.replace("<object object>", "..."), returns) if arguments else None


def setup(app: Sphinx) -> None:
    app.connect("missing-reference", _leave_as_code)
    app.connect("autodoc-process-signature", _as_in_stubs)
