"""Say where a trace was lost: note every crossing, and look up the one that is to blame.

The way of the data: `_boundaries`, `_queues`, `_handed`, `_wraps` and `_untraced` see what
happens, in the places where `_watch` puts them. `_crossings` keeps how the code has come that runs
now, `_scene` what is to be seen where a run starts, `_source` whose line it is, and `_calls` what a
run's own code calls. From these `_cause` draws the conclusion, `_loss` says it, `_diagnosis`
collects, and `_timeline` and `_html` show it.

Not named after its function: importing a module of that name would put it in the function's place.
"""

from __future__ import annotations

from ._diagnosis import Diagnosis, diagnose
from ._loss import Fix, Loss, Place

__all__ = ["Diagnosis", "Fix", "Loss", "Place", "diagnose"]
