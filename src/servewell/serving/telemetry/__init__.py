"""What a worker tells of itself: metrics as text, traces by OTLP, logs.

Belongs here: how they are written and sent. Not here: what is counted (`serving/metrics.py`), and
the path of a request, which hands over what it has found out. May import: core, ports, errors,
`serving.counters`, `serving.metrics`. `opentelemetry` is imported only where spans are exported.
"""
