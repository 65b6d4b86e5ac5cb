"""What is written down is true: names exist, lists are whole, generated pages are what would be generated.

pytest tests/golden tests/unit/test_docs.py --regenerate      writes the generated parts anew
"""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings
from typer.main import get_command

from jackfield.api.app import create_app
from jackfield.api.error import UNAUTHENTICATED
from jackfield.cli import agent, settings
from jackfield.cli.exit import ExitCode, exit_code
from jackfield.cli.main import NOUNS
from jackfield.cli.main import app as whole_command
from jackfield.migrate.plan import STRATEGIES
from jackfield.model import error as errors
from jackfield.model.device import BUILT_IN, IDENTITY
from jackfield.model.error import JackfieldError
from jackfield.model.spec import _MATCH_KEYS, _RULE_KEYS, parse_spec
from jackfield.service.context import Service
from jackfield.service.settings import Settings as ServiceSettings
from jackfield.sim.stage import SimStage
from jackfield.store.engine import Store
from jackfield.wire.problem import Problem

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE = REPOSITORY / "src/jackfield"
DOCS = REPOSITORY / "docs"
PAGES = sorted([*REPOSITORY.glob("*.md"), *DOCS.rglob("*.md"), REPOSITORY / "lab/README.md"])


def name_of(page):
    return str(page.relative_to(REPOSITORY))


@pytest.fixture
def generated(request):
    """`generated(page, text)`: between its two marks, the page says the text."""

    def check(page, text):
        file = DOCS / page
        begin, end = "<!-- generated: begin -->\n", "<!-- generated: end -->\n"
        before, _, rest = file.read_text().partition(begin)
        present, _, after = rest.partition(end)
        if request.config.getoption("--regenerate", default=False):
            file.write_text(f"{before}{begin}{text}{end}{after}")
            return
        assert present == text, f"{page}: write it anew with --regenerate, and look at what changed"

    return check


# Links, paths and packages


def anchors(page):
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_names_a_path_of_this_machine(page):
    text = page.read_text()
    assert str(REPOSITORY) not in text
    assert not re.search(r"/(home|work|tmp|Users)/\w", text)


def test_every_page_is_reached_from_the_readme():
    reached, waiting = set(), [REPOSITORY / "README.md"]
    while waiting:
        page = waiting.pop().resolve()
        if page in reached:
            continue
        reached.add(page)
        if page.is_dir():
            waiting += page.glob("*.md")
        elif page.suffix == ".md":
            paths = re.findall(r"\]\(([^)#\s]+)", page.read_text())
            waiting += [page.parent / path for path in paths if "://" not in path]
    assert {page for page in PAGES if page not in reached} == set()


def test_architecture_names_every_package_and_no_other():
    named = set(
        re.findall(r"^\| `jackfield\.(\w+)` \|", (REPOSITORY / "ARCHITECTURE.md").read_text(), re.MULTILINE)
    )
    assert named == {init.parent.name for init in SOURCE.glob("*/__init__.py")}


@cache
def tree_of(file):
    return ast.parse(file.read_text())


def functions_of(file):
    """Its functions and methods, these as `Class.method`."""
    for node in tree_of(file).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        if isinstance(node, ast.ClassDef):
            yield from (f"{node.name}.{m.name}" for m in node.body if isinstance(m, ast.FunctionDef))


@pytest.mark.parametrize("trail", ["boot with a port of flavor X", "live-migrate it"])
def test_the_files_and_functions_of_a_trail_exist(trail):
    (section,) = re.findall(
        rf"^## Trail: {trail}$(.*?)^## ",
        (REPOSITORY / "ARCHITECTURE.md").read_text(),
        re.MULTILINE | re.DOTALL,
    )
    steps = re.findall(r"^\d+\. `(src/[^`]+)`: (.+)$", section, re.MULTILINE)
    assert len(steps) > 20
    for path, rest in steps:
        names = re.findall(r"`([\w.]+)`", re.sub(r"\(.*", "", rest))
        assert names, path
        assert set(names) <= set(functions_of(REPOSITORY / path)), f"{path}: {names}"


def test_pages_name_only_sources_that_exist():
    for page in PAGES:
        for path in re.findall(r"`((?:src|tests|lab|setup|docs|requirements)/[\w./-]+)`", page.read_text()):
            assert (REPOSITORY / path).exists(), f"{name_of(page)}: {path}"


def test_every_decision_says_context_choice_and_cost():
    pages = sorted((DOCS / "decisions").glob("*.md"))
    assert [page.name[:4] for page in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]
    for page in pages:
        headings = re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE)
        assert headings == ["Context", "Choice", "Cost"], page.name


# Examples


