"""The page for people: complete, ours alone, and working in a real browser with every other host blocked."""

import asyncio
import base64
import contextlib
import hashlib
import itertools
import json
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import websockets
from graphql import build_schema, parse, validate
from tests.gateway import Gateway, Upstreams, running
from tests.live import live
from tests.replay import serving

from syncgraph import sandboxes
from syncgraph.app import create_app
from syncgraph.graph.schema import schema
from syncgraph.http import graphiql

FOLDER = Path(graphiql.__file__).parent
ASSETS = FOLDER / "assets"
SUMS = {
    name: digest
    for digest, name in (
        line.split("  ", 1) for line in (FOLDER / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    )
}
EXAMPLES: list[dict[str, Any]] = json.loads((ASSETS / "examples.json").read_text(encoding="utf-8"))


def name_of(example: dict[str, Any]) -> str:
    found = re.search(r"(?:query|subscription) (\w+)", example["query"])
    assert found, "an operation without a name makes a tab without one"
    return found[1]


def test_every_file_is_the_one_that_was_built():
    files = {f"assets/{file.name}" for file in ASSETS.iterdir() if file.name != "examples.json"}

    assert files == SUMS.keys()
    for name, expected in SUMS.items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == expected, name


def test_the_licence_of_everything_bundled_is_there():
    told = (ASSETS / "LICENSES.txt").read_text(encoding="utf-8")
    wanted = json.loads((FOLDER / "build" / "package.json").read_text(encoding="utf-8"))["dependencies"]

    for name in ("graphiql", "monaco-editor", "react", "react-dom", "graphql", *wanted):
        assert re.search(rf"^{re.escape(name)} +\d", told, re.MULTILINE), name
    for licence in ("MIT License", "Apache License", "SIL OPEN FONT LICENSE"):
        assert licence.lower() in told.lower()


def test_what_was_built_names_no_other_host_to_load_from():
    page = (ASSETS / "index.html").read_text(encoding="utf-8")

    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert addresses
    assert [one for one in addresses if not one.startswith(("/graphql/assets/", "data:,"))] == []
    assert "<script>" not in page
    styles = (ASSETS / "app.css").read_text(encoding="utf-8")
    assert [
        one for one in re.findall(r"url\(([^)]{0,40})", styles) if not one.strip("'\"").startswith("data:")
    ] == []


@pytest.mark.parametrize("path", ["", *(f"/{name}" for name in [*sorted(SUMS), "assets/examples.json"])])
async def test_everything_is_served_under_the_policy_of_the_page(gateway: Gateway, path: str):
    answer = await gateway.http.get(f"/graphql{path}", headers={"accept": "text/html,*/*;q=0.8"})

    assert answer.status_code == 200
    if path:
        assert answer.content == (FOLDER / path.removeprefix("/")).read_bytes()
    policy = dict(one.strip().split(" ", 1) for one in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert (policy["script-src"], policy["connect-src"], policy["worker-src"]) == ("'self'",) * 3
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    kinds = {".js": "javascript", ".css": "text/css", ".json": "application/json", ".txt": "text/plain"}
    assert kinds.get(Path(path).suffix, "text/html") in answer.headers["content-type"]


@pytest.mark.parametrize(
    "path", ["../__init__.py", "%2e%2e/__init__.py", "..%2f__init__.py", "", "/etc/passwd", "%00", "nope.js"]
)
async def test_nothing_else_is_served(gateway: Gateway, path: str):
    answer = await gateway.http.get(f"/graphql/assets/{path}")

    assert answer.status_code == 404
    assert "syncgraph" not in answer.text


async def test_the_page_can_be_turned_off():
    settings = sandboxes.settings()
    server = settings.server.model_copy(update={"graphiql": False})
    async with running(settings=type(settings)(server, settings.providers)) as gateway:
        answer = await gateway.http.get("/graphql", headers={"accept": "text/html, */*;q=0.8"})

    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("application/")


def test_there_are_a_few_examples_each_with_a_name_and_a_sentence():
    assert 4 <= len(EXAMPLES) <= 7
    assert len({name_of(one) for one in EXAMPLES}) == len(EXAMPLES)
    for one in EXAMPLES:
        assert one.keys() <= {"query", "variables"}
        assert re.match(r"# [A-Z].+[.:].*\n", one["query"])


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
async def test_an_example_fits_the_schema_and_runs_without_an_error(
    gateway: Gateway, example: dict[str, Any]
):
    assert validate(build_schema(schema.as_str()), parse(example["query"])) == []
    if "subscription" in example["query"]:
        return

    data = await gateway.data(example["query"], **example.get("variables", {}))

    assert all(data.values())


# In a browser

CHROMIUM = shutil.which("chromium")
PATIENCE_S = 90
EMPTY_PICTURE_BYTES = 10_000
"""A blank page of this size is less."""
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--window-size=1280,800",
]

EDITOR = "__MONACO.editor.getModels().find(m => m.uri.path.endsWith('operation.graphql'))"
RESPONSE = "__MONACO.editor.getModels().find(m => m.uri.path.endsWith('response.json'))"


class Browser:
    """One page of Chromium, driven by the DevTools protocol."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._session: dict[str, str] = {}
        self.events: list[dict[str, Any]] = []

    async def listen(self) -> None:
        async for raw in self._socket:
            message = json.loads(raw)
            if "id" in message:
                self._waiting.pop(message["id"]).set_result(message)
            else:
                self.events.append(message)

    async def call(self, method: str, **params: object) -> dict[str, Any]:
        number = next(self._ids)
        answered = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send(
            json.dumps({"id": number, "method": method, "params": params, **self._session})
        )
        message = await asyncio.wait_for(answered, PATIENCE_S)
        assert "error" not in message, message
        result: dict[str, Any] = message["result"]
        return result

    async def open(self) -> None:
        target = (await self.call("Target.createTarget", url="about:blank"))["targetId"]
        attached = await self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            await self.call(f"{domain}.enable")

    async def js(self, expression: str) -> Any:
        result = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, (expression, result)
        return result["result"].get("value")

    async def until(self, expression: str) -> Any:
        """Its value, once it is true."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not (value := await self.js(expression)):  # noqa: ASYNC110  # a page has no event for it
                    await asyncio.sleep(0.1)
        except TimeoutError:
            pytest.fail(f"never: {expression}; {self.complaints()}")
        return value

    async def until_complaint(self, code: str) -> None:
        """That what breaks the policy would have been seen."""
        async with asyncio.timeout(PATIENCE_S):
            while code not in json.dumps(self.complaints()):  # noqa: ASYNC110  # events are kept, not announced
                await asyncio.sleep(0.05)

    async def press(self, selector: str) -> None:
        await self.until(f"(b => b && (b.click(), true))(document.querySelector({json.dumps(selector)}))")

    async def write(self, text: str) -> None:
        """Key by key into the query editor, as a person does: completion follows keys."""
        await self.until(f"!{EDITOR}.setValue('') && !__MONACO.editor.getEditors()[0].focus()")
        for character in text:
            await self.call("Input.dispatchKeyEvent", type="char", text=character)

    async def picture(self, file: Path) -> None:
        """For a look; kept beyond the test in the folder that SYNCGRAPH_PICTURES names."""
        kept = Path(os.environ.get("SYNCGRAPH_PICTURES", file.parent)) / file.name
        kept.write_bytes(base64.b64decode((await self.call("Page.captureScreenshot"))["data"]))
        assert kept.stat().st_size > EMPTY_PICTURE_BYTES

    def hosts(self) -> set[str]:
        asked = [
            one["params"]["request"]["url"]
            for one in self.events
            if one["method"] == "Network.requestWillBeSent"
        ]
        return {url.split("/")[2] for url in asked if url.startswith(("http", "ws"))}

    def complaints(self) -> list[dict[str, Any]]:
        """Errors and warnings of the console, uncaught exceptions, violations of the policy."""
        return [one["params"] for one in self.events if _is_complaint(one)]


def _is_complaint(event: dict[str, Any]) -> bool:
    match event["method"]:
        case "Runtime.exceptionThrown":
            return True
        case "Log.entryAdded":
            return event["params"]["entry"]["level"] in {"error", "warning"}
        case "Runtime.consoleAPICalled":
            return event["params"]["type"] in {"error", "warning", "assert"}
        case "Audits.issueAdded":
            return bool(event["params"]["issue"]["code"] == "ContentSecurityPolicyIssue")
    return False


@asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Browser]:
    assert CHROMIUM
    with _process([CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "about:blank"]):
        address = await _address(profile / "DevToolsActivePort")
        async with websockets.connect(address, max_size=None, proxy=None, open_timeout=PATIENCE_S) as socket:
            page = Browser(socket)
            listening = asyncio.create_task(page.listen())
            try:
                await page.open()
                yield page
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)


