// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/cuda/target.h"

namespace kvista::test {

Result<KernelTarget> kernelTarget() {
  return KernelTarget{at::kCPU, kvistaCudaKernels(), kvistaLatentAttentionKernels()};
}

}  // namespace kvista::test
