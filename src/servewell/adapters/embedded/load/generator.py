"""`LoadGenerator` in a process of its own."""

import subprocess
from collections.abc import Callable

import msgspec

from servewell.adapters.embedded.processes import process_command
from servewell.core.performance.load_result import Window
from servewell.ports.load_generator import Load, LoadFailedError


class ProcessLoadGenerator:
    """See `LoadGenerator`."""

    def run(self, load: Load, observe: Callable[[Window], bool]) -> None:
        """See `LoadGenerator.run`."""
        try:
            process = subprocess.Popen(
                process_command("load"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        except OSError as error:
            raise _failed(f"its process cannot be started: {error.strerror}") from error
        with process:
            try:
                _follow(process, load, observe)
            finally:
                if process.stdin is not None and not process.stdin.closed:
                    process.stdin.close()
                if process.poll() is None:
                    process.terminate()
        if process.returncode not in (0, -15):
            raise _failed(f"its process ended with {process.returncode}")


def _follow(
    process: "subprocess.Popen[bytes]", load: Load, observe: Callable[[Window], bool]
) -> None:
    if process.stdin is None or process.stdout is None:
        raise AssertionError("both pipes were asked for")
    process.stdin.write(msgspec.json.encode(load) + b"\n")
    process.stdin.flush()
    for line in process.stdout:
        goes_on = observe(msgspec.json.decode(line, type=Window))
        if not goes_on and not process.stdin.closed:
            process.stdin.close()  # it tells what is in flight, and ends


def _failed(why: str) -> LoadFailedError:
    return LoadFailedError(
        "The load test could not be carried out.",
        why=why,
        fix="`servewell doctor` checks this machine; a lower rate needs less of it",
    )
