"""Serves both versions of digits, sends images as they were at training and then others, and tells the truth about each.

Run it from the repository: `.venv/bin/python examples/monitoring/watch_digits.py`. It starts a server of its own on free ports, and
needs scikit-learn for the images and Pillow for the picture, which `make test` installs.
"""

import argparse
import contextlib
import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from sklearn.datasets import load_digits

HERE: Final = Path(__file__).resolve().parent
REGISTRY: Final = HERE.parent / "registry"
BAR: Final = 30
COUNTED_S: Final = 1.5
ACCURATE, DRIFTING = "#2b7bba", "#c44e52"
FIGURES: Final = ("accuracy", "log_loss", "ece")
Report = dict[str, Any]
Images = np.ndarray[Any, np.dtype[np.float32]]


class Site(NamedTuple):
    """A running server."""

    http: str
    admin: str
    token: str

    def ask(self, path: str, body: object = None, *, admin: bool = False) -> tuple[Mapping[str, str], Any]:
        """Return the headers and the document of an answer; a refusal ends the script."""
        connection = http.client.HTTPConnection(self.admin if admin else self.http, timeout=30)
        headers = {"authorization": f"Bearer {self.token}"} if admin else {}
        with contextlib.closing(connection):
            connection.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            document = json.loads(answer.read())
        if answer.status >= 400:
            sys.exit(f"{path}: {document['error']}")
        return answer.headers, document  # type: ignore[return-value]


@contextlib.contextmanager
def serving() -> Iterator[Site]:
    """Serve the example registry for as long as the context lasts."""
    with tempfile.TemporaryDirectory(prefix="penstock-monitoring-") as name:
        ready, log = Path(name, "ready.json"), Path(name, "log")
        command = [
            sys.executable,
            "-m",
            "penstock",
            "serve",
            "--config",
            HERE / "penstock.toml",
            "--registry",
            REGISTRY,
            "--model",
            "digits",
        ]
        command += ["--http-port", "0", "--grpc-port", "0", "--admin-port", "0", "--ready-file", ready, "--set", f"server.state_dir={name}"]
        with log.open("w") as stream, subprocess.Popen(command, stdout=stream, stderr=stream) as server:
            try:
                while not ready.exists():
                    if server.poll() is not None:
                        sys.exit(f"the server did not start:\n{log.read_text()}")
                    time.sleep(0.05)
                addresses = json.loads(ready.read_text())["addresses"]
                yield Site(addresses["http"], addresses["admin"], Path(name, "admin.token").read_text().strip())
            finally:
                server.terminate()


def moved(images: Images) -> Images:
    """Return the images as a scanner with a dirty glass gives them: a pixel further right, paler, with specks."""
    noise = np.random.default_rng(7).random(images.shape, np.float32)
    return np.clip(0.6 * np.roll(images, 1, axis=2) + 4 * noise, 0, 16).astype(np.float32)


def send(site: Site, images: Images, truth: Images) -> None:
    """Ask for each image, and tell the truth about all of them at once, as whoever labels them in the evening would."""
    words = []
    for image, label in zip(images, truth, strict=True):
        tensor = {"name": "image", "datatype": "FP32", "shape": [1, 8, 8], "data": image.ravel().tolist()}
        headers, _ = site.ask("/v2/models/digits/infer", {"inputs": [tensor]})
        words.append({"id": headers["x-request-id"], "outputs": {"label": int(label)}})
    _, told = site.ask("/v2/models/digits/feedback", words)
    print(f"  feedback: {told['joined']} joined, {told['refused']} refused")


def counted(site: Site) -> Report:
    """Return what the server knows once it has counted all: rows are counted beside predictions, a moment later."""
    reports = [site.ask("/admin/models/digits/monitoring", admin=True)[1]]
    while len(reports) < 2 or reports[-1]["drift"] != reports[-2]["drift"]:
        time.sleep(COUNTED_S)
        reports.append(site.ask("/admin/models/digits/monitoring", admin=True)[1])
    return reports[-1]  # type: ignore[no-any-return]


def show(site: Site) -> Report:
    """Print the figures of each version, and what drifts, and return them."""
    report = counted(site)
    for row in report["quality"]["figures"]:
        bar = "#" * round(BAR * row["accuracy"])
        figures = "  ".join(f"{name} {row[name]:.3f}" for name in FIGURES)
        print(f"  version {row['version']} {row['arm']:<10} {row['rows']:>4} rows  |{bar:<{BAR}}|  {figures}")
    for version, features in drift_of(report).items():
        drifting = sorted((each for each in features if each["drifts"]), key=lambda each: -each["figures"].get("psi", 0))
        worst = ", ".join(f"{each['feature']} (PSI {each['figures']['psi']:.2f})" for each in drifting[:3] if "psi" in each["figures"])
        print(f"  version {version} drift: {len(drifting)} of {len(features)} features{f', most of all {worst}' if worst else ''}")
    return report


def drift_of(report: Report) -> dict[str, list[dict[str, Any]]]:
    """Return the features of the latest window of each version, inputs and outputs; versions without a window are left out."""
    found: dict[str, list[dict[str, Any]]] = {}
    for number, version in sorted(report["drift"]["versions"].items()):
        for side in ("inputs", "outputs"):
            for arm in version[side]["arms"].values():
                found.setdefault(number, []).extend(arm["features"])
    return found


def draw(path: Path, reports: Mapping[str, Report]) -> None:
    """Draw accuracy and drift (PNG): a bar for each version and kind of images."""
    bars = []
    for kind, report in reports.items():
        features = drift_of(report)
        for row in report["quality"]["figures"]:
            of_version = features.get(row["version"], [])
            drifting = sum(each["drifts"] for each in of_version) / max(1, len(of_version))
            bars.append((f"version {row['version']}, {kind}", row["accuracy"], drifting))
    picture = Image.new("RGB", (720, 40 + 30 * len(bars)), "white")
    pen = ImageDraw.Draw(picture)
    for x, head in ((260, "accuracy"), (490, "features that drift")):
        pen.text((x, 10), head, "black")
    for place, bar in enumerate(bars):
        _bar(pen, 30 + 30 * place, *bar)
    picture.save(path, "PNG")
    print(f"the picture is {path}")


def _bar(pen: ImageDraw.ImageDraw, y: int, label: str, accuracy: float, drifting: float) -> None:
    pen.text((10, y + 4), label, "black")
    for x, value, colour in ((260, accuracy, ACCURATE), (490, drifting, DRIFTING)):
        pen.rectangle((x, y, x + round(170 * value), y + 20), colour)
        pen.text((x + 180, y + 4), f"{value:.0%}", "black")


def main() -> None:
    """Send ordinary images, then others, and show after each what the server knows of its answers."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=400, help="how many of each kind (default 400)")
    parser.add_argument("--picture", type=Path, help="draw accuracy and drift by version into this file (PNG)")
    given = parser.parse_args()
    count = given.images
    digits = load_digits()
    chosen = np.random.default_rng(1).permutation(len(digits.images))[:count]
    images, truth = digits.images[chosen].astype(np.float32), digits.target[chosen]
    with serving() as site:
        print(f"{count} images as they were at training")
        send(site, images, truth)
        before = show(site)
        print(f"{count} images through a dirty glass")
        send(site, moved(images), truth)
        after = show(site)
    if given.picture:
        draw(given.picture, {"as at training": before, "dirty glass": after})


if __name__ == "__main__":
    main()
