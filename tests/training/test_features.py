import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from restyle.portraits.attributes import Attributes, class_names, continuous_names, sample
from restyle.portraits.dataset import Portraits
from restyle.portraits.features import FeatureConfig, FeatureNetwork
from restyle.portraits.keypoints import COUNT, face_points
from restyle.portraits.visibility import visible
from restyle.runtime.devices import computes_bfloat16
from restyle.training.config import FeatureTraining
from restyle.training.features import (
    contrast,
    evaluate_features,
    feature_loss,
    schedule,
    train_features,
    verification_auc,
)
from restyle.training.pairs import Pool, augment
from restyle.training.presets import FEATURES

pytest.importorskip("skia")

TINY = FeatureTraining(
    images=512,
    batch=32,
    fresh=0.125,
    pool=128,
    size=32,
    widths=(8, 16, 24, 32, 32),
    hidden=48,
    embedding=16,
    lr=4e-3,
    device="cpu",
)


def small_network():
    return FeatureNetwork(FeatureConfig(32, (8, 8, 8, 8, 8), 16, 8)).eval()


def test_a_batch_shows_the_persons_twice_and_says_what_they_are():
    portraits = Portraits("val", size=32)
    batch = Pool(portraits, 8).batch(3, 3, np.random.default_rng(0))
    assert batch.images.shape == (6, 3, 32, 32)
    assert batch.images.min() >= -1 and batch.images.max() <= 1
    for row, portrait in enumerate([*(portraits[i] for i in range(3)), portraits.view(0, 1)]):
        expected = torch.from_numpy(portrait.image.copy()).permute(2, 0, 1) / 127.5 - 1
        torch.testing.assert_close(batch.images[row], expected.float())
        assert batch.vectors[row].tolist() == portrait.attributes.to_vector().tolist()
        assert batch.labels[row].tolist() == portrait.attributes.to_labels().tolist()


def test_the_pool_draws_what_was_asked_for_and_repeats_the_rest():
    pool = Pool(Portraits("val", size=16), 16, first=1, stride=2)
    rng = np.random.default_rng(0)
    pool.batch(8, 2, rng)
    assert pool.drawn == 8  # nothing to repeat yet
    batch = pool.batch(8, 2, rng)
    assert pool.drawn == 10
    persons = {tuple(sample(10_000_000 + 1 + 2 * n).to_vector().tolist()) for n in range(10)}
    rows = {tuple(row.tolist()) for row in batch.vectors[:8]}
    assert len(rows) == 8 and rows <= persons


def test_a_resumed_pool_repeats_only_what_it_drew_itself():
    pool = Pool(Portraits("val", size=16), 16)
    pool.drawn = 5  # as a checkpoint says; the pictures themselves are not kept
    rng = np.random.default_rng(0)
    batches = [pool.batch(4, 1, rng) for _ in range(8)]
    persons = {tuple(sample(10_000_000 + n).to_vector().tolist()) for n in range(5, pool.drawn)}
    assert pool.drawn == 5 + 4 + 7
    assert {tuple(row.tolist()) for b in batches for row in b.vectors[:4]} == persons


def test_spoilt_images_stay_close():
    torch.manual_seed(0)
    images = Pool(Portraits("val", size=64), 16).batch(16, 16, np.random.default_rng(0)).images
    spoilt = augment(images)
    errors = (spoilt - images).square().mean(dim=(1, 2, 3))
    assert spoilt.shape == images.shape
    assert 0 < errors.mean() < 0.02
    assert errors.min() == 0 < errors.max()


def test_contrast_is_low_when_views_agree():
    persons = torch.eye(4)
    together = contrast(torch.cat([persons, persons]))
    apart = contrast(torch.cat([persons, persons.roll(1, 0)]))
    assert together < 0.01 < 5 < apart


def test_what_is_hidden_does_not_count():
    network = small_network()
    batch = Pool(Portraits("val", size=32), 8).batch(8, 8, np.random.default_rng(0))
    _, before = feature_loss(network, batch)
    hidden = ~batch.shown
    assert hidden.any()
    real = len(continuous_names)
    vectors, labels = batch.vectors.clone(), batch.labels.clone()
    vectors[hidden[:, :real]] = 5.0
    labels[hidden[:, real:]] = 0
    _, after = feature_loss(network, replace(batch, vectors=vectors, labels=labels))
    assert {n: v.item() for n, v in before.items()} == {n: v.item() for n, v in after.items()}


def test_visibility_follows_the_drawing():
    """Changing what is said to be hidden changes no pixel."""
    from restyle.portraits.drawing.renderer import render

    bald = Attributes(hair_style="bald", hat="none")
    assert not visible(bald)["hair_length"] and not visible(bald)["hair_part"]
    for style, hat, name in [
        ("bald", "none", "hair_length"),
        ("cropped", "none", "hair_length"),
        ("short", "beanie", "hair_length"),
        ("bald", "none", "hair_part"),
        ("curly", "none", "hair_part"),
        ("cropped", "brimmed", "hair_part"),
    ]:
        low, high = (
            Attributes(hair_style=style, hat=hat).with_(**{name: value}) for value in (0.3, 0.9)
        )
        assert not visible(low)[name]
        assert np.array_equal(render(low), render(high)), (style, hat, name)
    seen = Attributes(hair_style="long")
    assert visible(seen)["hair_length"] and visible(seen)["hair_colour"]
    assert not visible(seen.with_(age=79))["hair_colour"]


