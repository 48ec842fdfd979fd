"""What a pickle may name."""

import pickle
import pickletools
import zlib
from contextlib import suppress
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.core.security.pickle_scan import is_known, judge_pickle


def text(value: str) -> bytes:
    """Return the operator that pushes a short text."""
    return b"\x8c" + bytes([len(value)]) + value.encode()


def by_stack(module: str, name: str) -> bytes:
    """Return a pickle that names something from the stack and calls it, made by hand."""
    return b"\x80\x04" + text(module) + text(name) + b"\x93" + text("true") + b"\x85R."


def by_line(module: str, name: str) -> bytes:
    """Return a pickle of protocol 0 that names something and calls it."""
    return f"c{module}\n{name}\n(S'true'\ntR.".encode()


def by_instance(module: str, name: str) -> bytes:
    """Return a pickle of protocol 0 that makes an instance of something."""
    return f"(S'true'\ni{module}\n{name}\n.".encode()


HOSTILE = [
    ("os", "system"),
    ("posix", "system"),
    ("nt", "system"),
    ("subprocess", "Popen"),
    ("builtins", "eval"),
    ("builtins", "exec"),
    ("builtins", "getattr"),
    ("builtins", "__import__"),
    ("builtins", "open"),
    ("builtins", "map"),
    ("builtins", "type"),
    ("__builtin__", "eval"),
    ("runpy", "run_path"),
    ("importlib", "import_module"),
    ("ctypes", "CDLL"),
    ("timeit", "timeit"),
    ("functools", "partial"),
    ("operator", "attrgetter"),
    ("pydoc", "locate"),
    ("pydoc", "pipepager"),
    ("logging.config", "dictConfig"),
    ("webbrowser", "open"),
    ("cProfile", "run"),
    ("pickle", "loads"),
    ("joblib", "load"),
    ("joblib.numpy_pickle", "load"),
    ("numpy", "load"),
    ("numpy", "memmap"),
    ("numpy.f2py", "compile"),
    ("numpy.testing._private.utils", "runstring"),
    ("torch", "load"),
    ("pandas", "read_pickle"),
    ("sklearn.datasets", "load_files"),
    ("sklearn.datasets._base", "RemoteFileMetadata"),
    ("sklearn.utils.fixes", "parse_version"),
    ("sklearn.utils._testing", "TempMemmap"),
    ("sklearn.externals.array_api_compat", "Device"),
    ("sklearn.tree.tests.test_tree", "Tree"),
    ("sklearn.utils", "os.system"),
    ("sklearn.utils", "Bunch.__class__"),
    ("sklearn", "Pipeline"),
    ("sklearnx.tree", "Tree"),
    ("sklearn.tree ", "Tree"),
    ("xgboost.tracker", "RabitTracker"),
    ("xgboost.core", "DMatrix"),
    ("lightgbm.basic", "Dataset"),
    ("", ""),
]


@pytest.mark.parametrize("make", [by_stack, by_line, by_instance])
@pytest.mark.parametrize(("module", "name"), HOSTILE)
def test_what_no_model_needs_is_refused(module: str, name: str, make) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001  # three functions of one shape
    """However a pickle names a thing that is not on the list, it is refused and says which."""
    verdict = judge_pickle(make(module, name))
    assert not verdict.harmless
    assert not is_known(module, name)


def test_a_name_from_the_memo_is_followed() -> None:
    """Texts that were kept and fetched again are known for what they are."""
    kept = text("posix") + b"\x94" + text("system") + b"q\x05" + b"00"
    verdict = judge_pickle(b"\x80\x04" + kept + b"h\x00h\x05\x93" + text("true") + b"\x85R.")
    assert not verdict.harmless
    assert "posix.system" in verdict.because


