import torch

from restyle.portraits.features import FeatureConfig
from restyle.portraits.text import TextConfig, TextNetwork


def test_a_network_is_measured_by_its_folder(run, tmp_path):
    torch.manual_seed(0)
    shape = TextConfig(FeatureConfig(16, (4,) * 5, 8, 12), width=8)
    TextNetwork(shape).save_pretrained(tmp_path / "text")
    result = run("evaluate", "text-network", tmp_path / "text", "--portraits", 30)
    assert (result.code, result.err) == (0, "")
    assert "comes first of 30" in result.out and "| glasses |" in result.out


def test_a_network_that_is_not_there_is_said(run, tmp_path):
    result = run("evaluate", "text-network", tmp_path)
    assert result.code == 2 and "expected a checkpoint folder" in result.err
