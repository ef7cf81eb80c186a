// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/checkpoint/export_form.h"

namespace kvista {

/// What all forms refuse: plain quantisation, which has no factors, and latents that several layers share.
Result<void> checkPerLayerFactors(const CompressionPlan& plan, std::string_view form);

}  // namespace kvista
