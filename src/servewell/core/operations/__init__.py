"""Operations: what may be deployed, how traffic is split and taken back, when work is stale.

Belongs here: decisions about change. Does not belong here: carrying them out.
Imports: `core.catalog`, `errors`.
"""
