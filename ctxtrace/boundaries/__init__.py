"""One module a boundary. Each is thin: capture at the crossing, run on the far side."""
