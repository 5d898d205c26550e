"""What images a network takes."""

from prunet.base.errors import InputError

Shape = tuple[int, int, int]  # (channels, height, width) of an input image


def check(fits: bool, model: str, takes: str, shape: Shape) -> None:
    """Refuse images that do not fit a model.

    Raises:
        InputError: they do not; it says what the model takes.
    """
    if not fits:
        raise InputError(
            f"{model} takes {takes}, not {shape} (channels, height, width): set the study's input_size, or "
            "another model."
        )
