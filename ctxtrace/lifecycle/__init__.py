"""What was recorded is sent: `flush`, exits, signals, forks, serverless, web servers.

`_helpers` are the threads that work for us, `_rounds` has everyone who flushes at once share one
flush, `flushing` asks all exporters with one deadline. `exits` does that when the program ends,
with `_signals` and `_waited_for`; `_fork` and `_spawned` are about children; `serverless`, `web`
and `gunicorn` put it where those let go of a program. None of them knows a tracing library: the
carriers do.
"""
