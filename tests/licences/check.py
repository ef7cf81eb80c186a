# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Fails on a file without its two SPDX lines, or with the licence of another part. Usage: check.py [ROOT]

Files that cannot carry the lines are covered by .reuse/dep5.
"""

import fnmatch
import re
import subprocess
import sys
from pathlib import Path

HOLDER = re.compile(r"SPDX-FileCopyrightText: 2026 The KVista authors\s*(-->|\*/)?$", re.MULTILINE)
IDENTIFIER = re.compile(r"SPDX-License-Identifier: ([\w.+-]+)")
HEADER_LINES = 4  # A script's first line and an opening of a comment may come before.


def files_of(root):
    """What is, or would be, in the repository; without git (an unpacked archive) everything but build folders."""
    answer = subprocess.run(["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            capture_output=True, check=False)
    if answer.returncode == 0:
        names = answer.stdout.decode().split("\0")
    else:
        names = [path.relative_to(root).as_posix() for path in root.rglob("*")]
        names = [name for name in names if not re.match(r"(build|out)/|(.*/)?(__pycache__|\.git)/", name)]
    return sorted(name for name in set(names) if name and (root / name).is_file())


def expected_licence(name):
    if name.startswith("resources/fonts/"):
        return "OFL-1.1"
    if name.startswith("resources/icons/"):
        return "LGPL-3.0-or-later"
    if name.endswith(".metainfo.xml"):  # Software catalogues copy it, and take it under few licences only.
        return "CC0-1.0"
    return "GPL-3.0-or-later" if name.startswith(("views/", "app/studio/")) else "Apache-2.0"


def covered_without_header(root):
    """[(pattern, licence)] of .reuse/dep5."""
    paragraphs = re.split(r"\n\s*\n", (root / ".reuse" / "dep5").read_text(encoding="utf-8"))
    for paragraph in paragraphs:
        fields = dict(re.findall(r"^([\w-]+): *(.*(?:\n[ \t].*)*)", paragraph, re.MULTILINE))
        for pattern in fields.get("Files", "").split():
            yield pattern, fields.get("License", "").strip()


def problems(root):
    patterns = list(covered_without_header(root))
    names = files_of(root)
    for pattern, _ in patterns:
        if not fnmatch.filter(names, pattern):
            yield f".reuse/dep5: no file matches '{pattern}'"
    for name in names:
        if name.startswith("LICENSES/"):
            continue
        header = "\n".join((root / name).read_text(encoding="utf-8", errors="replace").splitlines()[:HEADER_LINES])
        identifier = IDENTIFIER.search(header)
        licence = identifier[1] if identifier and HOLDER.search(header) else next(
            (licence for pattern, licence in patterns if fnmatch.fnmatch(name, pattern)), None)
        if licence is None:
            yield (f"{name}: its first {HEADER_LINES} lines lack 'SPDX-FileCopyrightText: 2026 The KVista authors' or "
                   f"'SPDX-License-Identifier: {expected_licence(name)}' (files that cannot carry them go into .reuse/dep5)")
        elif licence != expected_licence(name):
            yield f"{name}: is under {licence}, its part is under {expected_licence(name)} (see LICENSE)"
        elif not (root / "LICENSES" / f"{licence}.txt").is_file():
            yield f"{name}: LICENSES/{licence}.txt is missing"


if __name__ == "__main__":
    found = list(problems(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2]))
    for problem in found:
        print(problem, file=sys.stderr)
    if found:
        sys.exit(f"{len(found)} files without their licence")
    print("every file says its licence")
