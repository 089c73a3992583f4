"""Clients that ariadne-codegen and sgqlc generate from schema.graphql, and gql."""

import json
import shutil
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import msgspec
import pytest
from graphql import build_schema, introspection_from_schema
from tests.clients.npm import INSTALL_S, checked
from tests.clients.reading import OPERATIONS, Reading, reading
from tests.test_cli import PATIENCE_S, ROOT

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
TOOLS = HERE / ".venv" / "bin"
ARIADNE = f"""
[tool.ariadne-codegen]
schema_path = "{ROOT / "schema.graphql"}"
queries_path = "{OPERATIONS}"
target_package_name = "generated"
async_client = false
include_comments = "none"

[tool.ariadne-codegen.scalars.DateTime]
type = "datetime.datetime"

[tool.ariadne-codegen.scalars.BigInt]
type = "int"
"""


@pytest.fixture(scope="session")
def tools() -> Path:
    """Where the programs of this folder's lock file lie, in an environment of their own."""
    uv = str(ROOT / ".uv" / "bin" / "uv")
    command = [uv, "sync", "--locked", "--quiet", "--no-python-downloads", "--python", sys.executable]
    checked([*command, "--project", str(HERE)], cwd=HERE, timeout_s=INSTALL_S)
    return TOOLS


def versions() -> str:
    named = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    return ", ".join([*(one.replace("==", " ") for one in named), f"gql {version('gql')}"])


def test_the_document_tells_the_versions(numbers: dict[str, list[str]]):
    numbers.setdefault("python", []).insert(0, versions())

    assert versions() in (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8").splitlines()


def read_by(python: Path | str, program: Path, *arguments: str) -> Reading:
    """What a program read, without a warning, with what was generated beside it."""
    command = [str(python), "-W", "error", str(program), *arguments]
    return msgspec.json.decode(checked(command, cwd=program.parent, timeout_s=PATIENCE_S), type=Reading)


def test_ariadne_codegen_makes_a_client_that_is_strictly_typed_and_reads(
    tools: Path, url: str, tmp_path: Path
):
    (tmp_path / "ariadne.toml").write_text(ARIADNE, encoding="utf-8")
    checked([str(tools / "ariadne-codegen"), "--config", "ariadne.toml"], cwd=tmp_path, timeout_s=PATIENCE_S)
    program = Path(shutil.copy(PROGRAMS / "use_ariadne.py", tmp_path))
    strict = [str(tools / "mypy"), "--strict", "--config-file=", "generated", program.name]
    said = checked(strict, cwd=tmp_path, timeout_s=PATIENCE_S)

    assert said.startswith("Success: no issues found")
    assert read_by(tools / "python", program, url) == reading(url)


def test_sgqlc_makes_a_client_that_reads(tools: Path, url: str, tmp_path: Path):
    schema = introspection_from_schema(build_schema((ROOT / "schema.graphql").read_text(encoding="utf-8")))
    (tmp_path / "schema.json").write_text(json.dumps({"data": schema}), encoding="utf-8")
    generate = [str(tools / "sgqlc-codegen")]
    operations = "\n".join(path.read_text(encoding="utf-8") for path in sorted(OPERATIONS.glob("*.graphql")))
    (tmp_path / "all.graphql").write_text(operations, encoding="utf-8")
    checked([*generate, "schema", "schema.json", "generated.py"], cwd=tmp_path, timeout_s=PATIENCE_S)
    made = ["operation", "--schema", "schema.json", "generated", "generated_operations.py", "all.graphql"]
    checked([*generate, *made], cwd=tmp_path, timeout_s=PATIENCE_S)
    program = Path(shutil.copy(PROGRAMS / "use_sgqlc.py", tmp_path))

    assert read_by(tools / "python", program, url) == reading(url)


def test_gql_holds_operations_against_the_gateway_s_schema_and_reads(url: str):
    assert read_by(sys.executable, PROGRAMS / "use_gql.py", url, str(OPERATIONS)) == reading(url)
