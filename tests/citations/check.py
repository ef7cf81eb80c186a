# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Fails where a source file cites a section that the help page Methods does not have. Usage: check.py [ROOT]"""

import re
import sys
from pathlib import Path

PAGE = "resources/help/methods.md"
SOURCES = {".h", ".cpp", ".cu", ".cuh", ".py"}
HEADING = re.compile(r"^## (\d+)\. ", re.MULTILINE)
# A citation may go on in the next line of a comment.
BREAK = re.compile(r"\n\s*(///?|\*)?\s*")
CITATION = re.compile(r"(?:methods\.md|page Methods),? sections? (\d+(?:(?:, | and |, and )\d+)*)")
MENTION = re.compile(r"methods\.md|page Methods")


def problems(root):
    file = root / PAGE
    headings = HEADING.findall(file.read_text(encoding="utf-8")) if file.is_file() else []
    found = [f"{PAGE}: section {number} is there twice" for number in sorted(set(headings)) if headings.count(number) > 1]
    for top in ("core", "app", "views", "tests/unit", "tests/bench", "tests/e2e"):
        for source in sorted((root / top).rglob("*")):
            if source.suffix not in SOURCES:
                continue
            name = source.relative_to(root).as_posix()
            text = BREAK.sub(" ", source.read_text(encoding="utf-8"))
            citations = CITATION.findall(text)
            if len(citations) < len(MENTION.findall(text)):
                found.append(f"{name}: cites the help page Methods without saying which section")
            for number in re.findall(r"\d+", " ".join(citations)):
                if number not in headings:
                    found.append(f"{name}: cites section {number} of {PAGE}, which has sections {', '.join(headings) or 'none'}")
    return found


if __name__ == "__main__":
    broken = problems(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2]))
    for problem in broken:
        print(problem, file=sys.stderr)
    if broken:
        sys.exit(f"{len(broken)} citations that a reader cannot follow")
    print(f"every section of {PAGE} that is cited is there")
