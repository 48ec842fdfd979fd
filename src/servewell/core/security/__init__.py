"""Security: who may call, what may be stored in clear, what may be loaded.

Belongs here: decisions about access, redaction and the supply chain.
Does not belong here: where keys are kept, or how a request is read.
Imports: `core.catalog`, `errors`.
"""
