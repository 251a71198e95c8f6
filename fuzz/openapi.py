"""Asks a real server every operation of its own OpenAPI document, as schemathesis makes them up, well formed and not.

No answer is a 500, and no other 5xx but those that the document names for the operation. The server goes on and its ledger closes.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from standalone import TESTS, loaded

_MODES: Final = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
_PATIENCE_S: Final = 10


def main() -> int:
    """Return 0 if every answer was one that the document knows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=50, help="of each operation, as many well formed as not; 50 by default")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    began_s, statuses = time.monotonic(), Counter[int]()
    with tempfile.TemporaryDirectory(prefix="penstock-openapi-") as home:
        registry = Path(home) / "registry"
        builders = loaded(TESTS / "models" / "build.py")
        builders.write_versioned_addsub(registry)
        builders.write_configured_model(registry, "id_fp32", builders.identity("id_fp32", "float", "batch,n"), 8)
        with loaded(TESTS / "clients" / "server_process.py").running(registry, Path(home)) as server:
            _ask_all(f"http://{server.http}", arguments, statuses)
            received, ended = server.ledger()
    assert sum(received.values()) == sum(ended.values()), "the ledger does not close"
    told = {"target": "openapi", "cases": statuses.total(), "taken": statuses[200], "seconds": time.monotonic() - began_s}
    print(json.dumps({**told, "statuses": dict(sorted(statuses.items()))}))
    return 0


def _ask_all(address: str, arguments: argparse.Namespace, statuses: Counter[int]) -> None:
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    for found in schema.get_all_operations():
        for mode in _MODES:
            _ask(found.ok(), mode, arguments, statuses)


def _ask(operation: Any, mode: GenerationMode, arguments: argparse.Namespace, statuses: Counter[int]) -> None:
    documented = {int(status) for status in operation.definition.raw["responses"] if status.isdecimal()}

    @seed(arguments.seed)
    @settings(
        max_examples=arguments.examples, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(operation.as_strategy(generation_mode=mode))
    def asked(case: Any) -> None:
        response = case.call(timeout=_PATIENCE_S)
        statuses[response.status_code] += 1
        code = response.status_code
        assert code < 500 or code in documented - {500}, f"{operation.label} answers {code}: {case.as_curl_command()}"

    try:
        asked()
    except Exception as error:
        # An operation that takes nothing cannot be asked wrongly.
        if type(error).__name__ not in ("Unsatisfiable", "SkipTest"):
            raise


if __name__ == "__main__":
    sys.exit(main())
