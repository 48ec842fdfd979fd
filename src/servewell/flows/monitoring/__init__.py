"""Watching: profiles, drift, quality, objectives, alerts, and what a person asks of the record.

Belongs here: gathering facts, asking the core, acting through ports. Not here: a verdict.
Imports: core, ports, charts, errors, and the flows that change what is served.
"""
