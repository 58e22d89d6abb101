from __future__ import annotations

import pytest
from loopback import Loopback
from vendor import Vendor


@pytest.fixture(scope="session")
def served():
    vendor = Vendor()
    with Loopback(vendor.app) as server:
        yield vendor, server.url


@pytest.fixture
def vendor(served):
    vendor, _ = served
    vendor.reset()
    return vendor
