"""The data plane: one request in, one answer out, from the snapshot alone.

Belongs here: the worker process, framing, protocols, the request path, runtimes, the record.
Does not belong here: the database, a flow, anything awaited that is not the model.
Imports: `ports`, `core`, `errors`.
"""
