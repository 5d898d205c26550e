import subprocess
import sys

import pytest

from prunet.base import code
from tests.conftest import CHECKOUT

SOURCE = '''"""A module."""

import math


class Circle:
    """A circle."""

    def area(self, radius):
        """Return the area."""
        return math.pi * radius**2  # the usual formula


async def wait():
    """Wait."""


"""Not a docstring."""
'''


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(code, "ROOT", tmp_path)
    (tmp_path / "package" / "inner").mkdir(parents=True)
    (tmp_path / "package" / "shapes.py").write_text(SOURCE)
    (tmp_path / "package" / "inner" / "empty.py").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""A module."""', '"""Another text,\n\nof two paragraphs."""'),
        ('    """A circle."""\n', ""),
        ('"""Return the area."""', '"Return it."'),
        ('"""Wait."""', '"""Wait a while."""'),
        ("  # the usual formula", ""),
        ("radius**2", "(radius ** 2)"),
    ],
)
def test_prose_and_formatting_do_not_change_the_digest(checkout, old, new):
    before = code.digest("package")
    assert old in SOURCE
    (checkout / "package" / "shapes.py").write_text(SOURCE.replace(old, new))
    assert code.digest("package") == before


@pytest.mark.parametrize(
    ("old", "new"),
    [("**2", "**3"), ("area", "size"), ("math.pi", '"text"'), ("async def", "def"), ("Not a", "Also no")],
)
def test_changed_code_changes_the_digest(checkout, old, new):
    before = code.digest("package")
    (checkout / "package" / "shapes.py").write_text(SOURCE.replace(old, new))
    assert code.digest("package") != before


def test_a_renamed_an_added_and_a_removed_file_change_the_digest(checkout):
    digests = [code.digest("package")]
    (checkout / "package" / "inner" / "empty.py").rename(checkout / "package" / "inner" / "blank.py")
    digests.append(code.digest("package"))
    (checkout / "package" / "more.py").write_text("")
    digests.append(code.digest("package"))
    (checkout / "package" / "inner" / "blank.py").unlink()
    digests.append(code.digest("package"))
    assert len(set(digests)) == 4


def test_only_python_code_counts_and_the_order_of_paths_does_not(checkout):
    before = code.digest("package")
    (checkout / "package" / "notes.txt").write_text("")
    assert code.digest("package") == before
    assert code.digest("package/shapes.py", "package/inner") == before
    assert code.digest("package/inner", "package", "package/shapes.py") == before
    assert code.digest("package/inner") != before


@pytest.mark.parametrize("path", ["gone", "gone.py", "package/without"])
def test_a_path_without_code_is_an_error(checkout, path):
    (checkout / "package" / "without").mkdir()
    with pytest.raises(ValueError, match="neither a Python file nor a folder"):
        code.digest("package", path)


def test_the_digest_of_this_checkout_depends_on_neither_folder_nor_process(tmp_path):
    program = "from prunet.base import code; print(code.digest('prunet/base'), code.processor())"
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(CHECKOUT), "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == f"{code.digest('prunet/base')} {code.processor()}"


CPU = """processor : 0
model name\t: Some CPU @ 2.60GHz
cpu MHz\t\t: 2600.1
flags\t\t: fpu {} avx2 bugs

processor : 1
model name\t: Another
flags\t\t: fpu
"""


def test_the_processor_is_named_with_its_vector_instructions(tmp_path, monkeypatch):
    monkeypatch.setattr(code, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(code.platform, "machine", lambda: "x86_64")
    (tmp_path / "cpuinfo").write_text(CPU.format("avx512f"))
    assert code.processor() == "x86_64 Some CPU @ 2.60GHz avx2 avx512f"
    (tmp_path / "cpuinfo").write_text("processor : 0\nFeatures : fp asimd sve\nCPU part : 0xd0c\n")
    assert code.processor() == "x86_64 0xd0c asimd sve"


def test_without_cpuinfo_the_platform_names_the_processor(tmp_path, monkeypatch):
    monkeypatch.setattr(code, "CPUINFO", tmp_path / "gone")
    monkeypatch.setattr(code.platform, "machine", lambda: "arm64")
    monkeypatch.setattr(code.platform, "processor", lambda: "arm")
    assert code.processor() == "arm64 arm"
