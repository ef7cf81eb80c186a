# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""The check itself, on scratch trees: each forbidden include is found, named by file, line and rule; allowed ones pass."""

import tempfile
import unittest
from pathlib import Path

import check

LINKS = "".join(
    f"kvista_layer({part[5:]} PUBLIC {' '.join('kvista_' + edge[5:] for edge in edges)})\n"
    for part, edges in check.LAYERS.items() if part.startswith("core/"))


class Check(unittest.TestCase):
    def problems(self, files, links=LINKS):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for name, text in {"core/CMakeLists.txt": links, **files}.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            return check.problems(root)

    def assertOneProblem(self, name, text, *words):
        found = self.problems({name: text})
        self.assertEqual(len(found), 1, found)
        for word in (name, *words):
            self.assertIn(word, found[0])

    def test_allowed_includes_pass(self):
        self.assertEqual(self.problems({
            "core/base/error.h": "#include <string>\n",
            "core/plan/plan.h": '#include <Eigen/Core>\n#include "core/base/error.h"\n',
            "core/model/decoder.h": '#include <ATen/core/Tensor.h>\n#include "core/plan/shape.h"\n#include "core/base/task.h"\n',
            "core/compress/method.cpp": '#include "core/compress/method.h"\n#include "core/text/tokenizer.h"\n',
            "views/heatmap.cpp": '#include <QWidget>\n#include <QtCharts/QChart>\n#include <vector>\n#include "core/plan/plan.h"\n',
            "app/cli/main.cpp": '#include <CLI/CLI.hpp>\n#include "core/checkpoint/export.h"\n',
        }), [])

    def test_upward_include(self):
        self.assertOneProblem("core/plan/plan.cpp", '#include <vector>\n#include "core/model/decoder.h"\n',
                              "plan.cpp:2:", "core/model/decoder.h", "core/base")

    def test_sideways_include(self):
        self.assertOneProblem("core/io/gguf.cpp", '#include "core/text/tokenizer.h"\n', "core/io may use core/base, core/plan")

    def test_include_of_a_program(self):
        self.assertOneProblem("core/model/decoder.cpp", '#include "app/cli/output.h"\n', "not app/cli")

    def test_torch_below_the_model(self):
        self.assertOneProblem("core/plan/spectrum.cpp", "#include <ATen/ops/matmul.h>\n", "without libtorch")
        self.assertOneProblem("core/text/bpe.cpp", "#  include <c10/util/Half.h>\n", "without libtorch")

    def test_whole_torch_header(self):
        self.assertOneProblem("core/model/decoder.cpp", "#include <torch/torch.h>\n", "ATen/ops")

    def test_qt_in_the_core(self):
        for header in ("QString", "QtCore/QString", "qglobal.h"):
            self.assertOneProblem("core/model/decoder.cpp", f"#include <{header}>\n", "Qt")

    def test_view_that_knows_files_or_json(self):
        self.assertOneProblem("views/heatmap.cpp", '#include "core/io/checkpoint.h"\n', "views may use")
        self.assertOneProblem("views/heatmap.cpp", "#include <nlohmann/json.hpp>\n", "standard library")

    def test_include_style(self):
        self.assertOneProblem("core/plan/plan.cpp", '#include "plan.h"\n', "path from the root")
        self.assertOneProblem("core/plan/plan.cpp", "#include <core/plan/plan.h>\n", "quotation marks")

    def test_unknown_part(self):
        self.assertOneProblem("core/utilities/string.h", "", "no part")
        self.assertOneProblem("core/model/decoder.cpp", '#include "core/utilities/string.h"\n', "no part")

    def test_comments_are_no_includes(self):
        self.assertEqual(self.problems({
            "core/plan/plan.cpp": '/*\n#include <QString>\n*/\n// #include "core/model/decoder.h"\n'}), [])

    def test_libraries_that_link_more_or_less_than_the_table(self):
        found = self.problems({}, LINKS.replace("kvista_layer(io PUBLIC kvista_plan", "kvista_layer(io PUBLIC kvista_plan kvista_text"))
        self.assertEqual(len(found), 1, found)
        self.assertIn("layer io", found[0])
        found = self.problems({}, LINKS.replace("kvista_layer(text PUBLIC kvista_io)", "kvista_layer(text)"))
        self.assertIn("layer text", found[0])
        found = self.problems({}, LINKS.replace("kvista_layer(plan PUBLIC kvista_base", "kvista_layer(plan PUBLIC kvista_base kvista_torch"))
        self.assertIn("libtorch", found[0])

    def test_a_layer_that_nobody_builds(self):
        links = "".join(line for line in LINKS.splitlines(keepends=True) if "kvista_layer(text" not in line)
        found = self.problems({"core/text/bpe.cpp": ""}, links)
        self.assertEqual(len(found), 1, found)
        self.assertIn("core/text", found[0])


if __name__ == "__main__":
    unittest.main()
