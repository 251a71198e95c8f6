"""`penstock keys`."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from penstock.security.keys import KeysFile, digest_of

Penstock = Callable[..., Result]
FILE = ("--keys-file", "keys.json")


def test_key_is_printed_once_and_kept_as_its_digest(penstock: Penstock, tmp_path: Path) -> None:
    """The key alone goes to stdout, so that it can go on from there; the file is the owner's alone."""
    result = penstock("keys", "create", "shop", "--model", "digits", "--days", "30", *FILE)

    secret = result.stdout.strip()
    path = tmp_path / "keys.json"
    assert result.exit_code == 0
    assert secret not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    (key,) = KeysFile.read(path).keys
    assert (key.name, key.sha256, key.models, sorted(key.scopes)) == ("shop", digest_of(secret), ["digits"], ["predict", "read"])
    assert key.expires is not None
    assert key.created is not None
    assert (key.expires - key.created).days == 30
    assert secret not in penstock("keys", "list", *FILE).output


def test_keys_are_listed_for_people_and_for_machines(penstock: Penstock) -> None:
    """By their ids."""
    made = json.loads(penstock("keys", "create", "ops", "--scope", "manage", "--json", *FILE).stdout)

    listed = json.loads(penstock("keys", "list", "--json", *FILE).output)

    assert [key["id"] for key in listed] == [made["id"]]
    assert listed[0]["scopes"] == ["manage"]
    assert penstock("keys", "list", *FILE).output.splitlines()[1].split() == [made["id"], "ops", "manage", "all", "usual", "never"]


def test_keys_are_revoked_by_id_or_all_of_a_name(penstock: Penstock, tmp_path: Path) -> None:
    """Others stay, and so do the rights of the file, which was replaced at once."""
    path = tmp_path / "keys.json"
    ids = [json.loads(penstock("keys", "create", name, "--json", *FILE).stdout)["id"] for name in ("a", "a", "a", "b")]
    path.chmod(0o640)
    before = path.open()  # as long as it is open, no other file has its number

    assert penstock("keys", "revoke", ids[0], *FILE).exit_code == 0
    assert [key.id for key in KeysFile.read(path).keys] == ids[1:]
    assert penstock("keys", "revoke", "a", *FILE).exit_code == 0

    assert [key.id for key in KeysFile.read(path).keys] == ids[3:]
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.stat().st_ino != os.fstat(before.fileno()).st_ino
    assert [file.name for file in tmp_path.iterdir()] == ["keys.json"]
    before.close()
    assert penstock("keys", "revoke", "a", *FILE).exit_code == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone gives files away")
def test_file_stays_its_owners(penstock: Penstock, tmp_path: Path) -> None:
    """A server of that user would not see that a key is revoked."""
    path = tmp_path / "keys.json"
    penstock("keys", "create", "a", *FILE)
    os.chown(path, 65534, 65533)

    assert penstock("keys", "revoke", "a", *FILE).exit_code == 0

    assert (path.stat().st_uid, path.stat().st_gid, path.stat().st_mode & 0o777) == (65534, 65533, 0o600)


def test_file_that_its_owner_would_lose_is_not_replaced(penstock: Penstock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one of its group, who cannot give it back; nothing says that the key is revoked."""
    path = tmp_path / "keys.json"
    penstock("keys", "create", "a", *FILE)
    before = path.read_bytes()

    def refuse(*_: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refuse)
    result = penstock("keys", "revoke", "a", *FILE)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "run this as its owner, or as root" in result.stderr
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["keys.json"]


def test_link_stays_one(penstock: Penstock, tmp_path: Path) -> None:
    """The file that it leads to is changed, there and then."""
    (tmp_path / "keys.json").symlink_to("sub/real.json")

    assert penstock("keys", "create", "a", *FILE).exit_code == 0
    assert penstock("keys", "create", "b", *FILE).exit_code == 0
    assert penstock("keys", "revoke", "a", *FILE).exit_code == 0

    assert (tmp_path / "keys.json").is_symlink()
    assert [key.name for key in KeysFile.read(tmp_path / "sub" / "real.json").keys] == ["b"]


def test_settings_name_the_file(penstock: Penstock, tmp_path: Path) -> None:
    """Without either, there is nothing to do."""
    assert penstock("keys", "create", "a").exit_code == 2
    assert penstock("keys", "create", "a", "--set", "security.keys_file=sub/k.json").exit_code == 0
    assert len(KeysFile.read(tmp_path / "sub" / "k.json").keys) == 1


def test_key_may_last_as_long_as_calendars(penstock: Penstock, tmp_path: Path) -> None:
    """And no longer: more days than that are a mistake in usage."""
    assert penstock("keys", "create", "a", "--days", "1000000", *FILE).exit_code == 0

    result = penstock("keys", "create", "b", "--days", "4000000", *FILE)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "not in the range" in result.stderr
    assert [key.name for key in KeysFile.read(tmp_path / "keys.json").keys] == ["a"]


def test_example_keeps_the_key_from_others(penstock: Penstock, tmp_path: Path) -> None:
    """What a shell redirects would be for everybody."""
    (line,) = (line.strip() for line in penstock("keys", "create", "--help").stdout.splitlines() if ".penstock/admin.token" in line)
    (tmp_path / ".penstock").mkdir()

    command = line.replace("penstock keys", "echo keys", 1)
    subprocess.run(["sh", "-c", f"umask 022; {command}"], cwd=tmp_path, check=True)

    assert (tmp_path / ".penstock" / "admin.token").stat().st_mode & 0o777 == 0o600


def test_mistakes_change_nothing(penstock: Penstock, tmp_path: Path) -> None:
    """Exit code 2, with the reason."""
    (tmp_path / "keys.json").write_text("{")
    (tmp_path / "keys.json").chmod(0o600)

    for arguments in (("create", "a"), ("list",), ("revoke", "a"), ("create", "a b"), ("create", "a", "--model", "..")):
        assert penstock("keys", *arguments, *FILE).exit_code == 2

    assert (tmp_path / "keys.json").read_text() == "{"
