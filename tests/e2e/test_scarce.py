# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Too little memory, too little disk: refused before the work where that can be known, else a sentence and nothing left behind."""

import re
import subprocess

import pytest

from program import ENVIRONMENT, MODEL, PROGRAM, TEXTS, complaint, run

ENVIRONMENT_CODE, INPUT_CODE = 4, 3


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A plan that needs no statistics."""
    file = tmp_path_factory.mktemp("project") / "demo.kvista"
    run("plan", MODEL, "--method", "svd", "--keep", 0.5, "-o", file)
    return file


def left_in(folder):
    return [file.name for file in folder.iterdir()]


def test_weights_that_do_not_fit_are_refused_with_both_numbers(tmp_path):
    model = tmp_path / "large"
    run("make-model", "--shape", "llama-3-70b", "--virtual", "-o", model)
    for verb in (["calibrate", "-o", tmp_path / "x.kvstats"], ["evaluate"]):
        sentence = complaint(run(verb[0], model, *verb[1:], "--text", TEXTS / "calibration.txt", code=ENVIRONMENT_CODE))
        needed, free = map(float, re.search(r"would take about ([\d.]+) GB; ([\d.]+) GB are free on CPU", sentence).groups())
        assert needed == pytest.approx(282.2, abs=0.1) and 0 < free < needed
    assert left_in(tmp_path) == ["large"]


def test_a_disk_without_room_is_refused_beforehand(project, tmp_path):
    """A file system of 8 MB, in a namespace of its own."""
    mount = 'mount -t tmpfs -o size=8m none "$0" || exit; "$@"; code=$?; ls -A "$0"; exit $code'
    command = ["unshare", "-rm", "sh", "-c", mount, tmp_path]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system can be mounted here")
    for form in ("dense", "latent"):
        done = subprocess.run([*command, PROGRAM, "export", project, "--form", form, "-o", tmp_path / "x"], capture_output=True, text=True, env=ENVIRONMENT)
        assert done.returncode == INPUT_CODE and done.stdout == "", done.stdout + done.stderr
        assert re.search(r"needs \d+\.\d MB, but \S+ has only 8\.4 MB free", complaint(done))


def test_a_file_that_cannot_grow_ends_the_export_with_numbers(project, tmp_path):
    """As far as the limit, then a sentence; a disk that fills up while it is written ends in the same way."""
    limited = ["sh", "-c", 'ulimit -f 8192; exec "$@"', "sh", PROGRAM]  # 4 or 8 MB, by the shell's blocks
    done = subprocess.run([*limited, "export", project, "--form", "dense", "-o", tmp_path / "x"], capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == INPUT_CODE, done.stderr
    assert re.search(r"model\.safetensors cannot be written: File too large after (4\.2|8\.4) MB", complaint(done))
    assert left_in(tmp_path) == []
