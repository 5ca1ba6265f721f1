"""docs/reliability.md names every fault test that there is, and no others."""

import ast
import re
from pathlib import Path

from tests.faults.reliability import BEGIN, END, PAGE, Entry, fault_tests, named, written

ROOT = Path(__file__).parents[2]


def test_every_fault_test_stands_on_the_page():
    page = PAGE.read_text()
    assert fault_tests() <= set(re.findall(r"`(test_\w+)[`\[]", page)), "name it beside its fault"
    assert named(page) <= fault_tests(), "run `make reliability`"


def test_tests_that_the_page_names_exist():
    known = {
        node.name
        for file in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef)
    }
    page = PAGE.read_text()
    assert set(re.findall(r"`(test_\w+)[`\[]", page)) <= known
    for path in re.findall(r"`(tests/[\w/]+\.py)`", page):
        assert (ROOT / path).exists(), path


def test_a_run_replaces_the_table_and_nothing_else():
    page = f"before\n{BEGIN}\nold\n{END}\nafter"
    new = written(page, [Entry("test_a[one]", "harm", 1.25, "3 rows exact"), Entry("test_b", "harm", None, "refused")])
    assert new.startswith("before\n")
    assert new.endswith("\nafter")
    assert "old" not in new
    assert "| `test_a[one]` | harm | 1.2 s | 3 rows exact |" in new
    assert "| `test_b` | harm | – | refused |" in new
    assert named(new) == {"test_a", "test_b"}
