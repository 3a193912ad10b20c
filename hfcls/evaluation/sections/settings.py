"""Every argument of the run."""

import json
import re

from hfcls.evaluation.measured_run import MeasuredRun
from hfcls.evaluation.section import Part

_SECRET = re.compile(r"(^|_)(token|password|secret|api_key)$", re.IGNORECASE)


def build(run: MeasuredRun) -> Part | None:
    """The arguments as text; access tokens and passwords stay out of a page that people pass around."""
    rows = []
    for key, value in run.settings.items():
        hidden = _SECRET.search(str(key)) and isinstance(value, str) and value
        shown = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
        rows.append((str(key), "(hidden)" if hidden else shown))
    return Part({"rows": rows}) if rows else None
