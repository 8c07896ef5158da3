"""Fixtures of the hook tests; what they are made of is in hooks.py."""

import pytest

from hooks import World


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    there = World(tmp_path_factory.mktemp("world"))
    try:
        yield there.start()
    finally:
        there.stop()
