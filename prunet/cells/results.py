"""The measurements of a cell, stored in result.json by the stage that trained it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from prunet.base.errors import InputError
from prunet.base.files import read_json

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class Part(BaseModel):
    """Part of a result; further keys are allowed."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class TestScore(Part):
    test_loss: float
    test_accuracy: Share


class ValidationCurve(Part):
    step: list[Count] = Field(min_length=1)
    val_accuracy: list[Share]

    @model_validator(mode="after")
    def _aligned(self) -> "ValidationCurve":
        if len(self.step) != len(self.val_accuracy):
            raise ValueError("step and val_accuracy differ in length")
        return self


class NetworkResult(Part):
    replicate: Count
    early_stop_step: Count
    still_falling: bool | None = None
    explored: Share | None = None
    pruned_at: Count | None = None
    early: TestScore
    final: TestScore
    curve: ValidationCurve

    @model_validator(mode="after")
    def _evaluated_at_the_early_stop(self) -> "NetworkResult":
        if self.early_stop_step not in self.curve.step:
            raise ValueError("curve has no early_stop_step")
        return self


class CellResult(Part):
    density: Share
    layer_density: dict[str, Share]
    epochs_per_step: float
    processor: str = ""
    torch: str = ""
    networks: list[NetworkResult] = Field(min_length=1)

    @model_validator(mode="after")
    def _evaluated_together(self) -> "CellResult":
        if len({tuple(network.curve.step) for network in self.networks}) > 1:
            raise ValueError("the networks were evaluated after different steps")
        return self


def read(path: Path) -> dict[str, Any]:
    """Read a result.json.

    Returns:
        `density` and `layer_density` (0 to 1), `epochs_per_step`, `processor` and `torch` (its release)
        that trained it, and `networks`, a list of one dict each: `replicate`, `early_stop_step`,
        `still_falling` (the validation loss, at the last step), `explored` (share of the weights that were
        ever trained, where masks change), `pruned_at` (a step, where masks settle), `early` and `final` (test
        scores), `curve` (on validation images).

    Raises:
        InputError: the file is missing, is not JSON, or is not the result of a cell.
    """
    value: dict[str, Any] = read_json(path)
    try:
        CellResult.model_validate(value)
    except ValidationError as errors:
        error = errors.errors()[0]
        where = ".".join(str(part) for part in error["loc"]) or "whole file"
        reason = error["msg"].removeprefix("Value error, ").lower()
        raise InputError(
            f"{path} is not the result of a training ({where}: {reason}); run the stage that writes it again."
        ) from None
    return value


def read_study(
    models: Path, schemes: Sequence[str], rounds: Sequence[str]
) -> dict[tuple[str, str], dict[str, Any]]:
    """Read the results of all cells of a study, by scheme and round.

    The dense networks come first, as scheme `dense`, round `00`.

    Args:
        models: the study's folder.
        schemes, rounds: names; each scheme has each round.

    Raises:
        InputError: as `read`.
    """
    cells = models / "cells"
    return {("dense", "00"): read(models / "dense" / "result.json")} | {
        (scheme, number): read(cells / scheme / number / "result.json")
        for scheme in schemes
        for number in rounds
    }
