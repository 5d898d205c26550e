"""Fixtures and test order that all test files share."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser import chromium, page  # noqa: F401 - fixtures

CHECKOUT = Path(__file__).parent.parent


@pytest.fixture
def real_data() -> Callable[[str], Path]:
    """Find a folder of real data by name, below $PRUNET_DATA or a `*/data` folder beside the checkout."""

    def find(name: str) -> Path:
        places = [Path(os.environ["PRUNET_DATA"])] if "PRUNET_DATA" in os.environ else []
        for place in [*places, *CHECKOUT.parent.glob("*/data")]:
            if (place / name).is_dir():
                return place / name
        pytest.skip(f"no {name}: set PRUNET_DATA to a folder that holds {name}")

    return find


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the file that takes longest, so that another worker does the others meanwhile."""
    items.sort(key=lambda item: item.path.name != "test_pipeline.py")
