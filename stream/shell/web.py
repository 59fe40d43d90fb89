"""Three pages for machines: `/metrics` (Prometheus), `/livez` (the event loop answers), `/readyz`.

Ready means: the group has assigned partitions, possibly none, and every assigned one is recovered and
running. The page also names the pools that are stalled (see :mod:`stream.core.stalls`). The server is Faust's; its
pages that show or route tables are off.
"""

import prometheus_client
from aiohttp import web

from stream.shell.metrics import Metrics
from stream.shell.partitions import Partitions


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

    server.router.add_get("/metrics", show_metrics)
    server.router.add_get("/livez", live)
    server.router.add_get("/readyz", ready)
