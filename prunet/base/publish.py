"""Moving a finished output to its path, without replacing a folder that is not an earlier output."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from prunet.base.errors import InputError
from prunet.base.scratch import OCCUPIED, backup


def publish(new: Path, path: Path, scratch: Path) -> None:
    """Move the finished file or folder `new` to `path`; a folder that is there moves to `scratch` first.

    Raises:
        InputError: `path` is a folder that shares no file name with the folder `new`.
        OSError: the move fails; `scratch_folder` then restores the old folder.
    """
    if not new.is_dir():
        # After a power failure a renamed file may be empty unless it was synced. DVC would make an output
        # again, but not a download. Files in a folder are not synced: it would take 4 ms each.
        with new.open("rb") as stream:
            os.fsync(stream.fileno())
        new.replace(path)
        return
    old = backup(scratch, path)
    while True:
        if path.is_symlink() or path.is_dir():  # rename does not replace a folder with files in it
            with suppress(FileNotFoundError):  # another writer has just moved it
                if not path.is_symlink():
                    _refuse_unknown_folder(path, new)
                shutil.rmtree(old, ignore_errors=True)
                path.rename(old)
        try:
            new.rename(path)
        except OSError as error:
            if error.errno not in OCCUPIED:
                raise
        else:
            return


def refuse_protected(path: Path) -> None:
    """Refuse to replace the working folder, the home folder, a folder that contains them, or a repository.

    Raises:
        InputError: `path` is one of these.
    """
    resolved = path.resolve()
    for folder in (Path.cwd(), Path(os.environ.get("HOME", "/")).resolve()):
        if resolved in (folder, *folder.parents):
            raise InputError(f"{path} is or contains {folder}, which is never replaced; choose another path.")
    for name in (".git", ".dvc"):
        if (path / name).exists():
            raise InputError(f"{path} contains {name} and is never replaced; choose another path.")


def _refuse_unknown_folder(path: Path, new: Path) -> None:
    # Every folder that a stage writes has a file whose name is fixed, or is given by the user.
    written = {entry.name for entry in new.iterdir() if not entry.is_dir()}
    found = {entry.name for entry in path.iterdir()}
    if found and not found & written:
        raise InputError(
            f"{path} does not look like an earlier output of this command and is not replaced; "
            "remove it or choose another path."
        )
