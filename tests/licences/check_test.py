# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""The check itself, on scratch trees."""

import tempfile
import unittest
from pathlib import Path

import check

HEADER = "// SPDX-FileCopyrightText: 2026 The KVista authors\n// SPDX-License-Identifier: {}\n"


class Check(unittest.TestCase):
    def problems(self, files):
        basis = {".reuse/dep5": "Files: .reuse/dep5\nLicense: Apache-2.0\n", "LICENSES/Apache-2.0.txt": "",
                 "LICENSES/GPL-3.0-or-later.txt": ""}
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for name, text in {**basis, **files}.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            return list(check.problems(root))

    def test_each_part_under_its_own_licence(self):
        self.assertEqual(self.problems({"core/a.h": HEADER.format("Apache-2.0"),
                                        "views/a.h": HEADER.format("GPL-3.0-or-later"),
                                        "packaging/run": "#!/bin/sh\n" + HEADER.format("Apache-2.0").replace("//", "#"),
                                        "README.md": "<!-- SPDX-FileCopyrightText: 2026 The KVista authors -->\n"
                                                     "<!-- SPDX-License-Identifier: Apache-2.0 -->\n"}), [])

    def test_missing_header(self):
        found = self.problems({"core/a.h": "#pragma once\n"})
        self.assertEqual(len(found), 1)
        self.assertIn("core/a.h", found[0])

    def test_missing_holder(self):
        self.assertEqual(len(self.problems({"core/a.h": "// SPDX-License-Identifier: Apache-2.0\n"})), 1)

    def test_licence_of_another_part(self):
        self.assertIn("GPL-3.0-or-later", self.problems({"core/a.h": HEADER.format("GPL-3.0-or-later")})[0])
        self.assertIn("Apache-2.0", self.problems({"views/a.h": HEADER.format("Apache-2.0")})[0])

    def test_file_that_cannot_carry_a_header(self):
        self.assertEqual(len(self.problems({"resources/a.json": "{}"})), 1)
        self.assertEqual(self.problems({"resources/a.json": "{}",
                                        ".reuse/dep5": "Files: .reuse/dep5 resources/*\nLicense: Apache-2.0\n"}), [])

    def test_pattern_without_a_file(self):
        self.assertIn("gone/*", self.problems({".reuse/dep5": "Files: .reuse/dep5 gone/*\nLicense: Apache-2.0\n"})[0])


if __name__ == "__main__":
    unittest.main()
