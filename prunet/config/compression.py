"""Block of params.yaml about combinations of compression steps."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from prunet.compression import order
from prunet.config.block import Bits, Block, Count, Name, RoundName
from prunet.config.pruning import Scheme
from prunet.config.study import Distillation


def _step(name: str) -> str:
    if name not in order.NAMES:
        raise ValueError(f"{name!r} is not a step: choose among {', '.join(order.NAMES)}")
    return name


def _combination(steps: list[str]) -> list[str]:
    if fault := order.fault(steps):
        raise ValueError(f"[{', '.join(steps)}] cannot be: {fault}")
    return steps


Step = Annotated[str, AfterValidator(_step)]
Combination = Annotated[list[Step], Field(min_length=1), AfterValidator(_combination)]


class Rank(Block):
    rule: Literal["energy", "share", "number"]
    amount: float = Field(gt=0)

    @model_validator(mode="after")
    def _is_of_the_rule(self) -> "Rank":
        if self.rule == "number" and self.amount != int(self.amount):
            raise ValueError(f"a rank is a whole number, not {self.amount}")
        if self.rule != "number" and self.amount > 1:
            raise ValueError(f"amount is {self.amount}, and {self.rule} is a share: give at most 1")
        return self


class Compress(Block):
    studies: list[Name]
    scheme: Scheme
    round: RoundName
    combinations: list[Combination] = Field(min_length=1)
    rank: Rank
    leave_whole: list[str]
    distill: Distillation
    bits: Bits
    images: Count
    percentile: float = Field(gt=50, le=100)
    ends: bool
    seconds: float = Field(ge=0)
