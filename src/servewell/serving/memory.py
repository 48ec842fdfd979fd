"""How much memory a worker holds."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

STATM: Final = Path("/proc/self/statm")  # in pages; the second word is what is in memory
PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
EVERY: Final = 2  # looks, of which there is one a second
NEWS_BYTES: Final = 1 << 20  # by which it has to change to be told again


class Memory:
    """What was found at the last look, and what was told of it."""

    def __init__(self) -> None:
        self._looks = 0
        self.bytes = self.told = held_bytes()

    def look(self, beside: int) -> bool:
        """Look each second time, `beside` being what other processes hold; whether it is news."""
        self._looks += 1
        if self._looks % EVERY:
            return False
        self.bytes = held_bytes() + beside
        news = abs(self.bytes - self.told) >= NEWS_BYTES
        if news:
            self.told = self.bytes
        return news


def held_bytes() -> int:
    """Return the bytes of this process that are in memory; 0 where that cannot be known."""
    with suppress(OSError, ValueError, IndexError):
        return int(STATM.read_bytes().split()[1]) * PAGE_BYTES
    return 0
