"""From a classifier and a split to every figure, on disk."""

from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import nn

from hfcls.evaluation.predict import predict
from hfcls.evaluation.reuse import keep_origin
from hfcls.evaluation.speed import describe_training, measure_speed
from hfcls.files import write_json
from hfcls.metrics import compute_metrics, flat_metrics


def measure_split(
    model: nn.Module,
    dataset: Any,
    collator: Any,
    *,
    split: str,
    output: Path | None,
    accelerator: Accelerator,
    batch_size: int,
    num_workers: int = 0,
    quiet: bool = False,
    origin: Any = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Predicts a split and computes its figures.

    Args:
        output: directory for ``SPLIT.parquet``; None writes nothing.
        origin: the `hfcls.models.Classifier` whose own answers these are, which is then written beside them, so that
            they need not be made again; None for answers that are made in another way.

    Returns:
        What ``metrics.json`` holds for the split, and flat ``SPLIT_metric`` figures (``eval_`` for validation).
    """
    import time

    start = time.perf_counter()
    predictions = predict(
        model,
        dataset,
        collator,
        class_names=dataset.class_names,
        accelerator=accelerator,
        batch_size=batch_size,
        num_workers=num_workers,
        description=f"Evaluating {split}",
        quiet=quiet,
    )
    seconds = time.perf_counter() - start
    if output is not None:
        predictions.save(output / f"{split}.parquet")
        if origin is not None:
            keep_origin(output, split, classifier=origin, dataset=dataset)
    measured = compute_metrics(predictions)
    prefix = "eval" if split == "validation" else split
    flat: dict[str, Any] = {
        **flat_metrics(measured, prefix),
        f"{prefix}_loss": measured["headline"]["log_loss"]["value"],
        f"{prefix}_runtime": round(seconds, 3),
        f"{prefix}_samples_per_second": round(len(predictions) / seconds, 3),
        f"{prefix}_samples": len(predictions),
    }
    return measured, flat


def write_results(
    run_dir: Path, result: Any, measured: dict[str, Any], flat: dict[str, Any], splits: dict[str, Any], collator: Any
) -> dict[str, Any]:
    """Writes ``*_results.json`` and ``metrics.json`` of a training.

    Args:
        result: a `hfcls.training.fit.Fit`.
        measured, flat: by split, from `measure_split`.

    Returns:
        What ``metrics.json`` holds.
    """
    device = result.accelerator.device
    train = {
        "train_loss": result.train_loss,
        "train_runtime": round(result.seconds, 3),
        "train_samples_per_second": result.samples_per_second,
        "train_samples": len(splits["train"]) if hasattr(splits["train"], "labels") else None,
        "epoch": result.state.epoch,
        "step": result.state.global_step,
    }
    speed: dict[str, Any] = {
        "train_runtime": train["train_runtime"],
        "train_samples_per_second": train["train_samples_per_second"],
    }
    for split, figures in flat.items():
        prefix = "eval" if split == "validation" else split
        speed[f"{prefix}_samples_per_second"] = figures[f"{prefix}_samples_per_second"]
    shown = splits.get("test") or splits.get("validation") or splits["train"]
    speed |= measure_speed(result.model, shown, collator, device=device)
    content = {"splits": measured, "speed": speed, "training": describe_training(result.accelerator)}
    write_json(run_dir / "train_results.json", train)
    for split, figures in flat.items():
        write_json(run_dir / f"{'eval' if split == 'validation' else split}_results.json", figures)
    write_json(
        run_dir / "all_results.json", {**train, **{k: v for figures in flat.values() for k, v in figures.items()}}
    )
    write_json(run_dir / "metrics.json", content)
    return content


def headline_text(measured: dict[str, Any]) -> str:
    """The first figures with their intervals, for the screen."""
    shown = []
    for name, label in (("accuracy", "accuracy"), ("balanced_accuracy", "balanced accuracy"), ("f1_macro", "F1 macro")):
        figure = measured["headline"][name]
        if figure["value"] is None:
            shown.append(f"{label} undefined ({figure['reason']})")
            continue
        interval = f" [{figure['low']:.4f}, {figure['high']:.4f}]" if "low" in figure else ""
        shown.append(f"{label} {figure['value']:.4f}{interval}")
    views = f"; --tta {measured['tta']}" if "tta" in measured else ""
    return f"{', '.join(shown)}; {measured['n']:,} images{views}"
