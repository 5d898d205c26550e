"""Where learning curves go while networks train: to DVCLive, or to a function of yours."""

import importlib
import os
import time
from collections.abc import Callable
from typing import Any

from prunet.base.errors import InputError

NAMED = "PRUNET_TRACKER"
DVC = "DVC_ROOT"  # set for the commands that DVC runs
DELAY = 30.0  # seconds: DVCLive takes two to start, and nobody watches a shorter training

# Called with `study`, `cell` (scheme/round), `network` (its number), `step`, `val_loss`, `val_accuracy`.
Track = Callable[..., None]


def tracker() -> Track | None:
    """Return the function that `PRUNET_TRACKER` names as MODULE:FUNCTION; where DVC runs the stage, DVCLive.

    Raises:
        InputError: there is no such function.
    """
    if named := os.environ.get(NAMED):
        return _named(named)
    return _dvclive(DELAY) if DVC in os.environ else None


def _named(named: str) -> Track:
    module, _, function = named.partition(":")
    try:
        track: Track = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"{NAMED}={named} names no function ({error}); set it to MODULE:FUNCTION, or unset it."
        ) from None
    return track


def _dvclive(delay: float) -> Track:
    """Return a function that writes a table for each network to live/plots, once `delay` seconds are over."""
    start, rows, live = time.monotonic() + delay, [], None

    def track(**row: Any) -> None:
        nonlocal live
        rows.append(row)
        if time.monotonic() < start:
            return
        if live is None:
            from dvclive.live import Live

            live = Live("live", save_dvc_exp=False, dvcyaml=None, report=None)
        for row in rows:
            live.step = row["step"]
            for measure in ("val_loss", "val_accuracy"):
                live.log_metric(
                    "/".join((row["study"], row["cell"], measure, str(row["network"]))), row[measure]
                )
        rows.clear()
        live.sync()  # type: ignore[no-untyped-call]

    return track
