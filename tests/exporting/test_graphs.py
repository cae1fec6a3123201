"""What is exported computes what the model does, before any of it is written."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import adaptive_avg_pool2d

from restyle.domains import Domain
from restyle.encoders import Encoder
from restyle.exporting.exported import ExportedEncoder
from restyle.exporting.graphs import graphs_of
from restyle.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from restyle.model import ReStyle
from tests.tiny import SIZE, tiny_encoder, tiny_generator, tiny_model


def with_statistics(encoder: Encoder) -> Encoder:
    """Give batch norms something to do."""
    for name, buffer in encoder.named_buffers():
        if name.endswith("running_mean"):
            buffer.uniform_(-0.5, 0.5)
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
    return encoder.eval()


@pytest.mark.parametrize("head", ["psp", "e4e"])
@pytest.mark.parametrize("channels", [3, 6])
@torch.no_grad()
def test_the_encoder_takes_its_pictures_apart(channels, head):
    config = replace(tiny_encoder(0, channels).config, head=head)
    encoder = with_statistics(Encoder(config))
    model = ReStyle(tiny_generator(), encoder, Domain("tiny", (SIZE, SIZE)), "tiny")
    graph = graphs_of(model, torch.float32)["encoder"]
    x = torch.rand(3, channels, SIZE, SIZE) * 2 - 1
    torch.testing.assert_close(graph(*x.split(3, dim=1)), encoder(x)[0], atol=1e-5, rtol=0)
    assert encoder.trunk.stem[0].in_channels == channels  # the model's own is as it was


@pytest.mark.parametrize("options", [{}, {"siamese": True}])
@torch.no_grad()
def test_a_program_takes_any_batch(options):
    encoder = with_statistics(tiny_encoder(**options))
    model = ReStyle(tiny_generator(), encoder, Domain("tiny", (SIZE, SIZE)), "tiny")
    graph = graphs_of(model, torch.float32)["encoder"]
    shapes = tuple({0: torch.export.Dim("batch")} for _ in graph.example)
    program = torch.export.export(graph, graph.example, dynamic_shapes=shapes, strict=False)
    inputs = [torch.randn(5, *example.shape[1:]) for example in graph.example]
    expected, got = graph(*inputs), program.module()(*inputs)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


READING = {"backbone": "features", "widths": (4, 8, 8, 12, 12), "units": (1, 1, 1, 1)}


@torch.no_grad()
def test_a_single_shot_encoder_that_reads_attributes_sees_the_whole_picture():
    encoder = with_statistics(tiny_encoder(0, 3, **READING))
    model = ReStyle(tiny_generator(), encoder, Domain("tiny", (SIZE, SIZE)), "tiny")
    graph = graphs_of(model, torch.float32)["encoder"]
    x = torch.rand(3, 3, SIZE, SIZE) * 2 - 1
    torch.testing.assert_close(graph(x), encoder(x)[0], atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_siamese_encoder_reads_one_picture():
    encoder = with_statistics(tiny_encoder(siamese=True, **READING))
    model = ReStyle(tiny_generator(), encoder, Domain("tiny", (SIZE, SIZE)), "tiny")
    graph = graphs_of(model, torch.float32)["encoder"]
    x = torch.rand(3, 3, SIZE, SIZE) * 2 - 1
    torch.testing.assert_close(graph(x), encoder.read(x), atol=1e-5, rtol=0)
    read = ExportedEncoder(encoder.config, graph, encoder.centre)
    first, second = torch.rand(2, 3, 6, SIZE, SIZE)
    _, state = read(first)
    for got, wanted in (
        (read(first), encoder(first)),
        (read(second, None, state), encoder(second, None, state)),
    ):
        torch.testing.assert_close(got, wanted, atol=1e-5, rtol=0)


@torch.no_grad()
def test_no_first_convolution_has_six_channels():
    graph = graphs_of(tiny_model(), torch.float32)["encoder"]
    convolutions = [m for m in graph.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [m.in_channels for m in convolutions[:2]] == [3, 3]


@torch.no_grad()
def test_the_generator_crops_and_pools():
    domain = Domain("wide", (SIZE // 4, SIZE // 2), (1 / 4, 3 / 4))
    model = ReStyle(tiny_generator(), None, domain, "tiny")
    ws = model.sample(3).ws
    image, current = graphs_of(model, torch.float32)["generator"](ws)
    assert image.shape == (3, 3, SIZE // 2, SIZE)
    torch.testing.assert_close(image, model.generate(ws), atol=1e-5, rtol=0)
    torch.testing.assert_close(current, adaptive_avg_pool2d(image, domain.input_size))


@torch.no_grad()
def test_the_mapping_knows_classes():
    generator = StyleGAN2(StyleGAN2Config(SIZE, 8, 8, (8, 8, 8), mapping_layers=2, label_dim=3))
    model = ReStyle.of_generator(generator, "classes")
    graphs = graphs_of(model, torch.float16)
    assert graphs.keys() == {"generator", "mapping"}
    z, labels = torch.randn(4, 8), torch.eye(3)[[0, 1, 2, 0]]
    assert graphs["mapping"](z, labels).equal(generator.mapping(z, labels))


@torch.no_grad()
def test_half_precision_leaves_the_model_alone():
    model = tiny_model()
    before = model.weights_hash()
    graphs = graphs_of(model, torch.float16)
    target = torch.rand(2, 3, SIZE, SIZE)
    assert graphs["encoder"](target, target).dtype == torch.float32
    assert graphs["generator"](model.start(2).ws)[0].dtype == torch.float32
    assert model.weights_hash() == before
