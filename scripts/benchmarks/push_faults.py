"""Lets each request of a push fail in each way, once and for ever: is the commit whole or not there, and told clearly?

    python scripts/benchmarks/push_faults.py --hub_server HUB.py

HUB.py is a loopback Hub with faults to inject: a Python file whose `running(folder)` yields one with `env()`,
`fault(**rule)`, `clear()` and `log()`. Prints a row per request: `whole` where the push ended well, in spite of the
fault; `told` where it ended in one sentence with exit code 2, and the repository is as it was or has the whole commit.
Anything else is named in capitals, and the script exits with 1.
"""

import argparse
import contextlib
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

FAULTS = {
    **{str(status): {"status": status} for status in (401, 403, 404, 409, 412, 413, 500, 503)},
    "429": {"status": 429, "headers": {"Retry-After": "1"}},
    "cut": {"drop": 0},
    "cut after 100": {"drop": 100},
    "lost reply": {"lose": True},
    "reply cut": {"truncate": 20},
    "reply damaged": {"corrupt": True},
    "30 s late": {"delay": 30},
}
FILES = {
    "README.md": b"---\nlicense: mit\n---\n# A model\n",
    "config.json": b"{}",
    "figures/one.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "model.safetensors": b"\x02\0\0\0\0\0\0\0{}" + bytes(range(256)) * 40,
    "predictions/test.parquet": b"PAR1" + bytes(500) + b"PAR1",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hub_server", required=True, help="Python file of a loopback Hub")
    parser.add_argument("--requests", default="", help="only requests that this regular expression finds")
    parser.add_argument("--faults", nargs="*", default=list(FAULTS), choices=list(FAULTS))
    parser.add_argument("--times", nargs="*", default=["once", "always"], choices=("once", "always"))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, server(arguments.hub_server).running(f"{folder}/hub") as hub:
        os.environ |= {**hub.env(), "HF_HOME": f"{folder}/home"}
        if arguments.one:
            print(json.dumps(case(hub, Path(folder), **json.loads(arguments.one))))
            return 0
        return matrix(hub, Path(folder), arguments)


def matrix(hub, folder: Path, arguments) -> int:
    requests = [r for r in recorded(hub) if re.search(arguments.requests, f"{r['method']} {r['path']}")]
    late = "30 s late" in arguments.faults
    waiting = [start_late(arguments.hub_server, request) for request in requests] if late else []
    quick = [name for name in arguments.faults if name != "30 s late"]
    bad, count, begun = 0, 0, time.monotonic()
    for times in arguments.times:
        print(f"\n{times}\n{'request':<52}" + "".join(f"{name:<14}" for name in quick))
        for request in requests:
            cells = [case(hub, folder, request=request, fault=FAULTS[name], always=times == "always") for name in quick]
            print(f"{shown(request):<52}" + "".join(f"{cell['end']:<14}" for cell in cells), flush=True)
            for name, cell in zip(quick, cells, strict=True):
                count, bad = count + 1, bad + cell["end"].isupper()
                if cell["end"].isupper() or os.environ.get("SHOW"):
                    print(f"    {name}: {cell['text']}")
    for request, process in zip(requests if late else [], waiting, strict=True):
        cell = json.loads(process.communicate()[0].splitlines()[-1])
        count, bad = count + 1, bad + cell["end"].isupper()
        print(f"30 s late: {shown(request):<52}{cell['end']}")
    print(f"\n{count} pushes, {bad} of them wrong; {time.monotonic() - begun:.0f} s")
    return 1 if bad else 0


def server(path: str):
    spec = importlib.util.spec_from_file_location("hub_server", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def recorded(hub) -> list[dict]:
    """The requests of a push to a new repository, and those of a pull request that it does not have."""
    push("alice/recorded")
    first = [pattern(entry, "recorded") for entry in hub.log() if entry["path"] != "/health"]
    hub.clear()
    push("alice/recorded", changed=True, create_pr=True)
    second = [pattern(entry, "recorded") for entry in hub.log()]
    hub.clear()
    requests = number(first, pull_request=False)
    there = {(r["method"], r["path"]) for r in requests}
    return requests + [r for r in number(second, pull_request=True) if (r["method"], r["path"]) not in there]


def pattern(entry: dict, name: str) -> dict:
    path = re.sub(r"[0-9a-f]{40,64}(/\d+)?", "[0-9a-f/]+", entry["path"])
    query = "create_pr=1" if "create_pr" in entry["query"] and "commit" in path else ""
    return {"method": entry["method"], "path": path.replace(name, "NAME") + (f".{query}" if query else r"\?")}


def number(requests: list[dict], *, pull_request: bool) -> list[dict]:
    seen: dict[tuple, int] = {}
    for request in requests:
        key = (request["method"], request["path"])
        request |= {"skip": seen.get(key, 0), "pull_request": pull_request}
        seen[key] = request["skip"] + 1
    return requests


def shown(request: dict) -> str:
    nth = f" ({request['skip'] + 1})" if request["skip"] else ""
    path = request["path"].replace("[0-9a-f/]+", "ID").replace(r"\?", "").replace("alice/NAME", "U/N")
    return f"{request['method']} {path}{nth}"


def start_late(hub_server: str, request: dict) -> subprocess.Popen:
    one = json.dumps({"request": request, "fault": FAULTS["30 s late"], "always": False})
    command = [sys.executable, __file__, "--hub_server", hub_server, "--one", one]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def push(repo_id: str, *, changed: bool = False, create_pr: bool = False) -> tuple[int, str]:
    """Exit code, and all that was said."""
    from hfcls.hub.attempts import Attempts
    from hfcls.hub.bundle import Bundle
    from hfcls.hub.push import push_bundle
    from hfcls.parsing import run_command

    # Of its own in each repository: what the Hub has already is not uploaded.
    own = repo_id.encode() + (b" changed" if changed else b"")
    files = FILES | {path: FILES[path] + own for path in ("model.safetensors", "predictions/test.parquet")}
    said = io.StringIO()

    def run() -> None:
        attempts = Attempts(lambda text: print(text), first_wait=0.05)
        push_bundle(Bundle(files), repo_id, say=attempts.say, attempts=attempts, create_pr=create_pr)

    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            code = run_command(run)
        except BaseException as error:
            code = 1
            print(f"TRACEBACK {error!r}")
    return code, said.getvalue()


def case(hub, folder: Path, *, request: dict, fault: dict, always: bool) -> dict:
    """One push with one fault, and what came of it."""
    name = f"r{time.monotonic_ns()}"
    repo_id, pull_request = f"alice/{name}", request["pull_request"]
    if pull_request:
        push(repo_id)
    hub.clear()
    rule = {"method": request["method"], "path": request["path"].replace("NAME", name), "skip": request["skip"]}
    hub.fault(**rule, **fault, times=-1 if always else 1)
    code, text = push(repo_id, changed=pull_request, create_pr=pull_request)
    hit = any("fault" in entry for entry in hub.log())
    hub.clear()
    # What the next push says of it is part of how it ended: nothing half may be in its way.
    state = state_of(hub, repo_id, changed=pull_request)
    end = judge(code, text, state, hub.env()["HF_TOKEN"], folder)
    if not hit:
        end = "NOT HIT"
    if not end.isupper():
        again, _ = push(repo_id, changed=pull_request, create_pr=pull_request)
        after = state_of(hub, repo_id, changed=pull_request)
        # A Hub without discussions does not tell whether a proposal is still open: another is made.
        most = 2 if pull_request else 1
        end = end if again == 0 and after[0] == "whole" and after[1] <= most else f"AGAIN {again} {after}".upper()
    return {"end": end, "text": text[-400:]}


def state_of(hub, repo_id: str, *, changed: bool) -> tuple[str, int]:
    """What the repository holds, and how many commits a push has made there."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    api = HfApi()
    try:
        revisions = ["main"]
        if changed:
            revisions = [ref.ref for ref in api.list_repo_refs(repo_id, include_pull_requests=True).pull_requests or []]
        for revision in revisions:
            paths = set(api.list_repo_files(repo_id, revision=revision)) - {".gitattributes", ".hfcls.json"}
            if paths not in (set(), set(FILES)):
                return "half", len(paths)
        commits = len(revisions) if changed else len(api.list_repo_commits(repo_id)) - 1
    except RepositoryNotFoundError:
        return "none", 0
    return ("whole" if commits else "none"), commits


def judge(code: int, text: str, state: tuple[str, int], token: str, folder: Path) -> str:
    sentences = [line for line in text.splitlines() if line.startswith("hfcls: ")]
    if token in text or any(token.encode() in file.read_bytes() for file in folder.rglob("*") if file.is_file()):
        return "TOKEN SHOWN"
    if code not in (0, 2) or "Traceback" in text or "TRACEBACK" in text:
        return f"CODE {code}"
    if state[0] == "half" or state[1] > 1:
        return f"{state[0]} {state[1]}".upper()
    if code == 0:
        return "whole" if state == ("whole", 1) else "NOTHING THERE"
    return "told" if len(sentences) == 1 else "NOT TOLD"


if __name__ == "__main__":
    sys.exit(main())
