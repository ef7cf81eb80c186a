# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""The figures that must hold: what is run, which field of its answer counts, and what is asked of it.

A step is one kvista command. In its arguments `{name of a step}` is that step's output file or folder; `{models}`,
`{data}`, `{demo}` and `{smollm2}` are given by measure.py. A step runs once, however many figures look at it.
`run.seconds` and `run.peakMegabytes` are fields of every step: what the command took. `a.b` is field b of an answer's object a.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    arguments: tuple[str, ...]
    output: str = ""  # Name of what the command writes to -o; empty: it only answers.
    gpu: bool = False  # Hours on a CPU: measured with --device cuda only.


@dataclass(frozen=True)
class Figure:
    """With `base`, the field is a rise of the mean loss and the figure the perplexity it makes of that step's."""
    name: str
    step: str
    field: str
    asked: float | tuple[str, str]  # A number, or (step, field) of another answer.
    tolerance: float | None = None  # None: at most `asked`. Otherwise near it, by this part of it.
    base: str = ""


CORRECTED = (("predictedLoss", "corrected"),)
BOTH = (("predictedLossRaw", "uncorrected"), *CORRECTED)
STEPS: dict[str, Step] = {}
FIGURES: list[Figure] = []


def step(name, *arguments, output="", gpu=False):
    STEPS[name] = Step(tuple(map(str, arguments)), output, gpu)


def figure(*values):
    FIGURES.append(Figure(*values))


def model(label, path, calibration, evaluation, base, plans, predicted):
    """The model itself, then plans, each {method and further options: (target option, {target: perplexity}, tolerance)}, a
    perplexity being a number or the method whose plan for that target must not be better; for the methods and targets of `predicted`, {method: (targets, fields)}, prediction against measurement as well."""
    step(f"{label} base", "evaluate", path, *evaluation)
    figure(f"{label}, base", f"{label} base", "perplexity", *base)
    step(f"{label} statistics", "calibrate", path, *calibration, output="statistics")
    for method, (option, targets, tolerance) in plans.items():
        for target, asked in targets.items():
            name = f"{label}, {method} {option[2:]} {target}"
            plan, measured = f"{name} plan", f"{name} evaluation"
            step(plan, "plan", path, "--stats", f"{{{label} statistics}}", "--method", *method.split(), option, target,
                 output="plan.kvista")
            step(measured, "evaluate", f"{{{plan}}}", *evaluation)
            if isinstance(asked, str):
                asked = (f"{label}, {asked} {option[2:]} {target} evaluation", "perplexity")
            figure(name, measured, "perplexity", asked, tolerance)
            targets_predicted, fields = predicted.get(method, ((), ()))
            if target in targets_predicted:
                for field, label_of_field in fields:
                    figure(f"{name}, predicted ({label_of_field})", plan, field, (measured, "perplexity"), 0.03, f"{label} base")


model("austen-mha-30m", "{models}/austen-mha-30m",
      calibration=("--text", "{data}/calibration_books.txt", "--window", 1024, "--windows", 192),
      evaluation=("--text", "{data}/heldout_books.txt", "--window", 1024, "--windows", 128),
      base=(37.565685, 1e-4),
      plans={"joint": ("--keep", {0.5: 37.60, 0.4: 37.64, 0.3: 37.72, 0.2: 38.02, 0.15: 38.70}, None),
             "coded-joint": ("--times-smaller", {4: 37.62, 8: 37.65, 16: 37.92}, None),
             "coded-joint --compensate": ("--times-smaller", {8: "coded-joint", 16: "coded-joint"}, None),
             "joint --compensate": ("--keep", {0.3: "joint", 0.2: "joint", 0.15: "joint"}, None),
             "coded-head": ("--times-smaller", {4: 38.10}, None),
             "recalkv": ("--keep", {0.3: 39.1, 0.2: 41.8}, 0.05)},
      predicted={"joint": ((0.5, 0.4, 0.3), CORRECTED), "coded-joint": ((4, 8, 16), BOTH)})

model("SmolLM2-135M", "{smollm2}",
      calibration=("--text", "{data}/wikitext2_valid.txt", "--window", 2048, "--windows", 128),
      evaluation=("--text", "{data}/wikitext2_test.txt", "--window", 2048, "--windows", 96),
      base=(18.31759, 5e-4),
      plans={"joint": ("--keep", {0.7: 18.45, 0.5: 19.2, 0.4: 20.7, 0.3: 24.4}, None),
             "joint --compensate": ("--keep", {0.7: 18.45, 0.5: 19.0, 0.4: 20.1, 0.3: 23.4}, None),
             "coded-joint": ("--times-smaller", {4: 18.50, 8: 19.20, 16: 24.2}, None),
             "coded-joint --compensate": ("--times-smaller", {4: "coded-joint", 8: "coded-joint", 16: "coded-joint"}, None),
             "coded-head": ("--times-smaller", {4: 19.05}, None),
             "plain": ("--share", {0.29: 18.6}, None)},
      predicted={"joint": ((0.7, 0.5, 0.4, 0.3), CORRECTED), "coded-joint": ((4, 8, 16), BOTH)})

step("SmolLM2-135M, joint keep 0.2 plan", "plan", "{smollm2}", "--stats", "{SmolLM2-135M statistics}", "--method", "joint", "--keep", 0.2,
     output="plan.kvista")
BOOKS, BOTH_TEXTS = ("{data}/calibration_books.txt",), ("{data}/calibration_books.txt", "{data}/wikitext2_valid.txt")
for plan, texts, asked, seconds in (("joint keep 0.4", BOTH_TEXTS, 18.6, 45), ("joint keep 0.3", BOTH_TEXTS, 19.2, 45),
                                    ("joint keep 0.2", BOTH_TEXTS, 20.9, 45), ("coded-joint times-smaller 8", BOTH_TEXTS, 18.45, None),
                                    ("coded-joint times-smaller 16", BOTH_TEXTS, 19.5, None), ("coded-joint times-smaller 16", BOOKS, 22.3, None)):
    name = f"SmolLM2-135M, {plan} refined on {'books' if texts is BOOKS else 'books and wikitext2_valid'}"
    step(name, "refine", f"{{SmolLM2-135M, {plan} plan}}", "--text", *texts, "--window", 2048, "--seed", 0, "--evaluate-on", "{data}/wikitext2_test.txt",
         "--evaluate-windows", 96, "--dtype", "bfloat16", "--keep-activations", 60000, output="plan.kvista", gpu=True)
    figure(name, name, "perplexityOnOtherText.after", asked)
    if seconds:
        figure(f"{name}, seconds", name, "seconds", seconds)

step("demo main job", "compress", "{demo}/model", "--text", "{demo}/text/calibration.txt",
     "--evaluate-on", "{demo}/text/evaluation.txt", "--times-smaller", 8,
     output="compressed")
figure("demo, seconds of the main job", "demo main job", "run.seconds", 60)
