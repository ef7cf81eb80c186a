// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace kvista {

/// The most memory this process has had at once, bytes (resident set, mapped files that were touched included).
double peakMemoryBytes();

}  // namespace kvista
