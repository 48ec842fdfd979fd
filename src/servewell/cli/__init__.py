"""Servewell in a terminal.

Belongs here: words, flags, tables, progress, exit codes. Does not belong here: a rule.
Imports: `flows`, `ports`, `core`, `errors`; each command imports what it needs when it runs.
"""
