"""What was measured of a cell, as its training left it in result.json."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from prunet.base.errors import InputError
from prunet.base.files import read_json

Share = Annotated[float, Field(ge=0, le=1)]
Steps = Annotated[int, Field(ge=0)]


class Part(BaseModel):
    """A part of a result; it may have more than is named here."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class Test(Part):
    test_loss: float
    test_accuracy: Share


class Curve(Part):
    step: list[Steps] = Field(min_length=1)
    val_accuracy: list[Share]

    @model_validator(mode="after")
    def _aligned(self) -> "Curve":
        if len(self.step) != len(self.val_accuracy):
            raise ValueError("step and val_accuracy are of different lengths")
        return self


class Network(Part):
    replicate: Steps
    early_stop_step: Steps
    early: Test
    final: Test
    curve: Curve


class Result(Part):
    density: Share
    layer_density: dict[str, Share]
    epochs_per_step: float
    networks: list[Network] = Field(min_length=1)

    @model_validator(mode="after")
    def _looked_at_together(self) -> "Result":
        if len({tuple(network.curve.step) for network in self.networks}) > 1:
            raise ValueError("the networks were looked at after different steps")
        return self


def read(path: Path) -> dict[str, Any]:
    """Read a result.json.

    Returns:
        `density` and `layer_density` (0 to 1), `epochs_per_step`, and `networks`, a list with what
        `training.load_finished` returns for each.

    Raises:
        InputError: the file is missing, is not JSON, or holds something else.
    """
    value: dict[str, Any] = read_json(path)
    try:
        Result.model_validate(value)
    except ValidationError as errors:
        error = errors.errors()[0]
        where = ".".join(str(part) for part in error["loc"]) or "all of it"
        reason = error["msg"].removeprefix("Value error, ").lower()
        raise InputError(
            f"{path} is no result of a training ({where}: {reason}): run the stage that writes it again."
        ) from None
    return value
