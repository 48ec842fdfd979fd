"""What Servewell needs from the world, one Protocol a file, in Servewell's own words.

Belongs here: a Protocol of at most seven methods with its laws, the values that cross it, the
errors it may raise. Does not belong here: a vendor's name, a default implementation, a retry.
Imports: `core`, `errors`.
"""
