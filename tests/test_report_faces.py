"""The part that only a report on faces has: the faces that are most in doubt."""

import pytest

from prunet.analysis.report import pictures
from prunet.data.images import dataset
from prunet.data.listing.manifests import GRAY_COLUMNS
from tests.test_report import DATA, HOSTILE, PARAMS, Page, made, save_images
from tests.toy_faces import write_table

ROW = {"place": "0", "label": HOSTILE[1], "status": "ok", "detail": "", "photo_hash": "0" * 16}
SETTINGS = {"studies": {"toy": {"model": "mlp", "data": DATA | {"set": "faces"}}}}
FACES = PARAMS | {"settings": PARAMS["settings"] | SETTINGS}


def face(number, score, reasons, name=None):
    """Return a row of the manifest of gray faces."""
    image = f"{HOSTILE[1]}/{number if name is None else name}.png"
    return ROW | {
        **{"row": str(number), "image": image, "crop": image},
        **{"doubt_score": str(score), "doubt_reasons": reasons},
    }


@pytest.fixture
def images(tmp_path):
    """Write a dataset file of 18 faces; return its path."""
    return save_images(tmp_path)


# In the order of the list. The data set does not use the last but one; the last was left out by hand.
MANIFEST = [
    *(face(0, 0, ""), face(1, 9.5, "blurred"), face(2, 12, "dark; blurred"), face(3, 3, "very bright")),
    face(18, 50, "not used", "other"),
    face(19, 60, "left out") | {"status": "excluded", "image": ""},
]


def test_the_most_doubtful_of_the_faces_that_are_used_come_first(images, monkeypatch):
    data = dataset.load(images)
    found = pictures.doubtful(data, MANIFEST)
    reasons = ("dark; blurred", "blurred", "very bright")
    assert [caption for caption, _ in found] == [f"{HOSTILE[1]}: {reason}" for reason in reasons]
    assert [url for _, url in found] == [
        pictures.data_url(pictures.small(data["images"][number])) for number in (2, 1, 3)
    ]
    monkeypatch.setattr(pictures, "DOUBTFUL", 2)
    assert pictures.doubtful(data, MANIFEST) == found[:2]


def test_faces_of_a_data_set_without_names_of_files_are_not_shown(images):
    assert pictures.doubtful(dataset.load(images) | {"files": None}, MANIFEST) == []


def test_the_page_shows_them_and_hostile_names_and_reasons_are_text(tmp_path, images):
    reasons = "looks like <script>alert(3)</script>"
    write_table(tmp_path / "gray" / "manifest.csv", GRAY_COLUMNS, [face(4, 20, reasons), *MANIFEST])
    text = made(tmp_path, images, FACES).read_text("utf-8")
    section = text.partition("<h2>Doubtful faces</h2>")[2].partition("<h2>")[0]
    assert section.count('<img src="data:image/jpeg;base64,') == 4
    assert "looks like &lt;script&gt;alert(3)&lt;/script&gt;</figcaption>" in section
    assert "&#34;&gt;&lt;img src=x onerror=alert(1)&gt;: dark; blurred</figcaption>" in section
    tags = Page(text).tags
    assert not any(name.startswith("on") for _, attributes in tags for name in attributes)
    assert [tag for tag, _ in tags].count("script") == 3


def test_without_a_doubtful_face_there_is_no_section(tmp_path, images):
    write_table(tmp_path / "gray" / "manifest.csv", GRAY_COLUMNS, MANIFEST[:1])
    assert "Doubtful faces" not in made(tmp_path, images, FACES).read_text("utf-8")


def test_without_the_folder_of_faces_a_notice_says_so(tmp_path, images):
    text = made(tmp_path, images, FACES).read_text("utf-8")
    assert f"Doubtful faces are not shown: {tmp_path}/gray/manifest.csv does not exist." in text


def test_a_study_of_other_images_does_not_look_for_them(tmp_path, images):
    write_table(tmp_path / "gray" / "manifest.csv", GRAY_COLUMNS, MANIFEST)
    assert "Doubtful faces" not in made(tmp_path, images).read_text("utf-8")
