"""Toy faces for the cleaning page, and its server beside a test."""

import asyncio
import threading
from contextlib import contextmanager

import pytest

from prunet.data.faces import detection
from prunet.data.faces.cleaning import server
from prunet.data.faces.cleaning.decisions import Decisions
from stages import clean, crop, resize
from tests import toy_faces

HEADER = "label,image,reason\n"


def prepare(folder, photos, urls=()):
    """Run the stages crop and resize on photos [(label, pixels)], with these urls in the list."""
    toy_faces.make_photos(folder / "photos", photos)
    rows = toy_faces.read_table(folder / "photos" / "manifest.csv")
    for row, url in zip(rows, urls, strict=False):
        row["url"] = url
    toy_faces.write_table(folder / "photos" / "manifest.csv", tuple(rows[0]), rows)
    toy_faces.exclude(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detection, "detector", lambda: toy_faces.fake_faces)
        toy_faces.run(crop, folder)
    toy_faces.run(resize, folder)


def prepare_eight(folder):
    """Prepare four photos of boris, in odd rows, and four of ada, in even ones; return the folder."""
    prepare(folder, toy_faces.many(4), [f"https://host.example/{n}.jpg" for n in range(1, 9)])
    return folder


def undecided(folder):
    """Empty the exclude list; return the folder."""
    (folder / "exclude.csv").write_text(HEADER)
    return folder


def faces_of(folder):
    return clean.read(folder / "photos", folder / "crops", folder / "sheets")


def page_of(folder, patience=60):
    faces = faces_of(folder)
    return server.Page(faces, Decisions(folder / "exclude.csv", faces.rows), patience)


@contextmanager
def serving(page):
    """Serve a page in a thread until the block ends; yield its address."""
    ready, failures = threading.Event(), []
    address, loops = [], []

    async def run():
        loops.append(asyncio.get_running_loop())
        await server.serve(page, 0, lambda found: (address.append(found), ready.set()))

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        assert ready.wait(10), failures
        yield address[0]
    finally:
        if thread.is_alive():
            loops[0].call_soon_threadsafe(page.ended.set)
        thread.join(10)
        assert not thread.is_alive()
