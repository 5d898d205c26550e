"""Image shapes that a network accepts."""

from prunet.base.errors import InputError

Shape = tuple[int, int, int]  # (channels, height, width) of an input image


def check(fits: bool, model: str, accepted: str, shape: Shape) -> None:
    """Refuse images that do not fit a model.

    Raises:
        InputError: `fits` is False; the message names the `accepted` images.
    """
    if not fits:
        raise InputError(
            f"{model} takes {accepted}, not {shape} (channels, height, width): set the study's input_size or "
            "choose another model."
        )
