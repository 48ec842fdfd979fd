"""How much feedback one token, one person and one key may send to this worker."""

from collections import OrderedDict
from typing import Final

from servewell.serving.feedback_refusals import FeedbackLimitedError

PER_TOKEN: Final = 20  # in the whole time that a token is good: a person may change their mind
PER_SUBJECT: Final = 120
SUBJECT_S: Final = 3_600.0
KEY_S: Final = 60.0
WINDOWS_MAX: Final = 20_000  # that are remembered; then those not used for longest are forgotten


class FeedbackLimits:
    """Counts in windows that begin with their first piece."""

    def __init__(self, *, windows_max: int = WINDOWS_MAX) -> None:
        self._windows_max = windows_max
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()  # end, count

    def take(self, who: str, what: str, *, most: int, window_s: float, now: float) -> None:
        """Count one piece of feedback of `who`; `what` says in words what is limited.

        Raises: FeedbackLimitedError.
        """
        end, count = self._windows.get(who, (now + window_s, 0))
        if now >= end or end > now + window_s:  # it is over, or the clock was set back
            end, count = now + window_s, 0
        self._windows[who] = end, count
        self._windows.move_to_end(who)
        if count >= most:
            raise FeedbackLimitedError(
                "Too much feedback was sent.",
                why=f"{what} may send {most} pieces in {window_s:g} s",
                fix="send it again later; what was taken before is kept",
                retry_after_s=max(1, int(end - now) + 1),
            )
        self._windows[who] = end, count + 1
        if len(self._windows) > self._windows_max:
            self._windows.popitem(last=False)
