"""The baseline of gRPC: a server of grpc.aio that answers bytes with bytes, on the event loop that Penstock uses.

`python grpc_echo.py SIZE STREAM_SIZE [KEY=VALUE]...` prints its port; each answer has SIZE bytes (STREAM_SIZE in a
stream) and that trailing metadata. The metadata of the call are read, as every server does that heeds a request id.
"""

import sys
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
import grpc.aio
import uvloop

SERVICE: Final = "inference.GRPCInferenceService"
METHOD: Final = f"/{SERVICE}/ModelInfer"
STREAM_METHOD: Final = f"/{SERVICE}/ModelStreamInfer"


async def serve(size: int, stream_size: int, metadata: tuple[tuple[str, str], ...]) -> None:
    """Answer until the process is ended."""
    answer, stream_answer = bytes(size), bytes(stream_size)

    async def echo(_request: bytes, context: Any) -> bytes:  # noqa: ANN401 - grpcio has no types
        context.invocation_metadata()
        context.set_trailing_metadata(metadata)
        return answer

    async def echo_stream(requests: AsyncIterator[bytes], context: Any) -> None:  # noqa: ANN401 - grpcio has no types
        context.invocation_metadata()
        async for _ in requests:
            await context.write(stream_answer)
        context.set_trailing_metadata(metadata)

    handlers = {
        "ModelInfer": grpc.unary_unary_rpc_method_handler(echo),
        "ModelStreamInfer": grpc.stream_stream_rpc_method_handler(echo_stream),
    }
    server = grpc.aio.server(handlers=[grpc.method_handlers_generic_handler(SERVICE, handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    pairs = (argument.partition("=") for argument in sys.argv[3:])
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2]), tuple((key, value) for key, _, value in pairs)))
