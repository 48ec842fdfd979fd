"""The interval of a share that was looked at once."""

import math
from typing import Final

Z: Final = 1.96  # 95 %, two-sided


def interval(hits: int, total: int, *, z: float = Z) -> tuple[float, float]:
    """Return Wilson's interval of a share, in 0..1; all of it where nothing was seen.

    `z` is the quantile of the normal distribution that says how sure it is: 95 % without it.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    if not total:
        return 0.0, 1.0
    share = hits / total
    scale = 1 + z * z / total
    middle = (share + z * z / (2 * total)) / scale
    reach = z / scale * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max(0.0, middle - reach), min(1.0, middle + reach)
