"""Files that are written whole or not at all, and the two table formats of the pipeline."""

import csv
import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from prunet.base.errors import InputError
from prunet.base.scratch import OCCUPIED, aside, workplace

FULL = "free some space and run it again"
FORBIDDEN = "mend the permissions, or choose another place"
MEND = {errno.ENOSPC: FULL, errno.EDQUOT: FULL, errno.EACCES: FORBIDDEN, errno.EPERM: FORBIDDEN}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path for `path`; rename it to `path` when the block ends well.

    The block may make a file or a folder there. If it raises, `path` is left as it was. Of two processes that
    write `path` at once each writes whole, and the later one wins; what a killed one left in the folder
    `path.partial`, the next removes.

    Raises:
        InputError: the disk is full or `path` cannot be written; or a folder is there that is no former
            output: one that is or holds the working folder, the home or a repository, or that is not empty
            and shares no file's name with the new one.
    """
    _refuse_precious(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with workplace(path) as place:
            new = place / path.name
            yield new
            _put(new, path, place)
    except OSError as error:
        _explain(error, path)


def _put(new: Path, path: Path, place: Path) -> None:
    if not new.is_dir():
        # A power failure soon after a rename may leave an empty file. DVC makes an output anew then, but what
        # was fetched is not asked for again. Other files of a folder are not synced: 4 ms each.
        with new.open("rb") as stream:
            os.fsync(stream.fileno())
        new.replace(path)
        return
    old = aside(place, path)
    while True:
        # A rename replaces a file, but not a folder with files in it: what is there goes aside first.
        if path.is_symlink() or path.is_dir():
            with suppress(FileNotFoundError):  # another writer has just moved it aside
                if not path.is_symlink():
                    _refuse_foreign(path, new)
                shutil.rmtree(old, ignore_errors=True)
                path.rename(old)
        try:
            new.rename(path)
        except OSError as error:
            if error.errno not in OCCUPIED:
                raise
        else:
            return


def _refuse_precious(path: Path) -> None:
    here = path.resolve()
    for place in (Path.cwd(), Path(os.environ.get("HOME", "/")).resolve()):
        if here in (place, *place.parents):
            raise InputError(f"{path} is or holds {place}, which is never replaced: choose another place.")
    for name in (".git", ".dvc"):
        if (path / name).exists():
            raise InputError(f"{path} holds {name} and is never replaced: choose another place.")


def _refuse_foreign(path: Path, new: Path) -> None:
    # All folders that stages write have a file of a fixed name, or of a person's, beside their folders.
    written = {entry.name for entry in new.iterdir() if not entry.is_dir()}
    found = {entry.name for entry in path.iterdir()}
    if found and not found & written:
        raise InputError(
            f"{path} is a folder of other files than those of a former output and is not replaced: "
            "remove it, or choose another place."
        )


def _explain(error: OSError, path: Path) -> NoReturn:
    if isinstance(error, shutil.Error):  # copytree's: a list of what failed
        reason, mend = str(error.args[0][0][2]), "mend that and run it again"
    elif error.errno is None:  # not the system's
        raise error
    else:
        reason, mend = str(error.strerror), MEND.get(error.errno, "mend that and run it again")
    other = error.filename if error.filename and ".partial" not in str(error.filename) else path
    where = "" if Path(other) == path else f": {other}"
    raise InputError(f"{path} cannot be written ({reason}{where}): {mend}.") from None


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn the system's refusal to read `path` into a sentence.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: run the stage that writes it first.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}): mend that.") from None


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write `value` as indented JSON, in its own key order, with a newline at the end."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path, keys: Sequence[str] = ()) -> Any:
    """Read a JSON file; one that must be an object with `keys` (it may have more) if any are named.

    Raises:
        InputError: the file is missing or is not JSON, or a key is missing.
    """
    try:
        with reading(path):
            value = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, a number of thousands of digits
        raise InputError(f"{path} is not JSON ({error}): run the stage that writes it again.") from None
    missing = [key for key in keys if not isinstance(value, dict) or key not in value]
    if missing:
        raise InputError(f"{path} does not say {missing[0]!r}: run the stage that writes it again.")
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
    """Read a CSV file that must have `columns` (it may have more); every value is a string.

    Raises:
        InputError: the file is missing, is not UTF-8, has no such column, or a row is too long or too short.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            missing = [column for column in columns if column not in (reader.fieldnames or [])]
            if missing:
                found = ", ".join(reader.fieldnames or []) or "nothing"
                raise InputError(
                    f"{path} has no column {missing[0]!r} (its first line names: {found}): "
                    f"its first line must name {', '.join(columns)}."
                )
            rows = []
            for row in reader:
                if None in row or None in row.values():
                    raise InputError(
                        f"{path}, line {reader.line_num}: not {len(reader.fieldnames or [])} values; "
                        "put a value that holds a comma in double quotes."
                    )
                rows.append(row)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): mend that.") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8.") from None
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: not CSV ({error}).") from None
    return rows
