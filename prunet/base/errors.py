"""The one error that a person is meant to read."""

import click


class InputError(click.ClickException):
    """Input that prunet cannot work with: one sentence that says what, where and how to mend it.

    A stage that raises it prints the sentence, without a traceback, and exits with code 2.
    """

    exit_code = 2
