"""Block of params.yaml about combinations of compression steps."""

from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, model_validator

from prunet.compression import order
from prunet.config.block import Bits, Block, Count, Name, RoundName, Share
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
Percentile = Annotated[float, Field(gt=50, le=100)]
Value = TypeVar("Value")
Values = Annotated[list[Value], Field(min_length=1)]
Combination = Annotated[list[Step], Field(min_length=1), AfterValidator(_combination)]


class Rank(Block):
    rule: Literal["energy", "share", "number"]
    amount: float = Field(gt=0)

    @model_validator(mode="after")
    def _is_of_the_rule(self) -> "Rank":
        _check_amount(self.rule, self.amount)
        return self


def _check_amount(rule: str, amount: float) -> None:
    if rule == "number" and amount != int(amount):
        raise ValueError(f"a rank is a whole number, not {amount}")
    if rule != "number" and amount > 1:
        raise ValueError(f"amount is {amount}, and {rule} is a share: give at most 1")


class Search(Block):
    round: Values[RoundName]
    amount: Values[Annotated[float, Field(gt=0)]]
    share: Values[Share]
    temperature: Values[Annotated[float, Field(gt=0)]]
    bits: Values[Bits]
    percentile: Values[Percentile]
    ends: Values[bool]


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
    percentile: Percentile
    ends: bool
    seconds: float = Field(ge=0)
    search: Search

    @model_validator(mode="after")
    def _amounts_of_the_search_are_of_the_rule(self) -> "Compress":
        for amount in self.search.amount:
            _check_amount(self.rank.rule, amount)
        return self
