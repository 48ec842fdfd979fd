"""Keys and passwords in a text, and what only looks a little like them."""

import pytest

from servewell.core.security.plain_secrets import LEFT_OUT, without_secrets

KEY = "-----BEGIN RSA PRIVATE KEY-----\n+MIIEow\n+AAAA\n+-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ('+password = "hunter22"', "hunter22"),
        ("+DB_PASSWD: 'hunter22'", "hunter22"),
        ("+  api_key: 0123456789abcdef0123", "0123456789abcdef0123"),
        ('+{"access_token": "abcdefgh"}', "abcdefgh"),
        ("+export AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMIK7MDENGbPx", "wJalrXUtnFEMI"),
        ("+key AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
        ("+ghp_0123456789abcdefghijABCDEFGHIJ012345", "ghp_0123"),
        ("+url = postgresql://me:hunter22@db/x", "hunter22"),
        ("+Authorization: Bearer abcdef0123456789abcdef", "abcdef0123456789"),
        (f"+{KEY}\n+more", "MIIEow"),
        ("+-----BEGIN PRIVATE KEY-----\n+MIIEow", "MIIEow"),
    ],
)
def test_what_looks_like_a_secret_is_left_out(text: str, secret: str) -> None:
    """Its value is gone, and it is counted."""
    told, count = without_secrets(text)
    assert secret not in told
    assert LEFT_OUT in told
    assert count >= 1


@pytest.mark.parametrize(
    "text",
    [
        "+token = make_token(user)",
        "+password: str",
        '+api_key = os.environ["API_KEY"]',
        "+secret = settings.secret",
        "+see https://example.org/a:b",
        "+tokens = count(words)",
    ],
)
def test_code_that_reads_a_secret_stays(text: str) -> None:
    """It holds none."""
    assert without_secrets(text) == (text, 0)
