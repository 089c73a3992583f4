"""What the documents say is checked against the code."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
import yaml
from jsonschema import Draft202012Validator
from pydantic import BaseModel
from tests.gateway import Gateway
from typer.testing import CliRunner

from syncgraph import config, errors
from syncgraph.cli import cli
from syncgraph.graph.schema import schema
from syncgraph.providers import PROVIDERS

ROOT = Path(__file__).parent.parent
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
COMMANDS = {"serve", "check", "doctor", "status", "watch", "schema", "sandbox"}


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def first(pattern: str, text: str, flags: int = re.MULTILINE) -> str:
    found = re.search(pattern, text, flags)
    assert found is not None
    return found[1]


def block(text: str, language: str) -> str:
    return first(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


async def test_the_readme_shows_a_real_answer(gateway: Gateway):
    readme = read("README.md")

    assert await gateway.ask(block(readme, "graphql")) == json.loads(block(readme, "json"))


def test_the_readme_s_table_names_every_contract():
    named = set(re.findall(r"^\| (\w+) \| `([a-z-]+)`", read("README.md"), re.MULTILINE))
    contracts = {
        (kind.capitalize(), contract)
        for kind, adapter in PROVIDERS.items()
        for contract in adapter.settings.model_fields["contract"].annotation.__args__
    }

    assert named == contracts


def test_every_command_is_documented_and_every_documented_command_exists():
    named = {
        found
        for path in DOCUMENTS
        for found in re.findall(r"syncgraph (serve|check|\w+)(?= |`|$)", path.read_text())
    }
    known = set(getattr(typer.main.get_command(cli), "commands", {}))

    assert known == COMMANDS
    assert {name for name in named if name in COMMANDS} == COMMANDS
    assert not [
        n for p in DOCUMENTS for n in re.findall(r"`syncgraph (\w+)", p.read_text()) if n not in COMMANDS
    ]


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_command_explains_itself(command):
    result = CliRunner().invoke(cli, [command, "--help"])

    assert result.exit_code == 0


def test_every_make_target_that_a_document_names_exists():
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    named = {found for path in DOCUMENTS for found in re.findall(r"`?make ([a-z-]+)", path.read_text())}

    assert named & targets
    assert {
        name for name in named if re.search(rf"`make {name}\b", "".join(p.read_text() for p in DOCUMENTS))
    } <= targets


def test_links_lead_to_files():
    for path in DOCUMENTS:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), (path, target)


def test_the_sample_configuration_is_good_and_names_every_setting(monkeypatch):
    for kind in PROVIDERS:
        monkeypatch.setenv(f"{kind.upper()}_API_KEY", "a-key-of-somebody")
    sample = read("docs/config.sample.toml")
    settings = config.parse(tomllib.loads(sample), {kind: one.settings for kind, one in PROVIDERS.items()})

    assert set(settings.providers) == set(PROVIDERS)
    keys = set(re.findall(r"^#? ?([a-z_]+) = ", sample, re.MULTILINE))
    tables = set(re.findall(r"^# \[providers\.den\.([a-z_]+)\]", sample, re.MULTILINE))
    inner = set(re.findall(r"^# \[providers\.den\.freshness\.([a-z_]+)\.", sample, re.MULTILINE))
    models: list[type[BaseModel]] = [
        config.ServerSettings,
        config.CacheSettings,
        config.LiveSettings,
        *(one.settings for one in PROVIDERS.values()),
    ]
    assert keys | tables == {
        *(name for model in models for name in model.model_fields),
        *config.FreshnessLimits.model_fields,
    }
    assert inner == set(config.FreshnessSettings.model_fields) - set(config.FreshnessLimits.model_fields)


def test_the_sample_s_commented_values_are_good_too(monkeypatch):
    monkeypatch.setenv("AIRWEAVE_API_KEY", "a-key-of-somebody")
    job = "6eb6d2d1-5f91-4797-8903-96f0dfd8a263"
    table = {
        "kind": "airweave",
        "contract": "sync-jobs",
        "job_path": "airweave-0.9.17",
        "jobs": [f"{job}/{job}"],
        "credential": "env:AIRWEAVE_API_KEY",
    }

    assert config.parse({"providers": {"a": table}}, {"airweave": PROVIDERS["airweave"].settings}).providers


def test_the_json_schema_is_current_and_takes_the_sample():
    printed = json.loads(CliRunner().invoke(cli, ["check", "--json-schema"]).output)

    assert printed == json.loads(read("docs/config.schema.json"))
    Draft202012Validator.check_schema(printed)
    Draft202012Validator(printed).validate(tomllib.loads(read("docs/config.sample.toml")))


def test_schema_graphql_is_current():
    assert read("schema.graphql") == schema.as_str() + "\n"


def test_every_code_has_a_row_in_the_documents_and_no_row_is_of_another():
    def codes(error: type[errors.GatewayError]):
        yield error.code
        for narrower in error.__subclasses__():
            yield from codes(narrower)

    assert set(re.findall(r"^\| `([A-Z_]+)`", read("docs/errors.md"), re.MULTILINE)) == set(
        codes(errors.GatewayError)
    )


def test_docker_names_what_exists():
    dockerfile = read("docker/Dockerfile")
    for copied in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE):
        for path in copied.split():
            assert (ROOT / path).exists(), path
    command = json.loads(first(r"^CMD (.+)$", dockerfile))
    assert json.loads(first(r"^ENTRYPOINT (.+)$", dockerfile)) == ["syncgraph"]
    assert CliRunner().invoke(cli, [command[0], "--help"]).exit_code == 0
    assert all(
        option in CliRunner().invoke(cli, [command[0], "--help"]).output
        for option in command
        if option[0] == "-"
    )
    service = yaml.safe_load(read("docker/compose.yaml"))["services"]["gateway"]
    assert (ROOT / "docker" / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    assert f"EXPOSE {service['ports'][0].rpartition(':')[2]}" in dockerfile


def test_uv_is_the_same_everywhere():
    pinned = first(r"UV_VERSION = (\S+)", read("Makefile"))

    assert f"uv=={pinned}" in read("docker/Dockerfile")


def test_httpx_itself_is_imported_by_nobody():
    code = "import re, pathlib; print([str(p) for p in pathlib.Path('src').rglob('*.py') if re.search(r'^(import|from) httpx\\b', p.read_text(), re.M)])"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert result.stdout.strip() == "[]"


def test_modules_are_short_and_functions_shorter():
    lengths = []
    for path in (ROOT / "src").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        assert len(source.splitlines()) <= 400, path
        lengths += [
            (node.end_lineno or 0) - node.lineno + 1
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]

    assert sorted(lengths)[len(lengths) // 2] < 10
