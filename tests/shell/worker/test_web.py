"""What a worker answers over HTTP: three pages, to readers only, on this machine only."""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from stream.local.broker import free_port
from stream.settings import Settings
from stream.shell.process.metrics import Metrics
from stream.shell.worker.app import create_app
from stream.shell.worker.web import HEADERS, PAGES

Asked = Callable[[str, str], Awaitable[tuple[int, dict[str, str], str]]]

FAUST_PAGES = ("/", "/table/", "/table/tasks/", "/table/tasks/key", "/router/", "/router/tasks/", "/stats/", "/graph/",
               "/performance/", "/production/")  # fmt: skip


def answers(folder: Path, ask: Callable[[Asked, web.Application], Awaitable[None]]) -> None:
    """Serve the pages of an application as a worker does and let `ask` look at them."""

    async def serve() -> None:
        port = free_port()
        app = create_app(Settings(data_dir=str(folder), web_port=port))
        app.finalize()
        app.web.init_server()  # where Faust adds its own pages
        runner = web.AppRunner(app.web.web_app)
        await runner.setup()
        await web.TCPSite(runner, app.conf.web_bind, port).start()
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:

                async def asked(method: str, path: str) -> tuple[int, dict[str, str], str]:
                    async with session.request(method, path, allow_redirects=False) as response:
                        return response.status, dict(response.headers), await response.text()

                await ask(asked, app.web.web_app)
        finally:
            await runner.cleanup()

    asyncio.run(serve())


def test_three_pages_are_answered_and_no_other_route_is(tmp_path: Path) -> None:
    async def ask(asked: Asked, server: web.Application) -> None:
        routes = {route.resource.canonical for route in server.router.routes() if route.resource is not None}
        assert set(PAGES) <= routes
        for path in routes | set(FAUST_PAGES):
            status, _, text = await asked("GET", path)
            assert status in ((200, 503) if path in PAGES else (404,)), path
            assert path in PAGES or text == "not found\n"

    answers(tmp_path, ask)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_only_reading_is_allowed(tmp_path: Path, method: str) -> None:
    async def ask(asked: Asked, server: web.Application) -> None:
        for path in PAGES:
            status, headers, text = await asked(method, path)
            assert (status, headers["Allow"], text) == (405, "GET, HEAD", "read only\n")

    answers(tmp_path, ask)


def test_every_answer_carries_the_headers_and_tells_no_versions(tmp_path: Path) -> None:
    async def ask(asked: Asked, server: web.Application) -> None:
        reads = [("GET", page) for page in PAGES]
        for method, path in (*reads, ("HEAD", "/livez"), ("GET", "/x"), ("POST", "/metrics")):
            _, headers, text = await asked(method, path)
            assert HEADERS.items() <= headers.items()
            assert "aiohttp" not in str(headers) + text

    answers(tmp_path, ask)


def test_labels_name_no_pool_task_or_person() -> None:
    allowed = {"topic", "reason", "partition", "field"}  # a field of the contract
    for family in Metrics().registry._collector_to_names:
        assert set(getattr(family, "_labelnames", ())) <= allowed, family


def test_it_listens_on_this_machine_only_unless_told(tmp_path: Path) -> None:
    assert create_app(Settings(data_dir=str(tmp_path))).conf.web_bind == "127.0.0.1"
    assert socket.gethostbyname("localhost") == "127.0.0.1"
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    assert re.search(r"`ALLOCATOR_WEB_HOST` \| `127\.0\.0\.1`", readme)
