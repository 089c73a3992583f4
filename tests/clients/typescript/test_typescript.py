"""graphql-codegen makes types from schema.graphql that the strictest TypeScript takes, and a program on them reads."""

import shutil
from pathlib import Path

import msgspec
from tests.clients.npm import Suite
from tests.clients.reading import Reading, reading
from tests.test_cli import PATIENCE_S

SUITE = Suite(Path(__file__).parent)


def test_a_program_over_generated_types_is_strictly_typed_and_reads(url: str, numbers: dict[str, list[str]]):
    numbers.setdefault(SUITE.name, [])
    shutil.rmtree(SUITE.folder / "generated", ignore_errors=True)
    codegen = SUITE.modules / "@graphql-codegen/cli/cjs/bin.js"
    SUITE.run(codegen, "--config", "codegen.json", "--silent", timeout_s=PATIENCE_S)

    assert SUITE.run(SUITE.modules / "typescript/bin/tsc", "--project", ".", timeout_s=PATIENCE_S) == ""
    assert msgspec.json.decode(SUITE.run("use.ts", url, timeout_s=PATIENCE_S), type=Reading) == reading(url)
