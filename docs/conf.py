"""Sphinx. The session "docs" of the noxfile builds it; a warning is an error."""

from __future__ import annotations

from importlib.metadata import version as version_of

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

# The docstrings write code in single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
