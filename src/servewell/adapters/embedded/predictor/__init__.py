"""Predictors of users: the process that runs one, and the environment that it runs in.

Belongs here: `host`, the program of that process, which stands alone because another Python runs
it; what starts and ends it; how packages and environments are laid out.
Does not belong here: what to do when a process ends. That is the runtime's to decide.
Imports: as `embedded`; `host` imports the standard library and NumPy alone.
"""
