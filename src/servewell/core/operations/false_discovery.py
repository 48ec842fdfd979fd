"""Which of many tests found something."""

from collections.abc import Sequence


def discoveries(chances: Sequence[float], *, share: float = 0.05) -> tuple[bool, ...]:
    """Return which of the tests are significant, by the procedure of Benjamini and Hochberg.

    Of those that it names, no more than `share` is expected to have found nothing.

    Units:  chances (p-values) and the share are in 0..1.
    Raises: nothing.
    Source: Benjamini and Hochberg 1995, J. R. Statist. Soc. B 57, 289-300.
    """
    ordered = sorted(chances)
    count = len(ordered)
    passed = [p for rank, p in enumerate(ordered, 1) if p <= rank / count * share]
    bound = passed[-1] if passed else -1.0
    return tuple(one <= bound for one in chances)
