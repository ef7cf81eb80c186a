# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""The evaluation lab's numbers against transformers, and original beside plan."""

import json
import math

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from program import MODEL, SOURCE, TEXTS, USAGE, answer, complaint, run

QUESTIONS = SOURCE / "resources/demo/questions.jsonl"


@pytest.fixture(scope="module")
def judge():
    return AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval(), AutoTokenizer.from_pretrained(MODEL)


@torch.no_grad()
def log_likelihood(judge, context, continuation):
    """As lm-evaluation-harness asks a causal model."""
    model, tokenizer = judge
    known = len(tokenizer.encode(context, add_special_tokens=False))
    ids = torch.tensor([tokenizer.encode(context + continuation, add_special_tokens=False)])
    each = model(ids).logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])
    return each[known - 1 :].sum().item()


def test_tasks(judge, project):
    lines = [json.loads(line) for line in QUESTIONS.read_text().splitlines()]
    choices = [line for line in lines if "query" in line]
    found = answer("tasks", project, "--file", QUESTIONS)["files"][0]
    items = found["original"]["perItem"]
    likeliest = []
    for line, item in zip(choices, items):
        wanted = [log_likelihood(judge, line["query"], " " + choice) for choice in line["choices"]]
        assert item["logLikelihoods"] == pytest.approx(wanted, abs=2e-3)
        likeliest.append(wanted.index(max(wanted)) == line["gold"])
        by_bytes = [value / len(choice.encode()) for value, choice in zip(wanted, line["choices"], strict=True)]
        assert item["likeliestByBytes"] == by_bytes.index(max(by_bytes))
    assert found["original"]["acc"]["value"] == pytest.approx(sum(likeliest) / len(choices))
    model, tokenizer = judge
    for line, item in zip([line for line in lines if "prompt" in line], items[len(choices) :], strict=True):
        ids = tokenizer(line["prompt"], return_tensors="pt", add_special_tokens=False)
        written = model.generate(**ids, do_sample=False, max_new_tokens=line["max_gen_toks"], pad_token_id=0)[0, ids["input_ids"].shape[1] :]
        text = tokenizer.decode(written, skip_special_tokens=True)
        ends = [text.find(end) for end in line["until"] if end in text]
        text = text[: min(ends, default=len(text))].strip()
        assert (item["written"], item["right"]) == (text, text in line["target"])
    assert found["original"]["perItem"] != found["plan"]["perItem"] and 0 < found["sameAnswer"]["acc"] <= 1
    alone = answer("tasks", MODEL, "--file", QUESTIONS, "--items", 2)["files"][0]
    assert alone["original"]["perItem"] == items[:2] and "plan" not in alone


def test_agreement(judge, project):
    options = ["--text", TEXTS / "evaluation.txt", "--window", 64, "--windows", 3, "--prompts", 2, "--prompt-tokens", 16, "--write", 12]
    found = answer("agreement", project, *options)
    read, written = found["reading"], found["writing"]
    assert len(read["divergences"]) == read["predictions"] == 3 * 63
    assert 0 < read["divergence"]["median"] < read["divergence"]["mean"] < read["divergence"]["percentile99"] <= read["divergence"]["largest"]
    assert read["worst"][0]["divergence"] == pytest.approx(max(read["divergences"]), rel=1e-5)
    assert 0.5 < read["sameLikeliest"] < 1
    text = (TEXTS / "evaluation.txt").read_text()
    assert all(worst["context"] + worst["text"] in text for worst in read["worst"])
    assert len(written["firstDivergences"]) == 2 and 0 <= written["equalTokens"] <= 1
    same = answer("agreement", MODEL, "--original", MODEL, *options)
    assert same["reading"]["sameLikeliest"] == 1 and same["writing"]["undiverged"] == 2
    assert same["reading"]["divergence"]["largest"] == pytest.approx(0, abs=1e-6)


def without_times(result):
    return {name: value for name, value in json.loads(result.stdout).items() if name != "seconds"}


