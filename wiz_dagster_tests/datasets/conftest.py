"""Says at the end of a test run how many conformance cases were compared."""

from collections.abc import Callable

import pytest

COMPARED: pytest.StashKey[list[str]] = pytest.StashKey()


@pytest.fixture(scope="session")
def compared(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Takes a line for the summary of the run."""
    lines = request.config.stash.setdefault(COMPARED, [])
    return lines.append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Prints the lines."""
    for line in config.stash.get(COMPARED, []):
        terminalreporter.write_line(f"conformance: {line}")
