"""What a worker tells of its memory."""

import numpy as np

from servewell.serving.memory import NEWS_BYTES, Memory


def test_memory_is_told_when_it_has_changed() -> None:
    """Each second look counts, and what other processes hold counts too; a little is no news."""
    memory = Memory()
    first = memory.told
    assert first > 1 << 20
    held = np.ones(64 * NEWS_BYTES, np.uint8)  # so much is never taken from what lies free
    assert not memory.look(0)
    assert memory.look(0)
    assert memory.told - first > 32 * NEWS_BYTES
    assert held.any()
    assert not memory.look(0)
    assert memory.look(100 * NEWS_BYTES)
    assert memory.bytes - first > 100 * NEWS_BYTES
