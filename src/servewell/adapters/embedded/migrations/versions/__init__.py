"""One file a step. The newest number is `database.NEWEST`."""
