"""The file of keys: what it may hold, and who may read it."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock.security.keys import KeysFile, digest_of

DIGEST = digest_of("a")
GOOD: dict[str, Any] = {"name": "shop", "sha256": DIGEST, "scopes": ["predict"]}


def write(path: Path, *keys: dict[str, Any], mode: int = 0o600) -> Path:
    """Write keys as somebody would by hand."""
    path.write_bytes(msgspec.json.encode({"keys": list(keys)}))
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    "field",
    [
        {"name": ""},
        {"name": "a b"},
        {"name": "a\n"},
        {"sha256": DIGEST.upper()},
        {"sha256": DIGEST[1:]},
        {"sha256": f"{DIGEST}\n"},
        {"scopes": []},
        {"scopes": ["admin"]},
        {"scopes": "predict"},
        {"models": ["../x"]},
        {"models": "digits"},
        {"expires": "2027-01-01T00:00:00"},
        {"expires": "soon"},
        {"scope": ["predict"]},
        {"key": "in the clear"},
    ],
    ids=str,
)
def test_file_with_a_mistake_is_refused_whole(tmp_path: Path, field: dict[str, Any]) -> None:
    """And what it holds is not repeated."""
    path = write(tmp_path / "keys.json", {**GOOD, **field})

    with pytest.raises(ValueError, match="key") as raised:
        KeysFile.read(path)

    assert "in the clear" not in str(raised.value)


def test_key_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    """Which of the two would hold?"""
    path = write(tmp_path / "keys.json", GOOD, {**GOOD, "name": "other"})

    with pytest.raises(ValueError, match="twice"):
        KeysFile.read(path)


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644, 0o666])
def test_file_that_everybody_may_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    """The message tells the mode, and what to do."""
    with pytest.raises(ValueError, match=f"{mode:04o}.*chmod 0600"):
        KeysFile.read(write(tmp_path / "keys.json", GOOD, mode=mode))


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640])
def test_file_for_its_owner_and_group_is_read(tmp_path: Path, mode: int) -> None:
    """Kubernetes mounts secrets for a group."""
    assert KeysFile.read(write(tmp_path / "keys.json", GOOD, mode=mode)).keys[0].id == DIGEST[:12]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    """Every field, and nothing that was left out."""
    full = {**GOOD, "models": ["digits"], "expires": "2027-01-01T00:00:00Z", "created": "2026-01-01T00:00:00Z"}
    read = KeysFile.read(write(tmp_path / "keys.json", full, {**GOOD, "sha256": digest_of("b")}))
    (tmp_path / "again.json").write_bytes(read.written())
    (tmp_path / "again.json").chmod(0o600)

    assert KeysFile.read(tmp_path / "again.json") == read
    assert b"null" not in read.written()
