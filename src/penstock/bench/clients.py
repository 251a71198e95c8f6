"""Which client speaks which protocol."""

from penstock.bench.client import Client
from penstock.bench.plan import Target


def client_of(target: Target) -> Client:
    """Return a client of the target's protocol."""
    if target.protocol.is_grpc:
        # grpcio takes long to import, and a process that speaks HTTP does without.
        from penstock.bench.grpc_client import GrpcClient, GrpcStreamClient  # noqa: PLC0415 - see above

        return GrpcClient(target) if target.protocol == "grpc" else GrpcStreamClient(target)
    from penstock.bench.http_client import HttpClient  # noqa: PLC0415 - see above

    return HttpClient(target)
