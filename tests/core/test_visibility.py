"""Who may see the records of which endpoint."""

from servewell.core.catalog.key import Grant, Role
from servewell.core.security.visibility import visible_to


def grant(principal: str, role: Role, *endpoints: str) -> Grant:
    """Return what a key of this principal lets it do."""
    return Grant(id="k", digest="d", principal=principal, role=role, endpoints=endpoints)


def test_the_operator_of_the_machine_sees_everything() -> None:
    """Also requests that reached no endpoint; who owns the files needs no key."""
    sight = visible_to("ada", operator="ada", grants=())
    assert sight.endpoints is None
    assert sight.shows("")


def test_others_see_what_a_key_of_theirs_observes() -> None:
    """Keys add up; one that may only invoke, and one of somebody else, show nothing."""
    grants = (
        grant("eve", Role.OPERATOR, "flights"),
        grant("eve", Role.OPERATOR, "trains"),
        grant("eve", Role.INVOKER, "ships"),
        grant("bob", Role.ADMINISTRATOR, "planes"),
    )
    sight = visible_to("eve", operator="ada", grants=grants)
    assert sight.endpoints == ("flights", "trains")
    assert not sight.shows("ships")
    assert not sight.shows("")
    assert visible_to("nobody", operator="ada", grants=grants).endpoints == ()


def test_a_key_for_every_endpoint_shows_every_endpoint() -> None:
    """`*` is all of them."""
    grants = (grant("eve", Role.OPERATOR, "*"),)
    assert visible_to("eve", operator="ada", grants=grants).endpoints is None
