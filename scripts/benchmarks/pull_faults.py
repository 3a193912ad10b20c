"""Pulls a model from a Hub on which one request goes wrong, in every way: whole in the end, or one clear sentence?

    python scripts/benchmarks/pull_faults.py --hub_server PATH/TO/minihub.py

For each fault and each request of a pull, once and then for ever, with an empty cache. A pull that ends well must hold
the very bytes; one that does not must end with exit code 2 and one sentence, leave no damaged file, and go on when the
Hub is well again; the token must appear nowhere. Prints a row per fault and request; exits with 1 where any of it is
not so.
"""

import argparse
import os
import re
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.hubs import environment, load_minihub, put, python

TOKEN = "hf_alice"
FILES = {"config.json": b'{"model_type": "resnet"}' * 20, "model.safetensors": os.urandom(3_000_000)}
REQUESTS = {
    "look-up": "/api/models/",
    "small file": "/resolve/.*config.json",
    "large file": "/resolve/.*safetensors",
    "its bytes": "/_cdn/",
}
FAULTS: dict[str, dict[str, Any]] = {
    **{str(status): {"status": status} for status in (401, 403, 404, 409, 412, 413, 429, 500, 503)},
    "gated": {"status": 403, "error_code": "GatedRepo"},
    "429, Retry-After 1": {"status": 429, "headers": {"Retry-After": "1"}},
    "cut at once": {"drop": 0},
    "cut after 100 bytes": {"truncate": 100},
    "cut after 2 MB": {"truncate": 2_000_000},
    "reply lost": {"lose": True},
    "bit flipped": {"corrupt": True},
    "30 s delay": {"delay": 30},
}
PULL = """
import sys
from hfcls.parsing import run_command
from hfcls.pull import pull
sys.exit(run_command(lambda: print(pull("alice/model"))))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hub_server", required=True, type=Path, help="the loopback Hub, a Python file")
    parser.add_argument("--at_a_time", type=int, default=2)
    parser.add_argument("--faults", nargs="*", default=list(FAULTS))
    arguments = parser.parse_args()
    minihub = load_minihub(arguments.hub_server)
    # An answer that is shorter than the cut, or has no bytes to flip, arrives whole: that is no fault.
    cases = [
        (fault, request)
        for fault in arguments.faults
        for request in REQUESTS
        if not (fault == "cut after 2 MB" and request != "its bytes")
        and not (fault in {"cut after 100 bytes", "bit flipped"} and request == "large file")
    ]
    begun = time.monotonic()
    wrong = 0
    print("| fault | request | once | for ever |\n| --- | --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(arguments.at_a_time) as pool:
        tasks = [pool.submit(try_case, minihub, Path(folder, str(number)), *case) for number, case in enumerate(cases)]
        for (fault, request), task in zip(cases, tasks, strict=True):
            once, ever = task.result()
            wrong += "WRONG" in once + ever
            print(f"| {fault} | {request} | {once} | {'the same' if ever == once else ever} |", flush=True)
    print(f"\n{2 * len(cases)} pulls, {wrong} rows wrong, {time.monotonic() - begun:.0f} s")
    return int(wrong > 0)


def try_case(minihub: Any, root: Path, fault: str, request: str) -> list[str]:
    outcomes = []
    for times in (1, -1):
        place = root / str(times)
        with minihub.running(place / "hub") as hub:
            put(hub, "alice/model", FILES)
            hub.fault(path=REQUESTS[request], times=times, **FAULTS[fault])
            short = {"HF_HUB_ETAG_TIMEOUT": "1", "HF_HUB_DOWNLOAD_TIMEOUT": "1"}
            env = environment(hub, place / "home", **short)
            outcomes.append(outcome(hub, env, place / "home"))
    return outcomes


def outcome(hub: Any, env: dict[str, str], home: Path) -> str:
    """In words; begins with WRONG where something is."""
    ended = python(PULL, env=env)
    said, wrong = ended.stdout + ended.stderr, []
    if TOKEN in said or any(TOKEN.encode() in file.read_bytes() for file in home.rglob("*") if file.is_file()):
        wrong.append("the token is there")
    there = {file.name: file.read_bytes() for file in home.rglob("snapshots/*/*")}
    if any(FILES[name] != content for name, content in there.items()):
        wrong.append("a damaged file")
    if ended.returncode == 0:
        if there != FILES:
            wrong.append("not whole")
        tries = said.count("note: ")
        result = f"whole, {tries} more {'try' if tries == 1 else 'tries'}" if tries else "whole"
    else:
        lines = [line for line in ended.stderr.splitlines() if not line.startswith("note: ")]
        if ended.returncode != 2 or len(lines) != 1 or not lines[0].startswith("hfcls: ") or ended.stdout:
            wrong.append(f"exit code {ended.returncode}, {lines[-1:]}")
        result = re.sub(r"( at )?http://[\d.:]+", "", lines[0].removeprefix("hfcls: ")) if lines else ""
        hub.clear()
        if python(PULL, env=env).returncode:
            wrong.append("does not go on")
    return f"WRONG: {'; '.join(wrong)}" if wrong else result.replace("|", "/")


if __name__ == "__main__":
    sys.exit(main())
