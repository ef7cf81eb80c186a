# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Several processes that share their work, started as torchrun, Slurm and MPI start them."""

import json
import os
import signal
import socket
import subprocess
import sys

import pytest
from safetensors.torch import load_file

from demo import first_layers
from program import DONE, ENVIRONMENT, MODEL, PROGRAM, TEXTS, USAGE, answer, complaint, run

WINDOW = ["--window", "64"]  # and 2048 tokens, or 32 windows, a batch
EVALUATION = ["--text", TEXTS / "evaluation.txt", *WINDOW, "--windows", "100"]  # 4 batches, the last one smaller
ENVIRONMENT_FAULT = 4


TWINS = []  # Sockets of UDP that keep ports for this process, as tests/unit/distributed/members.h has it.


def free_port():
    """Below those that the system gives to connections, so that none takes it before it is served."""
    for tried in range(20000):
        number = 10000 + (os.getpid() * 16 + len(TWINS) + tried) % 20000
        twin = socket.socket(type=socket.SOCK_DGRAM)
        try:
            twin.bind(("", number))
            with socket.socket() as one:
                one.bind(("", number))
        except OSError:
            twin.close()
            continue
        TWINS.append(twin)
        return number
    pytest.fail("no port is free")


def torchrun(rank, size, port):
    return {"RANK": rank, "WORLD_SIZE": size, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": size, "OMP_NUM_THREADS": 1, "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port}


def slurm(rank, size, port):
    return {"SLURM_PROCID": rank, "SLURM_NTASKS": size, "SLURM_LOCALID": rank, "SLURM_LAUNCH_NODE_IPADDR": "127.0.0.1",
            "SLURM_STEP_ID": 0, "MASTER_PORT": port}


def open_mpi(rank, size, port):
    return {"OMPI_COMM_WORLD_RANK": rank, "OMPI_COMM_WORLD_SIZE": size, "OMPI_COMM_WORLD_LOCAL_RANK": rank,
            "OMPI_COMM_WORLD_LOCAL_SIZE": size, "MASTER_PORT": port}


