"""What a newcomer meets in the code, in numbers: ``python -m bench.code_measures DIRECTORY...``.

Counts are of Python files below the directories. Comments do not include directives (``noqa``, ``type:``). The complexity is
McCabe's, as ruff's C901 counts it. Imports are those between the first two levels of packages.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

_DIRECTIVE = re.compile(r"#\s*(noqa|type:|pragma|ruff:)")


def _percentile(values: list[int], percent: int) -> int:
    return round(quantiles(values, n=100)[percent - 1])


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    arguments = function.args
    return len(arguments.posonlyargs) + len(arguments.args) + len(arguments.kwonlyargs) - 1


def _ruff(directories: list[str], rule: str, option: str) -> int:
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--isolated",
        "--select",
        rule,
        "--config",
        option,
        "--output-format",
        "concise",
    ]
    found = subprocess.run([*command, *directories], capture_output=True, text=True, check=False).stdout
    return found.count(rule)


def measures(directories: list[str]) -> dict[str, str]:
    """Every measure by its name, as text."""
    modules: list[int] = []
    functions: list[int] = []
    constructors: list[int] = []
    counts: Counter[str] = Counter()
    packages: set[tuple[str, str]] = set()
    for path in (path for directory in directories for path in sorted(Path(directory).rglob("*.py"))):
        text = path.read_text("utf-8")
        tree = ast.parse(text)
        modules.append(text.count("\n"))
        functions += [(function.end_lineno or 0) - function.lineno + 1 for function in _functions(tree)]
        constructors += [_parameters(function) for function in _functions(tree) if function.name == "__init__"]
        here = ".".join(path.with_suffix("").parts[:2])
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("streams."):
                there = ".".join(node.module.split(".")[:2])
                packages |= {(here, there)} if here != there else set()
            counts["Any"] += isinstance(node, ast.Name) and node.id == "Any"
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                counts["directives" if _DIRECTIVE.match(token.string) else "comments"] += 1
    lines = sum(modules)
    return {
        "modules, lines": f"{len(modules)}, {lines:,}",
        "module length, median and 90th percentile": f"{round(median(modules))}, {_percentile(modules, 90)}",
        "function length, median and 95th percentile": f"{round(median(functions))}, {_percentile(functions, 95)}",
        "imports between packages": f"{len(packages)}",
        "comments per 100 lines": f"{100 * counts['comments'] / lines:.1f}",
        "functions of complexity over 10": f"{_ruff(directories, 'C901', 'lint.mccabe.max-complexity=10')}",
        "constructors with more than 7 parameters": f"{sum(number > 7 for number in constructors)} (most: {max(constructors)})",
        "noqa and type: ignore": f"{counts['directives']}",
        "uses of Any": f"{counts['Any']}",
    }


if __name__ == "__main__":
    for name, value in measures(sys.argv[1:] or ["streams"]).items():
        print(f"{name}: {value}")
