"""Pushes to a loopback Hub with the real client, in processes of their own."""

import json
import sys
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, HfApi, ModelInfo

from hfcls.errors import UserError
from hfcls.hub.attempts import Attempts, Refusals, Trouble
from hfcls.hub.card import seal
from hfcls.hub.push import size_text
from hfcls.hub.rights import check_repo_id
from tests.hubs import MINIHUB, environment, load_minihub, put, python, running_hub

TOKEN = "hf_alice"
SCRIPT = Path(__file__).parents[2] / "scripts" / "benchmarks" / "push_faults.py"
FILES = {"README.md": "---\nlicense: mit\n---\n# m\n", "config.json": "{}", "predictions/a.parquet": "PAR1" * 9}

# Pushes what it is told to, one after the other; prints a line of JSON for each.
PUSHES = """
import json, sys
from hfcls.errors import UserError
from hfcls.hub.attempts import Attempts
from hfcls.hub.bundle import Bundle
from hfcls.hub.push import push_bundle
from hfcls.hub.rights import check_rights
for words in sys.argv[1:]:
    options = json.loads(words)
    files = {path: text.encode() for path, text in options.pop("files").items()}
    said = []
    try:
        repo_id = options.pop("repo_id", "alice/m")
        if options.pop("rights", False):
            check_rights(repo_id, say=said.append)
        attempts = Attempts(said.append, first_wait=0.01)
        pushed = push_bundle(Bundle(files), repo_id, say=said.append, attempts=attempts, **options)
        print(json.dumps({**vars(pushed), "said": said}))
    except UserError as error:
        print(json.dumps({"error": str(error), "said": said}))
"""


@pytest.fixture
def hub(tmp_path):
    with running_hub(tmp_path / "hub") as hub:
        yield hub


def pushes(hub, tmp_path, *what: dict, **changes: str) -> list[dict]:
    ended = python(
        PUSHES, *(json.dumps({"files": FILES, **one}) for one in what), env=environment(hub, tmp_path, **changes)
    )
    assert ended.returncode == 0, ended.stderr
    assert TOKEN not in ended.stdout + ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def commits(hub, repo_id: str = "alice/m", repo_type: str = "model") -> list[dict]:
    """Newest first, the one that made the repository last."""
    store = hub.app.store
    repo = store.load(repo_type, repo_id)
    return [commit for _, commit in store.history(store.resolve(repo, "main"))]


def test_push_and_push_again(hub, tmp_path):
    other = {"predictions/old.parquet": "PAR1"}
    first, again, changed, back, gone = pushes(
        hub,
        tmp_path,
        {"rights": True},
        {},
        {"files": FILES | other, "message": "More"},
        {"files": {**FILES, "config.json": '{"a": 1}'}},
        {"files": {path: text for path, text in FILES.items() if "parquet" not in path}},
    )
    assert first["new"] and not again["new"] and again["revision"] == first["revision"]
    assert again["said"] == []
    history = commits(hub)
    assert [changed["new"], back["new"], gone["new"]] == [True] * 3 and len(history) == 5
    assert set(history[0]["files"]) == {".gitattributes", ".hfcls.json", "README.md", "config.json"}
    assert history[2]["title"] == "More"
    assert "1 to remove (predictions/old.parquet)" in back["said"][0]
    assert "1 to remove (predictions/a.parquet)" in gone["said"][0]


def test_files_of_others_stay(hub, tmp_path):
    """Whatever they are called, and files of ours that others have changed."""
    old = {**FILES, "figures/a.svg": "<svg/>", "figures/b.svg": "<svg/>"}
    pushes(hub, tmp_path, {"files": old})
    put(hub, "alice/m", {"figures/deep/theirs.svg": b"theirs", "hfcls/x.py": b"theirs", "figures/b.svg": b"theirs"})
    (pushed,) = pushes(hub, tmp_path, {})
    files = set(commits(hub)[0]["files"])
    assert pushed["new"] and "1 to remove (figures/a.svg)" in pushed["said"][0]
    assert {"figures/deep/theirs.svg", "hfcls/x.py", "figures/b.svg"} <= files and "figures/a.svg" not in files
    put(hub, "alice/m", {".hfcls.json": b'{"files": [1]}'})
    (again,) = pushes(hub, tmp_path, {"files": {"README.md": FILES["README.md"]}})
    assert again["new"] and "remove" not in again["said"][0]


