"""Blocks `prune` and `dynamic` of params.yaml: what goes, and how the rest is trained."""

from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from prunet.config.block import Block, Count, Share
from prunet.pruning.criteria import CRITERIA
from prunet.pruning.schemes import SCHEMES, UNDER_THE_ROUNDS_MASK
from prunet.pruning.unit_criteria import UNIT_CRITERIA


def _one_of(kind: str, known: Collection[str]) -> AfterValidator:
    """Check a name against the dict itself, so that a new function of it is a choice at once."""

    def check(name: str) -> str:
        if name not in known:
            raise ValueError(f"{name!r} is no {kind}: there are {', '.join(known)}")
        return name

    return AfterValidator(check)


Criterion = Annotated[str, _one_of("criterion", [*CRITERIA, *UNIT_CRITERIA])]
Scheme = Annotated[str, _one_of("scheme", SCHEMES)]
# Of the others the masks do not go on from round to round.
Chain = Annotated[str, _one_of("scheme that can be the chain", UNDER_THE_ROUNDS_MASK)]


class Round(Block):
    n: str
    from_: str = Field(alias="from")


class Layers(Block):
    leave_out: list[str]
    own_rate: list[Annotated[str, Field(pattern=r"^[^=]+=(0(\.\d*)?|1(\.0*)?|\.\d+)$")]]


class Prune(Block):
    schedule: Literal["iterative", "one-shot"]
    rate: float = Field(gt=0, lt=1)
    output_rate_factor: Share
    layers: Layers
    scope: Literal["layer", "global"]
    criterion: Criterion
    criterion_images: Count
    empty_layers: Literal["keep-one", "refuse"]
    chain: Chain
    schemes: list[Scheme] = Field(min_length=1)
    rounds: list[Round] = Field(min_length=1, max_length=101)

    @model_validator(mode="after")
    def _consistent(self) -> "Prune":
        if len(set(self.schemes)) < len(self.schemes):
            raise ValueError(f"schemes names one twice: {', '.join(self.schemes)}")
        if self.chain not in self.schemes:
            raise ValueError(
                f"chain is {self.chain!r}, which is not among the schemes ({', '.join(self.schemes)})"
            )
        before = "../dense"
        for number, entry in enumerate(self.rounds):
            if (entry.n, entry.from_) != (f"{number:02}", before):
                raise ValueError(
                    f"rounds, entry {number}: is {{n: {entry.n!r}, from: {entry.from_!r}}}, must be {{n: "
                    f"'{number:02}', from: {before!r}}} with schedule {self.schedule}"
                )
            if self.schedule == "iterative" and number:
                before = entry.n
        return self

    @model_validator(mode="after")
    def _criterion_knows_the_chain(self) -> "Prune":
        if self.chain == "random" and self.criterion in ("movement", "snip", "synflow"):
            raise ValueError(
                f"criterion {self.criterion} looks at the weights of step 0, where chain 'random' does not "
                "begin: choose another of the two"
            )
        return self


class Dynamic(Block):
    densities: Literal["erdos-renyi-kernel", "uniform"]
    begin: Share
    end: Share
    every: Count
    drop: Share

    @model_validator(mode="after")
    def _in_order(self) -> "Dynamic":
        if self.begin >= self.end:
            raise ValueError(f"begin is {self.begin} and end {self.end}: begin must come first")
        return self
