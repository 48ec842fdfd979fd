"""The composition root: the one module that names adapters."""


def main() -> None:
    """Run the command line."""
