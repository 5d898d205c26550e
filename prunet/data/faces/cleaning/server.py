"""Web server of the cleaning page."""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler

from prunet.base.errors import InputError
from prunet.base.text import readable
from prunet.data.faces.cleaning import guard, pictures
from prunet.data.faces.cleaning.decisions import Decisions

ADDRESS = "127.0.0.1"
FILES = {"": "page.html", "page.css": "page.css", "page.js": "page.js"}
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
LONGEST = 200  # characters of a reason
TICK = 0.5  # seconds between two looks at the list and at the open windows
PATIENCE = 60  # seconds without an open window after which the server ends: a page may be reloaded

Row = dict[str, str]


class Faces(NamedTuple):
    """The faces of the page, by number."""

    rows: Sequence[Row]  # of the crops' manifest, and the photo's `url` in the list
    doubts: Sequence[Row]  # of the table of doubts
    crops: Path
    photos: Path


class Page:
    """The page, its decisions, and the windows in which it is open."""

    def __init__(self, faces: Faces, decisions: Decisions, patience: float = PATIENCE) -> None:
        """Prepare a page that ends `patience` seconds after its last window was closed."""
        self.faces, self.decisions, self.patience = faces, decisions, patience
        self.token = secrets.token_urlsafe(24)
        self.host = ""
        self.windows = 0
        self.ended = asyncio.Event()
        self.face = lru_cache(4096)(self._face)
        self.photo = lru_cache(8)(self._photo)

    def app(self) -> web.Application:
        """Return the web application."""
        protect = guard.middleware(self.token, lambda: self.host)
        app = web.Application(middlewares=[protect, _errors], client_max_size=10_000)
        app.on_response_prepare.append(guard.add_headers)
        prefix = "/{token}/"
        for name, file in FILES.items():
            app.router.add_get(prefix + name, _file(file))
        app.router.add_get(prefix + "state", self.state)
        app.router.add_get(prefix + "live", self.live)
        app.router.add_get(prefix + r"{kind:face|photo}/{number:\d{1,7}}", self.picture)
        for action in (self.decide, self.undo, self.reload, self.done):
            app.router.add_post(prefix + action.__name__, action)
        return app

    async def state(self, request: web.Request) -> web.Response:
        """Answer with all faces and decisions."""
        numbers = {row["image"]: number for number, row in enumerate(self.faces.rows)}
        faces = [
            {
                "label": row["label"],
                "name": self.decisions.name(row),
                "row": row["row"],
                "url": readable(row["url"]),
                "score": float(doubt["score"]),
                "reasons": [reason for reason in doubt["reasons"].split("; ") if reason],
                "similar": numbers.get(doubt["similar"]),
            }
            for row, doubt in zip(self.faces.rows, self.faces.doubts, strict=True)
        ]
        return web.json_response({"faces": faces, "list": str(self.decisions.path)} | self._decided())

    def _decided(self) -> dict[str, Any]:
        numbers = {row["row"]: number for number, row in enumerate(self.faces.rows)}
        decided = {
            numbers[row]: {"reason": line.reason, "move_to": line.move_to}
            for row, line in self.decisions.decided.items()
        }
        return {
            "revision": self.decisions.revision,
            "problems": self.decisions.problems,
            "decided": decided,
        }

    async def live(self, request: web.Request) -> web.StreamResponse:
        """Tell a window, as long as it is open, what happens elsewhere (server-sent events)."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        self.windows += 1
        try:
            while not self.ended.is_set():
                news = {
                    "revision": self.decisions.revision,
                    "windows": self.windows,
                    "changed": self.decisions.changed,
                }
                await response.write(f"data: {json.dumps(news)}\n\n".encode())
                await _first(self.ended, TICK)
        except ConnectionResetError:
            pass
        finally:
            self.windows -= 1
        return response

    async def picture(self, request: web.Request) -> web.Response:
        """Answer with a face, or with the photo that it is from."""
        number = int(request.match_info["number"])
        if number >= len(self.faces.rows):
            raise web.HTTPNotFound
        make = self.face if request.match_info["kind"] == "face" else self.photo
        try:
            return web.Response(body=await asyncio.to_thread(make, number), content_type="image/jpeg")
        except InputError as error:
            return web.Response(status=404, text=error.message)

    def _face(self, number: int) -> bytes:
        return pictures.face(self.faces.crops / self.faces.rows[number]["image"])

    def _photo(self, number: int) -> bytes:
        row = self.faces.rows[number]
        return pictures.photo(self.faces.photos / row["photo"], row)

    async def decide(self, request: web.Request) -> web.Response:
        """Leave a face out (`reason`), move it (`move_to`), or keep it (neither)."""
        values = await request.json()
        wanted = {"face": int, "reason": str, "move_to": str}
        if not isinstance(values, dict) or any(
            type(values.get(name)) is not kind for name, kind in wanted.items()
        ):
            raise web.HTTPBadRequest
        if not 0 <= values["face"] < len(self.faces.rows):
            raise web.HTTPBadRequest
        face = self.faces.rows[values["face"]]
        reason = " ".join(readable(values["reason"][:LONGEST]).split())
        if values["move_to"]:
            self.decisions.move(face, values["move_to"])
        elif reason:
            self.decisions.leave_out(face, reason)
        else:
            self.decisions.keep(face)
        return web.json_response(self._decided())

    async def undo(self, request: web.Request) -> web.Response:
        """Take the last decision back, and answer with its face."""
        row = self.decisions.undo()
        numbers = {face["row"]: number for number, face in enumerate(self.faces.rows)}
        return web.json_response(self._decided() | {"face": None if row is None else numbers[row]})

    async def reload(self, request: web.Request) -> web.Response:
        """Read the list again, after somebody else changed it."""
        self.decisions.reload()
        return web.json_response(self._decided())

    async def done(self, request: web.Request) -> web.Response:
        """End the server."""
        asyncio.get_running_loop().call_later(0.1, self.ended.set)  # after the answer
        return web.json_response({})


def _file(name: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    path = Path(__file__).parent / name

    async def answer(request: web.Request) -> web.Response:
        text = path.read_text(encoding="utf-8")
        return web.Response(text=text, content_type=TYPES[path.suffix], charset="utf-8")

    return answer


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer an `InputError` with its sentence, and a broken request with 400."""
    try:
        return await handler(request)
    except InputError as error:
        return web.json_response({"error": error.message}, status=409)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return web.json_response({"error": "not a request of this page"}, status=400)


async def serve(page: Page, port: int, ready: Callable[[str], None]) -> None:
    """Serve a page on the loopback interface until it is done or its last window was closed.

    Args:
        page: the page.
        port: 0 for any free one.
        ready: called with the page's address.

    Raises:
        InputError: the port is in use.
    """
    runner = web.AppRunner(page.app(), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, ADDRESS, port).start()
        except OSError as error:
            raise InputError(f"port {port} cannot be used ({error.strerror}); choose another one.") from None
        page.host = f"{ADDRESS}:{runner.addresses[0][1]}"
        ready(f"http://{page.host}/{page.token}/")
        opened, closed = False, 0.0
        while not page.ended.is_set() and closed < page.patience:
            await _first(page.ended, TICK)
            opened = opened or page.windows > 0
            closed = closed + TICK if opened and page.windows == 0 else 0.0
    finally:
        page.ended.set()
        await runner.cleanup()


async def _first(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, or so many seconds."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
