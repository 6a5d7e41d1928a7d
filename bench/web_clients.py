"""Twenty streams of the dashboard in a process of their own, one of which never reads: see bench/watched.py."""

from __future__ import annotations

import asyncio
import json
import socket
import sys

import aiohttp

TOPICS = ["status", "now NIFTY", "chain NIFTY", "actors", "edges", "strategies"]


async def read(session: aiohttp.ClientSession, port: int, seen: list[int]) -> None:
    """Open one stream of every topic and read it for ever."""
    async with session.ws_connect(f"http://127.0.0.1:{port}/api/v1/stream", protocols=("sos.v1",)) as stream:
        await stream.send_str(json.dumps({"topics": TOPICS}))
        while True:
            seen.append(len(await stream.receive_str()))


def deaf(port: int) -> socket.socket:
    """Open a stream of every topic and never read it."""
    line = socket.create_connection(("127.0.0.1", port))
    line.sendall(
        b"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    wanted = json.dumps({"topics": TOPICS}).encode()
    line.sendall(bytes([0x81, 0x80 | len(wanted)]) + bytes(4) + wanted)  # masked with zeros
    return line


async def main() -> None:
    """Read until standard input is closed, then say how much came."""
    port, clients = int(sys.argv[1]), int(sys.argv[2])
    seen: list[int] = []
    never_read = deaf(port)
    async with aiohttp.ClientSession() as session:
        readers = [asyncio.create_task(read(session, port, seen)) for _ in range(clients - 1)]
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        failed = [one for one in readers if one.done()]
        for one in readers:
            one.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
    never_read.close()
    print(json.dumps({"messages": len(seen), "bytes": sum(seen), "failed": len(failed)}))


if __name__ == "__main__":
    asyncio.run(main())
