"""Keys and passwords that stand in a text as they are.

No pattern finds all of them. What is known by its form is taken out; who writes one into a file
under version control has told it to everybody who reads there.
"""

import re
from typing import Final

LEFT_OUT: Final = "[left out]"
# Files that are there to hold secrets, as patterns of names, whatever the case of the letters.
FILES: Final = (
    *("*.env", "*.env.*", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.kdbx"),
    *("*credential*", "*secret*", "*id_rsa*", "*id_ed25519*", "*.netrc", "*.pypirc", "*.pgpass"),
)
_FORMS: Final = (
    # of keys that say what they are: AWS, GitHub, GitLab, Slack, Google, OpenAI, ours; JSON tokens
    re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    re.compile(r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[abposr]-|AIza|sk-)[A-Za-z0-9_-]{16,}"),
    re.compile(r"\bsw_[A-Za-z0-9]{8,}_[A-Za-z0-9]{16,}\b"),
    re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
    re.compile(
        r"(?<=-----)BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY|\Z)", re.DOTALL
    ),
    re.compile(r"(?<=://)[^\s/:@]*:[^\s/@]+(?=@)"),  # the user and password of an address
    re.compile(r"(?<=\bBearer )[A-Za-z0-9._~+/=-]{16,}", re.IGNORECASE),
)
# A name that says so, and a text after it; code that reads one from elsewhere is left as it is.
_NAMED: Final = re.compile(
    r"(?P<name>\w*(?:passwo?r?d|secret|token|api_?key|access_?key|private_?key|credential)\w*"
    r"[\"']?\s*[:=]\s*)(?P<value>\"[^\"\n]{4,}\"|'[^'\n]{4,}'|[A-Za-z0-9+/_=-]{16,}(?=\s|$))",
    re.IGNORECASE | re.MULTILINE,
)


def without_secrets(text: str) -> tuple[str, int]:
    """Return a text with what looks like a key or a password left out, and how often it was."""
    count = 0
    for form in _FORMS:
        text, found = form.subn(LEFT_OUT, text)
        count += found
    text, found = _NAMED.subn(rf"\g<name>{LEFT_OUT}", text)
    return text, count + found
