# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from studio_window import Display, calibrated_project

torch.set_num_threads(1)  # the models are tiny: more threads only wait for each other


@pytest.fixture(scope="module")
def display():
    with Display() as one:
        yield one


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return calibrated_project(tmp_path_factory.mktemp("project"))
