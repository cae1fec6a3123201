import pytest
import torch

from restyle.editing.mapper import Mapper, MapperConfig
from restyle.io.checkpoints import CheckpointError

CONFIG = MapperConfig(10, 8, "a person with glasses", "abc")


@pytest.fixture
def mapper():
    torch.manual_seed(0)
    mapper = Mapper(CONFIG)
    for group in mapper.groups.values():
        torch.nn.init.normal_(group.last.weight)
    return mapper.eval()


def test_a_new_mapper_moves_nothing():
    ws = torch.randn(3, 10, 8)
    assert bool((Mapper(CONFIG)(ws) == 0).all())


def test_each_group_sees_its_own_rows_alone(mapper):
    ws = torch.randn(2, 10, 8)
    steps = mapper(ws)
    for rows in (range(4), range(4, 8), range(8, 10)):
        changed = ws.clone()
        changed[:, rows] = torch.randn(2, len(rows), 8)
        moved = (mapper(changed) != steps).any(dim=2).any(dim=0)
        assert [row for row in range(10) if moved[row]] == list(rows)


@pytest.mark.parametrize("num_ws", [3, 6, 18])
def test_generators_of_any_depth_have_mappers(num_ws):
    ws = torch.randn(2, num_ws, 8)
    assert Mapper(MapperConfig(num_ws, 8, "a hat", "abc"))(ws).shape == ws.shape


def test_steps_have_the_length_that_was_measured(mapper):
    ws = torch.randn(2, 10, 8)
    mapper.length.fill_(4.0)
    torch.testing.assert_close(4 * mapper.step(ws), mapper(ws))


def test_a_saved_mapper_knows_its_text_and_generator(mapper, tmp_path):
    mapper.save_pretrained(tmp_path)
    again = Mapper.from_pretrained(tmp_path)
    ws = torch.randn(1, 10, 8)
    torch.testing.assert_close(again.step(ws), mapper.step(ws))
    assert again.config == CONFIG
    again.check_generator("abc")
    with pytest.raises(ValueError, match="expected a mapper of this generator, got one of another"):
        again.check_generator("other")


def test_another_checkpoint_is_refused(model_folder):
    with pytest.raises(CheckpointError, match="expected a mapper, got a 'restyle'"):
        Mapper.from_pretrained(model_folder)
