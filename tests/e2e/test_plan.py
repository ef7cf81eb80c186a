# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Plans of every method, target and metric on the demo model."""

import json
import re

import pytest
import torch

from demo import EVALUATION, WINDOW, plan
from program import MODEL, SHARED, USAGE, answer, complaint, run


# The names are listed here so that each is a test of its own; another test compares them with the program's list.
METHODS = ["coded", "coded-joint", "coded-head", "joint", "separate", "grouped", "recalkv", "svd", "gqa", "kqsvd", "plain"]


def test_list_has_the_methods():
    assert set(METHODS) <= {entry["name"] for entry in answer("list", "methods")["methods"]}


@pytest.mark.parametrize("method", METHODS)
def test_plan_and_evaluate(method, statistics, original, tmp_path):
    file = tmp_path / "p.kvista"
    said = plan(statistics, file, "--method", method, "--share", 0.5)
    assert said["bytesPerToken"] <= 4096 and said["share"] == pytest.approx(said["bytesPerToken"] / 8192)
    assert said["share"] > 0.25
    assert 0 < said["keptFraction"] <= 1
    assert len(said["groups"]) == len(said["ranks"]) == len(said["widths"]) >= 8
    for rank, widths in zip(said["ranks"], said["widths"]):
        assert rank == sum(width > 0 for width in widths)
    found = answer("evaluate", file, *EVALUATION)
    assert found["predictions"] == 4 * (WINDOW - 1) and found["seconds"] > 0
    assert found["meanNll"] == pytest.approx(torch.tensor(found["perplexity"], dtype=torch.float64).log().item())
    if method != "svd":  # it looks at weights only: what it loses is not bounded by anything that it knows
        assert original["perplexity"] * 0.95 < found["perplexity"] < original["perplexity"] * 1.5
    if method not in ("svd", "plain", "recalkv"):  # those that know the Fisher information foretell the loss
        assert said["basePerplexity"] * 0.95 < said["predictedPerplexity"] < said["basePerplexity"] * 1.5


def test_targets_mean_the_same(statistics, tmp_path):
    targets = [["--share", 0.125], ["--times-smaller", 8], ["--bytes-per-token", 1024], []]
    plans = [plan(statistics, tmp_path / "p.kvista", *target) for target in targets]
    assert all(said == plans[0] for said in plans)


@pytest.mark.parametrize("method", ["coded", "joint", "plain"])
def test_a_target_below_what_a_method_can_store_names_the_smallest(method, statistics, tmp_path):
    command = ["plan", MODEL, "--stats", statistics, "-o", tmp_path / "p.kvista", "--method", method]
    smallest = int(re.search(r"at least (\d+) bytes a token", complaint(run(*command, "--share", 1e-5, code=USAGE)))[1])
    if smallest > 1:
        run(*command, "--bytes-per-token", smallest - 1, code=USAGE)
    assert answer(*command, "--bytes-per-token", smallest)["bytesPerToken"] == smallest


def test_keep_and_rank_step(statistics, tmp_path):
    said = plan(statistics, tmp_path / "p.kvista", "--method", "joint", "--keep", 0.3, "--rank-step", 8)
    assert 0.28 < said["keptFraction"] <= 0.3
    assert all(rank % 8 == 0 for rank in said["ranks"])


def test_grouping_by_loss_and_bounds_of_ranks(statistics, tmp_path):
    assert "swap-loss" in [entry["name"] for entry in answer("list", "groupings")["groupings"]]
    said = plan(statistics, tmp_path / "p.kvista", "--method", "grouped", "--keep", 0.3, "--grouping", "swap-loss",
                "--min-rank", 24, "--max-rank", 96)
    assert len(said["groups"]) == 8 * 3
    assert all(24 <= rank <= 96 for rank in said["ranks"])
    done = run("plan", MODEL, "--stats", statistics, "--min-rank", 64, "--max-rank", 32, "-o", tmp_path / "q.kvista", code=USAGE)
    assert "Ranks from 64 to 32 are not possible" in complaint(done)


def test_allowed_loss(statistics, tmp_path):
    said = plan(statistics, tmp_path / "p.kvista", "--max-loss", "2%")
    assert said["predictedPerplexity"] <= said["basePerplexity"] * 1.0201
    assert said["timesSmaller"] > 4


