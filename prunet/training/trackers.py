"""Send learning curves to DVCLive, or to a function of yours, while networks train."""

import importlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prunet.base.errors import InputError

NAMED = "PRUNET_TRACKER"
DVC = "DVC_ROOT"  # set for the commands that DVC runs
DELAY = 30.0  # seconds: DVCLive takes two to start, and nobody watches a shorter training
INTERVAL = 5.0  # seconds: DVCLive writes the last values of all networks each time

FOLDER = Path(
    "live"
)  # not in .gitignore, or DVC would not look for its dvc.yaml; it is gone when the stage ends
PLOTS = "plots:\n  - plots: {x: step}\n"

# Called with `study`, `cell` (scheme/round), `network` (its number), `step`, `val_loss`, `val_accuracy`.
Track = Callable[..., None]


@contextmanager
def tracker() -> Iterator[Track | None]:
    """Give the function that `PRUNET_TRACKER` names as MODULE:FUNCTION; where DVC runs the stage, DVCLive.

    Raises:
        InputError: there is no such function.
    """
    if named := os.environ.get(NAMED):
        yield _named(named)
    elif DVC in os.environ:
        try:
            yield _dvclive(DELAY, INTERVAL)
        finally:
            shutil.rmtree(FOLDER, ignore_errors=True)
    else:
        yield None


def _named(named: str) -> Track:
    module, _, function = named.partition(":")
    try:
        track: Track = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"{NAMED}={named} names no function ({error}); set it to MODULE:FUNCTION, or unset it."
        ) from None
    return track


def _dvclive(delay: float, interval: float) -> Track:
    """Return a function that writes a table for each network to `FOLDER`.

    Args:
        delay: seconds before it writes.
        interval: seconds between two writes.
    """
    due, rows, live = time.monotonic() + delay, [], None

    def track(**row: Any) -> None:
        nonlocal live, due
        rows.append(row)
        if time.monotonic() < due:
            return
        due = time.monotonic() + interval
        if live is None:
            from dvclive.live import Live

            live = Live(str(FOLDER), save_dvc_exp=False, dvcyaml=None, report=None)
            (FOLDER / "dvc.yaml").write_text(PLOTS)
        for row in rows:
            live.step = row["step"]
            for measure in ("val_loss", "val_accuracy"):
                live.log_metric(
                    "/".join((row["study"], row["cell"], measure, str(row["network"]))), row[measure]
                )
        rows.clear()
        live.sync()  # type: ignore[no-untyped-call]

    return track