def test_verification_auc_counts_ordered_pairs():
    first = torch.nn.functional.normalize(torch.randn(20, 5), dim=1)
    second = torch.nn.functional.normalize(first + 0.7 * torch.randn(20, 5), dim=1)
    cosines = first @ second.T
    same, other = cosines.diagonal(), cosines[~torch.eye(20, dtype=torch.bool)]
    expected = (same[:, None] > other[None]).double().mean().item()
    assert verification_auc(first, second) == pytest.approx(expected)
    assert verification_auc(first, first) == 1.0
    assert verification_auc(torch.ones(4, 1), torch.ones(4, 1)) == 0.5


def test_an_untrained_network_measures_as_chance():
    result = evaluate_features(small_network(), Portraits("test", size=32), count=40, batch=16)
    assert set(result["accuracy"]) == set(class_names)
    assert set(result["r2"]) == set(continuous_names)
    assert result["mean_r2"] < 0.05
    assert result["lowest_accuracy"] < 0.7


def test_the_learning_rate_rises_and_falls():
    rates = [schedule(step / 100) for step in range(101)]
    assert max(rates) == max(rates[2:5]) > 0.99
    assert rates[0] < 0.01 and rates[-1] < 0.01
    assert rates[5:] == sorted(rates[5:], reverse=True)


def test_a_batch_that_does_not_divide_is_refused(tmp_path):
    with pytest.raises(ValueError, match="batch: expected a multiple of 2"):
        train_features(replace(TINY, out=tmp_path, batch=31))


@pytest.mark.parametrize("name", ["card.md", "config.json"])
def test_an_export_writes_over_nothing_of_others(tmp_path, name):
    export = tmp_path / "mine"
    export.mkdir()
    (export / name).write_text('{"format": 1, "kind": "restyle"}')
    with pytest.raises(ValueError, match="expected a folder for"):
        train_features(replace(TINY, out=tmp_path / "run", export=export))
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", name]


def test_training_learns_exports_and_repeats(tmp_path, monkeypatch, capsys):
    precision = "bfloat16" if computes_bfloat16(torch.device("cpu")) else "float32"
    monkeypatch.setattr("restyle.training.features.TEST_PERSONS", 32)
    out, export = tmp_path / "run", tmp_path / "portraits-tiny"
    config = replace(TINY, out=out, export=export)
    train_features(replace(config, images=256))
    result = train_features(config)
    assert f"{out}: training on cpu in {precision}" in capsys.readouterr().err
    records = [json.loads(line) for line in (out / "stats.jsonl").read_text().splitlines()]
    assert [record["images"] for record in records] == [256, 512]
    assert records[1]["identity"] < 0.9 * records[0]["identity"]
    assert json.loads((out / "evaluation.json").read_text()) == result

    network = FeatureNetwork.from_pretrained(export)
    again = evaluate_features(network, Portraits("test", size=32), count=32)
    assert again["mean_r2"] == pytest.approx(result["mean_r2"], abs=0.01)  # half precision
    card = (export / "card.md").read_text()
    assert "512 images seen" in card and "Licence: MIT" in card and "| hat |" in card


def test_the_two_networks_that_ship_differ_and_are_small():
    configs = [FeatureConfig(c.size, c.widths, c.hidden, c.embedding) for c in FEATURES.values()]
    assert configs[0] != configs[1]
    assert FEATURES["train"].seed != FEATURES["judge"].seed
    for config in configs:
        assert sum(p.numel() for p in FeatureNetwork(config).parameters()) <= 2_700_000


def test_points_are_where_the_landmarks_are():
    portrait = Portraits("val", size=64)[5]
    left, right, tip = (portrait.landmarks / 32 - 1)[:3]
    points = face_points(portrait.attributes)
    assert points.shape == (COUNT, 2)
    np.testing.assert_allclose(points[17], tip, atol=1e-5)
    np.testing.assert_allclose((points[0] + points[1]) / 2, left, atol=0.03)
    np.testing.assert_allclose((points[8] + points[9]) / 2, right, atol=0.03)


def test_weights_of_another_schema_are_refused():
    network = small_network()
    config = network.checkpoint_config()
    config["attributes"] = [*config["attributes"][1:], "number_of_noses"]
    with pytest.raises(ValueError, match="number_of_noses"):
        FeatureNetwork.from_checkpoint(config, network.state_dict(), "here")
    with pytest.raises(ValueError, match="expected the weights of FeatureNetwork"):
        FeatureNetwork.from_checkpoint(network.checkpoint_config(), {}, "here")


@pytest.mark.parametrize("size", [32, 48, 64, 128])
def test_any_size_of_image_is_taken(size):
    network = FeatureNetwork(FeatureConfig(64, (8, 8, 8, 8, 8), 16, 8)).eval()
    images = torch.rand(2, 3, size, size) * 2 - 1
    assert [tuple(m.shape[1:]) for m in network.maps(images)] == [
        (8, s, s) for s in (64, 32, 16, 8, 4)
    ]
    torch.testing.assert_close(network.embed(images).norm(dim=1), torch.ones(2))
    measured = network.attributes(images)
    assert measured["age"].shape == (2,)
    assert measured["hat"].shape == (2, len(class_names["hat"]))


def test_attributes_come_in_their_own_units():
    network = small_network()
    torch.nn.init.zeros_(network.values.weight)
    torch.nn.init.zeros_(network.values.bias)
    ages = [sample(person).age for person in range(1000)]
    measured = network.attributes(torch.zeros(1, 3, 32, 32))["age"].item()
    assert measured == pytest.approx(np.mean(ages), abs=0.1)
