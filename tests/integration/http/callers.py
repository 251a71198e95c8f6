"""Many callers at once, over both wires, in a process of its own: they ask until its input ends, and then it prints what they were told.

`python callers.py HTTP GRPC`; the output is JSON: by wire, how often which version has answered as which arm, and what went wrong.
"""

import asyncio
import json
import sys
from collections import Counter
from typing import Final

import grpc.aio
import numpy as np
import uvloop

from penstock.wire import inference as pb

CONNECTIONS, CHANNELS, CALLS = 32, 4, 6
"""Connections of HTTP; channels of gRPC, each a connection of its own, with so many calls at once."""
ROW: Final = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 4], "data": [1.0, 2.0, 3.0, 4.0]}]}
USERS: Final = [f"user-{number}" for number in range(50)]


class Told:
    """What the callers of one wire were told."""

    def __init__(self, callers: int) -> None:
        self.callers = callers
        self.answered = 0
        """Callers who have had an answer."""
        self.seen: Counter[str] = Counter()
        """Answers, by version and arm."""
        self.wrong: Counter[str] = Counter()
        """Everything that is no answer."""

    @property
    def all_asked(self) -> bool:
        """Whether every caller is under way, or has been refused."""
        return self.answered + self.wrong.total() >= self.callers


async def over_http(address: str, told: Told, stop: asyncio.Event) -> None:
    """Ask on one connection, and note each answer; nobody asks again after something else."""
    host, port = address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    body = json.dumps(ROW).encode()
    head = f"POST /v2/models/tagged/infer HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    asked = 0
    while not stop.is_set():
        writer.write(f"{head}x-user-id: {USERS[asked % len(USERS)]}\r\n\r\n".encode() + body)
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        content = await reader.readexactly(int(headers.get("content-length", 0)))
        if " 200 " not in first:
            told.wrong[f"{first} {content.decode()}"] += 1
            return
        told.seen[f"{headers['penstock-model-version']} {headers['penstock-arm']}"] += 1
        told.answered += not asked
        asked += 1
    writer.close()


async def over_grpc(channel: grpc.aio.Channel, told: Told, stop: asyncio.Event) -> None:
    """Ask call by call, and note each answer; nobody asks again after something else."""
    message = pb.ModelInferRequest(model_name="tagged")
    message.inputs.add(name="X", datatype="FP32", shape=[1, 4])
    message.raw_input_contents.append(np.ones((1, 4), np.float32).tobytes())
    content, infer = message.SerializeToString(), channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    asked = 0
    while not stop.is_set():
        call = infer(content, metadata=(("x-user-id", USERS[asked % len(USERS)]),), timeout=30)
        try:
            await call
        except grpc.aio.AioRpcError as error:
            told.wrong[f"{error.code().name} {error.details()}"] += 1
            return
        trailing = dict(await call.trailing_metadata())
        told.seen[f"{trailing['penstock-model-version']} {trailing['penstock-arm']}"] += 1
        told.answered += not asked
        asked += 1


async def main(http: str, grpc_address: str) -> None:
    """Let all callers ask until the input ends."""
    told, stop = {"http": Told(CONNECTIONS), "grpc": Told(CHANNELS * CALLS)}, asyncio.Event()
    apart = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(grpc_address, apart) for _ in range(CHANNELS)]
    callers = [over_http(http, told["http"], stop) for _ in range(CONNECTIONS)]
    callers += [over_grpc(channel, told["grpc"], stop) for channel in channels for _ in range(CALLS)]
    asking = asyncio.gather(*callers, return_exceptions=True)
    while not asking.done() and any(not wire.all_asked for wire in told.values()):  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0.01)
    print("asking", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    stop.set()
    for problem in await asking:
        if problem is not None:
            told["http"].wrong[repr(problem)] += 1
    for channel in channels:
        await channel.close()
    print(json.dumps({wire: {"seen": each.seen, "wrong": each.wrong} for wire, each in told.items()}))


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
