"""Every suite runs exactly the versions that its files and docs/compatibility.md name."""

import re

import pytest
from tests.clients import npm
from tests.test_cli import ROOT

each_suite = pytest.mark.parametrize("suite", npm.suites(), ids=lambda suite: suite.name)


@each_suite
def test_every_version_is_exact_and_installed(suite: npm.Suite):
    suite.install()

    assert all(re.fullmatch(r"\d+\.\d+\.\d+", its) for its in suite.wanted.values())
    assert {name: suite.installed(name) for name in suite.wanted} == suite.wanted


@each_suite
def test_the_lock_file_pins_every_file_and_names_no_registry(suite: npm.Suite):
    lock = suite.folder / "package-lock.json"
    packages = npm.loaded(lock)["packages"]

    assert [name for name, its in packages.items() if name and "integrity" not in its] == []
    assert [name for name, its in packages.items() if "resolved" in its] == []
    assert "registry." not in lock.read_text(encoding="utf-8")
    assert (suite.folder / ".npmrc").samefile(npm.HERE / ".npmrc")


@each_suite
def test_the_document_tells_its_versions(suite: npm.Suite):
    assert suite.versions() in (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8").splitlines()