class Together:
    """As many processes with one command line."""

    def __init__(self, size, *arguments, starter=torchrun):
        port = free_port()
        self.members = [
            subprocess.Popen(
                [PROGRAM, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                env={**ENVIRONMENT, **{name: str(value) for name, value in starter(rank, size, port).items()}},
            )
            for rank in range(size)
        ]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for member in self.members:
            member.kill()
            member.communicate()

    def finish(self, codes=None):
        """Standard output and error of each, once all have ended with these codes."""
        texts = [member.communicate(timeout=300) for member in self.members]
        found = [member.returncode for member in self.members]
        assert found == (codes or [DONE] * len(found)), (found, texts)
        return texts


def read_until(stream, words):
    """Byte by byte: what comes behind them is left to be read."""
    said = b""
    while not said.endswith(words):
        part = os.read(stream.fileno(), 1)
        assert part, said
        said += part


def together(size, *arguments, starter=torchrun):
    """What rank 0 prints with --json, seen that the others print nothing at all."""
    with Together(size, *arguments, "--json", starter=starter) as processes:
        texts = processes.finish()
    assert all(text == ("", "") for text in texts[1:]), texts
    return json.loads(texts[0][0])


def statistics_of(file):
    """Tensors and description of a statistics file."""
    tensors = load_file(file)
    return tensors, json.loads(bytes(tensors.pop("kvista.statistics").tolist()))


def assert_same_statistics(one, other):
    (tensors, description), (others, other_description) = statistics_of(one), statistics_of(other)
    assert tensors.keys() == others.keys()
    for name, tensor in tensors.items():
        a, b = tensor.double(), others[name].double()
        assert a.shape == b.shape, name
        # Sums are kept in float64, symmetric matrices as integers of 24 bits: those of equal sums are equal.
        assert (a - b).norm() <= 1e-10 * a.norm(), name
    for name in ("lossSum", "heldOutLoss"):
        assert other_description[name] == pytest.approx(description[name], rel=1e-10, abs=0), name
    for scores, other_scores in zip(description["fisherScores"], other_description["fisherScores"], strict=True):
        assert other_scores == pytest.approx(scores, rel=1e-10, abs=0)
    for curve, other_curve in zip(description["response"], other_description["response"], strict=True):
        assert curve["storage"] == other_curve["storage"]
        for point, other_point in zip(curve["points"], other_curve["points"], strict=True):
            assert other_point == pytest.approx(point, rel=1e-6)
    for name in ("tokensHash", "tokens", "windows", "recipe", "modelHash"):
        assert description[name] == other_description[name], name


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A model of more layers than processes, a short text, and statistics and plan of one process."""
    folder = tmp_path_factory.mktemp("alone")
    model = first_layers(4, folder / "model")
    (folder / "text.txt").write_text((TEXTS / "calibration.txt").read_text()[:18_000])
    run("calibrate", model, *calibration(folder), "-o", folder / "one.kvstats")
    answer("plan", model, "--stats", folder / "one.kvstats", "--times-smaller", 8, "-o", folder / "one.kvista")
    return folder


def calibration(alone):
    return ["--text", alone / "text.txt", *WINDOW]


@pytest.mark.parametrize("size, starter", [(2, torchrun), (3, slurm)])
def test_statistics_are_those_of_one_process(alone, tmp_path, size, starter):
    target = tmp_path / "many.kvstats"
    output = together(size, "calibrate", alone / "model", *calibration(alone), "-o", target, starter=starter)
    assert output["windows"] > 64  # at least three batches
    assert output["device"] == f"{size} processes, the first on cpu"
    assert_same_statistics(alone / "one.kvstats", target)
    assert [path.name for path in tmp_path.iterdir()] == ["many.kvstats"]


def test_plans_are_those_of_one_process(alone, tmp_path):
    together(3, "plan", alone / "model", "--stats", alone / "one.kvstats", "--times-smaller", 8, "-o", tmp_path / "many.kvista")
    plans = [json.loads((folder / name).read_text()) for folder, name in ((alone, "one.kvista"), (tmp_path, "many.kvista"))]
    assert plans[0]["plan"] == plans[1]["plan"]
    assert plans[0]["predictedLoss"] == plans[1]["predictedLoss"]


def test_perplexity_is_that_of_one_process(alone):
    one = answer("evaluate", alone / "one.kvista", *EVALUATION)
    many = together(3, "evaluate", alone / "one.kvista", *EVALUATION, starter=slurm)
    for name in ("perplexity", "predictions", "perWindowMeanNll", "bytesPerToken"):
        assert one[name] == many[name], name


def test_more_processes_than_batches_do_no_harm(alone):
    few = ["--text", TEXTS / "evaluation.txt", *WINDOW, "--windows", "3"]  # one batch
    assert together(2, "evaluate", alone / "model", *few)["perplexity"] == answer("evaluate", alone / "model", *few)["perplexity"]


def test_comparing_and_compressing_share_the_work_too(alone, tmp_path):
    few = ["--text", TEXTS / "evaluation.txt", *WINDOW, "--windows", "40"]
    compared = together(2, "compare", alone / "model", alone / "one.kvista", *few)
    assert compared["b"]["perplexity"] == answer("evaluate", alone / "one.kvista", *few)["perplexity"]
    small = together(2, "compress", alone / "model", *calibration(alone), "--windows", "40", "--evaluate-on", TEXTS / "evaluation.txt",
                     "--evaluate-windows", "40", "--times-smaller", "4", "-o", tmp_path / "small")
    assert small["verified"] and small["timesSmaller"] >= 4
    assert small["perplexityBefore"] == compared["a"]["perplexity"]
    assert (tmp_path / "small" / "config.json").exists()


def test_refining_averages_gradients(alone, tmp_path):
    # Without codes, whose thresholds make much of the last bit.
    answer("plan", alone / "model", "--stats", alone / "one.kvstats", "--method", "joint", "--share", 0.2, "-o", tmp_path / "small.kvista")
    options = [*calibration(alone), "--windows", "64", "--steps", "3", "--windows-per-step", "3", "--rate", "2e-5", "--evaluate-windows", "8"]
    one = answer("refine", tmp_path / "small.kvista", *options, "-o", tmp_path / "one.kvista")
    many = together(2, "refine", tmp_path / "small.kvista", *options, "-o", tmp_path / "many.kvista", starter=open_mpi)
    assert many["steps"] == one["steps"] == 3
    assert many["bestStep"] == one["bestStep"] > 0
    for point, other in zip(one["curve"], many["curve"], strict=True):
        assert other["training"] == pytest.approx(point["training"], rel=1e-3)
    assert many["divergenceAfter"] == pytest.approx(one["divergenceAfter"], rel=1e-3)
    assert many["divergenceAfter"] < many["divergenceBefore"]
    # What was written is what was measured.
    other = [*calibration(alone), "--skip-windows", "56", "--windows", "8"]
    assert answer("evaluate", tmp_path / "many.kvista", *other)["perplexity"] == pytest.approx(
        many["perplexityOnOtherText"]["after"], rel=1e-6
    )


def test_an_experiment_is_divided_and_taken_up_by_as_many_as_come(alone, tmp_path):
    systems = [{"name": name, "plan": {"method": name}} for name in ("joint", "coded-joint", "kqsvd")]
    policies = [{"name": name, "policy": {"name": name}} for name in ("fp8", "hadamard")]
    file = tmp_path / "file.json"
    command = ["experiment", file, alone / "model", "--stats", alone / "one.kvstats", "--evaluate-on", TEXTS / "evaluation.txt", "--evaluate-windows", "4"]

    def write(*sweeps):
        file.write_text(json.dumps({"kvista": "experiment", "version": 1, "name": "Shared", "sweeps": [
            {"name": name, "unit": "share", "values": [0.5, 0.25], "systems": list_of} for name, list_of in sweeps]}))

    def losses(rows):
        return {(row["sweep"], row["system"], row["target"]["value"]): row["figures"]["loss"] for row in rows if "figures" in row}

    write(("Plans", systems))
    many = together(3, *command, "-o", tmp_path / "many")["rows"]
    # A process that was stopped leaves what it had beside the results of the first.
    kept = json.loads((tmp_path / "many" / "results.json").read_text())
    (tmp_path / "many" / "results-5.json").write_text(json.dumps({"experiment": "Shared", "rows": kept["rows"][3:]}))
    (tmp_path / "many" / "results.json").write_text(json.dumps({"experiment": "Shared", "rows": kept["rows"][:3]}))
    (tmp_path / "many" / "results-before.json").write_text("somebody's own")
    write(("Plans", systems), ("Policies", policies))
    more = together(2, *command, "-o", tmp_path / "many", starter=slurm)["rows"]
    one = answer(*command, "-o", tmp_path / "one")["rows"]
    assert [(row["sweep"], row["system"], row["target"]) for row in more] == [(row["sweep"], row["system"], row["target"]) for row in one]
    for name, loss in losses(one).items():
        assert losses(more)[name] == pytest.approx(loss, rel=1e-5), name
    figures = {row["of"]: row.get("figures") for row in many}
    again = [row for row in more if row.get("figures") and figures.get(row["of"])]
    assert len(again) == 7 and all(row["figures"] == figures[row["of"]] for row in again)  # Not measured twice: the seconds are those of before.
    assert (tmp_path / "many" / "results-before.json").read_text() == "somebody's own"
    (tmp_path / "many" / "results-before.json").unlink()
    assert sorted(path.name for path in (tmp_path / "many").iterdir()) == sorted(path.name for path in (tmp_path / "one").iterdir())


def test_torchrun_itself_starts_them(alone):
    starter = [sys.executable, "-m", "torch.distributed.run", "--no-python", "--nproc-per-node", "2", "--master-port", str(free_port())]
    done = subprocess.run(
        [*starter, PROGRAM, "evaluate", alone / "model", *map(str, EVALUATION), "--json"], capture_output=True, text=True, timeout=300,
        env=ENVIRONMENT, stdin=subprocess.DEVNULL,
    )
    assert done.returncode == DONE, done.stderr
    assert json.loads(done.stdout)["perplexity"] == answer("evaluate", alone / "model", *EVALUATION)["perplexity"]


def test_one_that_is_killed_is_named_and_the_rest_is_taken_up_again(alone, tmp_path):
    target = tmp_path / "many.kvstats"
    command = ["calibrate", alone / "model", *calibration(alone), "-o", target]
    with Together(3, *command, "-v") as processes:
        victim = processes.members[1]
        for rank in (1, 0, 2):  # all have begun
            read_until(processes.members[rank].stderr, b"calibrate (rank %d of 3): " % rank)
        victim.send_signal(signal.SIGKILL)
        texts = processes.finish([ENVIRONMENT_FAULT, -signal.SIGKILL, ENVIRONMENT_FAULT])
    for rank in (0, 2):
        assert texts[rank][0] == ""
        sentences = [line for line in texts[rank][1].splitlines() if line.startswith("kvista: ")]
        assert sentences == [
            f"kvista: [rank {rank}] Rank 1 of 3 processes is gone: it was killed, or its host cannot be reached. What the others have summed "
            "is kept; start the same command again with 3 processes, and it goes on from there."
        ]
    assert not target.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["many.kvstats.partial.0of3", "many.kvstats.partial.2of3"]
    with Together(3, *command, "-v") as processes:
        again = processes.finish()
    for rank in (0, 2):  # nothing was left to sum
        assert not any(line.startswith(f"calibrate (rank {rank} of 3): 0 of") for line in again[rank][1].splitlines()), again[rank][1]
    assert any(line.startswith("calibrate (rank 1 of 3): 0 of") for line in again[1][1].splitlines())
    assert_same_statistics(alone / "one.kvstats", target)
    assert [path.name for path in tmp_path.iterdir()] == ["many.kvstats"]


def test_one_that_fails_is_named_by_the_others(tmp_path):
    port = free_port()

    def each(rank, size, _):
        return torchrun(rank, size, port)

    command = ["calibrate", MODEL, *WINDOW, "--windows", "32", "-o", tmp_path / "a.kvstats", "--text"]
    missing = tmp_path / "empty.txt"
    missing.write_text("")
    with Together(2, *command, missing, starter=each) as processes:  # rank 0 reads the text for all
        texts = processes.finish([USAGE, ENVIRONMENT_FAULT])
    assert "too few" in texts[0][1]
    assert "[rank 1] Rank 0 of 2 processes has ended before the work was done. See what it said" in texts[1][1]


def test_different_commands_are_refused(alone, tmp_path):
    port = free_port()
    command = [PROGRAM, "calibrate", str(alone / "model"), *map(str, calibration(alone)), "-o", str(tmp_path / "a.kvstats")]
    members = [
        subprocess.Popen([*command, *extra], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                         env={**ENVIRONMENT, **{name: str(value) for name, value in torchrun(rank, 2, port).items()}})
        for rank, extra in enumerate(([], ["--no-gradients", "--no-response"]))
    ]
    texts = [member.communicate(timeout=300) for member in members]
    assert [member.returncode for member in members] == [USAGE, USAGE], texts
    assert "must be the same for all processes" in texts[0][1]


@pytest.mark.parametrize("variables, said", [
    ({"RANK": "0"}, "The environment variable WORLD_SIZE is missing, where RANK is set."),
    ({"RANK": "2", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}, 'The environment variable RANK is "2", which is no number from 0 to 1.'),
    ({"RANK": "0", "WORLD_SIZE": "2"}, "the environment variable MASTER_ADDR, which says where they meet, is missing."),
])
def test_variables_that_are_missing_or_wrong_are_named(variables, said):
    done = subprocess.run([PROGRAM, "evaluate", MODEL, *map(str, EVALUATION)], capture_output=True, text=True, timeout=60,
                          env={**ENVIRONMENT, **variables})
    assert done.returncode == USAGE
    assert said in complaint(done)


def test_verbs_of_one_process_refuse_to_be_many():
    done = subprocess.run([PROGRAM, "losses", MODEL, "--words", "It is a truth"], capture_output=True, text=True, timeout=60,
                          env={**ENVIRONMENT, **{name: str(value) for name, value in torchrun(0, 2, free_port()).items()}})
    assert done.returncode == USAGE
    assert "The verb losses works in one process, but torchrun started 2." in complaint(done)
