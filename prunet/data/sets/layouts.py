"""Files of a published set as people have them: packed, or under names that torchvision does not read.

The user's folder is only read: the layout that torchvision expects is made in another folder, of links and
unpacked copies.
"""

import gzip
import shutil
import tarfile
from pathlib import Path

# Files of MNIST and its variants, in torchvision's names; Kaggle writes train-images.idx3-ubyte.
IDX = tuple(f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))
ARCHIVES = {"cifar-10-batches-py": "cifar-10-python.tar.gz", "cifar-100-python": "cifar-100-python.tar.gz"}
# MNIST's variants have the same names of files, so that only the path tells them apart.
VARIANTS = ("fashion", "kmnist", "kuzushiji")


def arranged(folder: Path, subfolder: str, scratch: Path) -> Path | None:
    """Return a folder in torchvision's layout with the set that `folder` holds; None if it holds none.

    Args:
        folder: the user's folder: in torchvision's layout, that set's own folder, or one with its files.
        subfolder: folder of the set in torchvision's layout, such as MNIST/raw.
        scratch: an empty folder, for what has to be linked or unpacked.

    Raises:
        OSError, EOFError, tarfile.TarError: a packed file is damaged, or the set's folder lacks files.
    """
    target = scratch / subfolder
    if subfolder not in ARCHIVES:
        for place in (folder / subfolder, folder, folder / "raw", folder / Path(subfolder).parts[0]):
            found = [_find(place, name) for name in IDX]
            if all(found) and (place == folder / subfolder or _is_set(place, subfolder)):
                target.mkdir(parents=True)
                for name, path in zip(IDX, found, strict=True):
                    _provide(Path(str(path)), target / name)
                return scratch
        if (folder / subfolder).is_dir():
            missing = [name for name in IDX if not _find(folder / subfolder, name)]
            raise FileNotFoundError(f"it lacks {', '.join(missing)}, packed as .gz or not")
    elif folder.name == subfolder and folder.is_dir():
        target.symlink_to(folder.resolve())
        return scratch
    elif not (folder / subfolder).is_dir() and (folder / ARCHIVES[subfolder]).is_file():
        with tarfile.open(folder / ARCHIVES[subfolder]) as archive:
            archive.extractall(scratch, filter="data")
        return scratch
    return folder if (folder / subfolder).is_dir() else None


def _find(folder: Path, name: str) -> Path | None:
    """Return the file of a folder that holds what torchvision calls `name`, packed or not."""
    names = [name, name.replace("-idx", ".idx"), f"{name}/{name}"]
    paths = [folder / f"{one}{packed}" for packed in ("", ".gz") for one in names]
    return next((path for path in paths if path.is_file()), None)


def _is_set(place: Path, subfolder: str) -> bool:
    """Return whether a path agrees with the set: MNIST unless it names a variant."""
    named = [word for word in VARIANTS if word in "/".join(place.resolve().parts[-2:]).casefold()]
    own = [word for word in VARIANTS if word in subfolder.casefold()]
    return own == named[:1]


def _provide(path: Path, target: Path) -> None:
    if path.suffix != ".gz":
        target.symlink_to(path.resolve())
        return
    with gzip.open(path) as source, target.open("wb") as unpacked:
        shutil.copyfileobj(source, unpacked)
