# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Run-time policies from the command line."""

import json

import pytest

from program import MODEL, SOURCE, TEXTS, USAGE, answer, complaint, run

EVALUATION = ["--text", TEXTS / "evaluation.txt", "--window", 128, "--windows", 2]


def test_what_does_not_go_with_a_plan_is_refused_before_its_model_is_opened(tmp_path):
    plan = dict(
        method="coded", grouping="separate", allocator="waterline", metric="fisher", keyPosition="beforeRope", storage="coded", rankStep=1,
        exactTokens=4, scaleBlock=64, target=dict(kind="share", value=0.5), groups=[],
    )
    project = dict(format="kvista-project", version=1, model=dict(path="gone", hash=""), plan=plan)
    (tmp_path / "P.kvista").write_text(json.dumps(project))
    refused = run("evaluate", tmp_path / "P.kvista", *EVALUATION, "--policy", "kivi", code=USAGE)
    assert "those of the plan are quantised already" in complaint(refused)


def test_evaluate_with_policies_at_one_share():
    whole = answer("evaluate", MODEL, *EVALUATION)
    schedule = ["--policy-share", 0.5, "--prompt", 64, "--interval", 16]
    losses = {}
    for policy, options in (("streaming-llm", []), ("snapkv+fp8", ["--policy-option", "window=8", "--policy-option", "queries=8"])):
        found = answer("evaluate", MODEL, *EVALUATION, "--policy", policy, *schedule, *options)
        assert found["predictionsBehindPrompt"] == 2 * 63
        assert found["bytesAtEnd"] / found["fullBytes"] == found["share"]
        assert 0.47 < found["share"] <= 0.5
        assert found["bytesAtMost"] > found["bytesAtEnd"]
        assert found["perplexity"] > whole["perplexity"]
        losses[policy] = found["meanNllBehindPrompt"]
    assert losses["snapkv+fp8"] < losses["streaming-llm"]  # nearly twice as many tokens, and the right ones
    all_stay = answer("evaluate", MODEL, *EVALUATION, "--policy", "streaming-llm", "--prompt", 64)
    assert abs(all_stay["meanNll"] - whole["meanNll"]) < 1e-5
    without = all_stay["withoutPolicy"]["original"]
    assert abs(all_stay["meanNllBehindPrompt"] - without["meanNllBehindPrompt"]) < 1e-5
    assert found["withoutPolicy"]["original"]["meanNllBehindPrompt"] == without["meanNllBehindPrompt"] < min(losses.values())
    assert "perplexity" in run("evaluate", MODEL, *EVALUATION, "--policy", "kivi", "--prompt", 64, "--interval", 32).stdout


def test_every_measure_is_taken_under_a_policy():
    whole, few = "snapkv interval=8", "streaming-llm share=0.25 interval=8 sinks=0"
    text = ["--text", TEXTS / "evaluation.txt"]
    retrieval = ["retrieval", MODEL, *text, "--lengths", 192, "--depths", 0, "--trials", 2]
    kept, lost = (answer(*retrieval, "--policy", policy) for policy in (whole, few))
    assert kept["policy"]["loss"][0][0] == pytest.approx(kept["original"]["loss"][0][0], abs=1e-3)
    assert lost["policy"]["loss"][0][0] > lost["original"]["loss"][0][0] == kept["original"]["loss"][0][0]
    assert (lost["policy"]["line"], lost["policy"]["overPlan"]) == (few, False)
    tasks = ["tasks", MODEL, "--file", SOURCE / "resources/demo/questions.jsonl"]
    kept, lost = (answer(*tasks, "--policy", policy)["files"][0] for policy in (whole, few))
    for item, other in zip(kept["original"]["perItem"], kept["policy"]["perItem"], strict=True):
        assert other.get("written") == item.get("written")
        assert other.get("logLikelihoods", []) == pytest.approx(item.get("logLikelihoods", []), abs=2e-3)
    assert lost["original"]["perItem"] == kept["original"]["perItem"] != lost["policy"]["perItem"] and lost["sameAnswer"]["exact_match"] < 1
    agreement = ["agreement", MODEL, *text, "--window", 64, "--windows", 2, "--prompts", 2, "--prompt-tokens", 32, "--write", 8]
    kept, lost = (answer(*agreement, "--policy", policy) for policy in (whole, few))
    assert kept["reading"]["divergence"]["largest"] < 1e-3 and kept["writing"]["undiverged"] == 2
    assert kept["reading"]["predictions"] == 2 * 31 and lost["reading"]["divergence"]["mean"] > 0.01
    losses = answer("losses", MODEL, *text, "--window", 64, "--tokens", 128, "--policy", few)
    assert losses["meanAfter"] > losses["meanBefore"] and losses["policy"]["line"] == few
    for verb in (retrieval, tasks, agreement, ["losses", MODEL, *text]):
        assert 'There is no policy "best"' in complaint(run(*verb, "--policy", "best", code=USAGE))


