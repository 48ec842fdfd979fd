"""How work that nobody waits for keeps out of the way of the processes that serve beside it."""

import gc
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

NICENESS: Final = 10  # a tenth of the share of who serves, where both want the same processor
AUTOGROUP: Final = Path("/proc/self/autogroup")
OBJECTS_BEFORE_COLLECTION: Final = 100_000


def let_others_go_first() -> None:
    """Give the calling thread what processor time others leave; where that is refused, do nothing.

    Linux keeps the niceness of each thread, but where it groups processes by session, it compares
    those of the groups; that of our group counts for this whole process, which has its session
    for itself.
    """
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
    with suppress(OSError):
        AUTOGROUP.write_text(str(NICENESS))


def collect_seldom() -> None:
    """Look for cycles seldom, and not among what is there already.

    Thousands of records at once are no garbage and hold no cycles; to look through them again and
    again took longer than all else that is done with them.
    """
    gc.freeze()
    gc.set_threshold(OBJECTS_BEFORE_COLLECTION)
