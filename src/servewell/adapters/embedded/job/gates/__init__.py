"""Measuring a model version for the gates, beside the champion and on the same rows.

Belongs here: everything that runs models over rows to say what they do.
Does not belong here: whether that is good enough.
Imports: as `job`.
"""
