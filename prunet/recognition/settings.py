"""Face settings of a ticket: how the faces of its data set were detected and cropped."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from prunet.base.errors import InputError


class _Faces(BaseModel):
    model_config = ConfigDict(strict=True)

    min_confidence: float = Field(ge=0, le=1)
    min_size: int = Field(ge=1)
    margin: float = Field(ge=0, le=5)
    max_side: int = Field(ge=1)
    size: int = Field(ge=1)


class _Metadata(BaseModel):
    model_config = ConfigDict(strict=True)

    faces: _Faces
    threshold: float = Field(ge=0, le=1)


def face_settings(metadata: dict[str, Any], ticket: Path) -> dict[str, Any]:
    """Return how the faces of a ticket's data set were detected and cropped, and its `threshold`.

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
    return valid.faces.model_dump() | {"threshold": valid.threshold}
