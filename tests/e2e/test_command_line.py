# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""What every verb has in common, as its help promises: wrong command lines, inputs and outputs are named, and examples work."""

import json
import shlex
import shutil
import subprocess

import pytest
import torch
from safetensors.torch import load_file, save_file

from demo import EVALUATION, WINDOW, calibrate, first_layers, left_in
from program import BAD_INPUT, DONE, MODEL, PROGRAM, SOURCE, TEXTS, USAGE, answer, complaint, run

# Those with an example that works on what the examples before it have made.
VERBS_IN_ORDER = (
    "inspect tokenize detokenize forward calibrate merge similarity spectra sharing plan errors generate losses retrieval gate evaluate "
    "agreement tasks refine export verify compare list help doctor"
).split()
VERBS = [*VERBS_IN_ORDER, *"experiment compress report make-model engine".split()]


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_an_example(verb):
    done = run(verb, "--help")
    assert "--json" in done.stdout and not done.stderr
    example = done.stdout.split("Example:")[1].split()
    assert example[:2] == ["kvista", verb]
    options = [word for word in example if word.startswith("-")]
    assert all(option in done.stdout.split("Example:")[0] for option in options)


def test_help_lists_every_verb():
    shown = run("--help").stdout
    assert all(f"\n  {verb} " in shown for verb in VERBS)


WRONG_COMMAND_LINES = [  # and what the sentence must say
    ([], "kvista compress MODEL"),
    (["frobnicate"], '"frobnicate"'),
    (["calibrte", MODEL], "Did you mean calibrate?"),
    (["inspect"], "needs MODEL"),
    (["inspect", MODEL, "--wieghts"], "Did you mean --weights?"),
    (["inspect", MODEL, "twice"], '"twice"'),
    (["calibrate", MODEL, "-o", "x"], "needs --text"),
    (["calibrate", MODEL, "--txet", "a", "-o", "x"], "Did you mean --text?"),
    (["evaluate", MODEL, "--text", "a", "--windows", "many"], '--windows is "many", but must be a whole number of at least 1'),
    (["evaluate", MODEL, "--text", "a", "--window", "1"], "at least 2"),
    (["evaluate", MODEL, "--text", "a", "--windows"], "--windows needs a value"),
    (["plan", MODEL, "-o", "x", "--share", "0.5", "--times-smaller", "8"], "--times-smaller and --share"),
    (["plan", MODEL, "-o", "x", "--share", "0.5", "--share", "0.2"], "2 times"),
    (["plan", MODEL, "-o", "x", "--times-smaller", "-8"], "at least 1"),
    (["plan", MODEL, "-o", "x", "--share", "nan"], "above 0 and at most 1"),
    (["plan", MODEL, "-o", "x", "--max-loss", "much"], "much"),
    (["plan", MODEL, "-o", "x", "--method", "codde"], "Did you mean coded?"),
    (["plan", MODEL, "-o", "x", "--grouping", "frobs"], "neighbours"),
    (["plan", MODEL, "-o", "x", "--allocator", "frobs"], "waterline"),
    (["similarity", MODEL, "--stats", "x", "--side", "q"], "k, v"),
    (["list", "frobs"], "methods"),
    (["help", "polices"], "Did you mean policies?"),
    (["help", "snapvk"], "Did you mean snapkv?"),
    (["help", "methods", "99"], 'no section "99"'),
    (["generate", MODEL], "needs --prompt"),
    (["generate", MODEL, "--prompt", "a", "--temperature", "-1"], "at least 0"),
    (["losses", MODEL], "either --text or --words"),
    (["losses", MODEL, "--words", "a b", "--text", "a"], "either --text or --words"),
    (["errors", MODEL], "not a project"),
    (["retrieval", MODEL], "needs --text"),
    (["retrieval", MODEL, "--depths", "101"], "from 0 to 100"),
    (["retrieval", MODEL, "--text", str(TEXTS / "evaluation.txt"), "--lengths", "64", "64"], "The length 64 is asked for twice."),
    (["evaluate", MODEL, "--text", "a", "--policy", "snapkv interval=0"], 'The interval of a policy is "0".'),
    (
        ["evaluate", MODEL, "--text", str(TEXTS / "evaluation.txt"), "--window", "64", "--windows", "1", "--policy", "fast-kvzip share=.5 gate=train"],
        "there is none of the name train",
    ),
    (["retrieval", MODEL, "--kind", "haystack"], "needle, multi-key, variable-tracking"),
    (["agreement", MODEL, "--text", str(TEXTS / "evaluation.txt")], "--original"),
    (["evaluate", MODEL, "--text", "a=b", "c"], "Of 2 texts 1 has a name"),
    (["spectra", MODEL], "names no statistics"),
    (["spectra", MODEL, "--stats", "x", "--layers", "many"], '"many"'),
    (["detokenize", MODEL, "frobs"], '"frobs"'),
]


