"""Sending requests at a rate: the process that sends, and the adapter that starts it.

Belongs here: connections, timing and counting of a load test.
Does not belong here: what is planned and what it says, which `core.performance` decides.
Imports: `ports`, `core`, `errors`.
"""
