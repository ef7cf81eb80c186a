# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Fails on an include against the direction of dependency. Usage: check.py [ROOT]

The one table is LAYERS: what each part may include directly; what those parts may use in turn is allowed too.
core/CMakeLists.txt must link the same edges, so that neither can be widened alone.
"""

import re
import sys
from pathlib import Path

LAYERS = {
    "core/base": [],
    "core/plan": ["core/base"],
    "core/io": ["core/plan"],
    "core/text": ["core/io"],
    "core/cuda": [],
    "core/model": ["core/io", "core/plan", "core/cuda"],
    "core/distributed": ["core/base"],
    "core/calibration": ["core/model", "core/text", "core/distributed"],
    "core/compress": ["core/calibration"],
    "core/policy": ["core/compress"],
    "core/evaluate": ["core/policy"],
    "core/refine": ["core/compress"],
    "core/checkpoint": ["core/evaluate"],
    "core/protocol": ["core/plan"],
    "core/engine": ["core/checkpoint", "core/refine", "core/protocol"],
    "views": ["core/plan"],
    "app/cli": ["core/engine"],
    "app/studio": ["views", "core/protocol", "core/io"],
}

# Third-party libraries that only some parts may use, by what their headers begin with.
TORCH = re.compile(r"(ATen|c10|torch|caffe2|cuda)/|cuda|cublas|cusolver")
QT = re.compile(r"Q[A-Z]|Qt[A-Z]\w*/|q[a-z]+\.h$")
MAY_USE_TORCH = {"core/cuda", "core/distributed", "core/model", "core/calibration", "core/compress", "core/policy", "core/evaluate", "core/refine", "core/checkpoint", "core/engine", "app/cli"}
MAY_USE_QT = {"views", "app/studio"}
# Views show records and know neither files nor processes: beside our own headers and Qt's, the standard library only.
STANDARD_AND_QT_ONLY = {"views"}

SOURCES = {".h", ".hpp", ".cpp", ".cu", ".cuh"}
INCLUDE = re.compile(r'^\s*#\s*(?:include|import)\s*([<"])([^>"]+)[>"]')
BLOCK_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def reachable(part, layers):
    """`part` and everything that it may use, directly or through another part."""
    seen, waiting = set(), [part]
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            waiting += layers[current]
    return seen


def part_of(path):
    """The part a path or an include belongs to, or None."""
    return next((part for part in LAYERS if path.startswith(part + "/")), None)


def broken_rule(part, quote, include):
    """Why a file of `part` may not include this, or None."""
    if include == "torch/torch.h":
        return "torch/torch.h costs 13 seconds a file: include the operators' own headers, ATen/ops/<name>.h"
    if include.startswith(("core/", "app/", "views/")):
        target = part_of(include)
        if quote != '"':
            return "our own headers are included with quotation marks"
        if target is None:
            return f"it belongs to no part of the table (parts: {', '.join(LAYERS)})"
        if target not in reachable(part, LAYERS):
            return f"{part} may use {', '.join(sorted(reachable(part, LAYERS) - {part})) or 'no other part'}, not {target}"
        return None
    if quote == '"':
        return 'our own headers are included by their path from the root, as in "core/base/error.h"'
    if TORCH.match(include) and part not in MAY_USE_TORCH:
        return f"{part} is built without libtorch and CUDA"
    if QT.match(include) and part not in MAY_USE_QT:
        return f"only {' and '.join(sorted(MAY_USE_QT))} may use Qt"
    if part in STANDARD_AND_QT_ONLY and ("/" in include or include.endswith((".h", ".hpp"))) and not QT.match(include):
        return f"{part} may use the standard library, Qt, {' and '.join(sorted(reachable(part, LAYERS) - {part}))} only"
    return None


def without_block_comments(text):
    return BLOCK_COMMENT.sub(lambda match: "\n" * match.group().count("\n"), text)


def include_problems(root):
    for top in ("core", "app", "views"):
        for file in sorted((root / top).rglob("*")):
            if file.suffix not in SOURCES:
                continue
            name = file.relative_to(root).as_posix()
            part = part_of(name)
            if part is None:
                yield f"{name}:1: the file belongs to no part of the table (parts: {', '.join(LAYERS)})"
                continue
            lines = without_block_comments(file.read_text(encoding="utf-8")).splitlines()
            for number, line in enumerate(lines, start=1):
                match = INCLUDE.match(line)
                rule = match and broken_rule(part, *match.groups())
                if rule:
                    yield f"{name}:{number}: includes {match[2]}, but {rule}"


def link_problems(root):
    """core/CMakeLists.txt against the table."""
    file = root / "core" / "CMakeLists.txt"
    linked = {}
    text = re.sub(r"#.*", "", file.read_text(encoding="utf-8"))
    for name, arguments in re.findall(r"^\s*kvista_layer\(\s*(\w+)([^)]*)\)", text, re.MULTILINE):
        libraries = arguments.split()
        linked[f"core/{name}"] = {f"core/{library[7:]}" for library in libraries if f"core/{library[7:]}" in LAYERS and library.startswith("kvista_")}
        if "kvista_torch" in libraries and f"core/{name}" not in MAY_USE_TORCH:
            yield f"core/CMakeLists.txt: layer {name} links libtorch, but core/{name} is built without it"
    for part, edges in linked.items():
        if part not in LAYERS:
            yield f"core/CMakeLists.txt: layer {part[5:]} is missing in the table of tests/architecture/check.py"
        elif edges != set(LAYERS[part]):
            yield (f"core/CMakeLists.txt: layer {part[5:]} links {sorted(edges)}, "
                   f"the table of tests/architecture/check.py says {sorted(LAYERS[part])}")
    for folder in sorted(path for path in (root / "core").iterdir() if path.is_dir()):
        if f"core/{folder.name}" not in linked and any(folder.rglob("*.cpp")):
            yield f"core/CMakeLists.txt: core/{folder.name} has sources but is no kvista_layer"


def problems(root):
    return [*include_problems(root), *link_problems(root)]


if __name__ == "__main__":
    found = problems(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2]))
    for problem in found:
        print(problem, file=sys.stderr)
    if found:
        sys.exit(f"{len(found)} breaches of the architecture; the table is LAYERS in tests/architecture/check.py")
    print("every include follows the direction of dependency")
