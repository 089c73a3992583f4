"""The command line: serve, check, doctor, status, watch, schema, sandbox."""

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer
from rich.console import Console, Group
from rich.live import Live
from starlette.applications import Starlette

from syncgraph import app, config, report, sandboxes, screen, serving
from syncgraph.config import ConfigError, ServerSettings, Settings
from syncgraph.graph.schema import schema
from syncgraph.graph.subgraph import subgraph_sdl
from syncgraph.http import manifest
from syncgraph.http.drain import Drain
from syncgraph.providers import PROVIDERS
from syncgraph.telemetry import logs
from syncgraph.upstream import transport

T = TypeVar("T")

cli = typer.Typer(
    help="One GraphQL endpoint over every platform that moves a company's data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console()
err = Console(stderr=True)

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", envvar="SYNCGRAPH_CONFIG", help="Providers to use; without, the embedded sandboxes."
    ),
]
Now = Annotated[
    datetime | None,
    typer.Option("--now", formats=["%Y-%m-%dT%H:%M:%SZ"], help="Freeze the clock at this UTC instant."),
]
Port = Annotated[int | None, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")]


def main() -> None:
    """What the ``syncgraph`` command runs."""
    cli()


@cli.command()
def serve(
    config_file: ConfigFile = None, port: Port = None, host: str | None = None, now: Now = None
) -> None:
    """Serve the gateway; GraphiQL is at the same address in a browser."""
    logs.configure()
    settings, connect = _configured(config_file, _clock(now))
    given = {"host": host, "port": port}
    server = settings.server.model_copy(
        update={key: value for key, value in given.items() if value is not None}
    )
    drain = Drain()
    gateway = _or_all_mistakes(
        lambda: app.create_app(settings, connect=connect, clock=_clock(now), drain=drain)
    )
    _serve(gateway, server, lambda url: serving.welcome(f"{url}/graphql", settings), drain)


@cli.command()
def sandbox(
    name: Annotated[str, typer.Argument(help=", ".join(sandboxes.SANDBOXES))],
    port: Port = 0,
    contract: Annotated[
        str | None, typer.Option(help="Which API generation; default: the adapter's default.")
    ] = None,
    *,
    limits: Annotated[bool, typer.Option("--limits", help="Also limit how often it may be asked.")] = False,
    runs: Annotated[int | None, typer.Option(help="How many runs it has, where it has any.")] = None,
    now: Now = None,
) -> None:
    """Serve one provider's sandbox over a socket, with its auth, limits and error bodies."""
    logs.configure()
    if name not in sandboxes.SANDBOXES:
        _stop(f"{name}: no such sandbox; there are {', '.join(sandboxes.SANDBOXES)}.")
    contract = contract or sandboxes.default_contract(name)
    try:
        table = sandboxes.settings({name: contract}).providers[name]
    except ValueError:
        _stop(f"{contract}: {name} has no such contract.")
    its = sandboxes.SANDBOXES[name]
    sized = {} if runs is None else {"runs": runs}
    upstream = its.app(clock=_clock(now), contract=contract, limits=limits, **sized)
    server = ServerSettings(port=port or 0)
    _serve(upstream, server, lambda url: serving.sandbox_welcome(name, url, its.KEY, table))


@cli.command()
def check(
    config_file: Annotated[Path | None, typer.Argument(help="The configuration to check.")] = None,
    *,
    json_schema: Annotated[
        bool, typer.Option("--json-schema", help="Print the JSON Schema of a configuration.")
    ] = False,
) -> None:
    """Say everything that is wrong with a configuration at once."""
    if json_schema:
        print(json.dumps(config.json_schema(_kinds()), indent=2))
        return
    if config_file is None:
        _stop("Name a file, or ask for --json-schema.")
    settings = _load(config_file)
    _or_all_mistakes(lambda: manifest.load(settings.server.documents))
    out.print(
        f"{config_file}: {len(settings.providers)} providers, no mistakes.", highlight=False, soft_wrap=True
    )


@cli.command()
def doctor(config_file: ConfigFile = None, now: Now = None) -> None:
    """Ask every provider once: reachable, authorised, which contract it serves, clock skew, limits."""
    logs.configure(level="critical")
    settings, connect = _configured(config_file, _clock(now))
    with err.status("Asking the providers ..."):
        found = asyncio.run(report.diagnose(settings, connect=connect, clock=_clock(now)))
    for line in report.doctor_lines(found):
        out.print(line, highlight=False, soft_wrap=True, markup=False)
    raise typer.Exit(0 if report.is_healthy(found) else 1)


@cli.command()
def status(
    config_file: ConfigFile = None,
    now: Now = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show what needs attention, then every sync: state, last success and its age."""
    logs.configure(level="critical")
    settings, connect = _configured(config_file, _clock(now))
    with err.status("Asking the providers ..."):
        found = asyncio.run(screen.status(settings, connect=connect, clock=_clock(now)))
    if as_json:
        print(json.dumps({"overview": found.overview, "syncs": found.rows}, indent=2))
    else:
        out.print(screen.overview_of(found), screen.table_of(found))
    for trouble in found.troubles:
        err.print(trouble, style="red", highlight=False, soft_wrap=True, markup=False)
    raise typer.Exit(1 if found.troubles else 0)


@cli.command()
def watch(
    config_file: ConfigFile = None,
    now: Now = None,
    *,
    every: Annotated[float, typer.Option("--every", min=1, help="Seconds between two looks.")] = 10.0,
) -> None:
    """Show what needs attention, again and again, until Ctrl-C."""
    logs.configure(level="critical")
    settings, connect = _configured(config_file, _clock(now))
    with contextlib.suppress(KeyboardInterrupt), Live(console=out, auto_refresh=False) as live:

        def show(found: screen.Status) -> None:
            shown = Group(screen.overview_of(found), screen.troubles_of(found))
            if out.is_terminal:
                live.update(shown, refresh=True)
            else:
                out.print(shown)

        asyncio.run(screen.watch(settings, connect=connect, clock=_clock(now), every_s=every, show=show))


@cli.command("schema")
def print_schema(
    check_file: Annotated[Path | None, typer.Option("--check", help="Exit 1 when this file differs.")] = None,
    *,
    as_subgraph: Annotated[
        bool, typer.Option("--subgraph", help="With the directives of Apollo Federation, to compose it.")
    ] = False,
) -> None:
    """Print the schema, or check that a file holds it."""
    text = subgraph_sdl(schema.as_str()) if as_subgraph else schema.as_str() + "\n"
    if check_file is None:
        print(text, end="")
    elif not check_file.is_file() or check_file.read_text(encoding="utf-8") != text:
        _stop(f"{check_file} is not the schema of the code; run `make schema` and review the difference.")


def _configured(config_file: Path | None, clock: app.Clock) -> tuple[Settings, app.Connect]:
    if config_file is not None:
        return _load(config_file), transport.connect
    server = _or_all_mistakes(config.server_alone)
    return sandboxes.settings(server=server), sandboxes.connect(clock)


def _load(config_file: Path) -> Settings:
    return _or_all_mistakes(lambda: config.load(config_file, _kinds()))


def _or_all_mistakes(read: Callable[[], T]) -> T:
    try:
        return read()
    except ConfigError as error:
        for mistake in error.mistakes:
            err.print(
                f"{mistake.key}: {mistake.hint}", style="red", highlight=False, soft_wrap=True, markup=False
            )
        raise typer.Exit(1) from error


def _kinds() -> dict[str, type[config.ProviderSettings]]:
    return {kind: adapter.settings for kind, adapter in PROVIDERS.items()}


def _clock(now: datetime | None) -> app.Clock:
    if now is None:
        return app.utc_now
    frozen = now.replace(tzinfo=UTC)
    return lambda: frozen


def _serve(
    served: Starlette, server: ServerSettings, welcome: Callable[[str], str], drain: Drain | None = None
) -> None:
    def announce(url: str) -> None:
        out.print(welcome(url), highlight=False, soft_wrap=True, markup=False)

    try:
        serving.serve(served, server, announce, drain=drain)
    except OSError as error:
        _stop(f"Cannot listen on {error.filename}: {error.strerror}. Choose another with --port.")


def _stop(message: str) -> NoReturn:
    err.print(message, style="red", highlight=False, soft_wrap=True, markup=False)
    sys.exit(1)
