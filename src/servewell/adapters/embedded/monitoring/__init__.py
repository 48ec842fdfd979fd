"""Counting and keeping what is watched: profiles, series, feedback.

Belongs here: numpy, sketches, tables. Not here: a verdict on any of it.
Imports: core, ports, errors, and the database of `adapters.embedded`.
"""
