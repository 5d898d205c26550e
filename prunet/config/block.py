"""What every block of params.yaml has in common, and the kinds of value in it."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Percent = Annotated[int, Field(ge=1, le=98)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Bits = Annotated[int, Field(ge=1, le=8)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Severity = Literal["warn", "refuse"]


class Block(BaseModel):
    """A block of params.yaml: no unknown names, no text where a number belongs."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