@pytest.mark.parametrize(
    "between",
    [b"N0", b"2", b"(0", b"]0", b"\x8c\x01x0"],
    ids=["none-pop", "dup", "mark-pop", "list-pop", "text-pop"],
)
def test_a_name_that_cannot_be_followed_is_refused(between: bytes) -> None:
    """Where anything but keeping stands between the texts of a name, the answer is no."""
    data = b"\x80\x04" + text("collections") + text("OrderedDict") + between + b"\x93)R."
    assert "cannot be followed" in judge_pickle(data).because


def test_a_memo_that_is_overwritten_counts_as_it_is_read() -> None:
    """The memo holds what was kept last under a number."""
    data = (
        b"\x80\x04"
        + text("collections")
        + b"q\x00"
        + text("posix")
        + b"q\x00"
        + b"00"
        + b"h\x00"
        + text("system")
        + b"\x93)R."
    )
    assert "posix.system" in judge_pickle(data).because


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a pickle",
        pickle.dumps([1, 2, 3])[:-1],
        pickle.dumps([1, 2, 3])[:-4],
        pickle.dumps([1, 2, 3]) + b"more",
        pickle.dumps({}) + pickle.dumps([]),
        b"\x80\x04P1\n.",
        b"\x80\x04N\x51.",
        b"\x80\x02\x82\x01.",
        b"\x80\x05\x97.",
        zlib.compress(pickle.dumps([1])),
    ],
)
def test_what_is_no_whole_plain_pickle_is_refused(data: bytes) -> None:
    """A broken tail, a second pickle, persistent ids and foreign buffers are refused."""
    assert not judge_pickle(data).harmless


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
    ),
    st.integers(0, 5),
)
def test_plain_values_pass(value: object, protocol: int) -> None:
    """Nothing that names no class is refused, in any protocol."""
    data = pickle.dumps(value, protocol)
    assert judge_pickle(data).harmless


@given(st.binary(max_size=200))
def test_any_bytes_have_a_verdict(data: bytes) -> None:
    """The scan never raises, and never passes what names something unknown."""
    verdict = judge_pickle(b"\x80\x04" + data)
    assert verdict.because
    if verdict.harmless:
        assert all(is_known(module, name) for module, name in verdict.names)


@given(
    st.sampled_from([text("os"), text("system"), b"\x94", b"h\x00", b"h\x01", b"q\x00", b"q\x01"])
    | st.sampled_from([b"0", b"2", b"(", b"N", b")", b"\x93", b"\x85", b"t", b"1", b"]", b"a"]),
    st.data(),
)
def test_the_scan_knows_what_the_machine_would_name(first: bytes, data: st.DataObject) -> None:
    """Whatever the machine would look up under any mix of operators, a harmless verdict lists."""
    operators = [
        text("os"),
        text("system"),
        text("collections"),
        text("OrderedDict"),
        *(b"\x94", b"h\x00", b"h\x01", b"q\x00", b"q\x01", b"0", b"2", b"(", b"N", b")"),
        *(b"\x93", b"\x93", b"\x85", b"1", b"]", b"a"),
    ]
    body = first + b"".join(data.draw(st.lists(st.sampled_from(operators), max_size=12)))
    program = b"\x80\x04" + body + b"."
    looked_up = names_looked_up(program)
    verdict = judge_pickle(program)
    if verdict.harmless:
        assert looked_up <= set(verdict.names)
        assert ("os", "system") not in looked_up


def names_looked_up(program: bytes) -> set[tuple[str, str]]:
    """Run a pickle on the real machine with a look-up that gives nothing, and say what it asked."""
    asked: set[tuple[str, str]] = set()

    class Recorder(pickle._Unpickler):  # noqa: SLF001  # the machine itself
        def find_class(self, module: str, name: str) -> object:
            asked.add((module, name))
            return object

    with suppress(Exception):  # most mixes are no pickle
        Recorder(BytesIO(program)).load()
    return asked


def test_the_reader_knows_every_operator() -> None:
    """Python has no operator that names things which the scan does not look at."""
    naming = {one.name for one in pickletools.opcodes if "global" in one.doc.lower()}
    assert naming <= {"GLOBAL", "STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4", "REDUCE", "NEWOBJ"}
