"""What callers speak: thin over one data plane.

Belongs here: how a protocol's bytes become columns, and outputs its bytes.
Does not belong here: authentication, routing, the model.
Imports: `serving.refusals`, `core`, `errors`.
"""
