"""What a pickle may name: the decision whether one may be loaded.

A pickle is a program for a small machine whose only way to anything outside is to name it
(`module`, `name`) and then to call it. So the question is what it names, and the answer is no
unless every name is on the list here: what the pickles of fitted models need, and nothing that
runs code, opens a file or reaches into another object.

The same list stands guard a second time while the pickle is loaded.
Source: Python, "Restricting Globals" in the documentation of `pickle`; the operators as
`pickletools` describes them.
"""

import pickletools
import re
from dataclasses import dataclass
from typing import Final

Name = tuple[str, str]  # module, and the name in it

ARRAY_RECORD: Final[Name] = ("joblib.numpy_pickle", "NumpyArrayWrapper")

_RECONSTRUCTORS: Final = ("_reconstruct", "scalar")
_BIT_GENERATORS: Final = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")
_SPARSE: Final = ("csr", "csc", "coo")
_KINDS: Final = ("matrix", "array")
_TREES: Final = ("metrics._dist_metrics", "neighbors._kd_tree", "neighbors._ball_tree")
_SCORES: Final = ("f_classif", "f_regression", "f_oneway", "r_regression", "chi2")
_NUMPY_TYPES: Final = (
    *("ndarray", "dtype", "bool_", "bool", "str_", "bytes_", "object_", "longlong", "ulonglong"),
    *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
    *("float16", "float32", "float64", "complex64", "complex128"),
)

KNOWN: Final[frozenset[Name]] = frozenset(
    {
        ARRAY_RECORD,
        ("copyreg", "_reconstructor"),
        ("_codecs", "encode"),  # how the protocols before 3 write bytes
        *(("collections", name) for name in ("OrderedDict", "defaultdict", "Counter", "deque")),
        *(
            ("builtins", name)
            for name in (
                *("set", "frozenset", "complex", "slice", "range", "bytearray", "object"),
                *("list", "dict", "tuple", "int", "float", "bool", "str", "bytes"),
            )
        ),
        *(("numpy", name) for name in _NUMPY_TYPES),
        *(
            (f"numpy.{core}.multiarray", name)
            for core in ("core", "_core")
            for name in _RECONSTRUCTORS
        ),
        *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
        *(
            ("numpy.random._pickle", f"__{name}_ctor")
            for name in ("randomstate", "generator", "bit_generator")
        ),
        *((f"numpy.random._{name.lower()}", name) for name in _BIT_GENERATORS),
        ("numpy.random._pcg64", "PCG64DXSM"),
        ("numpy.random.bit_generator", "SeedSequence"),
        ("numpy.random.bit_generator", "__pyx_unpickle_SeedSequence"),
        *((f"scipy.sparse._{name}", f"{name}_{kind}") for name in _SPARSE for kind in _KINDS),
        *((f"scipy.sparse.{name}", f"{name}_matrix") for name in _SPARSE),
        ("scipy.interpolate._bsplines", "BSpline"),
        *((f"sklearn.{module}", "newObj") for module in _TREES),
        *(("sklearn.feature_selection._univariate_selection", name) for name in _SCORES),
        ("xgboost.core", "Booster"),
        ("lightgbm.basic", "Booster"),
    }
)

# Classes alone, and none of modules that download, start processes, run tests or are foreign.
_CLASSES: Final = (
    re.compile(
        r"sklearn(?!\.(?:datasets|externals|utils\._testing|utils\.parallel|conftest|experimental)\b)"
        r"(?:\.(?!tests\b)_?[a-z][a-z0-9_]*)+ _?[A-Z][A-Za-z0-9_]*"
    ),
    re.compile(r"xgboost\.sklearn XGB[A-Za-z0-9]*"),
    re.compile(r"lightgbm\.sklearn LGBM[A-Za-z0-9]*"),
)
_OLD_MODULES: Final = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # of Python 2 pickles

