"""Files that are written completely or not at all, and reading and writing of JSON and CSV."""

import csv
import errno
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from prunet.base.errors import InputError
from prunet.base.publish import publish, refuse_protected
from prunet.base.scratch import scratch_folder
from prunet.base.text import readable

FULL = "free some disk space and run it again"
FORBIDDEN = "fix the permissions or choose another path"
LONGEST_FIELD = 2**31 - 1  # characters; csv's own limit, 2^17, is shorter than a picture inside an address
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}  # of spreadsheets, in place of commas
FIXES = {errno.ENOSPC: FULL, errno.EDQUOT: FULL, errno.EACCES: FORBIDDEN, errno.EPERM: FORBIDDEN}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path at which to make a file or a folder; move it to `path` when the block succeeds.

    If the block raises, `path` stays as it was. Two processes may write `path` at the same time: each output
    is complete and the later one wins. A killed process leaves a folder in `path.partial`, which the next
    writer of `path` removes.

    Raises:
        InputError: the disk is full or `path` cannot be written; or `path` is a folder that is not an
            earlier output: it is or contains the working folder, the home folder or a repository, or it is
            not empty and shares no file name with the new folder.
    """
    refuse_protected(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(path) as scratch:
            new = scratch / path.name
            yield new
            publish(new, path, scratch)
    except OSError as error:
        _raise_input_error(error, path)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Convert an `OSError` from writing `path` in place to an `InputError`.

    Raises:
        InputError: the disk is full or `path` cannot be written.
    """
    try:
        yield
    except OSError as error:
        _raise_input_error(error, path)


def _raise_input_error(error: OSError, path: Path) -> NoReturn:
    fix = FIXES.get(error.errno or 0, "fix this and run it again")
    if isinstance(error, shutil.Error):  # from copytree: a list of failures
        reason = str(error.args[0][0][2])
    elif error.errno is None:  # not from the operating system: a bug
        raise error
    else:
        reason = str(error.strerror)
    other = error.filename if error.filename and ".partial" not in str(error.filename) else path
    where = "" if Path(other) == path else f": {other}"
    raise InputError(f"{path} cannot be written ({reason}{where}); {fix}.") from None


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Convert an `OSError` from reading `path` to an `InputError`.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; run the stage that writes it first.") from None
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror or error}); fix this and run it again."
        ) from None


def write_json(path: Path, value: Mapping[str, Any] | Sequence[Any]) -> None:
    """Write `value` as indented JSON, in its own key order, with a newline at the end."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path, keys: Sequence[str] = ()) -> Any:
    """Read a JSON file; with `keys`, it must be an object that has them (and may have more).

    Raises:
        InputError: the file is missing or not JSON, or a key is missing.
    """
    try:
        with reading(path):
            value = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, or a number of thousands of digits
        raise InputError(f"{path} is not JSON ({error}); run the stage that writes it again.") from None
    missing = [key for key in keys if not isinstance(value, dict) or key not in value]
    if missing:
        raise InputError(f"{path} has no key {missing[0]!r}; run the stage that writes it again.")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def write_rows(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write `rows` as CSV with exactly these `columns`; a row with another key is a `ValueError`."""
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read a CSV file that has at least these `columns`; every value is a string.

    Raises:
        InputError: the file is missing or not UTF-8, a column is missing or there twice, or a row has too
            many or too few values.
    """
    csv.field_size_limit(LONGEST_FIELD)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            header = list(reader.fieldnames or [])
            check_header(path, header, columns)
            rows = []
            for row in reader:
                if None in row or None in row.values():
                    raise InputError(
                        f"{path}, line {reader.line_num}: not {len(header)} values; "
                        "put a value that contains a comma in double quotes."
                    )
                rows.append(row)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); fix this and run it again.") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8.") from None
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: not CSV ({error}); fix this line.") from None
    return rows


def check_header(path: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    """Check that the first line of a CSV file names each of `columns` once; it may name others.

    Raises:
        InputError: a column is missing or named twice, or the values are not separated by commas.
    """
    for mark, name in SEPARATORS.items():
        if len(header) == 1 and set(columns) <= set(header[0].split(mark)):
            raise InputError(f"{path} separates its values by {name}; save it with commas.")
    if missing := [column for column in columns if column not in header]:
        names = readable(", ".join(header)) or "nothing"
        raise InputError(
            f"{path} has no column {missing[0]!r} (its first line names: {names}); the first line must name "
            f"{', '.join(columns)}."
        )
    if doubled := [column for column in columns if header.count(column) > 1]:
        raise InputError(
            f"{path} has several columns named {' and '.join(map(repr, doubled))}; rename or remove those "
            "that are not meant."
        )
