"""Decisions. Values in, a decision out.

Belongs here: a rule someone could argue about at a whiteboard, and the nouns it speaks of.
Does not belong here: a clock, a socket, a file, a log line, a random number, an `await`.
Imports: nothing of servewell but itself and `errors`; outside it, only what computes.
"""
