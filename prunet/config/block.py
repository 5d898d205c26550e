"""Base of the blocks of params.yaml, and the kinds of values in them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Bits = Annotated[int, Field(ge=1, le=8)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Severity = Literal["warn", "refuse"]


def _two_digits(value: Any) -> Any:
    """Return 4 and "4" as "04"."""
    digits = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return digits.zfill(2) if isinstance(digits, str) and digits.isdecimal() else value


RoundName = Annotated[str, BeforeValidator(_two_digits), Field(pattern=r"^([0-9]{2}|last)$")]


class Block(BaseModel):
    """A block of params.yaml: unknown names, and text in place of a number, are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _whole_numbers(cls, values: Any) -> Any:
        """Accept 1e4 as a whole number: YAML reads it as 10000.0."""
        return {key: _whole(value) for key, value in values.items()} if isinstance(values, dict) else values


def _whole(value: Any) -> Any:
    if isinstance(value, list):
        return [_whole(entry) for entry in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
