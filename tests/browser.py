"""Pages in a headless Chromium, for tests of what a user sees."""

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

# What Chromium writes of a request that the server turned down, or that had no answer when the server ended.
EXPECTED = ("responded with a status of 4", "net::ERR_CONNECTION", "net::ERR_EMPTY_RESPONSE")
SCREEN = {"width": 1280, "height": 800}


@pytest.fixture(scope="module")  # Playwright's event loop must end before tests that start their own
def chromium() -> "Iterator[Browser]":
    """Start Chromium for the tests of one file."""
    from playwright.sync_api import sync_playwright  # takes a second, which other tests need not wait

    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium: install it (on Debian: apt install chromium) to test pages in a browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: "Browser") -> "Iterator[Page]":
    """Open an empty page; the test fails if a script of it raises an error or writes one to the console."""
    context = chromium.new_context(viewport=SCREEN)  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(5000)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))

    def keep(message: "ConsoleMessage") -> None:
        if message.type == "error" and not any(text in message.text for text in EXPECTED):
            problems.append(message.text)

    page.on("console", keep)
    yield page
    context.close()
    if problems:
        pytest.fail("\n".join(problems))
