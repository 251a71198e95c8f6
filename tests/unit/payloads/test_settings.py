"""Settings of the record: layered without loss of redaction, and refused where they cannot work."""

import subprocess
import sys
from pathlib import Path

import pytest

from penstock.domain.errors import LoadRefused
from penstock.lifecycle.options import ModelOptions
from penstock.lifecycle.settings import resolve_options
from penstock.payloads.options import PayloadOptions, RecordingOptions

DEFAULTS = ModelOptions(payloads=RecordingOptions(sample=0.1, redact={"email": "drop"}))


def test_who_sets_a_sample_does_not_undo_the_redaction_of_others():
    """Each layer adds to the table below it, and to its rules."""
    options = resolve_options(DEFAULTS, {"payloads": {"sample": 0.5}}, {"payloads": {"redact": {"phone": "hash"}}})
    assert options.payloads == RecordingOptions(sample=0.5, redact={"email": "drop", "phone": "hash"})


def test_a_rule_that_makes_no_sense_in_a_models_own_file_is_refused():
    """A version is not loaded rather than recorded in another way than was meant."""
    with pytest.raises(LoadRefused, match="payloads"):
        resolve_options(DEFAULTS, {"payloads": {"redact": {"phone": "hsah"}}})


def test_the_files_are_in_the_state_directory_unless_a_directory_is_named():
    """Beside what else the server keeps."""
    assert PayloadOptions().directory(Path("state")) == Path("state/payloads")
    assert PayloadOptions(dir="/elsewhere").directory(Path("state")) == Path("/elsewhere")


@pytest.mark.parametrize("setting", ["defaults.payloads.sample=1.0", "models.fraud.feedback.enabled=true"])
def test_a_directory_that_cannot_be_made_keeps_the_server_from_starting(tmp_path, setting):
    """With exit code 2 and one line that says which, where the settings have anything recorded."""
    (tmp_path / "file").touch()
    (tmp_path / "registry").mkdir()
    directory = tmp_path / "file" / "payloads"
    command = [Path(sys.executable).with_name("penstock"), "serve", "--registry", tmp_path / "registry"]
    settings = ["--set", setting, "--set", f"payloads.dir={directory}", "--set", f"server.state_dir={tmp_path}"]
    ended = subprocess.run([*command, *settings], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert ended.returncode == 2
    assert f"payloads cannot be recorded in {directory}: Not a directory; set payloads.dir" in ended.stderr
