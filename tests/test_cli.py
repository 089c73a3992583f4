"""The command line: what a person types, and what they are told. Servers run as processes of their own."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import structlog
from jsonschema import Draft202012Validator
from rich.console import Console
from typer.testing import CliRunner, Result

from syncgraph import sandboxes
from syncgraph.cli import cli
from syncgraph.graph.schema import schema

ROOT = Path(__file__).parents[1]
NOW = "2026-11-22T09:41:07Z"
PATIENCE_S = 60
"""For a process that does at once what it is asked, on a busy machine."""


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Wide enough for a table, and without what the commands make of the logs of this process."""
    monkeypatch.setenv("COLUMNS", "220")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("syncgraph.cli.out", Console(width=220))
    for name in [name for name in os.environ if name.startswith("SYNCGRAPH_")]:
        monkeypatch.delenv(name)
    yield
    structlog.reset_defaults()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def assert_one_plain_line(text: str) -> str:
    (line,) = lines(text)
    assert not re.search(r"Traceback|Error\(|\bNone\b|\.py\b|\[Errno", line), line
    return line


@contextmanager
def started(
    *arguments: str, env: dict[str, str] | None = None, through: Sequence[str] = ()
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server as a process of its own, and what it printed before it listened; killed at the end.

    ``through``: a command that begins it.
    """
    process = begin(*arguments, env=env, through=through)
    try:
        yield process, said_by(process)
    finally:
        process.kill()
        process.communicate()


def begin(
    *arguments: str, env: dict[str, str] | None = None, through: Sequence[str] = ()
) -> subprocess.Popen[str]:
    command = [*through, sys.executable, "-m", "syncgraph", *arguments]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
    )


def said_by(process: subprocess.Popen[str]) -> str:
    """Up to the blank line after the last paragraph; the process prints it once it listens."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if not line.strip() and ("curl" in said or "[providers." in said):
            return said
    assert process.stderr is not None
    pytest.fail(f"ended: {said}{process.stderr.read()}")


def url_in(said: str) -> str:
    found = re.search(r"http://127\.0\.0\.1:\d+[^\s]*", said)
    assert found, said
    return found[0]


@contextmanager
def occupied() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def free_port() -> int:
    """A port that nobody listens on, a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# schema


def test_schema_prints_the_schema():
    result = run("schema")

    assert (result.exit_code, result.stdout) == (0, schema.as_str() + "\n")


def test_schema_check_passes_on_the_schema_and_fails_on_another(tmp_path: Path):
    current, stale = tmp_path / "current.graphql", tmp_path / "stale.graphql"
    current.write_text(schema.as_str() + "\n")
    stale.write_text(schema.as_str())

    assert run("schema", "--check", str(current)).exit_code == 0
    for file in (stale, tmp_path / "missing.graphql"):
        result = run("schema", "--check", str(file))
        assert result.exit_code == 1
        assert "make schema" in assert_one_plain_line(result.stderr)


# check

MISTAKES = """
[server]
port = 70000
operation_timeout_s = 0
nope = 1

[extra]

[providers.Den_1]
kind = "den"
credential = "env:SET_KEY"

[providers.mars]
kind = "mars"

[providers.timbal]
kind = "timbal"
credential = "t2_secret_in_the_file"
concurrency = 0

[providers.outlit]
kind = "outlit"
contract = "nope"
credential = "env:UNSET_KEY"

[providers.airweave]
kind = "airweave"
credential = "file:/nonexistent/key"
"""
EXPECTED = {
    "server.port": "65535",
    "server.operation_timeout_s": "greater than 0",
    "server.nope": "",
    "extra": "cache, live and providers",
    "providers.Den_1": "lower-case",
    "providers.mars.kind": "airweave, den, outlit, timbal",
    "providers.timbal.credential": "env:NAME",
    "providers.timbal.concurrency": "greater than or equal to 1",
    "providers.timbal.organisation": "",
    "providers.outlit.contract": "tool-gateway",
    "providers.outlit.credential": "env:UNSET_KEY",
    "providers.airweave.credential": "/nonexistent/key",
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SET_KEY", "a-key-that-is-set")
    monkeypatch.delenv("UNSET_KEY", raising=False)
    return tmp_path / "syncgraph.toml"


def test_check_says_all_twelve_mistakes_at_once_each_with_its_key_and_a_hint(config: Path):
    config.write_text(MISTAKES)

    result = run("check", str(config))

    assert (result.exit_code, result.stdout) == (1, "")
    told = dict(line.split(": ", 1) for line in lines(result.stderr))
    assert told.keys() == EXPECTED.keys()
    for key, hint in EXPECTED.items():
        assert hint in told[key]
        assert told[key].strip()
    assert "t2_secret_in_the_file" not in result.stderr


def test_check_says_what_is_wrong_with_an_address_beside_other_mistakes_of_the_same_table(config: Path):
    config.write_text(
        '[providers.den]\nkind = "den"\ncredential = "env:SET_KEY"\nbase_url = "ftp://example.com"\n'
        'ca_bundle = "/nonexistent.pem"\nconcurrency = 0\n'
    )

    told = run("check", str(config)).stderr

    assert [key for key in ("concurrency", "base_url", "ca_bundle") if key not in told] == []


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "providers"),
        ("[server]\n", "providers"),
        ("[providers]\n", "providers"),
        ("providers = 1\n", "providers"),
        ("[providers]\nden = 1\n", "providers.den"),
        ("[providers.den\n", "syncgraph.toml"),
        ("[providers.den]\nkind = 1\n", "providers.den.kind"),
        ('server = 3\n[providers.den]\nkind = "den"\ncredential = "env:SET_KEY"\n', "server"),
        ('[providers.den]\nkind = "den"\ncredential = 5\n', "providers.den.credential"),
        ('[providers.den]\nkind = "den"\ncredential = "env:SET_KEY"\nattempt_timeout_s = 30\n', "attempt_timeout_s"),
    ],
    ids=["empty", "no table", "no provider", "a number", "a provider that is a number", "no TOML", "kind", "server", "secret", "timeouts"],
)  # fmt: skip
def test_check_names_the_place_of_a_mistake(config: Path, text: str, key: str):
    config.write_text(text)

    result = run("check", str(config))

    assert result.exit_code == 1
    assert key in assert_one_plain_line(result.stderr)


def test_check_passes_a_good_file_and_says_so(config: Path):
    config.write_text('[providers.den]\nkind = "den"\ncredential = "env:SET_KEY"\n')

    result = run("check", str(config))

    assert (result.exit_code, result.stderr) == (0, "")
    assert "no mistakes" in assert_one_plain_line(result.stdout)


def test_check_of_a_file_that_is_not_there_is_one_plain_line(config: Path):
    result = run("check", str(config))

    assert result.exit_code == 1
    assert "No such file" in assert_one_plain_line(result.stderr)


def test_the_sample_in_the_repository_is_good_once_its_secrets_are_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    sample = (ROOT / "docs" / "config.sample.toml").read_text(encoding="utf-8")
    for name in re.findall(r'"env:([A-Z0-9_]+)"', sample):
        monkeypatch.setenv(name, "a-key-that-is-set")
    here = tmp_path / "config.toml"
    key = tmp_path / "key"
    key.write_text("a-key-that-is-set")
    here.write_text(re.sub(r'"file:[^"]+"', f'"file:{key}"', sample), encoding="utf-8")

    result = run("check", str(here))

    assert (result.exit_code, result.stderr) == (0, "")


def test_the_json_schema_takes_the_good_and_refuses_the_bad(config: Path):
    result = run("check", "--json-schema")
    validator = Draft202012Validator(json.loads(result.stdout))

    assert validator.is_valid({"providers": {"den": {"kind": "den", "credential": "env:DEN_KEY"}}})
    refused: list[dict[str, Any]] = [
        {},
        {"providers": {}},
        {"providers": {"den": {"kind": "den", "credential": "den_secret"}}},
        {"providers": {"Den_1": {"kind": "den", "credential": "env:DEN_KEY"}}},
        {"providers": {"den": {"kind": "mars", "credential": "env:DEN_KEY"}}},
        {"providers": {"den": {"kind": "den", "credential": "env:DEN_KEY", "nope": 1}}},
        {"providers": {"den": {"kind": "den", "credential": "env:DEN_KEY"}}, "server": {"port": 70000}},
    ]
    for bad in refused:
        assert not validator.is_valid(bad), bad


def test_the_json_schema_in_the_repository_is_the_one_of_the_code():
    stored = json.loads((ROOT / "docs" / "config.schema.json").read_text(encoding="utf-8"))

    assert stored == json.loads(run("check", "--json-schema").stdout)


# doctor and status


def blocks(text: str) -> dict[str, dict[str, str]]:
    """What doctor says of each provider, by name and what is told."""
    told: dict[str, dict[str, str]] = {}
    for line in lines(text):
        if not line.startswith(" "):
            told[line.strip()] = last = {}
        else:
            key, _, value = line.strip().partition("  ")
            last[key] = value.strip()
    return told


def test_doctor_finds_the_sandboxes_healthy():
    result = run("doctor", "--now", NOW)

    assert result.exit_code == 0, result.output
    told = blocks(result.stdout)
    assert list(told) == list(sandboxes.SANDBOXES)
    for name, its in sandboxes.settings().providers.items():
        assert (told[name]["reachable"], told[name]["authorised"]) == ("yes", "yes")
        assert told[name]["configured"] == its.contract
        assert its.contract in told[name]["serves"].split(", ")


def _one_provider(config: Path, **changes: object) -> str:
    table: dict[str, object] = {"kind": "outlit", "credential": "env:SET_KEY", **changes}
    config.write_text(
        "[providers.acme]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in table.items())
    )
    return str(config)


def test_doctor_says_in_one_plain_line_which_provider_cannot_be_reached(config: Path):
    path = _one_provider(config, base_url=f"http://127.0.0.1:{free_port()}")

    result = run("doctor", "--config", path)

    assert result.exit_code == 1
    (line,) = [line for line in lines(result.stdout) if "UPSTREAM_UNAVAILABLE" in line]
    assert_one_plain_line(line)
    assert blocks(result.stdout)["acme"]["reachable"] == "no"


@pytest.mark.parametrize("command", ["doctor", "status"])
def test_an_unreachable_proxy_is_one_plain_line(config: Path, command: str):
    """It must not look as if the provider were down: the line names the proxy."""
    path = _one_provider(config, base_url="https://outlit.invalid", proxy=f"http://127.0.0.1:{free_port()}")

    result = run(command, "--config", path)

    assert result.exit_code == 1
    (line,) = [line for line in lines(result.output) if "UPSTREAM_UNAVAILABLE" in line]
    assert_one_plain_line(line)
    assert "proxy" in line.lower()


@pytest.mark.parametrize(
    "proxy", ["nonsense", "ftp://127.0.0.1:1", "http://", "http://user:secret-pw@127.0.0.1:99999"]
)
def test_a_proxy_that_is_no_address_is_a_mistake_of_the_configuration(config: Path, proxy: str):
    result = run("check", _one_provider(config, proxy=proxy))

    assert result.exit_code == 1
    assert "proxy" in assert_one_plain_line(result.stderr)
    assert "secret-pw" not in result.output


def test_status_shows_every_sync_of_every_provider():
    shown = run("status", "--now", NOW)
    told = json.loads(run("status", "--json", "--now", NOW).stdout)["syncs"]

    assert shown.exit_code == 0, shown.output
    assert {row["providerName"] for row in told} == set(sandboxes.SANDBOXES)
    assert all(row["state"] and row["externalId"] for row in told)
    shown_syncs = shown.stdout[shown.stdout.index("last outcome") :]
    table = [line for line in lines(shown_syncs) if any(f" {name} " in line for name in sandboxes.SANDBOXES)]
    assert len(table) == len(told)


def test_status_shows_what_needs_attention_first_and_worst_first():
    shown = run("status", "--now", NOW).stdout
    told = json.loads(run("status", "--json", "--now", NOW).stdout)["overview"]

    assert 0 <= shown.index("Needs attention") < shown.index("last outcome")
    healths = [one["health"]["status"] for one in told["needsAttention"]]
    assert healths == sorted(healths)
    assert set(healths) == {"DEGRADED", "WARNING"}
    for one in told["needsAttention"]:
        assert one["name"] in shown
        assert one["health"]["reasons"][0]["code"] in shown


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """For processes started meanwhile, also where the tests were started with SIGINT ignored, as by ``nohup``."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_watch_looks_again_and_again_and_ends_cleanly_on_ctrl_c():
    with subprocess.Popen(
        [sys.executable, "-m", "syncgraph", "watch", "--every", "1", "--now", NOW],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        looks = 0
        for line in process.stdout:
            looks += line.startswith(NOW)
            if looks == 2:
                break
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE_S)

    assert (process.returncode, said) == (0, "")


def test_status_shows_what_it_can_and_says_what_is_missing(config: Path):
    with started("sandbox", "outlit", "--port", "0", "--now", NOW) as (_, said):
        config.write_text(
            f'[providers.outlit]\nkind = "outlit"\ncredential = "env:OUTLIT_KEY"\nbase_url = "{url_in(said)}"\n'
            f'[providers.den]\nkind = "den"\ncredential = "env:SET_KEY"\nbase_url = "http://127.0.0.1:{free_port()}"\n'
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OUTLIT_KEY", sandboxes.SANDBOXES["outlit"].KEY)
            result = run("status", "--json", "--config", str(config), "--now", NOW)

    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert {row["providerName"] for row in told["syncs"]} == {"outlit"}
    assert {one["provider"]["name"]: one["code"] for one in told["overview"]["sources"]} == {
        "outlit": None,
        "den": "UPSTREAM_UNAVAILABLE",
    }
    assert assert_one_plain_line(result.stderr).startswith("den: ")


# sandbox


def test_a_sandbox_over_a_socket_is_reached_with_the_configuration_that_it_prints(config: Path):
    name = "timbal"  # all four: tests/test_kill.py
    with started("sandbox", name, "--port", "0", "--now", NOW) as (_, said):
        (export,) = re.findall(rf"^export {name.upper()}_KEY=(\S+)$", said, re.MULTILINE)
        config.write_text(said[said.index("[providers.") :])
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(f"{name.upper()}_KEY", export)
            told = run("status", "--json", "--config", str(config), "--now", NOW)
        stranger = httpx2.get(url_in(said) + "/", timeout=PATIENCE_S)

    assert (told.exit_code, told.stderr) == (0, "")
    assert {row["providerName"] for row in json.loads(told.stdout)["syncs"]} == {name}
    assert stranger.status_code >= 400


@pytest.mark.parametrize("arguments", [["mars"], ["den", "--contract", "nope"]])
def test_a_sandbox_that_there_is_not_is_one_plain_line(arguments: Sequence[str]):
    result = run("sandbox", *arguments)

    assert result.exit_code == 1
    assert_one_plain_line(result.stderr)


# serve


def test_serve_prints_its_address_and_a_query_that_works_when_pasted():
    with started("serve", "--port", "0", "--now", NOW) as (_, said):
        words = shlex.split(said[said.index("curl") :].replace("\\\n", " "))
        headers = dict([words[words.index("-H") + 1].split(": ", 1)])
        url, body = words[2], words[words.index("-d") + 1]
        answer = httpx2.post(url, content=body.encode(), headers=headers, timeout=PATIENCE_S)

    assert url == url_in(said)
    assert url.endswith("/graphql")
    told: dict[str, Any] = answer.json()
    assert answer.status_code == 200
    assert told.get("errors") is None
    assert len(told["data"]["connectors"]["nodes"]) == 5
    assert {one["status"] for one in told["data"]["connectors"]["sources"]} == {"OK"}


def test_asked_to_stop_by_sigterm_serve_ends_well():
    with started("serve", "--port", "0", env={"SYNCGRAPH_DRAIN_DELAY_S": "0"}) as (process, said):
        assert httpx2.get(url_in(said), timeout=PATIENCE_S).status_code < 500
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE_S)

        assert process.returncode == 0
        assert "Traceback" not in err


@pytest.mark.parametrize("arguments", [["serve"], ["sandbox", "den"]], ids=["serve", "sandbox"])
def test_a_port_in_use_is_one_plain_line(arguments: Sequence[str]):
    with occupied() as port:
        result = run(*arguments, "--port", str(port))

    assert result.exit_code == 1
    line = assert_one_plain_line(result.stderr)
    assert str(port) in line
    assert "--port" in line


def test_a_host_that_is_not_ours_is_one_plain_line():
    result = run("serve", "--port", "0", "--host", "host.invalid")

    assert result.exit_code == 1
    assert "host.invalid" in assert_one_plain_line(result.stderr)


@pytest.mark.parametrize("command", ["serve", "doctor", "status", "check"])
@pytest.mark.parametrize("reference", ["env:UNSET_KEY", "file:/nonexistent/key"])
def test_a_missing_secret_is_one_plain_line(config: Path, command: str, reference: str):
    path = _one_provider(config, credential=reference)

    result = run(command, path) if command == "check" else run(command, "--config", path)

    assert result.exit_code == 1
    line = assert_one_plain_line(result.stderr)
    assert line.startswith("providers.acme.credential: ")
    assert reference.partition(":")[2] in line


def test_the_environment_wins_over_the_file_and_its_mistakes_are_told(
    config: Path, monkeypatch: pytest.MonkeyPatch
):
    path = _one_provider(config)
    monkeypatch.setenv("SYNCGRAPH_PORT", "many")

    for arguments in (("serve", "--config", path), ("serve",)):
        result = run(*arguments)
        assert result.exit_code == 1
        assert assert_one_plain_line(result.stderr).startswith("server.port: ")


def test_without_a_command_help_names_them_all():
    shown = run("--help")

    assert shown.exit_code == 0
    for command in ("serve", "check", "doctor", "status", "schema", "sandbox"):
        assert f" {command} " in shown.stdout
