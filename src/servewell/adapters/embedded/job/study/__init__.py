"""Trying a model in the job's process: variants of it, how good and how fast they are.

Belongs here: surgery on graphs, measuring, profiling.
Does not belong here: which variant is taken, which `core.performance` decides.
Imports: as `job`; nothing here is imported by the process that waits.
"""