@pytest.mark.parametrize(
    ("arguments", "words"),
    WRONG_COMMAND_LINES,
    ids=[" ".join(word for word in arguments if word != MODEL) or "nothing" for arguments, _ in WRONG_COMMAND_LINES],
)
def test_wrong_command_line(arguments, words, tmp_path, monkeypatch):
    """One sentence that says what is wrong and what to type, for programs too."""
    monkeypatch.chdir(tmp_path)
    done = run(*arguments[:1], "--json", *arguments[1:], code=USAGE)
    assert words in complaint(done)
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "invalidArgument"
    assert complaint(done) == f"{error['message']} {error['hint']}"
    assert left_in(tmp_path) == []


def test_wrong_command_line_without_json_leaves_standard_output_empty():
    assert run("frobnicate", code=USAGE).stdout == ""


def test_wrong_output_is_refused_before_the_work(text, statistics, coded_project, tmp_path):
    missing = tmp_path / "missing/out"
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/letter").write_text("dear")
    (tmp_path / "text.txt").write_text(text.read_text())
    ids = tmp_path / "ids.safetensors"
    save_file({"input_ids": torch.zeros(1, 4, dtype=torch.int64)}, ids)
    before = left_in(tmp_path)
    long_ones = [
        ["calibrate", MODEL, "--text", text],
        ["plan", MODEL, "--stats", statistics],
        ["merge", statistics, statistics],
        ["forward", MODEL, "--input", ids],
        ["export", coded_project[0]],
        ["compress", MODEL, "--text", text],
    ]
    for arguments in long_ones:
        writes_a_folder = arguments[0] in ("export", "compress")
        for target in (missing, tmp_path / "file/out", tmp_path / ("full" if writes_a_folder else "")):
            done = run(*arguments, "-o", target, code=BAD_INPUT)
            assert str(target) in complaint(done) and len(done.stderr.splitlines()) == 1, done.stderr
    for arguments, target in (
        (["calibrate", MODEL, "--text", tmp_path / "text.txt"], tmp_path / "text.txt"),
        (["forward", MODEL, "--input", ids], ids),
        (["plan", MODEL, "--stats", statistics], statistics),
        (["compress", MODEL, "--text", text, "--method", "coded-head", "--form", "dense"], tmp_path / "new"),
        (["compress", MODEL, "--text", text, "--method", "plain"], tmp_path / "new"),
        (["compress", MODEL, "--text", text, "--evaluate-on", tmp_path / "missing"], tmp_path / "new"),
    ):
        done = run(*arguments, "-o", target, code=(USAGE, BAD_INPUT))
        assert len(done.stderr.splitlines()) == 1, done.stderr
    assert left_in(tmp_path) == before


def test_wrong_inputs_are_named(statistics, tmp_path):
    missing = tmp_path / "missing"
    for arguments in (
        ["inspect", missing],
        ["tokenize", MODEL, "--text-file", missing],
        ["calibrate", MODEL, "--text", missing, "-o", tmp_path / "s"],
        ["plan", MODEL, "--stats", missing, "-o", tmp_path / "p"],
        ["plan", missing, "--stats", statistics, "-o", tmp_path / "p"],
        ["evaluate", missing, *EVALUATION],
        ["export", missing, "-o", tmp_path / "e"],
        ["verify", missing],
        ["generate", missing, "--prompt", "a"],
        ["losses", MODEL, "--text", missing],
        ["spectra", MODEL, "--stats", missing],
        ["forward", MODEL, "--input", missing, "-o", tmp_path / "f"],
        ["merge", missing, statistics, "-o", tmp_path / "m"],
    ):
        done = run(*arguments, "--json", code=BAD_INPUT)
        assert "missing" in complaint(done)
        assert json.loads(done.stdout)["error"]["message"] in done.stderr
    assert left_in(tmp_path) == []