@pytest.mark.parametrize(("repo_type", "path"), [("model", "README.md"), ("space", "README.md"), ("space", "app.py")])
def test_what_others_wrote_is_not_overwritten(hub, tmp_path, repo_type: str, path: str):
    header = (
        "---\ntitle: x\nemoji: 🐍\ncolorFrom: red\ncolorTo: red\nsdk: gradio\n---\n" if repo_type == "space" else ""
    )
    files = {"README.md": header + "# Ours\n", "app.py": "ours"}
    one = {"repo_type": repo_type, "files": files}
    made, changed = pushes(hub, tmp_path, one, {**one, "files": {**files, path: files[path] + "ours again\n"}})
    assert made["new"] and changed["new"]
    put(hub, "alice/m", {path: header.encode() + b"# Written on the website\n"}, repo_type=repo_type)
    refused, forced, back = pushes(hub, tmp_path, one, {**one, "overwrite": True}, one)
    assert f"{path} of the" in refused["error"] and "--overwrite" in refused["error"] and len(refused["said"]) == 0
    assert forced["new"] and not back["new"]
    assert len(commits(hub, repo_type=repo_type)) == 5


def test_a_readme_that_nobody_wrote_is_replaced(hub, tmp_path):
    for text in (b"---\nlicense: mit\n---\n", seal("# A run before this one\n").encode(), b""):
        put(hub, "alice/m", {"README.md": text})
        (pushed,) = pushes(hub, tmp_path, {})
        assert pushed.get("new"), pushed


def test_pull_requests_and_private_ones(hub, tmp_path):
    missing, public, proposed, again, same, refused, private = pushes(
        hub,
        tmp_path,
        {"create_pr": True},
        {},
        {"files": {**FILES, "config.json": '{"a": 1}'}, "create_pr": True},
        {"files": {**FILES, "config.json": '{"a": 1}'}, "create_pr": True},
        {"create_pr": True},
        {"private": True},
        {"repo_id": "alice/p", "private": True},
    )
    assert "alice/m is not on the Hub" in missing["error"] and "is public already" in refused["error"]
    assert proposed["new"] and proposed["url"].endswith("/alice/m/discussions/1")
    # This Hub has no discussions: whether the first proposal is still open is not known.
    assert again["new"] and again["url"].endswith("/alice/m/discussions/2")
    assert same["revision"] == public["revision"] and len(commits(hub)) == 2
    assert private["new"] and hub.app.store.load("model", "alice/p")["private"]


def test_only_an_open_proposal_is_there_already(hub, tmp_path):
    """The loopback Hub has no discussions: their part of its interface is added here."""
    closed: set[int] = set()
    answer = hub.app.api

    async def api(request, method, parts):
        from starlette.responses import JSONResponse

        if parts[-1] != "discussions":
            return await answer(request, method, parts)
        assert request.query_params["status"] == "open"
        refs = hub.app.store.load("model", "alice/m")["refs"]
        numbers = {int(ref.rpartition("/")[2]) for ref in refs if ref.startswith("refs/pr/")} - closed
        rest = {"title": "x", "author": {"name": "alice"}, "createdAt": "2026-01-01T00:00:00.000Z", "status": "open"}
        repo = {"name": "alice/m", "type": "model"}
        found = [{"num": number, "repo": repo, "isPullRequest": True, **rest} for number in sorted(numbers)]
        return JSONResponse({"discussions": found, "count": len(found), "start": 0})

    hub.app.api = api
    proposal = {"files": {**FILES, "config.json": '{"a": 1}'}, "create_pr": True}
    _, first, again = pushes(hub, tmp_path, {}, proposal, proposal)
    assert not again["new"] and again["url"] == first["url"] and again["revision"] == first["revision"]
    closed.add(1)
    hub.fault(method="POST", path="/commit/", lose=True)
    (anew,) = pushes(hub, tmp_path, proposal)
    assert anew["new"] and anew["url"].endswith("/alice/m/discussions/2") and len(anew["said"]) == 2
    refs = hub.app.store.load("model", "alice/m")["refs"]
    assert [ref for ref in refs if "/pr/" in ref] == ["refs/pr/1", "refs/pr/2"]


