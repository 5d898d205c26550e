"""The error whose message is shown to the user without a traceback, and causes in one line."""

import sysconfig
import traceback
from pathlib import Path

import click

PACKAGES = (*(Path(sysconfig.get_path(kind)) for kind in ("stdlib", "purelib")), Path(__file__).parents[1])
NO_GPU = ("Found no NVIDIA driver", "Torch not compiled with CUDA enabled")


class InputError(click.ClickException):
    """Input that prunet cannot use; the message is one sentence: what is wrong, where, and how to fix it.

    A stage that raises it prints the message without a traceback and exits with code 2.
    """

    exit_code = 2


def cause(error: BaseException) -> str:
    """Return the type of an error and the first line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def place(error: BaseException) -> str:
    """Return " at line 3 of net.py" for the last line of the user's own code before an error, or nothing."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not any(map(Path(frame.filename).is_relative_to, PACKAGES))]
    return f" at line {own[-1].lineno} of {own[-1].filename}" if own else ""


def without_gpu(name: str, error: Exception) -> InputError | None:
    """Return the error for code that asks for a CUDA device where there is none; None for any other error."""
    if not any(words in str(error) for words in NO_GPU):
        return None
    return InputError(
        f"{name} asks for a CUDA device{place(error)}, and this machine has none: leave tensors on the "
        "device of the inputs, and create new ones there, e.g. with device=x.device."
    )
