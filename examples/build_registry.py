"""Train the example models and write them as a registry: `python examples/build_registry.py [--out DIRECTORY]`.

The same packages on the same kind of machine write the same bytes, because everything is seeded.
"""

import argparse
from pathlib import Path

from builders import diabetes, digits, iris, language, waveform
from builders.artifact import Built


def main() -> None:
    """Build every model and print what each was measured at."""
    parser = argparse.ArgumentParser(description="Train the example models and write them as a registry.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "registry", help="where to write it")
    root = parser.parse_args().out
    for builder in (iris, digits, diabetes, language, waveform):
        for built in builder.build(root):
            print(line(root, built))


def line(root: Path, built: Built) -> str:
    """Return the line that reports one version."""
    version = built.path.parent.relative_to(root)
    return f"{version!s:<12} {built.path.stat().st_size / 1024:6.1f} KiB  {built.measured}"


if __name__ == "__main__":
    main()