def test_whose_token_it_is(hub, tmp_path):
    (foreign, forbidden) = pushes(hub, tmp_path, {"repo_id": "bob/m", "rights": True}, {"repo_id": "bob/m"})
    assert "belongs to alice" in foreign["error"] and "may not write to bob/m (403)" in forbidden["error"]
    (reader,) = pushes(hub, tmp_path, {"rights": True}, HF_TOKEN="hf_reader")
    (unknown,) = pushes(hub, tmp_path, {}, HF_TOKEN="hf_nobody_knows")
    (none,) = pushes(hub, tmp_path, {}, HF_TOKEN="")
    (offline,) = pushes(hub, tmp_path, {}, HF_HUB_OFFLINE="1")
    assert "can only read" in reader["error"] and "does not accept the token (401)" in unknown["error"]
    assert "No token" in none["error"] and "HF_HUB_OFFLINE" in offline["error"]


def test_someone_else_commits_meanwhile(hub, tmp_path):
    """The commit was made for a head that is not the head any more."""
    pushes(hub, tmp_path, {})
    store = hub.app.store

    class Late(list):
        """Commits as someone else would, between the push's look at the head and its commit."""

        def __iter__(self):
            repo = store.load("model", "alice/m")
            if hub.log()[-1]["path"].endswith("/preupload/main") and len(list(store.history(head(repo)))) == 2:
                files = {**store.commit(head(repo))["files"], "theirs.txt": store.file_entry(b"theirs")}
                repo["refs"]["refs/heads/main"] = store.add_commit(repo, files, "theirs", "", "alice", head(repo))
                store.save(repo)
            return super().__iter__()

    def head(repo):
        return repo["refs"]["refs/heads/main"]

    hub.app.faults = Late()
    (pushed,) = pushes(hub, tmp_path, {"files": {**FILES, "config.json": '{"b": 2}'}})
    assert pushed["new"] and any("newer commit of someone else (412)" in line for line in pushed["said"])
    newest = commits(hub)[0]
    assert newest["title"] == "Pushed by hfcls" and "theirs.txt" in newest["files"] and len(commits(hub)) == 4


def test_it_waits_as_long_as_it_is_asked_to(hub, tmp_path):
    hub.fault(method="POST", path="/commit/", status=429, headers={"Retry-After": "1"})
    (pushed,) = pushes(hub, tmp_path, {})
    assert any("answered 429" in line and "in 1 s" in line for line in pushed["said"]) and pushed["new"]
    hub.fault(method="POST", path="/commit/", status=429, headers={"Retry-After": "3600"})
    (late,) = pushes(hub, tmp_path, {"repo_id": "alice/n"})
    assert "asks to wait 3600 seconds" in late["error"] and len(commits(hub, "alice/n")) == 1


def test_what_the_hub_leaves_out(hub, tmp_path):
    """A .gitignore on the Hub drops files without a word."""
    (error,) = pushes(hub, tmp_path, {"files": {**FILES, ".gitignore": "config.json\n", "config.json": "{}"}})
    assert "left config.json out of the commit" in error["error"]


