"""HTTP/2: one connection, its streams, and what a stream carries: a request, or a gRPC call.

The protocol itself is `h2`. What is ours is small: limits, time, the order of what is sent, and
when a stream or a connection ends. Nothing here knows a model or a snapshot.
"""
