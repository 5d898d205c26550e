"""Runs of the commands recognise and read_digits."""

from click.testing import CliRunner

from tests.toy_faces import message, read_table


def invoke(command, *arguments):
    return CliRunner().invoke(command.main, [str(argument) for argument in arguments])


def results(command, folder, *arguments):
    """Run a command that succeeds; return the rows of its CSV file, which is written to `folder`."""
    result = invoke(command, *arguments, "--csv", folder / "rows.csv")
    assert result.exit_code == 0, result.output
    return read_table(folder / "rows.csv")


def refusal(command, *arguments):
    """Run a command that refuses its input; return its message."""
    return message(invoke(command, *arguments))
