"""What is wrong with a card, whoever wrote it, and what a good one lacks."""

import re
from collections import Counter
from typing import Any

import yaml
from huggingface_hub.repocard import REGEX_YAML_BLOCK

from hfcls.escaping import terminal_text
from hfcls.hub.card.active_html import find_active, find_picture_gaps
from hfcls.hub.card.rules import LIBRARIES, LICENSES, PIPELINE_TAGS, RELATIONS
from hfcls.hub.paths import find_home
from hfcls.hub.secrets import find_secret

MAX_BYTES, MAX_METADATA = 1_000_000, 200_000
# Names within the metadata, aliases counted as often as they are used: beyond it a few lines stand for a flood.
_MAX_NODES, _MAX_DEPTH = 20_000, 40
_HUB_ID = re.compile(r"(?:[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*")
_PLACEHOLDER = re.compile(r"\[?more information needed\]?|\{\{\s*\w+", re.IGNORECASE)
_STRING_LISTS = ("tags", "datasets", "metrics", "language", "base_model")


def check_card(text: str) -> list[str]:
    """What must be mended before a card is published, each in a sentence; empty for one that is in order.

    The metadata by the Hub's rules, as far as they can be told without it; text that would run, hide or leak something.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        return [f"The card has more than {MAX_BYTES // 1_000_000} MB: expected text."]
    problems = _characters(text)
    if kind := find_secret(text.encode("utf-8", "surrogatepass")):
        problems.append(f"The card holds {kind}: take it out, and revoke it where it was made.")
    metadata, body, broken = read_metadata(text)
    problems += broken
    if metadata is not None:
        problems += _metadata_problems(metadata)
    problems += find_active(body)
    if home := find_home(text):
        problems.append(f"The card names a place on someone's machine, {_quoted(home)}: leave it out.")
    if found := _PLACEHOLDER.search(body):
        problems.append(f"The card still holds {_quoted(found[0])} of a template: fill it in, or leave it out.")
    return problems


def find_gaps(text: str) -> list[str]:
    """What a good card has and this one lacks."""
    metadata, body, _ = read_metadata(text)
    data = metadata or {}
    wanted = {
        "license": "no license: say what others may do with it",
        "library_name": "no library_name: pipeline(model=...) can't tell how to load it",
        "pipeline_tag": "no pipeline_tag: it is not found by its task",
        "datasets": "no datasets: which data on the Hub it learned from, if they are there",
        "tags": "no tags",
        "model-index": "no model-index: the Hub shows no results",
        "widget": "no widget: no example image to try it with",
    }
    gaps = [sentence for key, sentence in wanted.items() if not data.get(key)]
    library = data.get("library_name")
    if library and str(library).lower() not in LIBRARIES:
        gaps.append(f"library_name is {_quoted(library)}, which is not known to load image classifiers")
    sections = {
        "how to use it": r"\buse\b|usage|get started|quick ?start|pipeline\(",
        "what it is not for": r"not for|out[- ]of[- ]scope|limitation|intended use",
        "results": r"result|evaluation|accuracy|metric",
        "the data that it learned from": r"\bdata",
        "how it was trained": r"\btrain",
        "limits": r"limit|bias|risk|caveat",
        "how to make it again": r"reproduc|made again|hyperparameter|arguments|seed",
        "how to cite it": r"cit(e|ation)|bibtex",
    }
    gaps += [f"nothing on {what}" for what, pattern in sections.items() if not re.search(pattern, body, re.IGNORECASE)]
    if re.search(r"accuracy|result", body, re.IGNORECASE) and not re.search(r"interval|±|confidence", body):
        gaps.append("results without intervals")
    return gaps + find_picture_gaps(body)


def read_metadata(text: str) -> tuple[dict[str, Any] | None, str, list[str]]:
    """The metadata of a card (None without), what follows them, and what is wrong with their YAML."""
    text = text.removeprefix("\ufeff")
    found = REGEX_YAML_BLOCK.search(text)
    if not found:
        if re.match(r"\s*---[ \t]*\r?\n", text):
            return (
                None,
                text,
                ["The metadata begin with --- and never end, or are empty: expected YAML, then a second line of ---."],
            )
        return None, text, ["The card has no metadata: expected YAML between two lines of --- at its top."]
    body = text[found.end() :]
    if len(found[2]) > MAX_METADATA:
        return None, body, [f"The metadata have more than {MAX_METADATA // 1000} kB."]
    try:
        metadata = yaml.load(found[2], Loader=_StrictLoader)  # a SafeLoader
    except yaml.YAMLError as error:
        return None, body, [f"The metadata are not YAML: {terminal_text(' '.join(str(error).split()))[:200]}."]
    except (RecursionError, ValueError) as error:
        return None, body, [f"The metadata can't be read as YAML ({type(error).__name__})."]
    if metadata is None:
        return None, body, ["The metadata are empty."]
    if not isinstance(metadata, dict):
        return None, body, [f"The metadata are a {type(metadata).__name__}: expected lines of `key: value`."]
    if _count(metadata, 0, [0]) > _MAX_NODES:
        return None, body, ["The metadata unfold to more than they say: leave out anchors and aliases."]
    return metadata, body, []


class _StrictLoader(yaml.SafeLoader):
    """One that refuses a key that comes twice, of which readers take one or the other."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuses repeated keys."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(keys)) < len(keys):
            twice = next(key for key, count in Counter(keys).items() if count > 1)
            raise yaml.constructor.ConstructorError(None, None, f"the key {twice!r} comes twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _count(value: Any, depth: int, seen: list[int]) -> int:
    """How many values there are, up to the point where it is known to be too many."""
    seen[0] += 1 if depth <= _MAX_DEPTH else _MAX_NODES
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        if seen[0] > _MAX_NODES:
            break
        _count(child, depth + 1, seen)
    return seen[0]


def _characters(text: str) -> list[str]:
    bad = re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]", text)
    if not bad:
        return []
    return [f"The card holds the character U+{ord(bad[0]):04X}, which is not shown or turns the text around."]


