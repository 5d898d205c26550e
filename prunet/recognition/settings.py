"""Face settings of a ticket: how the faces of its data set were detected and cropped."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from prunet.base.errors import InputError

Share = Annotated[float, Field(ge=0, le=1)]


class _Faces(BaseModel):
    model_config = ConfigDict(strict=True)

    min_confidence: float = Field(ge=0, le=1)
    min_size: int = Field(ge=1)
    margin: float = Field(ge=0, le=5)
    max_side: int = Field(ge=1)
    size: int = Field(ge=1)


class _Row(BaseModel):
    model_config = ConfigDict(strict=True)

    threshold: Share
    true_accepts: Share
    false_accepts: Share
    false_accepts_interval: Annotated[list[Share], Field(min_length=2, max_length=2)]


class Rates(BaseModel):
    """Shares of faces that get a name at several thresholds, without what only the export prints."""

    model_config = ConfigDict(strict=True)

    measured: bool
    strangers: int = Field(ge=1)
    table: list[_Row] = Field(min_length=1)


class _Pairs(BaseModel):
    model_config = ConfigDict(strict=True)

    threshold: Share
    false_accepts: Share
    pairs: int = Field(ge=1)
    people: int = Field(ge=2)
    of: str


class _Metadata(BaseModel):
    model_config = ConfigDict(strict=True)

    faces: _Faces
    threshold: Share
    rates: Rates | None = None
    pairs: _Pairs | None = None


def face_settings(metadata: dict[str, Any], ticket: Path) -> dict[str, Any]:
    """Return how the faces of a ticket's data set were found, its `threshold`, `rates` and `pairs`.

    Args:
        metadata: from `compact.load`, which has checked only what inference needs.
        ticket: its file, for messages.

    Raises:
        InputError: the ticket was not trained on faces, or its face settings are invalid.
    """
    if metadata.get("faces") is None:
        known = ", ".join(metadata["class_names"][:3])
        raise InputError(
            f"{ticket} is not a ticket of faces (its classes are {known}, ...); give one of a face study, or "
            "use `python -m stages.read_digits`."
        )
    try:
        valid = _Metadata.model_validate(metadata)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{ticket} is damaged ({where}: {first['msg']}); export it again.") from None
    if valid.faces.size != metadata["preparation"]["stored"]:
        raise InputError(f"{ticket} is damaged (it has two sizes for a face's image); export it again.")
    return valid.faces.model_dump() | valid.model_dump(include={"threshold", "rates", "pairs"})
