"""The YAML at the top of a card, which the Hub reads."""

import re
from collections.abc import Sequence
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from hfcls.command_arguments import CardArguments
from hfcls.escaping import terminal_text
from hfcls.evaluation.formats import METRICS
from hfcls.evaluation.measured_run import MeasuredRun
from hfcls.hub.card.data import hub_dataset, source_of
from hfcls.hub.card.examples import Example
from hfcls.hub.card.network import ENSEMBLE, Network, base_model_of

# Name in metrics.json -> the Hub's name of the metric, and its arguments.
_TYPES: dict[str, tuple[str, dict[str, str] | None]] = {
    "top5_accuracy": ("top_5_accuracy", None),
    "precision_macro": ("precision", {"average": "macro"}),
    "recall_macro": ("recall", {"average": "macro"}),
    "f1_macro": ("f1", {"average": "macro"}),
    "precision_weighted": ("precision", {"average": "weighted"}),
    "recall_weighted": ("recall", {"average": "weighted"}),
    "f1_weighted": ("f1", {"average": "weighted"}),
    "roc_auc_macro": ("roc_auc", {"average": "macro", "multi_class": "ovr"}),
    "pr_auc_macro": ("average_precision", {"average": "macro"}),
    "pr_auc": ("average_precision", None),
    "brier": ("brier_score", None),
    "mcc": ("matthews_correlation", None),
}
# Decimals of a figure of the model index.
DECIMALS = 6


def build_metadata(
    run: MeasuredRun, network: Network, arguments: CardArguments, *, title: str, examples: Sequence[Example]
) -> str:
    """The metadata as YAML, without the lines of dashes around it."""
    results = model_index(run, arguments)
    base_model = arguments.base_model or base_model_of(run.settings, network)
    read, _ = hub_dataset(run.data)
    data = ModelCardData(
        license=arguments.license,
        license_name=arguments.license_name,
        license_link=arguments.license_link,
        library_name=network.library,
        pipeline_tag="image-classification",
        tags=_tags(network, arguments),
        base_model=base_model,
        base_model_relation=(arguments.base_model_relation or "finetune") if base_model else None,
        datasets=arguments.datasets or ([read] if read else None),
        metrics=list(dict.fromkeys(result.metric_type for result in results)) or None,
        widget=[_widget(example) for example in examples] or None,
        model_name=terminal_text(title),
        eval_results=results or None,
    )
    if not results:
        data.pop("model_name")
    order = ["license", "license_name", "license_link", "library_name", "pipeline_tag", "tags", "base_model"]
    order += ["base_model_relation", "datasets", "metrics", "widget"]
    return data.to_yaml(original_order=order)


def model_index(run: MeasuredRun, arguments: CardArguments) -> list[EvalResult]:
    """Every headline figure of every measured split."""
    settings, source = run.settings, source_of(run.settings, run.data) or run.name
    read, commit = hub_dataset(run.data)
    named = [read] if read else arguments.datasets or []
    dataset = named[0] if len(named) == 1 else _slug(str(settings.get("dataset_name") or "")) or _slug(source)
    results = []
    for split in sorted(run.splits, key=lambda name: name != run.split):
        for key, figure in (run.splits[split].get("headline") or {}).items():
            if figure.get("value") is None:
                continue
            kind, arguments_of_metric = _TYPES.get(key, (key, None))
            results.append(
                EvalResult(
                    task_type="image-classification",
                    task_name="Image Classification",
                    dataset_type=dataset,
                    dataset_name=terminal_text(source),
                    dataset_config=settings.get("dataset_config_name"),
                    dataset_split=split,
                    dataset_revision=commit,
                    metric_type=kind,
                    metric_name=METRICS[key][0] if key in METRICS else key,
                    metric_value=round(float(figure["value"]), DECIMALS),
                    metric_args=arguments_of_metric,
                )
            )
    return results


def _tags(network: Network, arguments: CardArguments) -> list[str]:
    kind = "ensemble" if network.name.startswith(ENSEMBLE) else network.name
    tags = ["image-classification", "hfcls", kind]
    tags += ["timm", "transformers"] if network.library == "timm" else []
    tags += ["custom_code"] if network.code else []
    tags += ["medical"] if arguments.medical else []
    return list(dict.fromkeys([*tags, *(arguments.tags or [])]))


def _widget(example: Example) -> dict[str, Any]:
    output = [{"label": terminal_text(label), "score": round(score, 4)} for label, score in example.answers]
    return {"src": example.path, "example_title": example.title, "output": output}


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text.rstrip("/").rpartition("/")[2]).strip("-.").lower()
