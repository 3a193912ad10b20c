"""What may vary is read from YAML and checked before anything trains."""

import pytest

from hfcls.commands.search import build_parser
from hfcls.errors import UserError
from hfcls.search.space import Dimension, Space, read_space


def read(tmp_path, text: str, *, fixed: dict | None = None, grid: bool = False) -> Space:
    file = tmp_path / "space.yaml"
    file.write_text(text)
    return read_space(str(file), build_parser(), fixed or {}, grid=grid)


def test_ranges_and_choices_are_of_the_flags_type(tmp_path):
    space = read(
        tmp_path,
        "learning_rate: {low: 1e-4, high: 1e-1, log: true}\n"
        "weight_decay: [0, 1e-4]\n"
        "num_train_epochs: {low: 3, high: 10, step: 1}\n"
        "image_size: {low: 16, high: 64, step: 16}\n"
        "horizontal_flip: [null, 0.5]\n",
    )
    rate, decay, epochs, size, flip = space.dimensions
    assert rate == Dimension("learning_rate", low=1e-4, high=1e-1, log=True)  # 1e-4 is a text to YAML
    assert decay.choices == (0.0, 1e-4) and flip.choices == (None, 0.5)
    assert epochs.grid() == [3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]
    assert size.whole and size.grid() == [16, 32, 48, 64]


def test_a_grid_has_each_combination_once(tmp_path):
    text = "learning_rate: {low: 1e-4, high: 1e-2, log: true, points: 3}\noptim: [adamw_torch, nesterov]\n"
    space = read(tmp_path, text, grid=True)
    points = [space.grid_point(number) for number in range(space.count_grid())]
    assert [point["optim"] for point in points] == ["adamw_torch", "nesterov"] * 3
    assert [point["learning_rate"] for point in points[::2]] == pytest.approx([1e-4, 1e-3, 1e-2], rel=1e-12)
    assert points[-1]["learning_rate"] == 1e-2  # no rounding beyond the end


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("learnin_rate: [1, 2]", "Did you mean '--learning_rate'"),
        ("output_dir: [a, b]", "each trial has its own place"),
        ("split_seed: [1, 2]", "trials on different images cannot be compared"),
        ("seed: [1, 2]", "the luckiest seed"),
        ("eval_steps: [1, 2]", "evaluation by evaluation"),
        ("learning_rate: [0.1, fast]", "--learning_rate is 'fast': expected a number"),
        ("learning_rate: [0.1, 1e-1]", "two different choices"),
        ("learning_rate: 0.1", "is a flag, --learning_rate"),
        ("learning_rate: {low: 0, high: 1, log: true}", "begins above 0"),
        ("learning_rate: {low: 1, high: 0.1}", "expected low below high"),
        ("learning_rate: {low: 0.1, hi: 1}", "the key 'hi'"),
        ("num_train_epochs: {low: 3, high: 10, step: 2}", "do not lead to 10"),
        ("augmentation: {low: 0, high: 1}", "is no number"),
        ("augmentation: [none, heavy]", "--augmentation is 'heavy'"),
        ("dropout: [0.1, 0.2]", "leave one of the two out"),
        ("learning_rate: {low: 0.1, high: 1, points: 3}", "points would have no effect"),
        ("[1, 2]", "expected lines of"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path, text, said):
    with pytest.raises(UserError) as error:
        read(tmp_path, text, fixed={"dropout": 0.3})
    assert said in str(error.value)


def test_a_grid_wants_an_end(tmp_path):
    with pytest.raises(UserError, match="such as points: 5"):
        read(tmp_path, "learning_rate: {low: 0.1, high: 1}", grid=True)
