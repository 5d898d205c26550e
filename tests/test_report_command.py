"""The command `report`: pages of all studies, and revisions side by side."""

import shutil
import subprocess

import pytest
from ruamel.yaml import YAML

from prunet.data.listing.manifests import GRAY_COLUMNS
from stages import report
from tests import toys
from tests.test_durations import write as write_times
from tests.test_report import SINGLE, embedded, save_images, write
from tests.test_report_faces import MANIFEST
from tests.toy_faces import write_table
from tests.toy_tools import invoke


def save_params(path, **changes):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as stream:
        YAML().dump(toys.params_values(schemes=["original", "random"], **changes), stream)


def git(*arguments):
    author = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    done = subprocess.run(["git", *author, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with results of the study `toy`."""
    monkeypatch.chdir(tmp_path)
    save_params(tmp_path / "params.yaml")
    write(tmp_path)
    return tmp_path


def test_every_study_with_results_gets_a_page_and_the_overview_names_the_others(project):
    for name in ("done", "waiting"):
        save_params(project / "studies" / name / "params.yaml")
        (project / "studies" / name / "study.yaml").write_text("studies: {toy: {}}\nprune: {rate: 0.5}\n")
    write(project / "studies" / "done", SINGLE)
    done = invoke(report)
    assert done.exit_code == 0, done.output
    pages = ["plots/toy/report.html", "studies/done/plots/toy/report.html", "plots/index.html"]
    assert done.output.splitlines() == pages
    overview = (project / "plots" / "index.html").read_text("utf-8")
    for address in ("toy/report.html", "../studies/done/plots/toy/report.html"):
        assert f'href="{address}"' in overview
        assert (project / "plots" / address).is_file()
    assert "<strong>waiting: toy</strong>: Study toy has no results" in overview
    assert list(embedded(overview)) == ["accuracy-0", "accuracy-1"]
    named = (project / pages[1]).read_text("utf-8")
    assert "<h1>done: toy</h1>" in named
    assert '<code>prune.rate</code></th><td class="wide">0.5</td>' in named


def test_the_faces_and_times_of_a_named_study_are_those_of_its_own_folder(project):
    folder = project / "studies" / "done"
    data = toys.params_values()["studies"]["toy"]["data"] | {"val": 0.2, "test": 0.2}
    data |= {"set": "faces", "source": "data/gray"}
    save_params(folder / "params.yaml", study={"data": data})
    (folder / "study.yaml").write_text("studies: {toy: {}}\n")
    write(folder, SINGLE)
    (folder / "data").mkdir()
    save_images(folder / "data")
    write_table(folder / "data" / "gray" / "manifest.csv", GRAY_COLUMNS, MANIFEST)
    write_times(folder, check=12.3)
    assert invoke(report).exit_code == 0
    text = (folder / "plots" / "toy" / "report.html").read_text("utf-8")
    assert "dark; blurred</figcaption>" in text
    assert '<td class="number">12.3</td>' in text
    assert "seconds of every stage" not in (project / "plots" / "toy" / "report.html").read_text("utf-8")


def test_the_overview_has_the_commit_of_the_results(project):
    git("init", "-q")
    (project / "dvc.lock").write_text("schema: '2.0'\n")
    git("add", ".")
    git("commit", "-qm", "results")
    commit = git("rev-parse", "--short", "HEAD")
    (project / "notes.md").write_text("later")
    git("add", ".")
    git("commit", "-qm", "notes")
    invoke(report)
    assert f"commit <code>{commit}</code>" in (project / "plots" / "index.html").read_text("utf-8")


def test_without_any_results_one_sentence_says_what_to_run(project):
    shutil.rmtree(project / "metrics")
    done = invoke(report)
    assert done.exit_code == 2
    assert done.stderr == "Error: No study has results yet; run `dvc repro`.\n"
    assert not (project / "plots" / "index.html").exists()


def test_revisions_and_experiments_lie_side_by_side(project):
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    first = git("rev-parse", "HEAD")
    save_params(project / "params.yaml", seed=7)
    git("commit", "-qam", "second")
    git("update-ref", f"refs/exps/{first[:2]}/{first[2:]}/mild-try", "HEAD")
    git("reset", "-q", "--hard", first)
    write(project, SINGLE)
    done = invoke(report, "--compare", "HEAD", "mild-try", "workspace")
    assert done.exit_code == 0, done.output
    assert done.output == "plots/toy/compare.html\n"
    text = (project / "plots" / "toy" / "compare.html").read_text("utf-8")
    rows = embedded(text)["accuracy"]["data"]["values"]
    assert {row["revision"] for row in rows} == {"HEAD", "mild-try", "workspace"}
    assert len(rows) == 5 + 5 + 2
    assert "<h1>toy: HEAD, mild-try and workspace</h1>" in text
    values = "".join(f'<td class="wide">{seed}</td>' for seed in (0, 7, 0))
    assert f"<code>seed</code></th>{values}" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--compare", "nonsense"], "There is no revision or experiment 'nonsense'"),
        (["--compare", "empty"], "Revision empty cannot be compared: "),
        (["--compare"], "python -m stages.report --compare HEAD workspace"),
        (["HEAD"], "python -m stages.report --compare HEAD workspace"),
    ],
)
def test_a_revision_that_cannot_be_compared_is_one_sentence(project, arguments, message):
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "nothing")
    git("tag", "empty")
    done = invoke(report, *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (project / "plots" / "toy" / "compare.html").exists()
