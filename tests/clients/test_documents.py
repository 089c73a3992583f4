"""The programs in docs/clients.md, run as they stand there."""

import re
import shutil
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.clients import npm
from tests.test_cli import PATIENCE_S, ROOT

WRITTEN = "127.0.0.1:8000"
DOCUMENT = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
SECTIONS = dict(
    part.split("\n", 1) for part in re.split(r"^## ", DOCUMENT, flags=re.MULTILINE) if "\n```text\n" in part
)
SUITES = {
    "urql": "paging",
    "Apollo Client": "paging",
    "Relay": "paging",
    "gql": "python",
    "graphql-ws": "live",
    "graphql-sse": "live",
    "A federated router": "federation",
}
"""Whose packages a section's programs need."""


PROGRAM = re.compile(r"^```\w+ (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRINTED = re.compile(r"^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", SECTIONS)
def test_a_program_of_the_document_prints_what_stands_below_it(name: str, url: str):
    folder = npm.HERE / SUITES[name] / "documented"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for file, program in PROGRAM.findall(SECTIONS[name]):
        (folder / file).write_text(program.replace(WRITTEN, urlsplit(url).netloc), encoding="utf-8")

    assert [run(folder, file)] == PRINTED.findall(SECTIONS[name])


def run(folder: Path, program: str) -> str:
    """What the last program of a section printed."""
    if program.endswith(".py"):
        return npm.checked([sys.executable, program], cwd=folder, timeout_s=PATIENCE_S)
    suite = npm.Suite(folder.parent)
    suite.install()
    if (folder / "relay.config.json").exists():
        shutil.copy(ROOT / "schema.graphql", folder)
        (folder / "__generated__").mkdir()
        compiler = str(suite.modules / "relay-compiler" / "cli.js")
        npm.checked([npm.node(), compiler, "relay.config.json"], cwd=folder, timeout_s=PATIENCE_S)
    return npm.checked([npm.node(), program], cwd=folder, timeout_s=PATIENCE_S)
