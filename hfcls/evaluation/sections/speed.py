"""Speed and memory, as far as they were measured."""

from hfcls.evaluation.measured_run import MeasuredRun
from hfcls.evaluation.section import Part

SPEED = {
    "train_runtime": ("Training time", "s"),
    "train_samples_per_second": ("Training throughput", "images/s"),
    "eval_samples_per_second": ("Validation throughput", "images/s"),
    "test_samples_per_second": ("Test throughput", "images/s"),
    "latency_p50_ms": ("Latency, median", "ms"),
    "latency_p99_ms": ("Latency, 99th percentile", "ms"),
    "latency_images": ("Images timed for latency", ""),
    "peak_memory_mb": ("Peak memory", "MB"),
    "hardware": ("Hardware", ""),
}


def build(run: MeasuredRun) -> Part | None:
    """Title and formatted value of each figure."""
    rows = []
    for key, (title, unit) in SPEED.items():
        value = run.speed.get(key)
        if value is not None:
            rows.append((title, value if isinstance(value, str) else f"{_significant(value)} {unit}".rstrip()))
    return Part({"rows": rows}) if rows else None


def _significant(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:.3g}"
