"""A fresh network and its gateway, for every test that asks."""

from pathlib import Path

import pytest

from gateway.shell.network import NetworkKeys
from tests.service.gateway_rig import network, open_gateway


@pytest.fixture
def keys(tmp_path: Path) -> NetworkKeys:
    return network(tmp_path / "data")


@pytest.fixture
def gateway(keys: NetworkKeys):
    gateway = open_gateway(keys)
    yield gateway
    gateway.close()
