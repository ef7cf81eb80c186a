# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""`kvista bench` without a GPU: small sizes, and nothing that it cannot measure."""

import json

import pytest

import program
from program import BAD_INPUT, MODEL, USAGE, answer, complaint, run

ENVIRONMENT_MISSING = 4
SMALL = ["--heads", 4, "--width", 64, "--context", 96]


def test_decode_measures_every_layout_beside_the_full_cache():
    measured = answer("bench", "decode", *SMALL, "--batch", 2, "--kept", 0.25, "--queries-per-head", 2)
    assert measured["where"] == "cpu" and measured["device"]
    assert measured["copyBytesPerSecond"] > 1e6 and measured["matrixFlopsPerSecond"] > 1e6
    [case] = measured["cases"]
    assert (case["batch"], case["context"]) == (2, 96)
    assert case["full"]["bytes"] == 2 * 2 * 96 * 4 * 64 * 2  # keys and values, sequences, tokens, heads, width, bytes
    rows = {row["name"]: row for row in case["latents"]}
    assert list(rows) == ["groups of 4", "groups of 4, 8, 4 and 2 bits", "groups of 2", "single heads", "coded-head, 4 bits", "coded-head, 8, 4 and 2 bits"]
    for name, heads in (("groups of 4", 4), ("groups of 2", 2), ("single heads", 1)):
        row = rows[name]
        assert (row["headsPerGroup"], row["keyRank"], row["rebuildsKeys"]) == (heads, heads * 16, True)
        assert row["share"] == 0.25
    packed = rows["groups of 4, 8, 4 and 2 bits"]
    assert packed["rebuildsKeys"] and 0.1 < packed["share"] < 0.13
    assert rows["coded-head, 4 bits"]["share"] == 0.25 and not rows["coded-head, 4 bits"]["rebuildsKeys"]
    for row in rows.values():
        assert row["seconds"] > 0 and row["timesFaster"] == pytest.approx(case["full"]["seconds"] / row["seconds"])
        assert not row["kernel"] and row["reason"] == "there are no kernels for this device"


def test_without_a_gpu_the_table_says_so():
    shown = run("bench", "decode", *SMALL).stdout
    assert "batch 1, context 96" in shown and "groups of 4" in shown
    assert "stand in for kernels" in shown and "say nothing about a GPU" in shown


def test_a_cpu_leaves_no_profile_of_costs(tmp_path, monkeypatch):
    monkeypatch.setitem(program.ENVIRONMENT, "XDG_DATA_HOME", str(tmp_path))
    assert "costModel" not in answer("bench", "decode", *SMALL[:4])
    assert not list(tmp_path.iterdir())


def test_plans_are_costed_by_what_was_measured_here(tmp_path, monkeypatch):
    monkeypatch.setitem(program.ENVIRONMENT, "XDG_DATA_HOME", str(tmp_path))
    built_in = {entry["name"]: entry for entry in answer("list", "profiles")["profiles"]}
    assert list(built_in) == ["h200"] and "built-in" in built_in["h200"]["source"]

    def cost():
        return answer("plan", MODEL, "--method", "svd", "--keep", 0.5, "-o", tmp_path / "plan.kvista")["cost"]

    before = cost()
    assert (before["profile"], before["profileIsMeasured"]) == ("h200", False)
    kept = tmp_path / "kvista" / "devices"
    kept.mkdir(parents=True)
    slow = {"name": "Slow GPU", "bytesPerSecond": 4.6e11, "flopsPerSecond": 793e11, "launchSeconds": 14e-5}
    (kept / "slow-gpu.json").write_text(json.dumps(slow))
    (tmp_path / "plan.kvista").unlink()
    after = cost()
    assert (after["profile"], after["profileIsMeasured"]) == ("Slow GPU", True)
    assert after["secondsPerToken"] == pytest.approx(10 * before["secondsPerToken"])
    (kept / "broken.json").write_text("{}")
    done = run("list", "profiles")
    assert "broken.json has no name" in done.stderr and "Slow GPU" in done.stdout


def test_help_of_a_part_has_an_example():
    shown = run("bench", "decode", "--help").stdout
    assert "--json" in shown and "kvista bench decode --device cuda" in shown


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "`kvista bench` needs to be told what: decode"),
        (["calibrate", "--shape", "llama-2-7c"], "llama-2-7b"),
        (["calibrate", "--keep", "2"], '--keep is "2", but must be'),
        (["decod"], 'has no part "decod". Did you mean decode?'),
        (["decode", "--kept", "1.5"], '--kept is "1.5", but must be'),
        (["decode", "--context", "0"], '--context is "0", but must be'),
        (["decode", "--widht", "64"], "There is no option --widht for `kvista bench decode`. Did you mean --width?"),
        (["decode", "--device", "tpu"], '"tpu" is not a device'),
    ],
)
def test_what_is_not_understood_is_named(options, said):
    assert said in complaint(run("bench", *options, code=USAGE))


def test_a_gpu_that_is_not_there_is_named():
    done = run("bench", "decode", "--device", "cuda:99", code=ENVIRONMENT_MISSING)
    assert "--device cpu" in complaint(done)


def test_calibrate_times_every_stage_and_leaves_nothing(tmp_path):
    options = ["--shape", "smollm2-135m", "--layers", 2, "--virtual", "--windows", 2, "--window", 64, "--device", "cpu", "--dtype", "float32"]
    measured = answer("bench", "calibrate", *options, "--folder", tmp_path)
    assert not list(tmp_path.iterdir())
    stages = [stage["name"] for stage in measured["stages"]]
    for stage in ("load", "calibrate", "plan", "decompose", "write", "verify"):
        assert stage in stages
    assert measured["seconds"] == pytest.approx(sum(stage["seconds"] for stage in measured["stages"]), rel=1e-3)
    layer = 576 * (576 + 192 + 192 + 576) + 3 * 576 * 1536
    assert measured["layers"] == 2 and measured["windows"] == 2 and measured["bytesWritten"] == 2 * (2 * (layer + 2 * 576) + 576 * 49152 + 576)  # two bytes a number
    # Each matrix of the layers and of the head once forward and once backward, a multiply-add being two operations.
    operations = 2 * 2 * (2 * layer + 576 * 49152) * 2 * 64
    assert measured["achievedFlopsPerSecond"] * measured["passSeconds"] == pytest.approx(operations, rel=1e-3)
    unwritten = answer("bench", "calibrate", *options, "--no-write", "--folder", tmp_path)
    assert unwritten["bytesWritten"] == 0 and "write" not in [stage["name"] for stage in unwritten["stages"]]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--method", "codet"], 'There is no method "codet"'),
        (["--method", "coded"], "this plan stores codes"),
        (["--folder", "/nowhere"], "/nowhere"),
    ],
)
def test_what_calibrate_cannot_time_is_refused_before_anything_is_made(options, said, tmp_path):
    small = ["--shape", "smollm2-135m", "--layers", 2, "--virtual", "--device", "cpu", "--dtype", "float32"]
    folder = [] if "--folder" in options else ["--folder", tmp_path]
    done = run("bench", "calibrate", *small, *folder, *options, code=(USAGE, BAD_INPUT))
    assert said in complaint(done) and not list(tmp_path.iterdir())
