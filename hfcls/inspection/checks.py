"""All that is looked for. To look for more: a function and a line."""

from collections.abc import Sequence

from hfcls.inspection.class_checks import check_classes
from hfcls.inspection.copy_checks import check_copies, check_groups, check_near_duplicates
from hfcls.inspection.finding import SEVERITIES, Finding, count
from hfcls.inspection.image_checks import check_looks, check_modes, check_readable, check_sizes
from hfcls.inspection.images import Images
from hfcls.inspection.scan import Facts


def find_all(images: Images, facts: Facts, notices: Sequence[str], more: Sequence[Finding] = ()) -> list[Finding]:
    """Everything that is odd, the gravest first.

    Args:
        notices: what the reader of the data had to say.
        more: what classifiers had to say of the images.
    """
    findings = [
        *check_readable(images, facts),
        *check_copies(images, facts),
        *check_near_duplicates(images, facts),
        *check_groups(images),
        *check_classes(images),
        *check_looks(images, facts),
        *check_sizes(images, facts),
        *check_modes(images, facts),
        *more,
    ]
    if notices:
        findings.append(
            Finding(
                "notices",
                "note",
                f"{count(len(notices), 'remark')} from reading the data",
                "See that nothing was left out that belongs to the data.",
                items=tuple(notices),
            )
        )
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))
