# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
import os
import tempfile

import pytest

from demo import EVALUATION, WINDOW, copy_of, plan
from program import MODEL, TEXTS, answer
from studio_window import Display

os.environ.setdefault("OMP_NUM_THREADS", "1")  # what torch goes by: the models are tiny, and more threads only wait for each other
# Where transformers copies the code of exports to, by the last name of their folder: other tests run beside these.
_modules = tempfile.TemporaryDirectory(prefix="kvista-modules-")
os.environ["HF_MODULES_CACHE"] = _modules.name


@pytest.fixture(scope="session")
def display():
    with Display() as one:
        yield one


@pytest.fixture(scope="session")
def text(tmp_path_factory):
    """Some twenty windows."""
    file = tmp_path_factory.mktemp("text") / "short.txt"
    file.write_text((TEXTS / "calibration.txt").read_text()[:6000])
    return file


@pytest.fixture(scope="session")
def calibrated(tmp_path_factory, text):
    """Statistics of the demo model with a response curve, and what `calibrate` said of them."""
    file = tmp_path_factory.mktemp("calibrated") / "demo.kvstats"
    return file, answer("calibrate", MODEL, "--text", text, "--window", WINDOW, "-o", file)


@pytest.fixture(scope="session")
def statistics(calibrated):
    return calibrated[0]


@pytest.fixture(scope="session")
def coded_project(tmp_path_factory, statistics):
    """A coded plan, and what `plan` said of it."""
    file = tmp_path_factory.mktemp("coded") / "demo.kvista"
    return file, plan(statistics, file, "--times-smaller", 8)


@pytest.fixture(scope="session")
def new_project(statistics, coded_project):
    """Makes copies of the coded plan, for tests that change theirs."""
    return lambda folder: copy_of(coded_project[0], statistics, folder)


@pytest.fixture(scope="session")
def project(tmp_path_factory, new_project):
    """One that nobody saves."""
    return new_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def exported(tmp_path_factory, coded_project):
    """The plan's latent export, and what `export` said of it."""
    folder = tmp_path_factory.mktemp("exported") / "smaller"
    return folder, answer("export", coded_project[0], "-o", folder, "--form", "latent")


@pytest.fixture(scope="session")
def original():
    """What `evaluate` says of the demo model itself."""
    return answer("evaluate", MODEL, *EVALUATION)
