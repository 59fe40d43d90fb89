"""Three pages for machines: `/metrics` (Prometheus), `/livez` (the event loop answers), `/readyz`.

Ready means: the group has assigned partitions, possibly none, and every assigned one is recovered and
running. The page also names the pools that are stalled (see :mod:`stream.core.market.stalls`).

The server is Faust's. Its pages that show or route tables are off, and whatever else it or a library may add is not
reachable: only these three paths are answered, and only to GET and HEAD. Nothing here changes anything, and no label or
text names a task or a person.
"""

import prometheus_client
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from stream.shell.process.metrics import Metrics
from stream.shell.worker.partitions import Partitions

PAGES = ("/metrics", "/livez", "/readyz")
HEADERS = {
    "Server": "allocator",  # by default the versions of Python and aiohttp
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@web.middleware
async def read_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer GET and HEAD of the three pages; everything else is not there or not allowed."""
    if request.path not in PAGES:
        return web.Response(status=404, text="not found\n")
    if request.method not in (hdrs.METH_GET, hdrs.METH_HEAD):
        return web.Response(status=405, text="read only\n", headers={hdrs.ALLOW: "GET, HEAD"})
    return await handler(request)


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


def add_pages(server: web.Application, metrics: Metrics, partitions: Partitions) -> None:
    """Add the pages to the application's web server."""

    async def show_metrics(request: web.Request) -> web.Response:
        partitions.refresh_lag()
        return web.Response(
            body=prometheus_client.generate_latest(metrics.registry),
            headers={"Content-Type": prometheus_client.CONTENT_TYPE_LATEST},
        )

    async def live(request: web.Request) -> web.Response:
        return web.Response(text="live\n")

    async def ready(request: web.Request) -> web.Response:
        if partitions.is_ready:
            owned = sorted(partition.number for partition in partitions.running())
            stalled = {partition.number: sorted(partition.stalled) for partition in partitions.running()}
            found = {str(number): pools for number, pools in sorted(stalled.items()) if pools}
            return web.json_response({"ready": True, "partitions": owned, "stalled": found})
        return web.json_response({"ready": False}, status=503)

    for path, handler in zip(PAGES, (show_metrics, live, ready), strict=True):
        server.router.add_get(path, handler)
    server.middlewares.append(read_only)
    server.on_response_prepare.append(_add_headers)
