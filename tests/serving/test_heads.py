"""Heads that were read before are read the same, and nothing else is taken for one."""

from hypothesis import given
from hypothesis import strategies as st

from servewell.core.catalog.key import Grant, Role
from servewell.serving.connection import Connection
from servewell.serving.exchange import Exchange
from servewell.serving.heads import Heads
from serving.test_framing import HOST, Echo, Line, chunked, post

GRANT = Grant(id="k", digest="d", principal="site", role=Role.INVOKER, endpoints=("*",))


class Known(Echo):
    """`Requests` that know every caller."""

    body_max = 1_000

    def open(self, exchange: Exchange) -> None:
        """Let everything in, as somebody's."""
        exchange.grant = GRANT

    def body_bytes_max(self, exchange: Exchange) -> int:
        """Return what is allowed now."""
        del exchange
        return self.body_max


def sent(pieces: list[bytes], heads: Heads, requests: Echo | None = None) -> bytes:
    """Return what is answered on one connection to these pieces."""
    connection, line = Connection(requests or Known(), heads, ended=lambda _: None), Line()
    connection.connection_made(line)
    for piece in pieces:
        connection.data_received(piece)
    return line.written


bodies = st.binary(max_size=12) | st.sampled_from([b"\r\n\r\n", b"POST /a HTTP/1.1\r\n\r\n"])
requests = st.one_of(
    st.builds(post, bodies, path=st.sampled_from([b"/a", b"/b"])),
    st.builds(post, bodies, head=st.just(HOST + b"Connection: keep-alive\r\n")),
    st.builds(chunked, bodies.filter(bool)),
    st.just(b"GET /a HTTP/1.1\r\n" + HOST + b"\r\n"),
)


@given(st.lists(st.lists(requests, min_size=1, max_size=3).map(b"".join), max_size=6))
def test_a_known_head_is_read_as_a_new_one(pieces: list[bytes]) -> None:
    """Whatever was sent before, by whomever, the answers are those of a first time."""
    heads = Heads()
    fresh = [sent([piece], Heads()) for piece in pieces]
    assert sent(pieces, heads) == b"".join(fresh)
    assert sent(pieces, heads) == b"".join(fresh)


def test_only_a_whole_request_of_somebody_known_is_kept() -> None:
    """Strangers, pipelined requests, parts, and heads that tell not where they end are not."""
    body = post(b"abc")
    for pieces, requests_ in (
        ([body], Echo()),
        ([body + body], Known()),
        ([body[:-1], body[-1:]], Known()),
        ([post(b"abc", head=HOST + b"Expect: 100-continue\r\n")], Known()),
        ([chunked(b"abc")], Known()),
    ):
        heads = Heads()
        sent(pieces, heads, requests_)
        assert heads.find(pieces[0]) is None
    heads = Heads()
    sent([body], heads)
    found = heads.find(body)
    assert found is not None
    assert heads.find(body + b"x") is None
    assert heads.find(body[:-1]) is None


def test_a_smaller_limit_holds_for_known_heads() -> None:
    """What may be sent is asked anew for each request."""
    heads, requests_ = Heads(), Known()
    assert sent([post(b"abc")], heads, requests_).startswith(b"HTTP/1.1 200")
    requests_.body_max = 2
    assert sent([post(b"abc")], heads, requests_).startswith(b"HTTP/1.1 413")


def test_memory_is_bounded() -> None:
    """However many heads there are, no more than so many are kept."""
    heads = Heads()
    for number in range(5_000):
        sent([post(b"a", path=b"/%d" % number)], heads)
    kept = sum(heads.find(post(b"a", path=b"/%d" % number)) is not None for number in range(5_000))
    assert 0 < kept <= 2_048
