"""What a caller can make a worker write in its log."""

import pytest

from servewell.serving.log_lines import LogLines


def test_a_caller_causes_one_line_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    """Of a thousand failures in a second one is told, and the next line counts the rest."""
    now = 0.0
    lines = LogLines(lambda: now)
    for number in range(1_000):
        now = number / 1_000
        lines.say(f"Failure {number}.")
    assert capsys.readouterr().err == "Failure 0.\n"
    now = 1.0
    lines.say("Failure 1000.")
    now = 2.5
    lines.say("Failure 1001.")
    told = "Failure 1000. 999 lines like it were left out.\nFailure 1001.\n"
    assert capsys.readouterr().err == told
