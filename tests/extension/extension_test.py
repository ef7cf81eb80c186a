# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Does what CONTRIBUTING.md says to add one more of each kind, in a copy of the tree, and looks for it in `kvista list`, for a
view in `kvista-gallery`. The added policy is also run, and refused by exports.

Usage: extension_test.py SOURCE BUILD TORCH_DIR. The table in CONTRIBUTING.md is read, not repeated: a step that it
forgets fails here. The copy lies in BUILD and is built in the same place relative to its sources, so that the compiler
cache answers for every file but the added ones and the registries.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

NEEDED = ["CMakeLists.txt", "CMakePresets.json", "app", "core", "packaging", "views", "resources"]
LISTED_AS = {"method": "methods", "measure": "measures", "grouping": "groupings", "allocator": "allocators",
             "policy": "policies",
             "model family": "families", "export form": "forms"}
VIEW = "view's exhibit"  # Of the window, listed by the gallery.
ADDED = "example"


def rows(contributing):
    """(kind, file to copy, registry, function) of the table under 'Adding one more of a kind'."""
    section = contributing.split("## Adding one more of a kind")[1].split("\n## ")[0]
    return re.findall(r"^\| ([\w' ]+) \| `([^`]+)` \| `([^`]+)` \| `([^`]+)` \|$", section, re.MULTILINE)


def token(function):
    """`ckaCentred` of `ckaCentredMeasure`: what a registry's line names."""
    return re.sub(r"(Method|Measure|Grouping|Allocator|Policy|Form|Exhibit)$", "", function)


def add(tree, kind, original, registry, function):
    """Copies the file under a new name, renames what it defines, and adds one line to the registry."""
    added_function = function.replace(token(function), ADDED, 1)
    text = (tree / original).read_text(encoding="utf-8")
    head, found, definition = text.rpartition(f"{function}(")
    if not found:
        sys.exit(f"{original} defines no {function}(), as CONTRIBUTING.md says")
    if kind != "model family":  # A family is listed under its function's name, the others say theirs in a literal.
        definition = re.sub(r'"[^"]+"', f'"{ADDED}"', definition, count=1)
    (tree / original).with_name(f"{ADDED}.cpp").write_text(f"{head}{added_function}({definition}", encoding="utf-8")

    lines = (tree / registry).read_text(encoding="utf-8").splitlines()
    name = re.compile(rf"\b({re.escape(function)}|{re.escape(token(function))})\b")
    place = next((i for i, line in enumerate(lines) if name.search(line) and not line.lstrip().startswith(("//", "#include"))), None)
    if place is None:
        sys.exit(f"{registry} has no line for {function}, as CONTRIBUTING.md says")
    line = name.sub(lambda match: match[0].replace(token(function), ADDED, 1), lines[place]).rstrip(" \\")
    inside_macro = lines[place - 1].endswith("\\") or lines[place].endswith("\\")
    lines.insert(place, line + " \\" if inside_macro else line)
    (tree / registry).write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{kind}: {original} -> {ADDED}.cpp; {registry}: {line.strip()}", flush=True)


def policy_problems(program, tree, folder):
    """Of the added policy, which is a copy of l2-norm under another name: a run of the model has it, exports refuse it."""
    model, text, plan = tree / "resources/demo/model", tree / "resources/demo/text/evaluation.txt", folder / "plan.kvista"

    def run(*arguments):
        return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)

    def loss(policy):
        answer = run("evaluate", model, "--text", text, "--window", 64, "--windows", 1, "--policy", f"{policy} share=.8 window=4", "--json")
        return json.loads(answer.stdout)["meanNllBehindPrompt"] if answer.returncode == 0 else answer.stderr

    problems = []
    if loss(ADDED) != loss("l2-norm"):
        problems.append(f"the added policy measures {loss(ADDED)}, that which it is a copy of {loss('l2-norm')}")
    run("plan", model, "--method", "svd", "--share", 0.5, "-o", plan)
    refused = run("export", plan, "-o", folder / "export", "--form", "latent", "--policy", f"{ADDED} share=.5")
    if refused.returncode != 2 or f"does not have the policy {ADDED}" not in refused.stderr:
        problems.append(f"an export that records the added policy ends with {refused.returncode}: {refused.stderr}")
    return problems


def has_studio(build):
    """Whether the window is built here: it needs Qt."""
    return "KVISTA_STUDIO:BOOL=ON" in (build / "CMakeCache.txt").read_text(encoding="utf-8")


def main(source, build, torch_dir):
    tree = build / "extension"
    shutil.rmtree(tree, ignore_errors=True)
    for name in NEEDED:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        if (source / name).is_dir():
            shutil.copytree(source / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source / name, tree / name)
    table = rows((source / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    studio = has_studio(build)
    if {row[0] for row in table} != {*LISTED_AS, VIEW}:
        sys.exit(f"the table of CONTRIBUTING.md has the kinds {[row[0] for row in table]}, expected {[*LISTED_AS, VIEW]}")
    for row in table:
        if row[0] != VIEW or studio:
            add(tree, *row)

    folder = tree / build.relative_to(source)
    subprocess.run(["cmake", "-G", "Ninja", "-S", tree, "-B", folder, "-DCMAKE_BUILD_TYPE=Release", "-DKVISTA_TESTS=OFF", f"-DKVISTA_STUDIO={'ON' if studio else 'OFF'}",
                    f"-DKVISTA_TORCH_DIR={torch_dir}"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", folder, "--target", "kvista", *(["kvista-gallery"] if studio else []), "--parallel", str(os.cpu_count())], check=True)
    missing = []
    for kind, listed_as in LISTED_AS.items():
        answer = subprocess.run([folder / "bin" / "kvista", "list", listed_as], check=True, capture_output=True, text=True)
        if not re.search(rf"\b{ADDED}\b", answer.stdout):
            missing.append(f"`kvista list {listed_as}` does not show the added {kind}:\n{answer.stdout}")
    missing += policy_problems(folder / "bin" / "kvista", tree, folder)
    if studio:
        listed = subprocess.run([folder / "bin" / "kvista-gallery"], check=True, capture_output=True, text=True, env={**os.environ, "QT_QPA_PLATFORM": "offscreen"})
        if ADDED not in listed.stdout.split():
            missing.append(f"`kvista-gallery` does not show the added view:\n{listed.stdout}")
    if missing:
        sys.exit("\n".join(missing))
    shutil.rmtree(tree)
    print("one more of each kind, and kvista and kvista-gallery list them")


if __name__ == "__main__":
    main(*(Path(argument).resolve() if index < 2 else argument for index, argument in enumerate(sys.argv[1:])))
