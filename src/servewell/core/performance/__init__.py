"""How fast, and at what price: batches, capacity, latency budgets, and which optimisation to take.

Belongs here: rules over measured times and counts.
Does not belong here: measuring, which the job and the worker do.
Imports: `core.catalog` and `errors`.
"""
