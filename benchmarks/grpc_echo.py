"""The baseline of gRPC: a server of grpc.aio that answers bytes with bytes, on the event loop that Penstock uses.

`python grpc_echo.py SIZE [KEY=VALUE]...` prints its port; each answer has SIZE bytes and that trailing metadata.
"""

import sys
from typing import Any, Final

import grpc
import grpc.aio
import uvloop

SERVICE: Final = "inference.GRPCInferenceService"
METHOD: Final = f"/{SERVICE}/ModelInfer"


async def serve(size: int, metadata: tuple[tuple[str, str], ...]) -> None:
    """Answer until the process is ended."""
    answer = bytes(size)

    async def echo(_request: bytes, context: Any) -> bytes:  # noqa: ANN401 - grpcio has no types
        context.set_trailing_metadata(metadata)
        return answer

    handlers = {"ModelInfer": grpc.unary_unary_rpc_method_handler(echo)}
    server = grpc.aio.server(handlers=[grpc.method_handlers_generic_handler(SERVICE, handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    pairs = (argument.partition("=") for argument in sys.argv[2:])
    uvloop.run(serve(int(sys.argv[1]), tuple((key, value) for key, _, value in pairs)))
