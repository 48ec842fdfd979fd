"""Monitoring: has it moved, is it still right, what kind of trouble is it, and who should know.

Belongs here: verdicts on profiles, labels and series, and the life of an alert. Does not belong
here: counting and keeping them, sending anything, objectives (`core.reliability`).
Imports: `core.catalog`, the statistics in `core.operations`, `errors`.
"""
