import gc
import gzip
import hashlib
import http.server
import shutil
import threading
from functools import partial

import numpy as np
import pytest
from click.testing import CliRunner

from prunet import digits
from prunet.base import dataset
from stages import digits as stage


def run(*arguments, **environment):
    runner = CliRunner(env={"PRUNET_DATA": None} | environment)
    return runner.invoke(stage.main, [str(part) for part in arguments])


def options(name, tmp_path, val=30):
    return "--dataset", name, "--val", val, "--test", 180, "--seed", 0, "--downloads", tmp_path / "downloads"


def test_optdigits_are_split_by_count_and_every_digit_keeps_its_share(tmp_path):
    done = run(*options("optdigits", tmp_path, 360), tmp_path / "out")
    assert done.exit_code == 0, done.output
    data = dataset.load(tmp_path / "out")
    assert data["images"].shape == (1797, 1, 8, 8)
    assert (data["images"].min(), data["images"].max()) == (0, 255)
    assert np.bincount(data["split"]).tolist() == [1257, 360, 180]
    for side, expected in ((1, 36), (2, 18)):
        counts = np.bincount(data["labels"][data["split"] == side])
        assert np.abs(counts - expected).max() <= 1


def test_the_seed_decides_the_split():
    first, again, other = (digits.optdigits(100, 100, seed)["split"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_a_split_that_leaves_nothing_to_train_is_refused(tmp_path):
    done = run(*options("optdigits", tmp_path, 1700), tmp_path / "out")
    assert done.exit_code == 2
    assert "digits.val is 1700" in done.stderr


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return gzip.compress(header + array.tobytes(), mtime=0)


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A server on loopback with a small MNIST, and torchvision told of it and of its checksums."""
    from torchvision.datasets import MNIST

    folder = tmp_path / "mirror"
    folder.mkdir()
    rng = np.random.default_rng(0)
    resources = []
    for part, count in (("train", 100), ("t10k", 40)):
        for kind, array in (
            ("images-idx3", rng.integers(0, 255, (count, 28, 28), np.uint8)),
            ("labels-idx1", (np.arange(count) % 10).astype(np.uint8)),
        ):
            name = f"{part}-{kind}-ubyte.gz"
            (folder / name).write_bytes(idx(array))
            resources.append((name, hashlib.md5((folder / name).read_bytes()).hexdigest()))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
    monkeypatch.setattr(MNIST, "resources", resources)
    yield folder
    server.shutdown()
    server.server_close()


def test_what_is_nowhere_is_downloaded_once(tmp_path, mirror):
    assert run(*options("mnist", tmp_path), tmp_path / "out").exit_code == 0
    data = dataset.load(tmp_path / "out")
    assert np.bincount(data["split"]).tolist() == [70, 30, 40]
    assert (data["split"][100:] == 2).all()
    shutil.rmtree(mirror)
    assert run(*options("mnist", tmp_path), tmp_path / "again").exit_code == 0
    assert (tmp_path / "again").read_bytes() == (tmp_path / "out").read_bytes()


def test_a_folder_that_holds_the_files_comes_first(tmp_path, mirror):
    assert run(*options("mnist", tmp_path), tmp_path / "out").exit_code == 0
    (tmp_path / "downloads").rename(tmp_path / "mine")
    shutil.rmtree(mirror)
    done = run(*options("mnist", tmp_path), tmp_path / "again", PRUNET_DATA=str(tmp_path / "mine"))
    assert done.exit_code == 0
    assert not (tmp_path / "downloads").exists()


# torchvision leaves its socket open when a download fails
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("fault", ["gone", "forged"])
def test_a_download_that_fails_says_what_to_do(tmp_path, mirror, fault):
    for file in list(mirror.iterdir()):
        if fault == "gone":
            file.unlink()
        else:
            file.write_bytes(idx(np.zeros((3, 28, 28), np.uint8)))
    done = run(*options("mnist", tmp_path), tmp_path / "out")
    gc.collect()  # so that the socket's warning falls into this test
    assert done.exit_code == 2
    assert "mnist: its files could not be read from" in done.stderr
    assert "PRUNET_DATA" in done.stderr
    assert "Traceback" not in done.output
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_real_mnist(tmp_path, real_data):
    folder = real_data("MNIST").parent
    done = run(*options("mnist", tmp_path, 5000), tmp_path / "out", PRUNET_DATA=str(folder))
    assert done.exit_code == 0, done.output
    data = dataset.load(tmp_path / "out")
    assert np.bincount(data["split"]).tolist() == [55_000, 5_000, 10_000]
    assert data["images"][data["split"] != 2].mean() / 255 == pytest.approx(0.1307, abs=5e-5)
