"""Tables: what they hold is read as it stands, what is wrong with them is said in one sentence."""

import json
import logging
import shutil
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, List, Value

from hfcls.data.columns import Columns, standard_columns
from hfcls.data.decode import read_bytes
from hfcls.data.hub import find_hub_data
from hfcls.data.stored import parquet_files, read_arrow, read_hub, read_parquet, read_saved
from hfcls.data.tables import metadata_file, read_table
from hfcls.errors import BadImage, UserError
from tests.conftest import write_images


def names(data: Dataset) -> list[str]:
    return [data.features["label"].names[label] for label in data["label"]]


def paths(data: Dataset) -> list[str]:
    return [cell["path"] for cell in data.cast_column("image", Image(decode=False))["image"]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images a/0.png, a/1.png and b/0.png."""
    return write_images(tmp_path / "images", {"a": 2, "b": 1}, size=4)


def table(folder: Path, text: str | bytes, name: str = "list.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# -- lists of files --------------------------------------------------------------------------------------------

ROWS = [
    {"file_name": "a/0.png", "label": "class 10", "split": "Train", "patient": "007"},
    {"file_name": "./a/../a/1.png", "label": "class 2", "split": "train", "patient": "8"},
    {"file_name": "b/0.png", "label": "class 2", "split": "val", "patient": "8"},
]
SPREADSHEET = (
    "\ufefflabel; file_name ;split;patient\r\nclass 10;a/0.png;Train;007\r\n\r\n"
    ' "class 2" ;./a/../a/1.png;train;8\r\nclass 2;"b/0.png";val;8\r\n;;;\r\n'
)


@pytest.mark.parametrize("kind", ["csv", "tsv", "spreadsheet", "jsonl", "json", "parquet"])
def test_every_kind_of_list_reads_the_same(folder: Path, kind: str):
    lines = [",".join(ROWS[0]), *(",".join(row.values()) for row in ROWS)]
    texts = {
        "csv": "\n".join(lines),
        "tsv": "\n".join(lines).replace(",", "\t"),
        "spreadsheet": SPREADSHEET.replace(' "class 2" ', ' "class 2"'),
        "jsonl": "\n\n".join(map(json.dumps, ROWS)),
        "json": json.dumps(ROWS, indent=1),
    }
    path = folder / f"list.{'csv' if kind == 'spreadsheet' else kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    else:
        table(folder, texts[kind], path.name)
    read = read_table(path, Columns(group="patient"))
    assert (list(read.splits), read.notices) == (["train", "validation"], [])
    train, validation = read.splits.values()
    assert train.features["label"].names == ["class 2", "class 10"]
    assert (train["id"], names(train), train["group"]) == (
        ["a/0.png", "a/1.png"],
        ["class 10", "class 2"],
        ["007", "8"],
    )
    assert (validation["id"], names(validation)) == (["b/0.png"], ["class 2"])
    assert paths(validation) == [str(folder / "b" / "0.png")]
    assert validation[0]["image"].size == (4, 4)


def test_text_stays_text(folder: Path):
    """No guesses: leading zeros, `NA`, formulas and quoted line breaks are what they are."""
    listing = table(folder, 'path,class\na/0.png,007\na/1.png,NA\nb/0.png,=1+1\n"a\nb.png"," two\nlines "\n')
    data = read_table(listing, Columns()).splits["train"]
    assert names(data) == ["007", "NA", "=1+1", "two\nlines"]
    assert data["id"][3] == "a\nb.png"


def test_typed_labels(folder: Path):
    features = Features({"image": Value("string"), "label": ClassLabel(names=["dog", "cat"])})
    for number, (label, expected) in enumerate(
        [([1.0, 0.0], ["1", "0"]), ([True, False], ["True", "False"]), ([10, 9], ["10", "9"])]
    ):
        rows = [{"image": "a/0.png", "label": label[0]}, {"image": "a/1.png", "label": label[1]}]
        lines = table(folder, "\n".join(map(json.dumps, rows)), f"{number}.jsonl")
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{number}.parquet")
        for path in (lines, folder / f"{number}.parquet"):
            assert names(read_table(path, Columns()).splits["train"]) == expected
    Dataset.from_dict({"image": ["a/0.png", "a/1.png"], "label": [0, 1]}, features=features).to_parquet(
        folder / "classes.parquet"
    )
    for read in (read_table, read_parquet):
        assert names(read(folder / "classes.parquet", Columns()).splits["train"]) == ["dog", "cat"]


def test_columns_are_found_or_asked_for(folder: Path):
    by_shape = table(folder, "number,photo,kind\n1,a/0.png,x\n2,b/0.png,y\n")
    assert names(read_table(by_shape, Columns(label="kind")).splits["train"]) == ["x", "y"]
    assert "label" not in read_table(by_shape, Columns(labelled=False)).splits["train"].column_names
    for columns, message in (
        (Columns(), "no label column among number, kind: choose one with --label_column_name"),
        (Columns(label="kindd"), "no column 'kindd': it has number, photo, kind.*Did you mean 'kind'"),
        (Columns(label="kind", group="kind"), "--label_column_name and --group_column_name both name 'kind'"),
    ):
        with pytest.raises(UserError, match=message):
            read_table(by_shape, columns)
    two = table(folder, "image,mask,label\na/0.png,b/0.png,x\n")
    assert read_table(two, Columns()).splits["train"]["id"] == ["a/0.png"]
    assert read_table(two, Columns(image="mask")).splits["train"]["id"] == ["b/0.png"]
    with pytest.raises(UserError, match=r"several columns of image paths \(one, two\)"):
        read_table(table(folder, "one,two,label\na/0.png,b/0.png,x\n"), Columns())
    with pytest.raises(UserError, match=r"begins with the image 'a/0.png'"):
        read_table(table(folder, "a/0.png,x\na/1.png,y\n"), Columns(labelled=False))
    unsure = table(folder, "file_name,label\na/0.png,x\na/1.png,\n")
    assert "label" not in read_table(unsure, Columns(labelled=False)).splits["train"].column_names


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("../b/0.png", "line 3: the path '../b/0.png' .*--image_dir ROOT"),
        ("a/../../b/0.png", "--image_dir ROOT"),
        ("/etc/hostname", "line 3: the path '/etc/hostname' .*--image_dir ROOT"),
        ("a\\0.png", "forward slashes"),
        ("https://example.org/0.png", "is a URL, which is not fetched"),
        ("s3://bucket/0.png", "is a URL"),
        ("", "line 3: no path of an image"),
    ],
)
def test_paths_stay_below_the_root(folder: Path, path: str, message: str):
    with pytest.raises(UserError, match=message):
        read_table(table(folder / "a", f"file_name,label\n0.png,x\n{path},y\n"), Columns())


def test_another_root(folder: Path, tmp_path: Path):
    (tmp_path / "link").symlink_to(folder)
    rows = f"file_name,label\na/0.png,x\n{folder}/a/1.png,y\n{tmp_path}/link/b/0.png,z\n"
    listing = table(tmp_path, rows)
    for root in (folder, tmp_path / "link"):
        # A link is resolved, so the one spelling is inside by way of the other only for that root.
        lines = rows if root.name == "link" else rows.replace("/link/", "/images/")
        read = read_table(table(tmp_path, lines), Columns(path_root=root), prefix="more/")
        assert read.splits["train"]["id"] == ["more/a/0.png", "more/a/1.png", "more/b/0.png"]
        assert paths(read.splits["train"])[2] == str(folder / "b" / "0.png")
    with pytest.raises(UserError, match=r"None of the 2 files .*nothing/0\.png'.*--image_dir"):
        read_table(table(tmp_path, "file_name,label\nnothing/0.png,x\nnothing/1.png,x\n"), Columns())
    with pytest.raises(UserError, match="nowhere is not a directory"):
        read_table(listing, Columns(path_root=tmp_path / "nowhere"))
    (folder / "a" / "dangling.png").symlink_to("/nowhere")
    some = read_table(table(folder, "file_name,label\na/0.png,x\na/dangling.png,x\na,x\n"), Columns())
    assert paths(some.splits["train"]) == [str(folder / name) for name in ("a/0.png", "a/dangling.png", "a")]


def test_repeated_paths_are_told_apart(folder: Path):
    rows = ["file_name,label", "a/0.png,x", "a/1.png,x", "a/0.png,x", "./a/0.png,y"]
    read = read_table(table(folder, "\n".join(rows)), Columns())
    assert read.splits["train"]["id"] == ["a/0.png", "a/1.png", "a/0.png (row 4)", "a/0.png (row 5)"]
    assert paths(read.splits["train"])[3] == str(folder / "a" / "0.png")
    (notice,) = read.notices
    assert "2 rows" in notice
    assert "1 of them with another label" in notice


def test_labels_groups_and_splits_are_whole(folder: Path):
    rows = "file_name,label,split,patient\na/0.png,x,train,1\na/1.png,{},{},{}\n"
    for cells, message in (
        ((" ", "train", "2"), "1 of 2 rows of .* have no label in 'label', the first is 'a/1.png'"),
        (("x", "train", ""), "1 of 2 rows of .* have no group in 'patient', the first is 'a/1.png'"),
        (("x", "holdout", "2"), "line 3: the split 'holdout'"),
        (("x", "", "2"), "line 3: the split ''"),
    ):
        with pytest.raises(UserError, match=message):
            read_table(table(folder, rows.format(*cells)), Columns(group="patient"))
    missing = table(folder, '{"image": "a/0.png", "label": NaN}\n{"image": "a/1.png"}', "list.jsonl")
    with pytest.raises(UserError, match="2 of 2 rows"):
        read_table(missing, Columns())
    several = table(folder, '{"image": "a/0.png", "labels": ["x", "y"]}', "list.jsonl")
    with pytest.raises(UserError, match="one class per image"):
        read_table(several, Columns())
    assert len(read_table(several, Columns(labelled=False)).splits["train"]) == 1


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.csv", "", "is empty"),
        ("x.csv", "file_name,label\n\n", "lists no images"),
        ("x.csv", "file_name,label,label\na/0.png,x,y", "two columns called 'label'"),
        ("x.csv", "file_name,label\na/0.png,x\na/1.png,x,y\n", "line 3: 3 cells where the header has 2"),
        ("x.csv", 'file_name,label\n"a\nb.png",x\na/1.png\n', "line 4: 1 cells where the header has 2"),
        ("x.csv", "file_name,label\na/0.png,x\0y\n", "line 2, holds a NUL byte"),
        ("x.csv", "file_name,label\na/0.png,é\n".encode("latin-1"), "not text in UTF-8 .*save it as UTF-8"),
        ("x.csv", "file_name,label\na/0.png,é\n".encode("utf-16"), "save it as UTF-8"),
        ("x.csv", 'file_name,label\na/0.png,"x\n', "line 2, cannot be read as CSV"),
        ("x.csv", f"file_name,label\na/0.png,{'x' * 200_000}\n", "line 2, cannot be read as CSV: field larger"),
        ("x.jsonl", '{"file_name": "a/0.png", "label": 1}\n{"file_name"\n', "line 2, is not JSON"),
        ("x.jsonl", '{"file_name": "a/0.png", "label": 1}\n["a"]\n', "line 2, holds a list: expected an object"),
        ("x.jsonl", "[" * 100_000, "line 1, is not JSON"),
        ("x.jsonl", '{"file_name": "a/0.png", "label": %s}' % ("9" * 9999), "line 1, is not JSON"),
        ("x.jsonl", '{"file_name": "\\ud800.png", "label": 1}', "line 1: the path"),
        ("x.jsonl", '{"file_name": 5, "label": 1}', "line 1: '5' is not the path"),
        ("x.json", "[]", "is empty"),
        ("x.json", "[1]", "row 1, holds a int"),
        ("x.parquet", "PAR1 but no more PAR1", "cannot be read as Parquet"),
    ],
)
def test_broken_lists_are_said(folder: Path, name: str, text: str | bytes, message: str):
    with pytest.raises(UserError, match=message):
        read_table(table(folder, text, name), Columns())


def test_metadata_files_are_found(folder: Path):
    assert metadata_file(folder) is None
    found = table(folder, "file_name,label\na/0.png,x\n", "metadata.csv")
    assert metadata_file(folder) == found
    table(folder, "", "metadata.jsonl")
    with pytest.raises(UserError, match=r"metadata\.csv, metadata\.jsonl: keep one"):
        metadata_file(folder)


def test_bad_tables_of_the_corpus(shared: Path, tmp_path: Path):
    with tarfile.open(shared / "tools" / "badcorpus" / "dev.tar.gz") as archive:
        wanted = [m for m in archive if m.name.startswith("dev/table/") or m.name == "dev/manifest.json"]
        archive.extractall(tmp_path, wanted, filter="data")
    found = [item for item in json.loads((tmp_path / "dev" / "manifest.json").read_text()) if item["kind"] == "table"]
    assert found
    for item in found:
        path = tmp_path / "dev" / item["path"]
        for number in range(2 if item["expect"] == "neutralise" else 0):
            (path.parent / f"{number}.png").touch()
        if item["expect"] == "neutralise":
            assert names(read_table(path, Columns()).splits["train"]) == ["=1+1", "@SUM(A1)"]
            continue
        with pytest.raises(UserError, match=path.name):
            read_table(path, Columns())


# -- images inside ---------------------------------------------------------------------------------------------


@pytest.fixture
def stored(folder: Path) -> Dataset:
    """Three rows whose columns carry misleading names."""
    content = [(folder / name).read_bytes() for name in ("a/0.png", "a/1.png", "b/0.png")]
    features = Features({"label": Image(), "image": Value("string"), "id": Value("int64"), "scan": Value("float32")})
    columns = {
        "label": [{"bytes": data, "path": None} for data in content],
        "image": ["class 10", "class 2 ", "class 2"],
        "id": [7, 7, 8],
        "scan": [1.0, 2.0, 2.5],
    }
    return Dataset.from_dict(columns, features=features)


def write_arrow(data: Dataset, path: Path, *, stream: bool) -> None:
    whole = data.with_format("arrow")[:]
    opened = pa.ipc.new_stream(path, whole.schema) if stream else pa.ipc.new_file(path, whole.schema)
    with opened as writer:
        writer.write_table(whole)


@pytest.mark.parametrize("kind", ["parquet", "stream", "file", "saved", "brackets"])
def test_every_container_reads_the_same(stored: Dataset, tmp_path: Path, kind: str):
    place = tmp_path / ("[odd] *name?" if kind == "brackets" else "data")
    place.mkdir()
    if kind in {"parquet", "brackets"}:
        stored.select([0, 1]).to_parquet(place / "train-00000-of-00002.parquet")
        stored.select([2]).to_parquet(place / "train-00001-of-00002.parquet")
        stored.select([2]).to_parquet(place / "my-test.parquet")
        read = read_parquet
    elif kind == "saved":
        DatasetDict({"train": stored.with_format("numpy"), "test": stored.select([2])}).save_to_disk(place)
        read = read_saved
    else:
        write_arrow(stored, place / "digits-train.arrow", stream=kind == "stream")
        write_arrow(stored.select([2]), place / "digits-test.arrow", stream=kind == "stream")
        read = read_arrow
    columns = Columns(label="image", group="id")
    reading = read(place, columns, prefix="p/")
    assert list(reading.splits) == ["train", "test"]
    train, test = reading.splits["train"], reading.splits["test"]
    assert set(train.column_names) == {"id", "image", "label", "group"}
    assert train["id"] == ["p/train/0", "p/train/1", "p/train/2"]
    assert train.features["label"].names == ["class 2", "class 10"]
    assert (names(train), names(test)) == (["class 10", "class 2", "class 2"], ["class 2"])
    assert (train["group"], test["id"]) == (["7", "7", "8"], ["p/test/0"])
    assert train[2]["image"].tobytes() == test[0]["image"].tobytes() == stored[2]["label"].tobytes()


def test_plain_bytes_are_images(folder: Path, tmp_path: Path):
    content = [(folder / name).read_bytes() for name in ("a/0.png", "b/0.png")]
    labels = pa.array(["x", "y"]).dictionary_encode()
    for number, kind in enumerate((pa.binary(), pa.large_binary(), pa.binary_view())):
        pq.write_table(pa.table({"photo": pa.array(content, kind), "species": labels}), tmp_path / f"{number}.parquet")
        data = read_parquet(tmp_path / f"{number}.parquet", Columns()).splits["train"]
        assert (data[1]["image"].size, names(data)) == ((4, 4), ["x", "y"])


@pytest.mark.parametrize("kind", ["parquet", "arrow", "saved"])
def test_cells_name_files_below_the_folder_alone(folder: Path, tmp_path: Path, monkeypatch, kind: str):
    """Cells without bytes read what lies below the folder of the data, or below --image_dir, and nothing else."""
    monkeypatch.chdir(folder)  # where relative paths must not start
    place = tmp_path / "data"
    (place / "b").mkdir(parents=True)
    shutil.copy(folder / "b" / "0.png", place / "b" / "0.png")
    paths = ["b/0.png", str(place / "b" / "0.png"), "a/0.png", str(folder / "a" / "0.png"), "../data/b/0.png", None]
    cells = [{"bytes": Path("a/1.png").read_bytes(), "path": "/x.png"}, *({"bytes": None, "path": p} for p in paths)]
    cells.append({"bytes": None, "path": f"file://{folder}/a/0.png"})
    whole = pa.Table.from_pylist([{"image": cell, "label": "x"} for cell in cells])
    if kind == "parquet":
        pq.write_table(whole, place / "train.parquet")
    else:
        if kind == "saved":
            Dataset.from_dict({"image": cells[:1], "label": ["x"]}).save_to_disk(place)
        name = "train.arrow" if kind == "arrow" else next(place.glob("*.arrow")).name
        with pa.ipc.new_stream(place / name, whole.schema) as writer:
            writer.write_table(whole)
    read = {"parquet": read_parquet, "arrow": read_arrow, "saved": read_saved}[kind]

    def reasons(**asked) -> list[str]:
        data = read(place, Columns(**asked)).splits["train"].cast_column("image", Image(decode=False))
        said = []
        for cell in data["image"]:
            try:
                read_bytes(cell, "x")
                said.append("")
            except BadImage as error:
                said.append(error.reason)
        return said

    outside = "which is not below the folder"
    wanted = ["", "", "", "does not exist", outside, outside, "its cell is empty", "is an address"]
    found = reasons()
    assert all(w in r and bool(w) == bool(r) for w, r in zip(wanted, found, strict=True)), found
    wanted = ["", "", outside, "", "", outside, "its cell is empty", "is an address"]
    found = reasons(path_root=folder)
    assert all(w in r and bool(w) == bool(r) for w, r in zip(wanted, found, strict=True)), found


def test_parquet_of_paths(folder: Path):
    for split, rows in (("train", ["a/0.png", "a/1.png"]), ("test", ["b/0.png", "a/0.png"])):
        pq.write_table(pa.table({"image_path": rows, "label": ["x", "y"]}), folder / f"{split}.parquet")
    reading = read_parquet(folder, Columns())
    ids = {split: data["id"] for split, data in reading.splits.items()}
    assert ids == {"train": ["a/0.png", "a/1.png"], "test": ["b/0.png", "a/0.png (row 4)"]}
    assert "1 of them with another label" in reading.notices[0]


def test_class_lists_of_splits_are_their_own(stored: Dataset, tmp_path: Path):
    """Two files number their classes differently: each is read with its own list."""
    for split, order in (("train", ["cat", "dog"]), ("test", ["dog", "cat"])):
        data = stored.select_columns(["label"]).rename_column("label", "image")
        data.add_column("y", [0, 1, 1], feature=ClassLabel(names=order)).to_parquet(tmp_path / f"{split}.parquet")
    splits = read_parquet(tmp_path, Columns()).splits
    assert names(splits["train"]) == ["cat", "dog", "dog"]
    assert names(splits["test"]) == ["dog", "cat", "cat"]


def test_labels_of_stored_tables(stored: Dataset):
    images = stored.select_columns(["label"]).rename_column("label", "image")

    def standard(labels: list, feature=None, **asked) -> Dataset:
        data = images.add_column("label", labels, feature=feature)
        return standard_columns({"train": data}, Columns(**asked))["train"]

    assert names(standard([1.0, 2.0, 0.5])) == ["1", "2", "0.5"]
    assert names(standard([True, False, True])) == ["True", "False", "True"]
    for labels, feature in (
        ([None, 1, 2], Value("int64")),
        ([float("nan"), 1, 2], Value("float64")),
        (["", "a", "b"], Value("string")),
        ([-1, 0, 0], ClassLabel(names=["a"])),
    ):
        with pytest.raises(UserError, match="1 of 3 rows of the train split have no label in 'label'"):
            standard(labels, feature)
        assert "label" not in standard(labels, feature, labelled=False).column_names
    with pytest.raises(UserError, match="holds the class 5: expected 0 to 0"):
        standard([0, 5, 0], ClassLabel(names=["a"]))
    with pytest.raises(UserError, match="one class per image is expected"):
        standard([[0], [1], [0, 1]], List(Value("int64")))
    with pytest.raises(UserError, match=r"1 of 3 rows .* no group in 'label', the first is 'train/1'"):
        standard(["a", None, "b"], Value("string"), group="label", labelled=False)
    with pytest.raises(UserError, match="'label' holds lists of int64: expected encoded images"):
        standard([[[0, 1]]] * 3, image="label", labelled=False)
    with pytest.raises(UserError, match="'label' holds text, not images: choose with --image_column_name"):
        standard(["a", "b", "c"], image="label", labelled=False)
    with pytest.raises(UserError, match=r"several label columns \(class, label\)"):
        standard_columns({"train": images.add_column("class", [1, 2, 3]).add_column("label", [1, 2, 3])}, Columns())
    with pytest.raises(UserError, match="no image column among label"):
        standard_columns({"train": Dataset.from_dict({"label": [1]})}, Columns())


def test_splits_that_are_no_splits(stored: Dataset, tmp_path: Path):
    unlabelled = stored.remove_columns("image").add_column("image", [""] * 3, feature=Value("string"))
    splits = {"train": stored, "val": stored, "extra": stored, "test": unlabelled}
    DatasetDict(splits).save_to_disk(tmp_path / "saved")
    reading = read_saved(tmp_path / "saved", Columns(label="image"))
    assert list(reading.splits) == ["train", "validation"]
    assert ["'extra'" in notice for notice in reading.notices] == [True, False]
    assert "The test split" in reading.notices[1]
    DatasetDict({"extra": stored}).save_to_disk(tmp_path / "none")
    with pytest.raises(UserError, match="has the splits extra: expected train, validation or test"):
        read_saved(tmp_path / "none", Columns(label="image"))


def test_split_names_in_file_names(tmp_path: Path):
    files = ["trainval.parquet", "test-0.parquet", "flowers_valid.parquet", "train_test.parquet", ".train.parquet"]
    for name in files:
        (tmp_path / name).touch()
    found = {split: [Path(file).name for file in shards] for split, shards in parquet_files(tmp_path).items()}
    assert found == {
        "train": ["train_test.parquet", "trainval.parquet"],
        "test": ["test-0.parquet"],
        "validation": ["flowers_valid.parquet"],
    }
    (tmp_path / "my-train-test.parquet").touch()
    with pytest.raises(UserError, match=r"my-train-test\.parquet holds test, train: rename it"):
        parquet_files(tmp_path)


def test_broken_containers_are_said(stored: Dataset, tmp_path: Path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("datasets"), "handlers", [caplog.handler])
    stored.to_parquet(tmp_path / "whole.parquet")
    write_arrow(stored, tmp_path / "whole.arrow", stream=True)
    stored.save_to_disk(tmp_path / "saved")
    columns = Columns(label="image")
    for suffix, read in ((".parquet", read_parquet), (".arrow", read_arrow)):
        content = (tmp_path / f"whole{suffix}").read_bytes()
        for number, broken in enumerate((b"", content[:-10], content[: len(content) // 2], bytes(range(256)) * 9)):
            path = tmp_path / f"broken{number}{suffix}"
            path.write_bytes(broken)
            with pytest.raises(UserError, match=f"broken{number}{suffix} cannot be read as"):
                read(path, columns)
    stored.select([]).to_parquet(tmp_path / "empty.parquet")
    with pytest.raises(UserError, match=r"empty\.parquet holds no rows"):
        read_parquet(tmp_path / "empty.parquet", columns)
    pages = bytearray((tmp_path / "whole.parquet").read_bytes())
    pages[4:200] = bytes(196)
    (tmp_path / "pages.parquet").write_bytes(pages)
    with pytest.raises(UserError, match=r"pages\.parquet cannot be read as Parquet"):
        read_parquet(tmp_path / "pages.parquet", columns)
    (arrow,) = (tmp_path / "saved").glob("*.arrow")
    content = arrow.read_bytes()
    for broken in (content[:300], content.replace(b"class 10", b"class \xff\xff")):
        arrow.unlink()  # the old one is still mapped into memory
        arrow.write_bytes(broken)
        with pytest.raises(UserError, match="not a data set that save_to_disk wrote"):
            read_saved(tmp_path / "saved", columns)
    assert not caplog.records


def test_shards_that_differ(stored: Dataset, tmp_path: Path):
    stored.to_parquet(tmp_path / "train-0.parquet")
    stored.cast_column("id", Value("string")).to_parquet(tmp_path / "train-1.parquet")
    with pytest.raises(UserError, match=r"train-1.parquet and .*train-0.parquet differ in the column 'id'"):
        read_parquet(tmp_path, Columns(label="image"))
    stored.remove_columns("scan").to_parquet(tmp_path / "train-1.parquet")
    with pytest.raises(UserError, match="differ in the column 'scan'"):
        read_parquet(tmp_path, Columns(label="image"))


def test_hub_configurations(stored: Dataset, tmp_path: Path):
    for config in ("big", "small"):
        stored.to_parquet(tmp_path / f"{config}.parquet")
    configs = [f"- {{config_name: {name}, data_files: {name}.parquet}}" for name in ("big", "small")]
    (tmp_path / "README.md").write_text("\n".join(["---", "configs:", *configs, "---"]))
    columns = Columns(label="image")
    assert names(read_hub(find_hub_data(str(tmp_path), None), "big", columns).splits["train"]) == [
        "class 10",
        "class 2",
        "class 2",
    ]
    with pytest.raises(UserError, match=r"choose one of \['big', 'small'\] with --dataset_config_name"):
        read_hub(find_hub_data(str(tmp_path), None), None, columns)
    with pytest.raises(UserError, match="neither a directory here nor to be had from the Hub"):
        read_hub(find_hub_data("nobody/nothing-of-this-name", None), None, columns)
