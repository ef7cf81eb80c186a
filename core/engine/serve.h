// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>

#include "core/base/error.h"
#include "core/engine/workspace.h"

namespace kvista {

/// Serves requests that come as frames on `input` and writes answers and progress to `output`, until the input ends,
/// the other side is gone or `stop` is asked for; work that is still running is stopped, and waited for. Every request
/// gets exactly one answer. Errors (corruptFile): what came was no frame; the last message, without an id, has said so.
Result<void> serve(int input, int output, Workspace& workspace, std::stop_token stop);

}  // namespace kvista