@contextlib.contextmanager
def _process(command: list[str]) -> Any:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _address(file: Path) -> str:
    """Where Chromium listens; it writes that down once it does."""

    def written() -> list[str]:
        return file.read_text().splitlines() if file.exists() else []

    async with asyncio.timeout(PATIENCE_S):
        while len(written()) < 2:  # noqa: ASYNC110  # a file has no event for it
            await asyncio.sleep(0.05)
    port, path = written()
    return f"ws://127.0.0.1:{port}{path}"


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt-get install chromium)")
async def test_in_a_browser_the_page_runs_a_query_completes_and_opens_the_docs(tmp_path: Path):
    app = create_app(sandboxes.settings(), connect=Upstreams().connect, clock=lambda: Upstreams().now)
    async with serving(app) as base_url, browser(tmp_path / "profile") as page:
        await page.call("Page.navigate", url=f"{base_url}/graphql")
        await page.until("!!document.querySelector('.graphiql-query-editor .view-line')")

        tabs = await page.until(
            f"(t => t.length === {len(EXAMPLES)} && t)([...document.querySelectorAll('.graphiql-tab-button')].map(b => b.innerText.trim()))"
        )
        assert tabs == [name_of(one) for one in EXAMPLES]
        assert await page.js(f"{EDITOR}.getValue()") == EXAMPLES[0]["query"]

        await page.js(f"{EDITOR}.setValue('query Names {{ providers {{ name }} }}')")
        # GraphiQL reads the operation's name a moment after the text, and sends both.
        await page.until(
            "document.querySelector('.graphiql-tab-active .graphiql-tab-button').innerText.trim() === 'Names'"
        )
        await page.press(".graphiql-execute-button")
        answer = json.loads(await page.until(f"{RESPONSE}.getValue()"))
        assert answer == {"data": {"providers": [{"name": name} for name in sandboxes.SANDBOXES]}}

        await page.press('button[aria-label="Show Documentation Explorer"]')
        docs = await page.until(
            "(d => d && d.innerText.includes('Query') && d.innerText)(document.querySelector('.graphiql-doc-explorer'))"
        )
        assert "Query" in docs

        await page.write("{ synR")
        offered = await page.until(
            "(r => r.length && r)([...document.querySelectorAll('.suggest-widget.visible .monaco-list-row')].map(r => r.ariaLabel))"
        )
        assert any("syncRun" in one for one in offered)
        await page.picture(tmp_path / "graphiql.png")

        assert page.hosts() == {base_url.removeprefix("http://")}
        assert page.complaints() == []
        await page.js(
            "void document.body.append(Object.assign(document.createElement('script'), {text: '1'}))"
        )
        await page.until_complaint("ContentSecurityPolicyIssue")


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt-get install chromium)")
async def test_in_a_browser_the_page_subscribes_until_it_is_stopped(tmp_path: Path):
    query = "subscription Runs { syncRunChanged { kind observedAt run { providerName status } } }"
    async with live() as gateway, gateway.passing(), browser(tmp_path / "profile") as page:
        await page.call("Page.navigate", url=f"http://{gateway.address}/graphql")
        await page.until("!!document.querySelector('.graphiql-query-editor .view-line')")
        await page.js(f"{EDITOR}.setValue({json.dumps(query)})")
        await page.until(
            "document.querySelector('.graphiql-tab-active .graphiql-tab-button').innerText.trim() === 'Runs'"
        )
        await page.press(".graphiql-execute-button")
        first = json.loads(await page.until(f"{RESPONSE}.getValue()"))
        await page.until(f"{RESPONSE}.getValue() !== {json.dumps(json.dumps(first, indent=2))}")
        assert first["data"]["syncRunChanged"]["kind"] in {"CREATED", "UPDATED", "FINISHED"}
        await page.picture(tmp_path / "subscription.png")

        await page.press(".graphiql-execute-button")
        await gateway.at_rest()
        assert page.hosts() == {gateway.address}
        assert page.complaints() == []
