"""The error whose message is shown to the user without a traceback, and causes in one line."""

import click


class InputError(click.ClickException):
    """Input that prunet cannot use; the message is one sentence: what is wrong, where, and how to fix it.

    A stage that raises it prints the message without a traceback and exits with code 2.
    """

    exit_code = 2


def cause(error: BaseException) -> str:
    """Return the type of an error and the first line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
