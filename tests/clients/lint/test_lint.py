"""graphql-eslint and graphql-inspector look at schema.graphql."""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from tests.clients.npm import Suite
from tests.test_cli import PATIENCE_S, ROOT

SUITE = Suite(Path(__file__).parent)


class Change(msgspec.Struct, kw_only=True):
    path: str = ""
    """Empty for a change of the schema itself, as by its first subscription."""
    message: str
    level: str


def test_graphql_eslint_has_nothing_to_say(numbers: dict[str, list[str]]):
    complaints = msgspec.json.decode(SUITE.run("lint.mjs", timeout_s=PATIENCE_S))

    numbers.setdefault(SUITE.name, []).append(f"graphql-eslint: {len(complaints)} complaints")
    assert complaints == []


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def base() -> tuple[str, str]:
    """What a client may rely on: the last release, else the commit that brought the schema; its name, and where it is."""
    tags = git("tag", "--merged", "HEAD", "--sort=-creatordate").split()
    if tags:
        return tags[0], tags[0]
    return "its first commit", git("log", "--format=%H", "--diff-filter=A", "--", "schema.graphql").split()[
        -1
    ]


def changes(before: str, after: str, folder: Path) -> Sequence[Change]:
    for name, text in (("before", before), ("after", after)):
        (folder / f"{name}.graphql").write_text(text, encoding="utf-8")
    paths = (str(folder / f"{name}.graphql") for name in ("before", "after"))
    said = SUITE.run("compare.mjs", *paths, timeout_s=PATIENCE_S)
    return msgspec.json.decode(said, type=list[Change])


def unannounced(found: Sequence[Change], changelog: str) -> Sequence[str]:
    """What breaks and stands, by its path in backquotes, neither under Changed nor under Removed of Unreleased."""
    unreleased = re.split(r"^## ", changelog, flags=re.MULTILINE)[1]
    sections = re.split(r"^### ", unreleased, flags=re.MULTILINE)[1:]
    told = "".join(one for one in sections if one.startswith(("Changed", "Removed")))
    return [one.message for one in found if one.level == "BREAKING" and f"`{one.path}`" not in told]


def test_what_breaks_a_client_of_the_last_release_is_in_the_changelog(
    numbers: dict[str, list[str]], tmp_path: Path
):
    current = (ROOT / "schema.graphql").read_text(encoding="utf-8")
    name, commit = base()
    found = changes(git("show", f"{commit}:schema.graphql"), current, tmp_path)
    breaking = sum(one.level == "BREAKING" for one in found)

    numbers.setdefault(SUITE.name, []).append(
        f"graphql-inspector, since {name}: {breaking} of {len(found)} changes break a client"
    )
    assert unannounced(found, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("section", "left"),
    [
        ("Removed\n\n- `Query.overview`", 0),
        ("Added\n\n- `Query.overview`", 1),
        ("Removed\n\n- `Query.sync`", 1),
    ],
)
def test_a_removed_field_has_to_be_named_as_removed(section: str, left: int, tmp_path: Path):
    found = changes("type Query { a: Int overview: Int }", "type Query { a: Int }", tmp_path)
    changelog = (
        f"# Changelog\n\n## Unreleased\n\n### {section}\n\n## 0.1.0\n\n### Removed\n\n- `Query.overview`\n"
    )

    assert len(unannounced(found, changelog)) == left
