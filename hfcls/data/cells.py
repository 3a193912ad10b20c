"""Image cells that name a file instead of holding it: only files below the folder of the data set are read."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from datasets.fingerprint import Hasher
from datasets.table import InMemoryTable

from hfcls.data.paths import OUTSIDE, Roots, below_root


def confined(path: str, roots: Sequence[Roots]) -> str:
    """The path of the file that a cell names, or one that no one reads: see `hfcls.data.decode.read_bytes`.

    Args:
        path: from the cell: below one of the roots, or relative to it.
        roots: none where no file may be named.
    """
    for root in roots:
        try:
            return root[0] + below_root(path, root)
        except ValueError:
            continue
    return OUTSIDE + path


def confine_paths(data: Dataset, roots: Sequence[Roots]) -> Dataset:
    """Data in which every cell of the column ``image`` without bytes of its own names a file below one of the roots.

    Others get a name that is refused when they are read. Bytes are not copied.
    """
    table = data.data.table
    position = table.column_names.index("image")
    chunks = [_confine(chunk, roots) for chunk in table.column(position).chunks]
    if all(chunk is None for chunk in chunks):
        return data
    chunks = [new or old for new, old in zip(chunks, table.column(position).chunks, strict=True)]
    table = table.set_column(position, table.schema.field(position), pa.chunked_array(chunks))
    # Told here, since it would be made of all the bytes.
    fingerprint = Hasher.hash([data._fingerprint, list(roots)])
    return Dataset(
        InMemoryTable(table), info=data.info, split=data.split, indices_table=data._indices, fingerprint=fingerprint
    )


def named_files(data: Dataset) -> list[str]:
    """The paths of the files that cells of the column ``image`` name instead of holding their bytes.

    All those of the data that `data` was selected from; those that are never read are left out.
    """
    found: list[str] = []
    for cells in data.data.table.column("image").chunks:
        named = pc.and_(pc.is_null(pc.struct_field(cells, "bytes")), pc.is_valid(pc.struct_field(cells, "path")))
        if pc.any(named).as_py():
            found += pc.struct_field(cells, "path").filter(named).to_pylist()
    return [path for path in found if not path.startswith(OUTSIDE)]


def _confine(cells: pa.StructArray, roots: Sequence[Roots]) -> pa.StructArray | None:
    """The cells anew, or None where all have bytes."""
    contents, paths = pc.struct_field(cells, "bytes"), pc.struct_field(cells, "path")
    named = pc.and_(pc.is_null(contents), pc.is_valid(paths))
    if not pc.any(named).as_py():
        return None
    found = [confined(path, roots) for path in paths.filter(named).to_pylist()]
    paths = pc.replace_with_mask(paths, named, pa.array(found, paths.type))
    return pa.StructArray.from_arrays([contents, paths], fields=list(cells.type), mask=pc.is_null(cells))