_TEXTS: Final = frozenset({"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE"})
_KEEPS: Final = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_FETCHES: Final = frozenset({"GET", "BINGET", "LONG_BINGET"})
_REFUSED: Final = {
    "PERSID": "asks its reader for an object",
    "BINPERSID": "asks its reader for an object",
    "EXT1": "names something by a number",
    "EXT2": "names something by a number",
    "EXT4": "names something by a number",
    "NEXT_BUFFER": "wants bytes from elsewhere",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PickleVerdict:
    """Whether a pickle may be loaded, under the guard of `is_known`."""

    harmless: bool
    because: str
    names: tuple[Name, ...] = ()  # what it names, in the order in which it does
    whole: bool = True  # False: it carries arrays between its operators, and was read up to there


def canonical(module: str, name: str) -> Name:
    """Return a name as Python 3 has it."""
    return _OLD_MODULES.get(module, module), name


def is_known(module: str, name: str) -> bool:
    """Whether a pickle may name this."""
    there = canonical(module, name)
    return there in KNOWN or any(kind.fullmatch(" ".join(there)) for kind in _CLASSES)


def judge_pickle(data: bytes) -> PickleVerdict:
    """Decide on a pickle without running any of it.

    A file of joblib carries the bytes of arrays between its operators. It can be read up to the
    first of these only; the guard stands alone from there.
    """
    reading = _Reading()
    try:
        reading.read(data)
    except _ArraysFollowError:
        return reading.verdict("", whole=False)
    except _RefusedError as error:
        return reading.verdict(str(error))
    except Exception as error:  # noqa: BLE001  # whatever breaks the reader, the answer is no
        return reading.verdict(f"it is no whole pickle: {str(error)[:100]}")
    if reading.end == len(data):
        return reading.verdict("")
    return reading.verdict("something follows after its end")


class _RefusedError(Exception):
    pass


class _ArraysFollowError(Exception):
    pass


class _Reading:
    """Follows the operators of a pickle for what they name.

    Since protocol 4 a name is taken from the top of the stack. It is certain only where both its
    texts were just pushed, so anything else between is refused rather than followed.
    """

    def __init__(self) -> None:
        self.names: list[Name] = []
        self.end = 0  # where the next operator would start
        self._memo: dict[int, str | None] = {}
        self._pushed: list[str | None] = []  # what the last operators pushed; None is no text

    def verdict(self, fault: str, *, whole: bool = True) -> PickleVerdict:
        return PickleVerdict(
            harmless=not fault,
            because=fault or "all that it names is known",
            names=tuple(self.names),
            whole=whole,
        )

    def read(self, data: bytes) -> None:
        for operator, argument, position in pickletools.genops(data):
            kind = operator.name
            if kind in _REFUSED:
                raise _RefusedError(f"it {_REFUSED[kind]}")
            if kind in ("GLOBAL", "INST"):
                module, _, name = str(argument).partition(" ")
                self._named(module, name)
            elif kind == "STACK_GLOBAL":
                self._named_by_stack()
            elif kind not in ("FRAME", "PROTO"):
                self._follow(kind, argument)
            self.end = (position or 0) + 1

    def _named(self, module: str, name: str) -> None:
        self.names.append((module, name))
        self._pushed = []
        if not is_known(module, name):
            raise _RefusedError(f"it names `{module}.{name}`, which no model needs")
        if (module, name) == ARRAY_RECORD:
            raise _ArraysFollowError

    def _named_by_stack(self) -> None:
        match self._pushed:
            case [str() as module, str() as name]:
                self._named(module, name)
            case _:
                raise _RefusedError("it makes up a name in a way that cannot be followed")

    def _follow(self, kind: str, argument: object) -> None:
        top = self._pushed[-1] if self._pushed else None
        if kind == "MEMOIZE":
            self._memo[len(self._memo)] = top
        elif kind in _KEEPS:
            self._memo[int(str(argument))] = top
        elif kind in _TEXTS:
            self._pushed = [*self._pushed[-1:], str(argument)]
        elif kind in _FETCHES:
            self._pushed = [*self._pushed[-1:], self._memo.get(int(str(argument)))]
        else:
            self._pushed = []
