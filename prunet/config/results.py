"""Blocks of params.yaml about results: measurements, figures, exports."""

from typing import Annotated

from pydantic import Field

from prunet.config.block import Bits, Block, Count, Name, RoundName, Share
from prunet.config.pruning import Criterion, Scheme, UnitCriterion


class Report(Block):
    scheme: Scheme
    round: RoundName
    margin: float = Field(ge=0, le=100)


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
    rounds: list[RoundName] = Field(min_length=1)


class Embedding(Block):
    studies: list[Name]


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