def test_an_eps_is_a_target_and_is_said(statistics, tmp_path):
    said = plan(statistics, tmp_path / "p.kvista", "--method", "kqsvd", "--allocator", "head-mean", "--eps", 0.3)
    assert 0 < said["eps"] <= 0.3 and said["bytesPerToken"] == said["requestedBytesPerToken"] and 0 < said["share"] < 1
    assert len(set(said["ranks"])) > 1
    done = run("plan", MODEL, "--stats", statistics, "--method", "kqsvd", "--eps", 0.3, "-o", tmp_path / "q.kvista", code=USAGE)
    assert "knows no eps" in complaint(done)


def test_layers_that_read_another_cache(statistics, original, tmp_path):
    map_, file = tmp_path / "map.json", tmp_path / "p.kvista"
    said = answer("sharing", MODEL, "--stats", statistics, "--count", 2, "--cosine", 0, "-o", map_)
    assert json.loads(map_.read_text())["sharedFrom"] == said["sharedFrom"]
    readers = [layer for layer, source in enumerate(said["sharedFrom"]) if source != layer]
    assert len(readers) == 2
    made = plan(statistics, file, "--method", "joint", "--share", 0.75, "--sharing", map_)
    assert 0 < made["bytesPerToken"] <= 8192 * 6 // 8 and made["predictedLoss"] is None
    assert all(group["rank"] == 0 for group in made["groups"] if group["layer"] in readers)
    found = answer("evaluate", file, *EVALUATION)
    assert found["perplexity"] > original["perplexity"]
    assert "another layer's cache" in complaint(run("export", file, "-o", tmp_path / "dense", "--form", "dense", code=USAGE))
    assert answer("export", file, "-o", tmp_path / "smaller")["verified"]
    again = answer("evaluate", tmp_path / "smaller", *EVALUATION)
    assert abs(again["perplexity"] / found["perplexity"] - 1) < 1e-3


@pytest.mark.parametrize("metric", ["identity", "fisher", "query", "output", "attention"])
def test_metrics(metric, statistics, original, tmp_path):
    file = tmp_path / "p.kvista"
    said = plan(statistics, file, "--method", "joint", "--keep", 0.4, "--metric", metric)
    assert json.loads(file.read_text())["plan"]["metric"] == metric
    found = answer("evaluate", file, *EVALUATION)
    assert original["perplexity"] * 0.95 < found["perplexity"] < original["perplexity"] * 1.5
    assert said["basePerplexity"] * 0.95 < said["predictedPerplexity"] < said["basePerplexity"] * 1.5


def test_metrics_of_attention_know_no_latent_attention(tmp_path):
    model = SHARED / "fixtures/families/deepseek_v2"
    if not model.exists():
        pytest.skip(f"{model} is not there")
    done = run("plan", model, "--method", "svd", "--metric", "output", "--keep", 0.3, "-o", tmp_path / "p.kvista", code=USAGE)
    assert "keys are made from too; no metric of its output projection is known" in complaint(done)


def test_what_a_method_gives_no_meaning_to_is_refused(statistics, tmp_path):
    for method, option, words in (("plain", "--centred", "has no bases"), ("svd", "--centred", "no mean over tokens"),
                                  ("svd", "--sink-free", "no tokens to leave out"), ("plain", "--sink-free", "no bases")):
        done = run("plan", MODEL, "--stats", statistics, "--method", method, option, "-o", tmp_path / "p.kvista", code=USAGE)
        assert words in complaint(done)
    done = run("plan", MODEL, "--method", "svd", "--metric", "query", "--keep", 0.3, "-o", tmp_path / "p.kvista", code=USAGE)
    assert "the metric query needs text" in complaint(done)


def test_compare(coded_project, original):
    said = answer("compare", MODEL, coded_project[0], *EVALUATION)
    assert (said["a"]["bytesPerToken"], said["b"]["bytesPerToken"]) == (8192, coded_project[1]["bytesPerToken"])
    assert said["meanNllDifference"] == pytest.approx(said["b"]["meanNll"] - said["a"]["meanNll"])
    assert said["a"]["perplexity"] == pytest.approx(original["perplexity"])
