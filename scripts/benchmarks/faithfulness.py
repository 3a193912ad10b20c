"""Which explanation to believe: the measures of `hfcls explain --faithfulness` on photos from all over a data set.

    python scripts/benchmarks/faithfulness.py MODEL IMAGES --method fast --output_dir PLACE

IMAGES is what `hfcls predict` takes; photos are drawn from it at random. Explained is the predicted class. Prints a
Markdown table: means, and the differences to a random map and to a blob in the middle of the same photo, in the good
direction, with 95 % bootstrap intervals over the photos. Leaves the page in PLACE; goes on there where it was stopped.
Exits with 1 where a named method does not beat the random map in insertion and deletion.
"""

import argparse
import os
import shlex
import sys
from datetime import date
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}

import numpy as np
import torch
from datasets import Image
from tqdm import tqdm

from hfcls.arguments import DataArguments
from hfcls.data.images import load_images
from hfcls.evaluation.speed import describe_hardware
from hfcls.explain.album import FILE, TITLES, Album, Filler, Plan, Worth, choose_methods, judge, save_page
from hfcls.explain.faithfulness import CENTRE, MEASURES, RANDOM
from hfcls.explain.faithfulness.summary import Mean
from hfcls.models import load_classifier


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("images")
    parser.add_argument("--method", nargs="+", default=["fast"])
    parser.add_argument("--count", type=int, default=50, help="photos")
    parser.add_argument("--passes", type=int, help="what one map may take")
    parser.add_argument("--repeats", type=int, help="photos on which the measures that ask for further maps are run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output_dir", required=True)
    parser.add_argument("--must_beat", nargs="*", default=["grad-cam"], help="methods that have to beat a random map")
    arguments = parser.parse_args()
    classifier = load_classifier(arguments.model)
    methods, left_out = choose_methods(arguments.method, classifier.model.eval())
    data = load_images([arguments.images], DataArguments()).data
    rows = np.random.default_rng(arguments.seed).permutation(len(data))[: arguments.count]
    stored = data.select(rows).select_columns(["id", "image"]).cast_column("image", Image(decode=False))
    output = Path(arguments.output_dir)
    album = Album(Path(arguments.model).name, f"{len(rows)} photos", {}, methods, notices=left_out)
    if (output / FILE).is_file():
        album = Album.load(output)
    plan = Plan(
        tuple(methods), faithfulness=True, passes=arguments.passes, seed=arguments.seed, repeats=arguments.repeats
    )
    with tqdm(total=len(rows) * len(methods), unit="map") as bar:
        filler = Filler(album, classifier, plan, directory=output, step=lambda: bar.update())
        try:
            filler.fill((row["id"], row["image"], None) for row in stored)
        except KeyboardInterrupt:
            print("stopped; so far:", file=sys.stderr)
    worth = judge(album)
    save_page(output / "index.html", album, worth)
    print(f"{shlex.join(['python', *sys.argv])}")
    print(f"{date.today()}, {describe_hardware(torch.device('cpu'))}, {torch.get_num_threads()} threads\n")
    print(markdown(album, worth))
    print("\n" + " ".join(worth.sentences))
    beaten = {(row.method, row.measure) for row in worth.rows if row.over_random and (row.over_random.low or 0) > 0}
    wanted = [name for name in arguments.must_beat if name in methods]
    return 0 if all((name, one) in beaten for name in wanted for one in ("insertion", "deletion")) else 1


def markdown(album: Album, worth: Worth) -> str:
    """The table for a README."""
    table = {(row.method, row.measure): row for row in worth.rows}
    names = [*album.methods, RANDOM, CENTRE]
    over = [
        f"{MEASURES[name].title.lower()} over {other}"
        for name in ("insertion", "deletion")
        for other in ("random", "centre")
    ]
    titles = [f"{one.title} ({'↑' if one.better == 'higher' else '↓'})" for one in MEASURES.values()]
    lines = ["| method | n | " + " | ".join([*titles, *over, "s a map"]) + " |"]
    lines.append("| --- |" + " ---: |" * (len(titles) + len(over) + 2))
    for name in names:
        if (name, "insertion") not in table:
            continue
        cells = [_mean(table[name, one].mean) if (name, one) in table else "" for one in MEASURES]
        for one in ("insertion", "deletion"):
            row = table[name, one]
            cells += [_mean(row.over_random, sign=True), _mean(row.over_centre, sign=True)]
        seconds = [one.seconds for _, one in album.maps() if one.method == name and one.error is None]
        cells.append(f"{np.median(seconds):.2f}" if seconds else "")
        lines.append(f"| {TITLES[name]} | {table[name, 'insertion'].mean.n} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _mean(mean: Mean | None, *, sign: bool = False) -> str:
    if mean is None:
        return ""
    form = "+.3f" if sign else ".3f"
    ends = "" if mean.low is None else f" [{mean.low:{form}}, {mean.high:{form}}]"
    return f"{mean.value:{form}}{ends}"


if __name__ == "__main__":
    sys.exit(main())
