"""Reliability: who is let in, who waits, who is refused, and when to come again.

Belongs here: decisions on load, limits and deadlines, over counts and times that are given.
Does not belong here: queues, clocks and sockets, which the data plane has.
Imports: `core.catalog` and `errors`.
"""