def toml_blocks():
    for page in PAGES:
        for number, text in enumerate(
            re.findall(r"^```toml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
        ):
            yield pytest.param(text, id=f"{name_of(page)}-{number}")


@pytest.mark.parametrize("text", list(toml_blocks()))
def test_every_toml_example_is_understood(text, monkeypatch, tmp_path):
    if "[[rule]]" in text:
        assert parse_spec(text, "example").rules
        return
    (tmp_path / "example.toml").write_text(text)
    monkeypatch.setattr(settings, "CONFIGURATION", tmp_path)
    tables = TABLES
    assert set(tomllib.loads(text)) <= set(tables)
    for table in tomllib.loads(text):
        assert tables[table].load()


def test_the_simulators_example_does_as_the_page_says(capsys):
    text = (DOCS / "how-to/simulate.md").read_text()
    (example,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    exec(compile(example, "simulate.md", "exec"), {})
    assert SimStage.is_simulated


# The command line


def commands() -> Iterator[tuple[str, object]]:
    yield "jackfield", get_command(whole_command)
    for noun in NOUNS:
        command = get_command(importlib.import_module(f"jackfield.cli.{noun}").app)
        yield f"jackfield {noun}", command
        for verb, inner in getattr(command, "commands", {}).items():
            yield f"jackfield {noun} {verb}", inner


def option_line(option):
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    default = getattr(option.default, "value", option.default)
    said = f"; {default} unless given" if default not in (None, False, ()) else ""
    repeat = (
        "; may be repeated"
        if getattr(option, "multiple", False) and "repeat" not in (option.help or "")
        else ""
    )
    needed = "; required" if option.required and option.opts[0].startswith("-") else ""
    return f"| {names} | {(option.help or '').rstrip('.')}{said}{repeat}{needed} |\n"


def test_the_reference_of_the_command_line_is_what_help_says(generated):
    text = ""
    for name, command in commands():
        words = name.split()
        arguments = [p for p in command.params if not p.opts[0].startswith("-")]
        options = [
            p for p in command.params if p.opts[0].startswith("-") and not p.hidden and p.name != "help"
        ]
        options = [p for p in options if "completion" not in p.name]
        takes_verbs = bool(getattr(command, "commands", {}))
        usage = " ".join([name, *(f"<{p.name}>" for p in arguments), "…" if takes_verbs else ""]).rstrip()
        paragraphs = (command.help or "").strip().split("\n\n")
        said = "\n\n".join(
            f"    {one}" if one.startswith("$ ") else " ".join(one.split()) for one in paragraphs if one
        )
        text += f"{'#' * min(len(words) + 1, 4)} `{usage}`\n\n{said}\n\n"
        if options:
            text += "| option | |\n|---|---|\n" + "".join(map(option_line, options)) + "\n"
    generated("reference/cli.md", text)


def test_the_exit_codes_are_told():
    said = dict(re.findall(r"^\| `(\d)` \| (\w+)", (DOCS / "reference/cli.md").read_text(), re.MULTILINE))
    assert said == {str(code.value): code.name.lower() for code in ExitCode}


# HTTP


@pytest.fixture(scope="module")
def routes():
    store = Store.open_memory()
    document = create_app(Service(store)).openapi()
    store.close()
    return document["paths"]


def test_the_table_of_routes_is_what_the_application_has(routes, generated):
    lines = []
    for path, methods in routes.items():
        for method, operation in methods.items():
            good = ", ".join(f"`{status}`" for status in operation["responses"] if status.startswith("2"))
            query = [p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"]
            body = (
                operation.get("requestBody", {})
                .get("content", {})
                .get("application/json", {})
                .get("schema", {})
            )
            takes = [f"`{body['$ref'].rpartition('/')[2]}`"] if "$ref" in body else []
            takes += [f"`?{name}=`" for name in query]
            what = " ".join(operation.get("description", "").split())
            lines.append(f"| `{method.upper()}` | `{path}` | {' '.join(takes)} | {good} | {what} |\n")
    generated(
        "reference/http.md", "| method | path | takes | answers | |\n|---|---|---|---|---|\n" + "".join(lines)
    )


# Settings


TABLES = {
    "client": settings.ClientSettings,
    "serve": settings.ServeSettings,
    "flavors": settings.FlavorSettings,
    "migration": settings.MigrationSettings,
    "agent": agent.AgentSettings,
}


def test_every_table_of_settings_is_told():
    assert {found.TABLE for found in settings.Settings.__subclasses__()} == set(TABLES)


@pytest.mark.parametrize("table", TABLES)
def test_every_setting_is_told_with_its_variable_and_no_other(table):
    text = (DOCS / "reference/settings.md").read_text()
    (section,) = re.findall(rf"^## `\[{table}\]`.*?$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    rows = dict(re.findall(r"^\| `(\w+)` \| `(JACKFIELD_\w+)` \|", section, re.MULTILINE))
    cls: type[BaseSettings] = TABLES[table]
    prefix = cls.model_config["env_prefix"]
    assert rows == {name: f"{prefix}{name.upper()}" for name in cls.model_fields}


def test_the_control_sides_times_are_told():
    text = (DOCS / "reference/settings.md").read_text()
    told = dict(re.findall(r"^\| `(\w+_seconds)` \| (\d+) s \|", text, re.MULTILINE))
    assert told == {
        name: f"{value:g}"
        for name in ServiceSettings.__dataclass_fields__
        if name.endswith("_seconds") and (value := getattr(ServiceSettings(), name))
    }


# Host spec and flavors


def told_names(page, heading):
    text = (DOCS / "reference" / page).read_text()
    (section,) = re.findall(rf"^## {heading}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)


def test_every_field_of_a_rule_is_told():
    assert told_names("host-spec.md", "A rule") == list(_RULE_KEYS)
    assert told_names("host-spec.md", "What `match` asks") == list(_MATCH_KEYS)


def test_every_attribute_is_told():
    assert told_names("flavors-selectors.md", "Attributes") == list(BUILT_IN)
    text = (DOCS / "reference/flavors-selectors.md").read_text()
    (line,) = re.findall(r"^Identity attributes: (.+?)\.$", text, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"`(\w+)`", line)) == IDENTITY


def test_every_strategy_is_told():
    text = (DOCS / "how-to/move.md").read_text()
    assert set(re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE)) == {name.value for name in STRATEGIES}


# Error codes


KINDS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, JackfieldError)
}
MADE = {
    "migration-{over.state.value}": {"migration-failed", "migration-aborted", "migration-alarm"},
    "{noun}-exists": set(),  # each caller of `refuse_taken_name` names its noun
    "{noun}-not-found": set(),  # and so does each of `not_found`
}
"""Codes that are put together where they are raised."""


def codes_in(file):
    """(code, kind) of every error of ours that the file makes."""
    for scope in ast.walk(tree_of(file)):
        if not isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(scope):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called = getattr(node.func, "id", getattr(node.func, "attr", ""))
            first = node.args[0]
            if called == "not_found" and isinstance(first, ast.Constant):
                yield f"{first.value}-not-found", "NotFound"
            elif called == "refuse_taken_name":
                yield f"{node.args[2].value}-exists", "Conflict"
            elif called == "by_name_or_id":
                yield f"{node.args[2].value}-not-found", "NotFound"
            elif called == "_unreachable" and isinstance(first, ast.Constant):
                yield first.value, "Unavailable"
            elif called in KINDS:
                yield from ((code, called) for code in codes_of(first, scope))


def codes_of(first, scope):
    if isinstance(first, ast.Constant):
        return {first.value}
    if isinstance(first, ast.JoinedStr):
        return MADE[ast.unparse(first)[2:-1]]
    assert isinstance(first, ast.Name), ast.unparse(first)
    # A variable of this name, given a text somewhere in the function, perhaps together with another one.
    found = set()
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign):
            pairs = [(node.targets[0], node.value)]
            if isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(node.targets[0].elts, node.value.elts, strict=True))
            found |= {
                value.value
                for target, value in pairs
                if getattr(target, "id", "") == first.id and isinstance(value, ast.Constant)
            }
    return found


