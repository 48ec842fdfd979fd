"""The interval of a share that was looked at once."""

import math
from typing import Final

Z: Final = 1.96  # 95 %, two-sided


def interval(hits: int, total: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share, in 0..1; all of it where nothing was seen.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    if not total:
        return 0.0, 1.0
    share = hits / total
    scale = 1 + Z * Z / total
    middle = (share + Z * Z / (2 * total)) / scale
    reach = Z / scale * math.sqrt(share * (1 - share) / total + Z * Z / (4 * total * total))
    return max(0.0, middle - reach), min(1.0, middle + reach)
