"""Control groups as files: which of them limit the memory, and how much is in use."""

from pathlib import Path

from penstock.execution.memory_limit import MemoryLimit

MIB = 1024**2


def group(folder: Path, version: int, limit: str, used_mib: int, spare_mib: int = 0) -> None:
    """Write the files of a control group."""
    names = ("memory.max", "memory.current", "inactive_file")
    if version == 1:
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used_mib * MIB}\n")
    (folder / "memory.stat").write_text(f"anon 1\n{names[2]} {spare_mib * MIB}\n")


def limit(tmp_path: Path, own: str) -> MemoryLimit:
    """Return what a process in that group sees."""
    (tmp_path / "own").write_text(own)
    return MemoryLimit(tmp_path / "cgroup", tmp_path / "own")


def test_group_with_the_least_left_counts(tmp_path: Path) -> None:
    """Version 2: its own, or one that holds it; a limit of "max" is none."""
    group(tmp_path / "cgroup", 2, "max", 999)
    group(tmp_path / "cgroup" / "pod", 2, str(200 * MIB), 150)
    group(tmp_path / "cgroup" / "pod" / "one", 2, str(100 * MIB), 50)

    assert limit(tmp_path, "0::/pod/one\n").used_part() == 0.75


def test_files_that_nobody_has_touched_for_long_are_not_in_use(tmp_path: Path) -> None:
    """The kernel takes them back before it ends anybody."""
    group(tmp_path / "cgroup", 2, str(100 * MIB), 95, spare_mib=45)

    assert limit(tmp_path, "0::/\n").used_part() == 0.5


def test_version_1_has_a_tree_for_each_controller(tmp_path: Path) -> None:
    """And writes a number near 2^63 where nothing is limited."""
    group(tmp_path / "cgroup" / "memory", 1, "9223372036854771712", 999)
    group(tmp_path / "cgroup" / "memory" / "one", 1, str(100 * MIB), 30, spare_mib=5)

    assert limit(tmp_path, "9:cpu,cpuacct:/other\n4:memory:/one\n").used_part() == 0.25


def test_container_that_sees_its_group_as_the_root_is_limited_by_it(tmp_path: Path) -> None:
    """The path of the host is not there."""
    group(tmp_path / "cgroup" / "memory", 1, str(100 * MIB), 90)

    assert limit(tmp_path, "4:memory:/docker/abc\n").used_part() == 0.9


def test_nothing_is_limited_where_there_are_no_groups(tmp_path: Path) -> None:
    """Nor where they cannot be read."""
    assert limit(tmp_path, "0::/nowhere\n").used_part() is None
    assert MemoryLimit(tmp_path / "cgroup", tmp_path / "missing").used_part() is None
