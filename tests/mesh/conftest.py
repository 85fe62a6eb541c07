"""Fixtures of the mesh tests. A test that needs the agent fails, never skips, when the binary is missing."""

import pytest

from agent import WEFTD
from harness import TemporaryDirectory


@pytest.fixture
def directory():
    """A fresh temporary directory with a short path."""
    with TemporaryDirectory() as path:
        yield path


@pytest.fixture(scope="session", autouse=True)
def built(request):
    needs_agent = any("agent_needed" in item.keywords for item in request.session.items)
    if needs_agent and not WEFTD.exists():
        pytest.exit(
            f"{WEFTD} is missing: build it (cmake --preset release && cmake --build --preset release) "
            "or point WEFT_BUILD at a build",
            returncode=1,
        )


def pytest_configure(config):
    config.addinivalue_line("markers", "agent_needed: runs weftd")
    config.addinivalue_line("markers", "peers: needs a toolchain that Debian 12 lacks; run by scripts/test-peers")
