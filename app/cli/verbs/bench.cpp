// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/cli/verb.h"

namespace kvista {

void addBench(CLI::App& app, Invocation& invocation) {
  CLI::App* bench = app.add_subcommand("bench", "Measure this machine: what it does is part of the verb's name");
  bench->footer("Example:\n  kvista bench decode --device cuda");
  bench->require_subcommand(1);
  addBenchDecode(*bench, invocation);
  addBenchCalibrate(*bench, invocation);
}

}  // namespace kvista
