"""The ports on one machine: SQLite or PostgreSQL, files, processes.

Production code, and the double of every test.
Imports: `ports`, `core`, `errors`, and whatever library does the work.
"""
