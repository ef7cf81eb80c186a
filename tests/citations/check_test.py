# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""The check itself, on scratch trees."""

import tempfile
import unittest
from pathlib import Path

import check

PAGE = "# Methods\n\n## 1. The statistics\nText.\n\n## 2. Bases\n### 3. Not a section\n\n## 10. Codes\n"


class Check(unittest.TestCase):
    def problems(self, text, page=PAGE):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for name, content in {check.PAGE: page, "core/plan/plan.h": text}.items():
                if content is not None:
                    (root / name).parent.mkdir(parents=True, exist_ok=True)
                    (root / name).write_text(content)
            return check.problems(root)

    def test_sections_that_are_there(self):
        self.assertEqual(self.problems('/// (methods.md section 1), (methods.md sections 2 and 10)\n"help page Methods, sections 1, 2 and 10"\n'), [])

    def test_a_citation_over_two_lines(self):
        self.assertEqual(self.problems("/// as methods.md\n/// section 2 says\n"), [])
        self.assertEqual(len(self.problems("  /// as methods.md section\n  /// 4 says\n")), 1)

    def test_a_section_that_is_missing(self):
        for text in ("/// methods.md section 3\n", "/// methods.md sections 2 and 3\n", '.source = "help page Methods, section 3"\n'):
            found = self.problems(text)
            self.assertEqual(len(found), 1, found)
            self.assertIn("core/plan/plan.h: cites section 3", found[0])

    def test_no_section_and_no_page(self):
        self.assertIn("without saying which", self.problems("/// as in methods.md\n")[0])
        self.assertIn("sections none", self.problems("/// methods.md section 1\n", page=None)[0])

    def test_a_number_that_is_there_twice(self):
        self.assertIn("section 2 is there twice", self.problems("", page=PAGE + "## 2. Again\n")[0])


if __name__ == "__main__":
    unittest.main()
