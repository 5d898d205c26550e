"""The benchmarks measure what they promise; speed itself is not tested."""

import json
import math
import os
import shutil
import subprocess
import sys

import pytest
import torch
from click.testing import CliRunner

from bench import __main__ as bench
from bench import default_run, lenet, light_cnn, machine, plain_loop, prunet_loop
from faults import miniature
from prunet.base import files
from prunet.config import params
from prunet.data.images import dataset
from prunet.models import built_in as models
from prunet.training import batches, loop
from prunet.training.checkpoints import Checkpoint
from tests import toys

KEYS = {
    "lenet": """
        fp32_roofline_gflops step_ms step_alone_ms plain_step_ms step_gflop step_share_of_roofline
        step_alone_share_of_roofline step_speedup_over_plain_loop round_ms_per_step long_round_ms_per_step
        plain_round_ms_per_step round_steps round_speedup_over_plain_loop evaluation_share_of_training
    """,
    "light-cnn": """
        bf16_roofline_gflops lightcnn_fp32_roofline_gflops lightcnn_ms_per_image lightcnn_float32_ms_per_image
        lightcnn_gflop_per_image lightcnn_share_of_roofline lightcnn_float32_share_of_roofline
    """,
    "ingest": """
        ingest_2_at_5ms_per_s ingest_4_at_5ms_per_s ingest_cpu_ms_per_image ingest_2_at_5ms_share_of_bound
        ingest_4_at_5ms_share_of_bound ingest_least_share_of_bound
    """,
}


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(machine, "SQUARES", (64,))
    monkeypatch.setattr(lenet, "QUICK", lenet.QUICK._replace(steps=6, repeats=1))
    monkeypatch.setattr(light_cnn, "QUICK", light_cnn.QUICK._replace(steps=3, warm_up=1, repeats=1))


@pytest.mark.parametrize("part", KEYS)
@pytest.mark.usefixtures("tiny")
def test_a_part_returns_every_number_it_promises(part, tmp_path):
    output = tmp_path / "results.json"
    done = CliRunner().invoke(bench.main, ["--quick", "--only", part, str(output)], catch_exceptions=False)
    assert done.exit_code == 0
    results = json.loads(output.read_text())
    assert results.pop("quick") is True
    assert set(results.pop("machine")) == {"cpu", "cores", "torch", "threads", "gpu"}
    for name, ends in results.pop("spread").items():
        assert ends["min"] <= ends["median"] == results[name] <= ends["max"]
    assert set(results) == set(KEYS[part].split())
    assert all(name in done.output for name in results)
    # A difference of two measurements: with so few steps it may have any sign.
    assert math.isfinite(results.pop("evaluation_share_of_training", 0))
    assert all(math.isfinite(value) and value > 0 for value in results.values())


def test_operations_are_counted_by_formula():
    work = machine.training_gflop(models.MODELS["lenet-300-100"]((1, 28, 28), 10), (1, 28, 28))
    forward = 784 * 300 + 300 * 100 + 100 * 10
    assert work == pytest.approx(2 * (2 * forward + 300 * 100 + 100 * 10) / 1e9)


def test_the_plain_loop_computes_what_prunet_computes(tmp_path):
    splits = batches.to_device(toys.data(), None, "none", torch.device("cpu"))
    settings = toys.SETTINGS | {"steps": 5, "eval_every": 5, "weight_decay": 0.0}
    work = prunet_loop.job(models.MODELS["lenet-300-100"]((1, 6, 6), 3), splits, settings)
    list(prunet_loop.train(work, tmp_path / "0.safetensors"))
    trained = loop.load_finished(Checkpoint(tmp_path / "0.safetensors", "bench", 0)).weights

    model = models.MODELS["lenet-300-100"]((1, 6, 6), 3)
    model.load_state_dict({name: values[0] for name, values in work.start.items()})
    masks = {name: mask[0] for name, mask in work.masks.items()}
    images, labels = splits["train"]
    drawn = batches.order(len(labels), settings["batch_size"], 5, torch.Generator().manual_seed(0))
    same_batches = iter([(images[chosen], labels[chosen]) for chosen in drawn])
    plain_loop.train(model, masks, same_batches, settings, lambda: None)

    for name, values in model.state_dict().items():
        torch.testing.assert_close(torch.from_numpy(trained[name][0]), values, rtol=0, atol=1e-5)
        assert not torch.equal(values, work.start[name][0])
        assert name not in masks or not values[~masks[name]].any()


@pytest.mark.slow
def test_the_time_of_a_stage_is_divided_into_training_evaluation_startup_and_other(tmp_path):
    values = params.load(miniature.ROOT / "params.yaml")
    values["studies"]["digits"]["training"] |= {"steps": 6, "eval_every": 2}
    values["studies"]["digits"]["replicates"] = 2
    files.write_json(tmp_path / "train.json", params.stage_params(values)["digits/train"])
    dataset.save(tmp_path / "digits.safetensors", **toys.data())
    shutil.copy(miniature.ROOT / "bench" / "stopwatch.py", tmp_path / "sitecustomize.py")
    paths = ["train.json", "digits.safetensors", "init.safetensors", "rewind.safetensors", "dense"]
    environment = os.environ | {"BENCH_SPENT": str(tmp_path / "spent.jsonl")}
    environment["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{miniature.ROOT}"
    command = [sys.executable, "-m", "stages.train", *paths]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    records = [json.loads(line) for line in (tmp_path / "spent.jsonl").read_text().splitlines()]
    (process,) = [record for record in records if "stage" in record]
    assert len(records) == 1 + 2
    parts = default_run.split(records, process["seconds"] + 1)
    assert parts.pop("dvc") == pytest.approx(1)
    assert all(seconds > 0 for seconds in parts.values())
    assert sum(parts.values()) == pytest.approx(process["seconds"])
    assert default_run.by_stage(records) == {"train": process["seconds"]}
