"""Blocks of params.yaml about results: measurements, figures, exports."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from prunet.config.block import Bits, Block, Count, Name, RoundName, Share
from prunet.config.pruning import Criterion, Scheme, UnitCriterion
from prunet.config.study import StepOrEpochs


class Report(Block):
    scheme: Scheme
    round: RoundName
    margin: float = Field(ge=0, le=100)


class Claim(Block):
    claim: str = Field(min_length=1)
    measure: Literal["accuracy", "earlier", "falls-below", "best"]
    scheme: Scheme
    against: Literal["dense", "random"] = "dense"
    round: RoundName
    equals: float | None = None
    above: float | None = None

    @model_validator(mode="after")
    def _has_one_published_value(self) -> "Claim":
        values = [value for value in (self.equals, self.above) if value is not None]
        if self.measure in ("accuracy", "earlier"):
            if len(values) != 1:
                raise ValueError(f"a claim of measure {self.measure} needs either equals or above")
        elif values:
            raise ValueError(
                f"a claim of measure {self.measure} is the density of its round: leave out equals and above"
            )
        return self


class Claims(Block):
    studies: list[Name]
    published: list[Claim]


class Published(Block):
    criterion: Criterion
    sparsity: Share
    accuracy: Share


class Sweep(Block):
    studies: list[Name]
    criteria: list[Criterion] = Field(min_length=1)
    sparsities: list[Share] = Field(min_length=1)
    published: list[Published]


class Sensitivity(Block):
    studies: list[Name]
    criterion: UnitCriterion
    shares: list[Annotated[float, Field(gt=0, lt=1)]] = Field(min_length=1)


class Stability(Block):
    studies: list[Name]
    from_: list[StepOrEpochs] = Field(alias="from", min_length=1)
    rounds: list[RoundName] = Field(min_length=1)


class Embedding(Block):
    studies: list[Name]


class NewPeople(Block):
    studies: list[Name]
    false_accepts: float = Field(gt=0, lt=1)
    photos: list[Count] = Field(min_length=1)


class Footprint(Block):
    rounds: int = Field(ge=2)
    batches: list[Count] = Field(min_length=1)
    seconds: float = Field(gt=0)
    threads: Count
    bits: list[Bits]


class Export(Block):
    scheme: Scheme
    round: RoundName
    replicate: int = Field(ge=0)
    bits: Bits
    known: float = Field(gt=0, le=1)
    strangers: str = Field(min_length=1)
    false_accepts: Share | None
