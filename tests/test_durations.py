"""The time of each stage on the page of a study."""

from itertools import pairwise

import pytest

from prunet.analysis.report import durations, reading
from prunet.analysis.report.durations import Duration
from prunet.base import files, times
from prunet.base.errors import InputError
from tests.test_layout import PIPELINE
from tests.test_report import PARAMS, made, save_images
from tests.test_report_faces import FACES

# Of the study `toy`, and of others with like names; toy has the schemes original and random and two rounds.
SECONDS = {
    **{
        "check": 1.5,
        "crop": 40,
        "images@toy": 2,
        "train@toy": 1000,
        "images@toy-2": 7,
        "train@toy-random": 7,
    },
    **{"prune@toy-round0": 1, "prune@toy-round1": 2, "prune@toy-round2": 7, "prune@toy-2-round0": 7},
    **{"retrain@toy-original": 3, "retrain@toy-static": 7, "retrain@toy-random-original": 7},
    **{"export@toy": 7, "report@toy": 7, "summarize@other": 7},
}


def write(folder, **seconds):
    rows = [
        {"stage": stage, "seconds": value, "ended": f"2026-01-{day:02}T00:00:00Z"}
        for day, (stage, value) in enumerate(seconds.items(), start=1)
    ]
    files.write_rows(folder / times.TABLE, times.COLUMNS, rows)
    return folder / times.TABLE


def study(params=PARAMS):
    params = params | {"schemes": {"original": {}, "random": {}}}
    return reading.Study(params, {}, [])


def test_the_stages_of_a_study_are_listed_in_the_order_of_the_pipeline(tmp_path):
    expected = [
        Duration("check", 1, 1.5, "2026-01-01"),
        Duration("images", 1, 2, "2026-01-03"),
        Duration("train", 1, 1000, "2026-01-04"),
        Duration("prune", 2, 3, "2026-01-08"),
        Duration("retrain", 1, 3, "2026-01-11"),
    ]
    table = write(tmp_path, **SECONDS)
    assert durations.read(study(), table) == expected
    crop = Duration("crop", 1, 40, "2026-01-02")
    assert durations.read(study(FACES), table) == [expected[0], crop, *expected[1:]]


def test_without_a_table_there_is_nothing(tmp_path):
    assert durations.read(study(), tmp_path / "times.csv") == []


def test_a_damaged_table_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"times\.csv has a time of check that is not a number"):
        durations.read(study(), write(tmp_path, check="long"))


def test_the_page_has_the_seconds_of_each_stage_and_their_total(tmp_path):
    write(tmp_path, **SECONDS)
    text = made(tmp_path, save_images(tmp_path)).read_text("utf-8")
    numbers = '<td class="number">1</td><td class="number">1,000.0</td><td>2026-01-04</td>'
    assert f'<tr><th scope="row"><code>train</code></th>{numbers}</tr>' in text
    total = '<td class="number">6</td><td class="number">1,009.5</td>'
    assert f'<tr><th scope="row">total</th>{total}' in text


def test_a_page_without_times_has_no_table_of_them_and_a_damaged_one_is_a_notice(tmp_path):
    images = save_images(tmp_path)
    assert "seconds of every stage" not in made(tmp_path, images).read_text("utf-8")
    write(tmp_path, check="long")
    text = made(tmp_path, images).read_text("utf-8")
    assert "seconds of every stage" not in text
    assert "The time of each stage is not shown: " in text


def test_the_listed_stages_are_those_that_dvc_runs_before_the_report():
    """Later ones may not have run when DVC makes the page, so that it would differ when made again."""
    before, new = set(), {"report"}
    while new:
        deps = [dep for name in new for dep in parts(name)[0]]
        new = {name for name in PIPELINE if any(overlap(dep, out) for dep in deps for out in parts(name)[1])}
        new -= before
        before |= new
    listed = (*durations.SHARED, *durations.OF_FACES, *durations.OWN)
    assert set(listed) == before
    for earlier, later in pairwise(durations.OWN[:4]):
        assert any(overlap(dep, out) for dep in parts(later)[0] for out in parts(earlier)[1])


def parts(stage):
    """Return the dependencies of a stage among data, and its outputs; a study is written `*`."""
    definition = PIPELINE[stage].get("do", PIPELINE[stage])
    deps = [dep for dep in definition["deps"] if not dep.startswith(("prunet/", "stages/"))]
    outs = [out for kind in ("outs", "metrics", "plots") for out in definition.get(kind, [])]
    outs = [next(iter(out)) if isinstance(out, dict) else out for out in outs]
    return [[plain(path) for path in found] for found in (deps, outs)]


def plain(path):
    for old, new in (("${item.study}", "*"), ("${key}", "*"), ("${item.data.source}", "data/gray")):
        path = path.replace(old, new)
    return path.replace("${ingest.source}", "data/sample/list.csv")


def overlap(one, other):
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")