def _metadata_problems(metadata: dict[str, Any]) -> list[str]:
    problems = [*_strings(metadata), *_license(metadata), *_known_names(metadata)]
    if "model-index" in metadata:
        problems += _model_index(metadata["model-index"])
    if "widget" in metadata:
        widget = metadata["widget"]
        if not isinstance(widget, list) or not all(isinstance(entry, dict) for entry in widget):
            problems.append("`widget` must be a list of mappings, such as `- src: example.png`.")
    return problems


def _strings(metadata: dict[str, Any]) -> list[str]:
    problems = []
    for key in _STRING_LISTS:
        value = metadata.get(key)
        entries = value if isinstance(value, list) else [value]
        if value is not None and not all(isinstance(entry, str) for entry in entries):
            odd = next(entry for entry in entries if not isinstance(entry, str))
            problems.append(f"`{key}` must be text or a list of texts, not {_quoted(odd)}: put it in quotes.")
        elif key in {"datasets", "base_model"}:
            odd = [entry for entry in entries if entry is not None and not _HUB_ID.fullmatch(entry)]
            problems += [
                f"`{key}` holds {_quoted(entry)}, which is no Hub id: expected user/name." for entry in odd[:1]
            ]
    return problems


def _license(metadata: dict[str, Any]) -> list[str]:
    value = metadata.get("license")
    problems = [
        f"`license` is {_quoted(one)}, which is no identifier of the Hub: see https://hf.co/docs/hub/repositories-licenses."
        for one in (value if isinstance(value, list) else [value] if value is not None else [])
        if not isinstance(one, str) or one not in LICENSES
    ]
    if value == "other" and not metadata.get("license_name"):
        problems.append("`license: other` needs `license_name`: which license it is.")
    if value == "other" and not metadata.get("license_link"):
        problems.append("`license: other` needs `license_link`: where its text is.")
    return problems


def _known_names(metadata: dict[str, Any]) -> list[str]:
    problems = []
    tag, library = metadata.get("pipeline_tag"), metadata.get("library_name")
    if tag is not None and tag not in PIPELINE_TAGS:
        problems.append(
            f"`pipeline_tag` is {_quoted(tag)}, which is no task of the Hub: expected image-classification."
        )
    if library is not None and not (isinstance(library, str) and re.fullmatch(r"[\w.+-]+", library)):
        problems.append(f"`library_name` is {_quoted(library)}: expected a name such as transformers or timm.")
    relation = metadata.get("base_model_relation")
    if relation is not None and relation not in RELATIONS:
        problems.append(f"`base_model_relation` is {_quoted(relation)}: expected one of {', '.join(RELATIONS)}.")
    if relation is not None and not metadata.get("base_model"):
        problems.append("`base_model_relation` stands without `base_model`.")
    return problems


def _model_index(index: Any) -> list[str]:
    if not isinstance(index, list):
        return ["`model-index` must be a list."]
    problems = []
    for i, entry in enumerate(index):
        at = f"model-index[{i}]"
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str) or not entry["name"]:
            problems.append(f"`{at}.name` is required, as text.")
            continue
        results = entry.get("results")
        if not isinstance(results, list):
            problems.append(f"`{at}.results` must be a list.")
            continue
        for j, result in enumerate(results):
            problems += _result(result, f"{at}.results[{j}]")
    return problems


def _result(result: Any, at: str) -> list[str]:
    if not isinstance(result, dict):
        return [f"`{at}` must be a mapping."]
    problems = []
    for key, parts in (("task", ("type",)), ("dataset", ("type", "name"))):
        found = result.get(key)
        part = found if isinstance(found, dict) else {}
        problems += [f"`{at}.{key}.{name}` is required, as text." for name in parts if not _is_text(part.get(name))]
    metrics = result.get("metrics")
    if not isinstance(metrics, list) or not metrics:
        return [*problems, f"`{at}.metrics` is required, as a list."]
    for k, metric in enumerate(metrics):
        given = metric if isinstance(metric, dict) else {}
        if not _is_text(given.get("type")):
            problems.append(f"`{at}.metrics[{k}].type` is required, as text.")
        value = given.get("value")
        if value is None or isinstance(value, bool) or value != value or value in (float("inf"), float("-inf")):
            problems.append(f"`{at}.metrics[{k}].value` is required, as a number that is finite.")
    return problems


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _quoted(value: Any) -> str:
    """A value of the card in a message: short, and harmless on a terminal."""
    text = terminal_text(str(value))
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
