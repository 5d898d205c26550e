"""Base of the blocks of params.yaml, and the kinds of values in them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Bits = Annotated[int, Field(ge=1, le=8)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Severity = Literal["warn", "refuse"]


class Block(BaseModel):
    """A block of params.yaml: unknown names, and text in place of a number, are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
