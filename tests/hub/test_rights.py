"""Whether a push can go where it is to go, told before anything is sent."""

from typing import Any

import pytest
from huggingface_hub import HfApi, constants

from hfcls.errors import UserError
from hfcls.hub.rights import check_rights
from tests.hubs import environment, put, python, running_hub


def scope(kind: str, name: str, *permissions: str) -> dict[str, Any]:
    return {"entity": {"_id": "1", "type": kind, "name": name}, "permissions": list(permissions)}


def fine(*scopes: dict[str, Any], everywhere: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"role": "fineGrained", "fineGrained": {"global": list(everywhere), "scoped": list(scopes)}}


READ, WRITE = "repo.content.read", "repo.write"


@pytest.mark.parametrize(
    ("token", "repo_id", "sentence"),
    [
        ({"role": "write"}, "alice/m", None),
        ({"role": "write"}, "open/m", None),
        ({"role": "write"}, "closed/m", "alice, which can only read in closed"),
        ({"role": "read"}, "alice/m", "can only read"),
        ({"role": "write"}, "bob/m", "which is not in bob"),
        (fine(scope("user", "alice", READ)), "alice/m", "may not write to alice/m"),
        (fine(scope("user", "alice", READ, WRITE)), "alice/m", None),
        (fine(scope("user", "alice", READ, WRITE)), "open/m", "may not write to open/m"),
        (fine(scope("org", "open", WRITE)), "open/m", None),
        (fine(scope("model", "alice/m", WRITE)), "alice/m", None),
        (fine(scope("model", "alice/other", WRITE)), "alice/m", "may not write to alice/m"),
        (fine(scope("dataset", "alice/m", WRITE)), "alice/m", "may not write to alice/m"),
        (fine(everywhere=("discussion.write",)), "alice/m", "may not write to alice/m"),
        (None, "alice/m", None),
    ],
)
def test_what_a_token_may(token: dict[str, Any] | None, repo_id: str, sentence: str | None, monkeypatch):
    orgs = [{"name": "open", "roleInOrg": "write"}, {"name": "closed", "roleInOrg": "read"}]
    who = {"name": "alice", "orgs": orgs, "auth": {"type": "access_token", "accessToken": token}}
    monkeypatch.setattr(HfApi, "whoami", lambda self: who)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_alice")
    if sentence is None:
        check_rights(repo_id, say=print)
    else:
        with pytest.raises(UserError, match=sentence):
            check_rights(repo_id, say=print)


PAIRS = """
import sys
from hfcls.errors import UserError
from hfcls.hub.rights import check_pair
for words in sys.argv[1:]:
    name, _, private = words.partition(" ")
    try: print(check_pair(name, private=bool(private), say=print))
    except UserError as error: print(error)
"""


def test_a_space_is_where_its_model_is(tmp_path):
    """Both are looked at, and nothing is sent."""
    with running_hub(tmp_path / "hub") as hub:
        repos = {"alice/hidden": True, "alice/shown": False, "alice/torn": True}
        for name, private in repos.items():
            put(hub, name, {"config.json": b"{}"})
            hub.app.store.save({**hub.app.store.load("model", name), "private": private})
        put(hub, "alice/torn", {"app.py": b""}, repo_type="space")
        names = ("alice/hidden", "alice/shown", "alice/none", "alice/none private", "alice/shown private", "alice/torn")
        ended = python(PAIRS, *names, env=environment(hub, tmp_path))
        assert {entry["method"] for entry in hub.log()} == {"GET"}
    hidden, shown, none, private, refused, torn = ended.stdout.splitlines()
    assert [hidden, shown, none, private] == ["True", "False", "False", "True"], ended.stderr
    assert "The model alice/shown is public already" in refused
    assert "The Space alice/torn is public already, and would show a private model" in torn
