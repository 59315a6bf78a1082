"""What ``opentelemetry-instrument`` finds of ctxtrace: `install`, if the environment asks for it.

It loads what every installed distribution offers it, also where nobody has thought of ctxtrace.
So this imports nothing that costs, unless ``CTXTRACE_INSTALL=1``; and it is not among the
patches, for to import one of them is to import them all.

Not derived from OpenTelemetry's ``BaseInstrumentor``, which may not be there, and of which only
the methods are asked for.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .patches import Installation

_VARIABLE = "CTXTRACE_INSTALL"


class CtxtraceInstrumentor:
    """Calls `ctxtrace.install` when told to instrument and ``CTXTRACE_INSTALL`` is 1 or true.

    As with OpenTelemetry's own instrumentors, all objects of this class are one: another than
    the one that instrumented may take it back.
    """

    _installation: Installation | None = None

    @property
    def is_instrumented_by_opentelemetry(self) -> bool:
        return CtxtraceInstrumentor._installation is not None

    def instrumentation_dependencies(self) -> tuple[str, ...]:
        """Name the packages without which there is nothing to do: none."""
        return ()

    def instrument(self, **_: Any) -> None:
        """Install, unless that was done, or is not wanted.

        Raises nothing: OpenTelemetry would leave out the instrumentors that come after.
        """
        if self.is_instrumented_by_opentelemetry or not _is_wanted():
            return
        from ._errors import guard

        CtxtraceInstrumentor._installation = guard("the OpenTelemetry instrumentor", _install)

    def uninstrument(self, **_: Any) -> None:
        """Take back what `instrument` did."""
        installation = CtxtraceInstrumentor._installation
        CtxtraceInstrumentor._installation = None
        if installation is not None:
            installation.uninstall()


def _install() -> Installation:
    from .patches import install

    return install()


def _is_wanted() -> bool:
    value = os.environ.get(_VARIABLE, "").strip().lower()
    if value not in ("", "0", "false", "1", "true"):
        from ._errors import logger

        # Without its value: what stands in the environment is not for the log.
        logger.warning(
            "%s is neither 1 nor 0, nor true nor false. install() was not called.", _VARIABLE
        )
    return value in ("1", "true")
