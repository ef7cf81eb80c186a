# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
import torch

torch.set_num_threads(1)  # the models are tiny: more threads only wait for each other
