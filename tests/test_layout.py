"""The layout of the code: imports run one way, and dvc.yaml lists all code that a stage runs."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from prunet.config import params
from prunet.retraining import scheme
from studies import compose

ROOT = Path(__file__).parent.parent
PIPELINE = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
STUDIES = sorted(path.parent for path in (ROOT / "studies").glob("*/study.yaml"))


@cache
def imported(module: Path) -> set[Path]:
    """The files of this repository that a module imports, wherever in its code it does so."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        found |= {file for name in names if (file := ROOT / f"{name.replace('.', '/')}.py").is_file()}
    return found


def closure(*modules: Path) -> set[Path]:
    files, new = set(), set(modules)
    while new:
        files |= new
        new = set().union(*(imported(file) for file in new)) - files
    return files


@cache
def code_of(stage: str) -> tuple[set[str], list[str]]:
    """The files that a stage's command imports, and the code among its deps."""
    definition = PIPELINE[stage].get("do", PIPELINE[stage])
    module = ROOT / f"{definition['cmd'].split()[2].replace('.', '/')}.py"
    # Schemes are loaded by name: the stages prune and retrain load one, check loads all.
    loads = ROOT / "prunet/retraining/scheme.py" in closure(module)
    schemes = [ROOT / "prunet" / "schemes" / f"{name}.py" for name in scheme.names()] if loads else []
    needed = {str(file.relative_to(ROOT)) for file in closure(module, *schemes)}
    return needed, [dep for dep in definition["deps"] if dep.startswith(("prunet/", "stages/"))]


@pytest.mark.parametrize("stage", PIPELINE)
def test_the_deps_of_a_stage_are_exactly_the_code_that_it_imports(stage):
    needed, deps = code_of(stage)
    patterns = [dep.replace("${item.scheme}", "*").replace("${prune.chain}", "*") for dep in deps]
    covers = {
        pattern: {f for f in needed if Path(f).match(pattern) or f.startswith(f"{pattern}/")}
        for pattern in patterns
    }
    assert set().union(*covers.values()) == needed
    assert [pattern for pattern, files in covers.items() if not files] == []


@pytest.mark.parametrize(
    ("path", "stages"),
    [
        ("prunet/data/fetching/downloading.py", "ingest"),
        ("prunet/data/faces/cropping.py", "crop"),
        ("prunet/data/faces/gray.py", "resize strangers"),
        ("prunet/data/faces/doubts.py", "resize"),
        ("prunet/data/sample/photos.py", "sample"),
        ("prunet/pruning/rounds.py", "check prune sweep sensitivity"),
        ("prunet/deployment/compact.py", "compress export footprint sweep"),
        ("prunet/deployment/latency.py", "footprint export compress"),
        ("prunet/analysis/summary.py", "summarize claims report compress"),
        ("prunet/analysis/figures.py", "plot plot-stability"),
    ],
)
def test_an_edit_runs_only_the_stages_that_use_the_code(path, stages):
    assert {name for name in PIPELINE if path in code_of(name)[0]} == set(stages.split())


def test_packages_hold_no_code_of_their_own():
    """Importing a module imports its package, which the test above does not see."""
    for file in [*ROOT.glob("prunet/*/**/__init__.py"), ROOT / "stages" / "__init__.py"]:
        (docstring,) = ast.parse(file.read_text()).body
        assert isinstance(docstring, ast.Expr)
    run = "import prunet, sys; print([name for name in sys.modules if name.startswith('prunet.')])"
    found = subprocess.run([sys.executable, "-c", run], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"  # the library is imported at its first use


def test_imports_run_one_way():
    direct = {file: imported(file) for file in (ROOT / "prunet").rglob("*.py")}
    rooms = {}
    for file, others in direct.items():
        assert not any(other.parent.name == "stages" for other in others)
        assert file not in closure(*others)
        rooms.setdefault(room(file), set()).update(room(other) for other in others)
    for name in rooms:
        reached, new = set(), rooms[name] - {name}
        while new:
            reached |= new
            new = set().union(*(rooms.get(other, set()) for other in new)) - reached
        assert name not in reached, f"{name} imports itself through {reached}"


def room(file: Path) -> str:
    return file.relative_to(ROOT / "prunet").parts[0]


@pytest.mark.parametrize("folder", STUDIES, ids=lambda folder: folder.name)
def test_a_named_study_holds_only_what_differs_and_is_composed(folder):
    assert len((folder / "study.yaml").read_text().splitlines()) <= 40
    header = compose.HEADER.format(name=folder.name)
    composed = header + compose.OmegaConf.to_yaml(compose.params(folder))
    assert (folder / "params.yaml").read_text() == composed
    assert (folder / "dvc.yaml").read_text() == (ROOT / "dvc.yaml").read_text()
    assert not (folder / "dvc.yaml").is_symlink()  # DVC does not follow links inside commits
    for name in ("prunet", "stages"):
        assert (folder / name).resolve() == ROOT / name


@pytest.mark.parametrize("folder", STUDIES, ids=lambda folder: folder.name)
def test_a_named_study_is_valid(folder, monkeypatch):
    monkeypatch.chdir(folder)
    params.stage_params(params.load(folder / "params.yaml"))


def test_an_unknown_name_in_a_study_is_refused(tmp_path):
    (tmp_path / "study.yaml").write_text("studies: {digits: {}}\nprune: {ratee: 0.5}\n")
    with pytest.raises(compose.InputError, match=r"study\.yaml does not fit params\.yaml: .*ratee"):
        compose.params(tmp_path)


@pytest.mark.field
def test_a_study_is_written_as_params_are(tmp_path):
    """Numbers of YAML 1.2, a number of rounds, and layers that the defaults do not name."""
    study = "training: {lr: 1e-3, weight_decay: 5e-7}, layers: {own_rate: {fc1: 0.1}}"
    (tmp_path / "study.yaml").write_text(
        f"studies: {{digits: {{{study}}}}}\nprune: {{rounds: 2}}\n"
        "report: {round: 01}\ningest: {user_agent: off}\n"
    )
    found = compose.params(tmp_path)
    digits = found.studies.digits
    assert (digits.training.lr, digits.training.weight_decay) == (1e-3, 5e-7)
    assert digits.layers == {"leave_out": [], "own_rate": {"fc1": 0.1}}
    assert [entry.n for entry in found.prune.rounds] == ["00", "01", "02"]
    assert found.ingest.user_agent == "off"  # in YAML 1.1 it is false
    (tmp_path / "params.yaml").write_text(compose.OmegaConf.to_yaml(found))
    values = params.load(tmp_path / "params.yaml")
    assert (values["report"]["round"], values["export"]["round"]) == ("01", "last")
