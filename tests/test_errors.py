"""The line of the user's own code at which an error was raised."""

import json
from pathlib import Path

import numpy as np
import pytest

from prunet.base import errors

PACKAGE = Path(errors.__file__).parents[1]


def raised_in(file):
    """Return the error of code whose only line lies in a file."""
    with pytest.raises(ZeroDivisionError) as caught:
        exec(compile("1 / 0", file, "exec"), {})
    traceback = caught.value.__traceback__.tb_next  # without this test
    return caught.value.with_traceback(traceback)


@pytest.mark.parametrize("folder", [f"{PACKAGE}_nets", "/home/someone", "networks"])
def test_code_beside_the_package_is_the_users_own(folder):
    file = f"{folder}/net.py"
    assert errors.place(raised_in(file)).endswith(f"at line 1 of {file}")


@pytest.mark.parametrize("file", [PACKAGE / "library.py", np.__file__, json.__file__])
def test_code_of_the_package_and_of_installed_ones_is_not(file):
    assert str(file) not in errors.place(raised_in(str(file)))
