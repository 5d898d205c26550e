"""The error whose message is shown to the user without a traceback."""

import click


class InputError(click.ClickException):
    """Input that prunet cannot use; the message is one sentence: what is wrong, where, and how to fix it.

    A stage that raises it prints the message without a traceback and exits with code 2.
    """

    exit_code = 2
