"""The network between the workers and the broker: a TCP proxy that can be slow, or silent.

    client ──► proxy ──(after `delay_s`)──► broker, and back

The broker advertises the proxy's address on a listener of its own, so every connection of a worker goes
through here. A process of its own: what it does to the network must not depend on how busy the run is.
"""

import asyncio
import multiprocessing
import multiprocessing.process
from collections.abc import Callable
from typing import Any

HOST = "127.0.0.1"
CHUNK = 1 << 18
SILENCE_POLL_S = 0.05


class Proxy:
    """Forwards `port` to `target`; starts a process.

    Parameters
    ----------
    port, target : int
        On the loopback interface.
    """

    def __init__(self, port: int, target: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._delay_s: Any = context.Value("d", 0.0)
        self._bytes: Any = context.Value("q", 0)
        self._process: multiprocessing.process.BaseProcess = context.Process(
            target=_serve, args=(port, target, self._delay_s, self._bytes), daemon=True
        )
        self.port = port
        self._process.start()

    @property
    def delay_s(self) -> float:
        """How long every chunk is held back, either way; infinite: until this changes."""
        return float(self._delay_s.value)

    @delay_s.setter
    def delay_s(self, seconds: float) -> None:
        self._delay_s.value = seconds

    @property
    def bytes(self) -> int:
        """Bytes that have passed so far."""
        return int(self._bytes.value)

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.join()


def _serve(port: int, target: int, delay_s: Any, passed: Any) -> None:
    async def serve() -> None:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                there, back = await asyncio.open_connection(HOST, target, limit=CHUNK)
            except OSError:  # the broker is down: so is this connection
                writer.close()
                return
            delay = lambda: float(delay_s.value)  # noqa: E731

            def count(length: int) -> None:
                with passed.get_lock():
                    passed.value += length

            await asyncio.gather(_pump(reader, back, delay, count), _pump(there, writer, delay, count))

        server = await asyncio.start_server(connected, HOST, port, limit=CHUNK)
        async with server:
            await server.serve_forever()

    asyncio.run(serve())


async def _pump(
    source: asyncio.StreamReader,
    sink: asyncio.StreamWriter,
    delay: Callable[[], float],
    count: Callable[[int], None],
) -> None:
    try:
        while chunk := await source.read(CHUNK):
            held = delay()
            if held:
                while delay() == float("inf"):  # noqa: ASYNC110  (another process says when it is over)
                    await asyncio.sleep(SILENCE_POLL_S)
                await asyncio.sleep(delay())
            count(len(chunk))
            sink.write(chunk)
            await sink.drain()
    except OSError:
        pass  # either end is gone; so is the other in a moment
    finally:
        sink.close()
