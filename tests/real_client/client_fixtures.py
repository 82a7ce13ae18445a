"""Fixtures of the tests with real clients: the namespace of this test process, and a bench for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench, MakeBench
from client_namespace import ClientNamespace, NoNamespace, client_namespace
from conftest import lack
from real_clients import VERSIONS, NoClient, install


@pytest.fixture(scope="session")
def namespace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientNamespace]:
    """Give the namespace of this process; nothing runs unless it was seen to be cut off."""
    try:
        for version in VERSIONS:
            install(version)
        with client_namespace(tmp_path_factory.mktemp("namespace")) as made:
            yield made
    except (NoNamespace, NoClient) as error:
        lack(str(error))


@pytest.fixture
def make_bench(namespace: ClientNamespace, home: Path) -> Iterator[MakeBench]:
    """Give a bench with the client of a version."""
    made: list[Bench] = []

    def make(version: str) -> Bench:
        made.append(Bench(home, namespace, version))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


@pytest.fixture(params=VERSIONS)
def bench(make_bench: MakeBench, request: pytest.FixtureRequest) -> Bench:
    """Give a bench for each client."""
    return make_bench(request.param)
