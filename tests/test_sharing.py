"""Machines that share a study through a DVC remote: an S3 server on the loopback interface."""

from contextlib import contextmanager
from types import SimpleNamespace
from urllib.request import Request, urlopen

import pytest
import yaml

from faults.miniature import contents
from tests.toy_pipeline import change, commit, ran, sh, small_copy

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

TARGET = "export@digits"
TICKET = "exports/digits/ticket.safetensors"
MISSING = "no S3: pip install -r requirements-s3.txt"


@contextmanager
def s3(bucket):
    """Serve an S3 that has one bucket until the block ends; yield its address."""
    server = pytest.importorskip("moto.server", reason=MISSING).ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    try:
        address = "http://{}:{}".format(*server.get_host_and_port())
        urlopen(Request(f"{address}/{bucket}", method="PUT")).close()
        yield address
    finally:
        server.stop()


def dvc(folder, *arguments, fails=False):
    """Run DVC in a folder as on a machine of its own, whose state is beside the folder."""
    site = f"DVC_SITE_CACHE_DIR={folder.parent / 'site'}"
    return sh(folder, "env", site, "dvc", *arguments, fails=fails)


def add_remote(clone, name, url, address, *options):
    dvc(clone, "remote", "add", "-q", *options, name, url)
    dvc(clone, "remote", "modify", "-q", *options[1:], name, "endpointurl", address)


def tiny(values):
    values["studies"].pop("faces")
    values["studies"]["digits"]["replicates"] = 1
    values["studies"]["digits"]["training"]["steps"] = 10
    values["prune"]["schemes"] = ["original"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A machine that ran a tiny study, pushed everything and tagged the ticket, and the lab's Git server."""
    pytest.importorskip("dvc_s3", reason=MISSING)
    folder = tmp_path_factory.mktemp("lab")
    first, git = folder / "first" / "prunet", folder / "prunet.git"
    with pytest.MonkeyPatch.context() as environment, s3("lab") as address:
        environment.setenv("AWS_ACCESS_KEY_ID", "lab")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            environment.setenv(name, str(folder / "none"))
        small_copy(first)
        change(first, tiny)
        add_remote(first, "storage", "s3://lab/prunet", address, "-d")
        dvc(first, "repro", TARGET)
        commit(first)
        dvc(first, "push", "--run-cache")
        sh(first, "git", "tag", "-a", "digits-ticket@v1.0.0", "-m", "ticket")
        sh(folder, "git", "clone", "-q", "--bare", str(first), str(git))
        yield SimpleNamespace(first=first, git=git, address=address)


@pytest.fixture(scope="module")
def second(lab, tmp_path_factory):
    """A clone on another machine that has pulled."""
    clone = tmp_path_factory.mktemp("second") / "prunet"
    sh(clone.parent, "git", "clone", "-q", str(lab.git), str(clone))
    dvc(clone, "pull", "--run-cache", "--with-deps", TARGET)
    return clone


def test_another_machine_pulls_the_same_bytes_and_runs_nothing_again(lab, second):
    assert contents(second) == contents(lab.first)
    assert (second / TICKET).is_file()
    assert "up to date" in dvc(second, "status", "--with-deps", TARGET)
    assert ran(dvc(second, "repro", TARGET)) == set()
    assert sh(second, "git", "status", "--porcelain") == ""


def test_the_run_cache_knows_the_results_of_runs_that_no_lock_file_names(second):
    lock = second / "dvc.lock"
    before = yaml.safe_load(lock.read_text())
    lock.unlink()
    output = dvc(second, "repro", TARGET)
    assert ran(output) == set()
    assert f"'{TARGET}' is cached - skipping run" in output
    assert yaml.safe_load(lock.read_text()) == before


def test_a_ticket_is_delivered_by_its_name_without_a_clone(lab, tmp_path):
    folder = tmp_path / "anywhere"
    folder.mkdir()
    get = ("artifacts", "get", lab.git.as_uri())
    dvc(folder, *get, "digits-ticket", "--rev", "v1.0.0")
    assert (folder / "ticket.safetensors").read_bytes() == (lab.first / TICKET).read_bytes()
    assert "Unable to find artifact 'faces-ticket'" in dvc(folder, *get, "faces-ticket", fails=True)


@pytest.mark.parametrize(
    ("url", "address", "credentials", "message"),
    [
        ("s3://lab/other", None, False, "Unable to locate credentials"),
        ("s3://no-such-bucket/prunet", None, True, "The specified bucket does not exist"),
        ("s3://lab/other", "http://127.0.0.1:9", True, "Could not connect to the endpoint URL"),
    ],
    ids=["no credentials", "no bucket", "no server"],
)
def test_a_remote_that_cannot_be_used_is_one_sentence(lab, monkeypatch, url, address, credentials, message):
    if not credentials:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    add_remote(lab.first, "wrong", url, address or lab.address, "-f", "--local")
    printed = dvc(lab.first, "push", "-r", "wrong", "data/params", fails=True)
    errors = [line for line in printed.splitlines() if line.startswith("ERROR")]
    assert len(errors) == 1
    assert message in errors[0]