@pytest.mark.parametrize("which", ["commit/main|preupload", "PUT|/create"])
def test_faults(tmp_path, which: str):
    """A part of the matrix; the script makes the whole of it."""
    if not MINIHUB.is_file():
        pytest.skip("needs the loopback Hub, which is not here")
    load_minihub()
    import subprocess

    faults = ["401", "409", "412", "429", "500", "cut after 100", "lost reply"]
    command = [sys.executable, str(SCRIPT), "--hub_server", str(MINIHUB), "--requests", which, "--faults", *faults]
    ended = subprocess.run([*command, "--times", "once"], capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    rows = [line for line in ended.stdout.splitlines() if "/" in line and "request" not in line]
    assert rows and all(line.split()[-1] == "whole" for line in rows), ended.stdout


def test_collections(hub, tmp_path):
    """The loopback Hub has none: their part of its interface is added here."""
    lists: dict[str, dict] = {}
    answer = hub.app.api

    async def api(request, method, parts):
        from starlette.responses import JSONResponse

        if parts[0] != "collections":
            return await answer(request, method, parts)
        if method == "POST" and len(parts) == 1:
            title = (await hub.app.json(request))["title"]
            slug = f"alice/{title.lower()}-{'0' * 24}"
            rest = {
                "items": [],
                "lastUpdated": "2026-01-01T00:00:00.000Z",
                "private": False,
                "theme": "x",
                "upvotes": 0,
            }
            lists[slug] = {"slug": slug, "title": title, "owner": {"name": "alice"}, **rest}
        elif method == "POST":
            item = (await hub.app.json(request))["item"]
            items = lists["/".join(parts[1:3])]["items"]
            if item["id"] in {one["id"] for one in items}:
                return JSONResponse({"error": "there already"}, 409)
            items.append({"_id": "1", "position": 0, **item})
        elif len(parts) == 1:
            return JSONResponse(list(lists.values()))
        found = lists.get("/".join(parts[1:3])) if len(parts) > 1 else list(lists.values())[-1]
        return JSONResponse({**found, "position": 0} if found else {"error": "none"}, 200 if found else 404)

    hub.app.api = api
    code = (
        "import sys; from hfcls.hub.collections import add_to_collection as add; from hfcls.errors import UserError\n"
        "for title in sys.argv[1:]:\n"
        "  try: print(add(title, {'model': 'alice/m', 'space': 'alice/m2'}, private=False, say=print))\n"
        "  except UserError as error: print(error)"
    )
    slug = f"alice/mine-{'0' * 24}"
    ended = python(code, "Mine", "Mine", slug, f"alice/other-{'1' * 24}", env=environment(hub, tmp_path))
    assert ended.returncode == 0, ended.stderr
    made, again, by_slug, missing = ended.stdout.splitlines()
    assert made == again == by_slug == f"{hub.endpoint}/collections/{slug}" and "is not on the Hub" in missing
    assert [item["id"] for item in lists[slug]["items"]] == ["alice/m", "alice/m2"] and len(lists) == 1


def test_attempts_end(monkeypatch):
    waits, said = [], []
    monkeypatch.setattr("time.sleep", waits.append)

    def fail():
        raise Trouble("answered 503 (GET /x)")

    with pytest.raises(UserError, match=r"answered 503 .*5 attempts failed"):
        Attempts(said.append).run(fail, Refusals("a/b"))
    assert waits == [1, 2, 4, 8] and said[0] == "note: the Hub answered 503 (GET /x); attempt 2 of 5 in 1 s"


def test_whose_fault_it_was(tmp_path):
    """A bug keeps its traceback, a file here gets its own sentence, and only an answer is the Hub's."""
    attempts, refusals = Attempts(print, most=1), Refusals("a/b")
    for bug in (lambda: {}["x"], lambda: int("x"), lambda: HfApi().whoami(nonsense=1)):
        with pytest.raises((KeyError, ValueError, TypeError)):
            attempts.run(bug, refusals)
    gone = tmp_path / "gone.bin"
    for read in (gone.read_bytes, lambda: CommitOperationAdd("x", gone)):
        with pytest.raises(UserError, match=r"gone\.bin (cannot be read|is not there any more).*push again"):
            attempts.run(read, refusals)
    with pytest.raises(UserError, match=r"gave an answer that cannot be read \('id'\)"):
        attempts.run(lambda: ModelInfo(siblings=[]), refusals)


def test_an_answer_without_what_it_should_hold(hub, tmp_path):
    answer = hub.app.api

    async def api(request, method, parts):
        from starlette.responses import JSONResponse

        return JSONResponse([{"type": "file"}]) if "tree" in parts else await answer(request, method, parts)

    hub.app.api = api
    (refused,) = pushes(hub, tmp_path, {})
    assert "gave an answer that cannot be read" in refused["error"] and len(refused["said"]) == 4


@pytest.mark.parametrize("name", ["m", "a/b/c", "a/..", "a/b--c", "a b/c", "-a/b", "a/b.git", "a/b.", "https://x/y"])
def test_names_of_repositories(name: str):
    with pytest.raises(UserError, match="names no repository"):
        check_repo_id(name)
    assert check_repo_id("alice/flowers-1.2_x") and size_text(1_500_000) == "1.5 MB"
