"""The stage sample: its photos, its list, and that both depend only on the seed."""

import hashlib
import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from prunet.base.files import read_rows
from prunet.data.sample import drawing
from prunet.data.sample.people import STYLES, invent_people
from prunet.data.sample.photos import photo_of_one
from stages.sample import main
from tests.toy_faces import contents

PHOTOS = 2
EXTRAS = drawing.NOBODY + drawing.TWO + drawing.REPEATED + drawing.NEAR + 3  # and three broken ones


def run(folder: Path, seed: int, photos: int) -> Result:
    """Run the stage into `folder / "out"`."""
    params = folder / "sample.json"
    params.write_text(json.dumps({"seed": seed, "photos": photos}))
    return CliRunner().invoke(main, [str(params), str(folder / "out")])


def rows_of(folder: Path) -> list[dict[str, str]]:
    return read_rows(folder / "list.csv", ("label", "url"))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    result = run(folder, seed=3, photos=PHOTOS)
    assert result.exit_code == 0, result.output
    return folder / "out"


def test_every_row_has_its_file(drawn):
    rows = rows_of(drawn)
    assert len(rows) == PHOTOS * len(STYLES) + EXTRAS
    assert {row["label"] for row in rows} == set(STYLES)
    urls = Counter(row["url"] for row in rows)
    assert sorted(urls.values(), reverse=True)[: drawing.REPEATED + 1] == [2] * drawing.REPEATED + [1]
    missing = [url for url in urls if not (drawn / url).exists()]
    assert missing == [drawing.MISSING]
    listed = {drawn / url for url in urls} - {drawn / drawing.MISSING}
    assert set((drawn / "photos").iterdir()) == listed


def test_the_list_has_the_requested_good_photos_of_each_person(drawn, tmp_path):
    (tmp_path / "photos").mkdir()
    good = set()
    for index, (name, person) in enumerate(invent_people(3).items()):
        for number in range(PHOTOS):
            rng = drawing.stream(3, drawing.GOOD_STREAM, index, number)
            good.add((name, drawing.save(tmp_path, *drawing.encode(photo_of_one(person, rng), rng))))
    assert len({url for _, url in good}) == PHOTOS * len(STYLES)
    assert good <= {(row["label"], row["url"]) for row in rows_of(drawn)}


def test_all_but_two_files_are_intact_photos_of_both_kinds_named_by_a_hash(drawn):
    broken, kinds = [], Counter()
    for path in (drawn / "photos").iterdir():
        body = path.read_bytes()
        assert path.stem == hashlib.sha256(body).hexdigest()[:16]
        whole = {".jpg": (b"\xff\xd8", b"\xff\xd9"), ".png": (b"\x89PNG", b"IEND\xaeB`\x82")}
        start, end = whole[path.suffix]
        if not body.endswith(end):
            broken.append(body[:3])
        else:
            assert body.startswith(start)
            assert cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR) is not None
            kinds[path.suffix] += 1
    assert sorted(broken) == [b"Thi", b"\xff\xd8\xff"]  # a text and the first half of a JPEG
    assert kinds[".jpg"] > kinds[".png"] > 0


def test_the_bytes_depend_on_the_seed(drawn, tmp_path):
    run(tmp_path, seed=3, photos=PHOTOS)
    assert contents(tmp_path / "out") == contents(drawn)
    run(tmp_path, seed=4, photos=1)
    text = hashlib.sha256(b"This is a text, not a photo.\n").hexdigest()[:16]
    common = set(contents(tmp_path / "out")) & set(contents(drawn))
    assert common == {Path("list.csv"), Path("photos") / f"{text}.jpg"}


def test_more_photos_leave_the_first_ones_unchanged(drawn, tmp_path):
    run(tmp_path, seed=3, photos=1)
    more = {row["url"] for row in rows_of(drawn)}
    only_here = {row["url"] for row in rows_of(tmp_path / "out")} - more
    assert len(only_here) <= drawing.NEAR  # only the near-duplicates may be copies of other photos


def test_colours_survive_the_file(tmp_path):
    (tmp_path / "photos").mkdir()
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 200
    url = drawing.save(tmp_path, drawing.to_jpeg(red, 95), ".jpg")
    blue, green, red_again = cv2.imread(str(tmp_path / url))[8, 8]
    assert red_again > 190
    assert max(blue, green) < 10


def test_an_interrupted_run_leaves_the_old_output(tmp_path, monkeypatch):
    output = tmp_path / "out"
    output.mkdir()
    (output / "list.csv").write_text("label,url\n")
    calls = []

    def interrupted(*_):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return np.zeros((8, 8, 3), np.uint8)

    monkeypatch.setattr(drawing, "photo_of_one", interrupted)
    assert run(tmp_path, seed=0, photos=1).exit_code == 1
    assert len(calls) >= 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "sample.json"]
    assert contents(output) == {Path("list.csv"): b"label,url\n"}


def test_help_explains_the_output():
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for word in ("seven imaginary people", "seed", "photos", "PARAMS OUTPUT", "label", "url"):
        assert word in result.output