def test_examples_work(tmp_path, monkeypatch):
    """In the order of a person's work, as they stand in the help but on less text, from a place where half of the demo's layers lie as
    the demo does in the sources. The example of `compress` is that of the other verbs in one; another test runs it on less text."""
    less = {"calibrate": ["--no-response"], "agreement": ["--prompts", 2, "--write", 16], "refine": ["--windows", 16]}
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resources/demo").mkdir(parents=True)
    first_layers(4, tmp_path / "resources/demo/model")
    for name in ("text", "questions.jsonl"):
        (tmp_path / "resources/demo" / name).symlink_to(SOURCE / "resources/demo" / name)
    save_file({"input_ids": torch.tensor([[52, 318, 271, 9]])}, "ids.safetensors")
    for verb in VERBS_IN_ORDER:
        if verb == "merge":
            for shard, skipped in (("a", 0), ("b", 2)):
                calibrate("resources/demo/text/calibration.txt", f"{shard}.kvstats", "--windows", 2, "--skip-windows", skipped)
        example = shlex.split(run(verb, "--help").stdout.split("Example:")[1])
        assert example[:2] == ["kvista", verb]
        example = ["2" if before in ("--windows", "--steps") else word for before, word in zip(["", *example], example)]
        run(*example[1:], *less.get(verb, []))


def test_help_prints_pages_sections_and_what_they_say_of_a_name():
    pages = {page["name"] for page in answer("help")["pages"]}
    assert pages == {page.stem for page in (SOURCE / "resources/help").glob("*.md")}
    policies = run("help", "policies").stdout
    assert policies.startswith("# Policies\n") and policies == (SOURCE / "resources/help/policies.md").read_text().split("-->\n")[-1]
    assert run("help", "methods", "10").stdout.startswith("## 10. ")
    assert "**snapkv**" in run("help", "snapkv").stdout and "**kivi**" not in run("help", "snapkv").stdout
    core = run("help", "kv-core").stdout
    assert core.startswith("Published systems, KV-CoRE") and "effective rank" in core and "CommonKV" not in core
    palu = run("help", "palu-g").stdout
    assert "Published systems, Palu" in palu and "Chang et al." in palu and "KQ-SVD" not in palu


def test_help_says_something_of_whatever_list_names():
    lists = answer("list")
    names = {entry["name"] for what in ("methods", "measures", "policies", "allocators", "metrics", "forms") for entry in lists[what]}
    silent = [name for name in sorted(names) if run("help", name, code=(DONE, USAGE)).returncode != DONE]
    assert silent == []


def test_inspect():
    found = answer("inspect", MODEL)
    expected = dict(family="llama", layers=8, queryHeads=8, kvHeads=8, headDim=32, hiddenSize=256, vocabulary=4096)
    assert expected.items() <= found.items()
    assert found["kvBytesPerToken"] == 8 * 2 * 8 * 32 * 2
    assert found["problems"] == []
    tensors = load_file(MODEL / "model.safetensors")
    assert found["parameters"] == sum(tensor.numel() for tensor in tensors.values())
    shown = run("inspect", MODEL)
    assert "8.19 kB" in shown.stdout and not shown.stderr


def test_inspect_of_a_project_and_an_export_is_that_of_their_model_and_their_plan(coded_project, exported):
    of_model = answer("inspect", MODEL)
    shape = {name: of_model[name] for name in ("family", "layers", "kvHeads", "headDim", "kvBytesPerToken")}
    for path, kind in ((coded_project[0], "project"), (exported[0], "export")):
        found = answer("inspect", path)
        assert shape.items() <= found.items() and found[kind] == str(path)
        assert found["plan"]["bytesPerToken"] == coded_project[1]["bytesPerToken"] and found["plan"]["method"] == "coded"


