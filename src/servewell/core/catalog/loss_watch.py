"""How far the losses of the deployments of an endpoint were watched for a change."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Some values that follow each other."""

    count: int
    total: float
    deviations: float  # sum of squared deviations from their mean
    first_at: float  # time of the first of them

    @property
    def mean(self) -> float:
        """Return the mean of the values."""
        return self.total / self.count


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A change that was found."""

    at: float  # time of the first value behind it
    found_at: float  # time of the value at which it was found
    before: float  # mean of the values before, 0..1
    now: float  # mean of those behind
    values: int  # behind it when it was found
    known_at: float = 0.0  # when the label came by which it was found


@dataclass(frozen=True, slots=True, kw_only=True)
class Adwin:
    """The state: buckets, the oldest first, and how many values were seen since the last look."""

    buckets: tuple[Bucket, ...] = ()
    since_look: int = 0
    seen: int = 0  # values ever


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """The losses of one deployment, in the order in which their labels came."""

    measure: str
    scale: float  # the loss that counts as 1
    adwin: Adwin = Adwin()
    cuts: tuple[Cut, ...] = ()  # the last few, oldest first, in shares of the scale
    labels: int = 0  # that were looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class LossWatch:
    """All deployments of an endpoint, and the label up to which they were watched."""

    endpoint: str
    cursor: int = 0  # number of that label
    deployments: dict[str, Watched] = field(default_factory=dict)
