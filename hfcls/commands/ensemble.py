"""``hfcls ensemble``: several classifiers in; one that answers for all of them, measured beside them, out."""

from pathlib import Path
from shlex import quote
from typing import Any

from hfcls.arguments import DataArguments, only
from hfcls.command_arguments import EnsembleArguments
from hfcls.errors import UserError
from hfcls.parsing import Parser, flags_of

DESCRIPTION = """Makes one classifier of several, which every command takes as a run, and measures it beside them.

A MEMBER is a run directory, a checkpoint-* of one, or any model. What is learned is learned on the validation split
that the members' runs share; it is found again from run.yaml and data.json, or named by data flags.

examples:
  hfcls ensemble runs/a runs/b runs/c --output_dir runs/together
  hfcls ensemble runs/a runs/b runs/c --method greedy --output_dir runs/chosen
  hfcls ensemble runs/fine1 runs/fine2 runs/fine3 --method greedy_soup --output_dir runs/soup
  hfcls ensemble runs/cycles --snapshots --output_dir runs/snapshots"""


def build_parser() -> Parser:
    """All flags of the command."""
    parser = Parser("ensemble", DESCRIPTION, positionals="MEMBER [MEMBER ...] ")
    what = "run directory, checkpoint, or Hub id (user/name[@revision]); the first says how images are prepared"
    parser.add_argument("members", metavar="MEMBER", nargs="+", help=what)
    parser.add_config()
    parser.add_flags("ensemble", flags_of(EnsembleArguments))
    parser.add_flags("data", flags_of(DataArguments))
    return parser


def main(argv: list[str]) -> None:
    """Parses the flags and makes the ensemble."""
    ensemble(build_parser().values(argv))


def ensemble(values: dict[str, Any]) -> dict[str, Any]:
    """One ensemble, from members to a finished directory.

    Args:
        values: flags by name, and ``members``: a list of names.

    Returns:
        What ``ensemble.json`` holds.

    Raises:
        UserError: bad input; see the message.
    """
    names = [str(name) for name in values["members"]]
    values = build_parser().check({key: value for key, value in values.items() if key != "members"})
    arguments = only(EnsembleArguments, values)
    _check(arguments, names)
    from accelerate import Accelerator

    from hfcls.ensembling import COMBINATIONS
    from hfcls.training.combining import choose_members, measure_combined
    from hfcls.training.members import find_members, load_shared_data
    from hfcls.training.run_directory import (
        check_nothing_inside,
        check_run_directory,
        open_run_directory,
        writing,
    )

    output = Path(str(arguments.output_dir)).expanduser()
    check_run_directory(output, resume=None, overwrite=arguments.overwrite_output_dir)
    check_nothing_inside(output, values)
    _check_not_inside(output, names, overwrite=arguments.overwrite_output_dir)
    row = COMBINATIONS[arguments.method]
    members = find_members(
        names,
        snapshots=arguments.snapshots,
        trust_remote_code=arguments.trust_remote_code,
        allow_pickle=arguments.allow_pickle,
    )
    shared = load_shared_data(members, values)
    accelerator = Accelerator(cpu=arguments.use_cpu)
    for notice in shared.notices:
        print(f"note: {notice}", flush=True)
    sizes = ", ".join(f"{len(data):,} {split}" for split, data in shared.loaded.splits.items())
    print(f"data      {shared.loaded.source}: {len(shared.loaded.class_names)} classes; {sizes}")
    print(f"members   {', '.join(member.name for member in members)}")
    print(f"method    {arguments.method}: {row.title}", flush=True)
    combined = choose_members(members, shared, arguments, accelerator=accelerator)
    for notice in combined.classifier.notices:
        print(f"note: {notice}", flush=True)
    open_run_directory(output, resume=False)
    with writing(output, then="give the same command with --overwrite_output_dir"):
        content = measure_combined(combined, shared, output, names, accelerator=accelerator)
        _report(output, combined, shared, content)
    return content


def _check(arguments: EnsembleArguments, names: list[str]) -> None:
    """What can be said of names and flags alone.

    Raises:
        UserError: one is missing, out of range, or without effect.
    """
    if not arguments.output_dir:
        raise UserError("No --output_dir: say where the ensemble goes, such as --output_dir runs/together.")
    if arguments.snapshots and len(names) != 1:
        raise UserError(f"--snapshots takes the checkpoints of one run, and {len(names)} models are named.")
    if not arguments.snapshots and len(names) < 2:
        raise UserError(f"{names[0]} alone makes no ensemble: name two members or more.")
    twice = next((name for number, name in enumerate(names) if name in names[:number]), None)
    if twice is not None:
        raise UserError(f"{twice} is named twice: name each member once, and let `--method weighted` weigh them.")
    if arguments.per_device_eval_batch_size < 1 or arguments.dataloader_num_workers < 0:
        raise UserError("--per_device_eval_batch_size is a whole number from 1 on, --dataloader_num_workers from 0 on.")
    if arguments.metric is not None and arguments.method not in ("greedy", "greedy_soup"):
        raise UserError(f"--metric would have no effect with --method {arguments.method}: it goes with greedy choices.")
    if arguments.bags is not None and arguments.method != "greedy":
        raise UserError(f"--bags would have no effect with --method {arguments.method}: it goes with greedy.")
    if arguments.bags is not None and arguments.bags < 0:
        raise UserError(f"--bags is {arguments.bags}: expected 0 (all members at once) or more.")


def _check_not_inside(output: Path, names: list[str], *, overwrite: bool) -> None:
    """Whether a member would be lost with what is overwritten.

    Raises:
        UserError: it would.
    """
    for name in names if overwrite else ():
        if Path(name).exists() and Path(name).resolve().is_relative_to(output.resolve()):
            raise UserError(f"{name} lies in --output_dir, which --overwrite_output_dir would remove.")


def _report(output: Path, combined: Any, shared: Any, content: dict[str, Any]) -> None:
    """The pages and the card; says what came out and where it is."""
    from hfcls.data.pictures import Pictures
    from hfcls.evaluation.ensemble_page import save_ensemble_page, summary_lines
    from hfcls.evaluation.measured_run import choose_split
    from hfcls.evaluation.report import save_report
    from hfcls.explain.report_pictures import report_overlays

    page = save_ensemble_page(output, content)
    pictures = Pictures(
        shared.loaded.splits[choose_split(content["splits"])], max_pixels=shared.loaded.max_image_pixels
    )
    report = save_report(output, pictures=pictures, explain=report_overlays(combined.classifier))
    print("\n" + "\n".join(summary_lines(content)))
    print(
        f"\nensemble    {output}\npage        {page}\nreport      {report}\n"
        f"next        hfcls predict {quote(str(output))} IMAGE ...\n"
        f"            hfcls evaluate {quote(str(output))} --suite full"
    )
