"""Where Celery's worker and run_celery.py find their broker: a folder, no network and no server."""

from __future__ import annotations

import os
from pathlib import Path

_FOLDER = Path(os.environ["CELERY_FOLDER"])
for _name in ("messages", "control"):
    (_FOLDER / _name).mkdir(parents=True, exist_ok=True)

broker_url = "filesystem://localhost/"
broker_transport_options = {
    "data_folder_in": str(_FOLDER / "messages"),
    "data_folder_out": str(_FOLDER / "messages"),
    "control_folder": str(_FOLDER / "control"),
    # Seconds between two looks at an empty queue.
    "polling_interval": 0.1,
}
broker_connection_retry_on_startup = False
task_ignore_result = True
worker_enable_remote_control = False