def test_a_methods_trellis_is_its_own_unless_it_is_asked_for(statistics, tmp_path):
    codes = "codes of up to 4 bits go through a trellis"
    for options, expected in (([], True), (["--no-trellis"], False)):
        shown = run("plan", MODEL, "--stats", statistics, "--method", "coded-chain", *options, "-o", tmp_path / "chain.kvista").stdout
        assert "chains of 8 layers" in shown and (codes in shown) is expected


def test_a_plain_plan_says_why_it_takes_less(statistics, tmp_path):
    shown = run("plan", MODEL, "--stats", statistics, "--method", "plain", "--share", 0.5, "-o", tmp_path / "plain.kvista").stdout
    assert "All numbers have the same bits, 4; with 8 the cache would take" in shown
    assert "no perplexity is predicted" in shown


def test_tokenize_round_trip(tmp_path):
    words = "“It is a truth,” said she — naïvely — that 1,234 hats cost £5.\n\n\tNot so?"
    (tmp_path / "text").write_text(words)
    ids = answer("tokenize", MODEL, "--text-file", tmp_path / "text", "--no-special")["ids"]
    assert answer("tokenize", MODEL, "--no-special", stdin=words)["ids"] == ids
    assert answer("detokenize", MODEL, *ids)["text"] == words
    assert answer("detokenize", MODEL, stdin=" ".join(map(str, ids)))["text"] == words


def test_unknown_ids_are_named():
    for arguments, stdin in ((["1", "4096"], ""), ([], "1 4096")):
        said = complaint(run("detokenize", MODEL, *arguments, stdin=stdin, code=USAGE))
        assert "no token 4096" in said and "4096 ids" in said
    assert '"frobs"' in complaint(run("detokenize", MODEL, stdin="1 frobs 2", code=USAGE))


def test_text_sources_agree(text, tmp_path):
    """The same text as a file, a folder, JSON lines and standard input."""
    words = text.read_text()
    (tmp_path / "folder").mkdir()
    shutil.copy(text, tmp_path / "folder/a.txt")
    (tmp_path / "lines.jsonl").write_text(json.dumps({"text": words}) + "\n")
    options = ["evaluate", MODEL, "--window", WINDOW, "--windows", 2, "--text"]
    expected = answer(*options, text)["meanNll"]
    assert answer(*options, tmp_path / "folder")["meanNll"] == expected
    assert answer(*options, tmp_path / "lines.jsonl")["meanNll"] == expected
    assert answer(*options, "-", stdin=words)["meanNll"] == expected


def test_a_short_text_is_refused_with_its_length(tmp_path):
    (tmp_path / "short").write_text("Too short.")
    done = run("evaluate", MODEL, "--text", tmp_path / "short", code=(USAGE, BAD_INPUT))
    assert "tokens" in complaint(done)


def test_doctor():
    report = answer("doctor")
    assert report["ready"]
    checks = {check["name"]: check for check in report["checks"]}
    assert checks["kvista"]["present"] and checks["kvista-compute"]["present"] and checks["libtorch"]["present"]
    assert {"CPU", "memory", "CUDA GPU", "Python", "kvista-studio"} <= set(checks)
    assert all(check["remedy"] for check in checks.values() if not check["present"])


def test_doctor_says_that_a_part_is_missing(tmp_path):
    """Where `kvista-compute` is not there or cannot start, doctor still answers; other verbs say what to do."""
    shutil.copy(PROGRAM, tmp_path / "kvista")
    for content in (None, "#!/bin/sh\necho libtorch.so: cannot open shared object file >&2\nexit 127\n"):
        if content:
            (tmp_path / "kvista-compute").write_text(content)
            (tmp_path / "kvista-compute").chmod(0o755)
        done = subprocess.run([tmp_path / "kvista", "doctor"], capture_output=True, text=True, check=True)
        line = next(line for line in done.stdout.splitlines() if "kvista-compute" in line)
        assert "missing" in line and (not content or "libtorch.so: cannot open" in line)
        assert done.stdout.splitlines()[-1] == "KVista needs what is missing."
    (tmp_path / "kvista-compute").unlink()
    done = subprocess.run([tmp_path / "kvista", "list", "--json"], capture_output=True, text=True)
    assert done.returncode == 4 and "kvista doctor" in done.stderr
    assert json.loads(done.stdout)["error"]["message"] in done.stderr