def test_what_an_export_records_is_measured_unless_told_otherwise(project, tmp_path):
    export, policy = tmp_path / "an export", "snapkv share=0.2 window=4"
    run("export", project, "-o", export, "--form", "latent", "--policy", policy)
    text = ["--text", TEXTS / "evaluation.txt"]

    def asked(*verb, code=0):
        result = run(*verb, "--json", code=code)
        return result, [line for line in result.stderr.splitlines() if "records the policy" in line]

    for verb in (["evaluate", export, *text, "--window", 64, "--windows", 1], ["losses", export, *text, "--tokens", 64]):
        applied, said = asked(*verb)
        assert len(said) == 1 and f"'{policy}'" in said[0] and "--policy none" in said[0]
        named, silence = asked(*verb, "--policy", policy)
        assert not silence and without_times(named) == without_times(applied)
        without, silence = asked(*verb, "--policy", "none")
        assert not silence and "policy" in json.loads(applied.stdout) and "policy" not in json.loads(without.stdout)
    whole = json.loads(asked("evaluate", export, *text, "--window", 64, "--windows", 1, "--policy", "none")[0].stdout)
    several = json.loads(asked("evaluate", export, "--window", 64, "--windows", 1, "--text", f"novel={TEXTS / 'evaluation.txt'}")[0].stdout)
    kept = json.loads(asked("evaluate", export, *text, "--window", 64, "--windows", 1)[0].stdout)
    assert several["policy"] == policy and several["texts"][0]["policy"]["meanNll"] == pytest.approx(kept["meanNllBehindPrompt"])
    assert several["total"]["plan"]["meanNll"] == pytest.approx(kept["withoutPolicy"]["plan"]["meanNllBehindPrompt"])
    assert kept["meanNllBehindPrompt"] != pytest.approx(kept["withoutPolicy"]["plan"]["meanNllBehindPrompt"], abs=1e-4)
    assert whole["predictions"] == kept["predictions"] and whole["meanNll"] != pytest.approx(kept["meanNll"], abs=1e-4)

    long = tmp_path / "questions.jsonl"
    context = " ".join((TEXTS / "evaluation.txt").read_text()[:400].split())
    long.write_text(json.dumps({"query": context, "choices": ["and", "of"], "gold": 0}) + "\n")
    agreement = ["--window", 64, "--windows", 1, "--prompts", 1, "--prompt-tokens", 48, "--write", 4]
    for verb in (
        ["retrieval", export, *text, "--lengths", 64, "--depths", 0, "--trials", 1],
        ["tasks", export, "--file", long],
        ["agreement", export, *text, *agreement],
        ["generate", export, "--prompt", context, "--tokens", 4],
    ):
        applied, said = asked(*verb)
        found = json.loads(applied.stdout)
        assert len(said) == 1 and "policy" in found.get("files", [found])[0], verb[0]
    assert "--original" in complaint(run("agreement", export, *text, *agreement, "--policy", "none", code=USAGE))
    assert "more is said" in complaint(run("evaluate", export, *text, "--policy", "none", "--policy-share", 0.5, code=USAGE))


def test_several_texts(project, tmp_path):
    parts = ["one", "two"]
    text = (TEXTS / "evaluation.txt").read_text()
    for name, part in zip(parts, (text[:3000], text[3000:4500]), strict=True):
        (tmp_path / name).write_text(part)
    named = [f"{name}={tmp_path / name}" for name in parts]
    found = answer("evaluate", project, "--window", 64, "--text", *named)
    rows, total = found["texts"], found["total"]
    assert [row["name"] for row in rows] == parts and rows[0]["predictions"] > rows[1]["predictions"]
    for side in ("original", "plan"):
        loss = sum(row["predictions"] * row[side]["meanNll"] for row in rows) / sum(row["predictions"] for row in rows)
        assert total[side]["meanNll"] == pytest.approx(loss) and total[side]["perplexity"] == pytest.approx(math.exp(loss))
    alone = answer("evaluate", project, "--window", 64, "--text", tmp_path / "two")
    assert alone["perplexity"] == pytest.approx(rows[1]["plan"]["perplexity"], rel=1e-6)
    assert "--weights" in complaint(run("evaluate", project, "--text", *named, "--weights", 1, 2, code=USAGE))