def raised():
    return {pair for file in sorted(SOURCE.rglob("*.py")) for pair in codes_in(file)}


def listed():
    text = (DOCS / "reference/error-codes.md").read_text()
    return re.findall(r"^\| `([a-z-]+)` \| (\w+) \| (\d+|-) \|", text, re.MULTILINE)


def test_every_code_that_is_raised_is_listed_and_each_listed_one_is_raised():
    pairs = {(code, kind) for code, kind, _ in listed()}
    assert pairs == raised()


def test_codes_are_listed_once_in_order_with_their_status():
    rows = listed()
    assert [code for code, *_ in rows] == sorted({code for code, *_ in rows})
    own = {"route-unknown": 404, "method-not-allowed": 405, "request-too-large": 413, "internal-error": 500}
    for code, kind, status in rows:
        if status != "-":
            usual = Problem.from_model(KINDS[kind](code, "")).status
            wanted = own.get(code, 401 if code in UNAUTHENTICATED else usual)
            assert int(status) == wanted, code


def test_the_kinds_of_error_are_told_with_status_and_exit_code():
    text = (DOCS / "reference/error-codes.md").read_text()
    rows = re.findall(r"^\| (\w+) \| (\d+) \| (\d) \|", text, re.MULTILINE)
    assert {(name, int(status), int(code)) for name, status, code in rows} == {
        (name, Problem.from_model(kind("some-code", "")).status, exit_code(kind("some-code", "")).value)
        for name, kind in KINDS.items()
        if kind is not JackfieldError
    }


# Behaviours


def marked():
    """The numbers that tests say they prove."""
    for file in sorted((REPOSITORY / "tests").rglob("test_*.py")):
        for node in ast.walk(tree_of(file)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.behaviour":
                yield from (number.value for number in node.args)


def test_the_behaviours_that_tests_prove_are_ticked_and_no_other(request):
    page = DOCS / "reference/behaviours.md"
    text = page.read_text()
    proved = set(marked())
    if request.config.getoption("--regenerate", default=False):

        def tick(line):
            return f"- [{'x' if int(line[2]) in proved else ' '}] **{line[2]}**"

        text = re.sub(r"^- \[([ x])\] \*\*(\d+)\*\*", tick, text, flags=re.MULTILINE)
        page.write_text(text)
    items = re.findall(r"^- \[([ x])\] \*\*(\d+)\*\*", text, re.MULTILINE)
    assert [int(number) for _, number in items] == list(range(1, 78))
    assert {int(number) for tick, number in items if tick == "x"} == proved
