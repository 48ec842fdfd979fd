"""Use cases: gather facts from ports, ask the core, carry out the answer, record it.

A flow has no `if` about the business; when it grows one, that `if` moves to the core.
Imports: `ports`, `core`, `errors`.
"""
