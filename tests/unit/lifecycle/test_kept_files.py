"""Small files that outlive the process: how many there are."""

from pathlib import Path

from penstock.lifecycle.kept_files import KeptFiles


def test_files_are_bounded_although_not_every_write_looks_at_all_of_them(tmp_path: Path) -> None:
    """A few more than the bound may stand there between two looks; the newest always do."""
    files = KeptFiles(tmp_path, int, most=3)
    counts = []
    for number in range(150):
        files.write(str(number), number)
        counts.append(len(list(tmp_path.iterdir())))
        assert files.read(str(number)) == number
    assert min(counts[50:]) == 3
    assert max(counts) < 3 + 40