def test_a_fitted_gate_foretells_kvzip(tmp_path):
    gate = tmp_path / "demo.gate"
    fitted = answer("gate", MODEL, "--text", TEXTS / "calibration.txt", "--window", 128, "--windows", 8, "-o", gate)
    assert fitted["correlation"] > 0.5
    found = answer("evaluate", MODEL, *EVALUATION, "--policy", "fast-kvzip", "--policy-option", f"gate={gate}", "--policy-share", 0.5)
    assert found["tokensKept"] < 128
    assert "kvista gate" in run("evaluate", MODEL, *EVALUATION, "--policy", "fast-kvzip", code=USAGE).stderr


def test_a_trained_predictor_foretells_attention(tmp_path):
    gate = tmp_path / "attention.gate"
    trained = answer("gate", MODEL, "--kind", "attention-predictor", "--text", TEXTS / "calibration.txt", "--window", 256, "--windows", 6, "-o", gate)
    recall = trained["recall"]
    assert recall["accumulated"] < recall["predicted"] < recall["best"] < 1
    policy = ["--policy", "attention-predictor", "--policy-option", f"gate={gate}", "--policy-option", "window=16", "--policy-share", 0.5]
    found = answer("evaluate", MODEL, *EVALUATION, *policy, "--interval", 16)
    assert found["share"] == 0.5 and found["tokensKept"] == 64


def test_layers_are_merged_where_they_are_alike(tmp_path):
    options = ["--policy-option", "window=16", "--prompt", 64, "--interval", 16]
    whole = answer("evaluate", MODEL, *EVALUATION, "--policy", "commonkv", "--policy-option", "merged=0", *options)
    assert abs(whole["meanNll"] - answer("evaluate", MODEL, *EVALUATION)["meanNll"]) < 1e-5 and whole["share"] == 1
    plan = tmp_path / "common.kvista"
    answer("plan", MODEL, "--method", "commonkv", "--share", 0.5, "-o", plan)
    merged = answer("evaluate", plan, *EVALUATION, "--policy", "commonkv", "--policy-share", 0.3, *options)
    assert 0.29 < merged["share"] <= 0.3
    assert merged["share"] == merged["bytesAtEnd"] / merged["fullBytes"]


def test_wrong_policies_are_named():
    for arguments, words in (
        (["--policy", "best"], 'There is no policy "best"'),
        (["--policy", ""], "the name of a policy"),
        (["--policy", "snapkv", "--policy-option", "size=3"], 'has no option "size"'),
        (["--policy", "snapkv", "--policy-option", "size"], "--policy-option"),
        (["--policy", "snapkv share=.25", "--policy-share", "0.5"], "The share of the policy snapkv is said twice"),
        (["--policy", "snapkv window=4", "--policy-option", "window=8"], "The window of the policy snapkv is said twice"),
        (["--policy", "fp8", "--policy-share", "0.25"], "needs"),
        (["--policy", "cskv"], "there is no plan"),
    ):
        assert words in complaint(run("evaluate", MODEL, *EVALUATION, *arguments, code=USAGE))
    assert "policy-share" in run("evaluate", MODEL, *EVALUATION, "--policy", "fp8", "--policy-share", "2", code=USAGE).stderr


def test_policies_are_listed_with_options():
    listed = {entry["name"]: entry for entry in answer("list", "policies")["policies"]}
    assert {"streaming-llm", "snapkv", "kvzip", "kivi", "cskv"} <= set(listed)
    assert "queries (32)" in listed["snapkv"]["options"] and "window (32)" in listed["snapkv"]["options"]
    assert all(entry["source"] for entry in listed.values())
