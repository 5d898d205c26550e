"""Training on a Ray cluster of two nodes on this machine."""

import os
import subprocess
import sys
import textwrap
import time
from types import SimpleNamespace

import pytest

from prunet.base.errors import InputError
from prunet.training import cluster
from tests.toy_cells import equal, maker, train

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install -r requirements-ray.txt")
pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def nodes():
    from ray.cluster_utils import Cluster

    quick = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "_system_config": quick})
    made.add_node(num_cpus=1)
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture
def address(nodes, monkeypatch):
    monkeypatch.setenv(cluster.ADDRESS, nodes.address)


@pytest.fixture
def make(tmp_path):
    return maker(tmp_path)


def test_networks_have_the_same_bits_as_on_this_machine(make, tmp_path, monkeypatch, nodes):
    here = train(make(), "a/01")
    monkeypatch.setenv(cluster.ADDRESS, nodes.address)
    there = train(make(), "b/01")
    assert equal(here[0], there[0])
    assert here[2] == there[2]


def test_the_code_of_ones_own_network_travels_to_the_nodes(make, tmp_path, monkeypatch, nodes):
    """The nodes do not have its files: they were started in another folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks/parts.py").write_text("from torch import nn\n\nWIDTH = 5\n")
    (tmp_path / "networks/own.py").write_text(
        "from networks.parts import WIDTH, nn\n\n"
        "def net(num_classes):\n"
        "    ends = nn.Linear(36, WIDTH), nn.Linear(WIDTH, num_classes)\n"
        "    return nn.Sequential(nn.Flatten(), ends[0], nn.Tanh(), ends[1])\n"
    )
    model = "networks/own.py:net"
    here = train(make(model=model), "a/01")
    monkeypatch.setenv(cluster.ADDRESS, nodes.address)
    assert equal(here[0], train(make(model=model), "b/01")[0])


def test_a_run_that_is_lost_with_its_node_is_trained_elsewhere_from_its_last_checkpoint(
    make, nodes, monkeypatch
):
    """The bits are those of an undisturbed run."""
    long = {"steps": 4000, "eval_every": 100}
    here = train(make(**long), "a/01")
    monkeypatch.setenv(cluster.ADDRESS, nodes.address)
    extra = nodes.add_node(num_cpus=1, resources={"extra": 1})
    received, reached = [], {}

    def lose_node(number, points):
        received.append((number, points[-1][0]))
        reached[number] = points[-1][0]
        if len(reached) == 3 and min(reached.values()) >= 100 and extra in nodes.list_all_nodes():
            assert max(reached.values()) < 4000, "a run was too quick"
            nodes.remove_node(extra, allow_graceful=False)

    monkeypatch.setattr("prunet.training.live.Curves.hear", lambda _, *event: lose_node(*event))
    there = train(make(replicates=3, seconds=0, **long), "b/01")
    for name in here[0]:
        assert (here[0][name] == there[0][name][:2]).all()
    steps = [[step for own, step in received if own == number] for number in range(3)]
    again = [own for own in steps if len(own) > len(set(own)) or own != sorted(own)]
    assert again, "the node that was lost had no run"


def test_an_error_of_a_run_comes_back_unchanged(make, address):
    with pytest.raises(
        InputError, match=r"study toy, a/01: replicate \d: the validation loss is .*lower the"
    ):
        train(make(lr=1e30), "a/01")


def test_other_versions_of_pytorch_are_refused_by_name(make, address, monkeypatch):
    monkeypatch.setattr(cluster, "torch", SimpleNamespace(__version__="1.0"))
    with pytest.raises(InputError, match=r"the machine \S+ has PyTorch 2\..*, and this one 1\.0: install"):
        train(make(), "a/01")


def in_a_process_of_its_own(script, address):
    """Return the finished process of a script: this one has a cluster."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=os.environ | {cluster.ADDRESS: address},
        capture_output=True,
        text=True,
        timeout=90,
    )


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:http", "nonsense"])
def test_an_address_without_a_cluster_is_one_sentence(address):
    script = """
        from prunet.training import cluster
        from prunet.base.errors import InputError
        try:
            cluster.connect()
        except InputError as error:
            print(error.message)
    """
    found = in_a_process_of_its_own(script, address)
    assert f"there is no Ray cluster at RAY_ADDRESS={address}" in found.stdout, found.stderr
    assert len(found.stdout.splitlines()) == 1


def test_ray_client_is_refused(monkeypatch):
    monkeypatch.setenv(cluster.ADDRESS, "ray://127.0.0.1:10001")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(InputError, match=r"is an address of Ray Client, .* set RAY_ADDRESS=auto"):
        cluster.connect()


def test_no_run_outlives_a_stage_that_is_killed(nodes, address, tmp_path):
    script = f"""
        from pathlib import Path
        from prunet.training import live
        from tests.toy_cells import maker, train
        live.Curves.hear = lambda *_: Path({str(tmp_path / "began")!r}).touch()
        train(maker(Path({str(tmp_path)!r}))(steps=10**6), "a/01")
    """
    stage = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], env=os.environ)
    wait_for((tmp_path / "began").exists)
    assert free_cores() == 0
    stage.kill()
    stage.wait()
    wait_for(lambda: free_cores() == 2)


def free_cores():
    return ray.available_resources().get("CPU", 0)


def wait_for(condition):
    end = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


def test_without_ray_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setenv(cluster.ADDRESS, "auto")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"Ray is not installed: `pip install -r requirements-ray.txt`"):
        cluster.connect()
