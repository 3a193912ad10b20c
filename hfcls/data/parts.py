"""Parts of a data set by a column of its table, such as hospital or camera, which play no role in how it is split."""

from collections.abc import Sequence
from dataclasses import replace

from hfcls.arguments import DataArguments
from hfcls.data.reading import texts_of
from hfcls.data.sources import read_data
from hfcls.errors import UserError


def read_parts(arguments: DataArguments, column: str, ids: Sequence[str]) -> list[str]:
    """The values of a column.

    Args:
        arguments: that name the data.
        column: of its table.
        ids: N sample ids.

    Returns:
        N texts.

    Raises:
        UserError: there is no such column, or an image has no value in it.
    """
    # Neither the user's own lists nor groups of another kind change the column.
    plain = replace(arguments, group_column_name=column, group_pattern=None, samples=None, class_mapping=None)
    try:
        splits = read_data(plain).splits.values()
    except UserError as error:
        raise UserError(str(error).replace("--group_column_name", "--by")) from None
    if not all("group" in data.column_names for data in splits):
        raise UserError(f"--by {column} names a column of a table, and the data is none.")
    values = {
        name: part for data in splits for name, part in zip(texts_of(data, "id"), texts_of(data, "group"), strict=True)
    }
    return [values[name] for name in ids]
