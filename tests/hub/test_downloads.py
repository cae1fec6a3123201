"""Downloads over a local server that cuts off, lies, and sends web pages."""

import contextlib
import hashlib
import io
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from restyle.cli import main
from restyle.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from restyle.hub import catalogue as public_models
from restyle.hub import downloads, registry
from restyle.hub.catalogue import PUBLIC, PublicModel, find
from restyle.hub.downloads import DownloadError, fetch, pull
from restyle.importers import convert
from restyle.io.checkpoints import CheckpointError, load_config

pytest.importorskip("gdown")

WEIGHTS = bytes(range(256)) * 8192  # 2 MB
PAGE = b"<!DOCTYPE html><html><body>Quota exceeded</body></html>"


@dataclass
class Site:
    """What the server has, how it behaves, and what it was asked for."""

    address: str = ""
    body: bytes = WEIGHTS
    cuts: list[int] = field(default_factory=list)  # bytes of each of the next answers
    resumable: bool = True
    announced: int | None = None
    ranges: list[str | None] = field(default_factory=list)


@pytest.fixture
def site():
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            asked = self.headers.get("Range")
            site.ranges.append(asked)
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            body = site.body
            if asked and site.resumable:
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
                body = body[start:]
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(site.announced or len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # gdown hangs up before it resumes
                self.wfile.write(body[: site.cuts.pop(0)] if site.cuts else body)
            self.close_connection = True

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    site.address = f"http://127.0.0.1:{server.server_port}/weights.pt"
    yield site
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RESTYLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(downloads, "RETRIES", 0)
    return tmp_path / "cache"


def published(site, **facts):
    facts = {"sources": (site.address,), "licence": "none", "about": "test", **facts}
    return PublicModel("test", "weights.pt", **facts)


def leftovers(cache):
    return [path.name for path in cache.rglob("*") if path.is_file()]


def test_fetch_verifies_and_is_not_repeated(site):
    model = published(
        site, size=len(WEIGHTS), digest=f"sha256:{hashlib.sha256(WEIGHTS).hexdigest()[:8]}"
    )
    path = fetch(model, quiet=True)
    assert path.read_bytes() == WEIGHTS
    assert fetch(model, quiet=True) == path
    assert len(site.ranges) == 1


def test_a_cut_off_download_is_resumed_by_the_next_call(site, cache):
    site.cuts = [1_000_000]
    with pytest.raises(DownloadError, match="incomplete"):
        fetch(published(site), quiet=True)
    (part,) = leftovers(cache)
    assert part.endswith(".part")
    assert fetch(published(site), quiet=True).read_bytes() == WEIGHTS
    assert site.ranges[-1] == "bytes=524288-"  # gdown keeps whole chunks
    assert leftovers(cache) == ["weights.pt"]


def test_a_cut_off_download_is_retried_at_once(site, monkeypatch):
    monkeypatch.setattr(downloads, "RETRIES", 1)
    site.cuts = [600_000]
    assert fetch(published(site), quiet=True).read_bytes() == WEIGHTS
    assert site.ranges == [None, "bytes=524288-"]


def test_a_server_that_cannot_resume_is_asked_again_from_the_start(site, cache):
    site.cuts, site.resumable = [1_000_000], False
    with pytest.raises(DownloadError):
        fetch(published(site), quiet=True)
    assert fetch(published(site), quiet=True).read_bytes() == WEIGHTS
    assert leftovers(cache) == ["weights.pt"]


def test_a_web_page_is_no_weights(site, cache):
    site.body = PAGE
    with pytest.raises(DownloadError, match="expected weights, got a web page"):
        fetch(published(site), quiet=True)
    assert leftovers(cache) == []


@pytest.mark.parametrize(
    "facts", [{"size": len(WEIGHTS) + 1}, {"digest": "sha256:00000000"}, {"digest": "md5:00000000"}]
)
def test_what_was_not_published_is_refused_and_removed(site, cache, facts):
    with pytest.raises(DownloadError, match="weights.pt: expected"):
        fetch(published(site, **facts), quiet=True)
    assert leftovers(cache) == []


def test_fewer_bytes_than_announced_are_no_download(site):
    site.announced = len(WEIGHTS) + 1000
    with pytest.raises(DownloadError, match="incomplete"):
        fetch(published(site), quiet=True)


def test_an_empty_answer_is_no_download(site, cache):
    site.body = b""
    with pytest.raises(DownloadError, match="expected some bytes, got 0"):
        fetch(published(site), quiet=True)
    assert leftovers(cache) == []


def test_the_next_source_is_tried(site):
    model = published(site, sources=("http://127.0.0.1:9/weights.pt", site.address))
    assert fetch(model, quiet=True).read_bytes() == WEIGHTS


def test_no_source_is_one_clear_error(site):
    with pytest.raises(DownloadError, match="test could not be downloaded; http://127.0.0.1:9"):
        fetch(published(site, sources=("http://127.0.0.1:9/weights.pt",)), quiet=True)


def test_a_hub_file_is_linked_into_the_cache(site, tmp_path, monkeypatch):
    import huggingface_hub

    (tmp_path / "blob").write_bytes(WEIGHTS)
    asked = []

    def download(repository, file, **options):
        asked.append((repository, file))
        return str(tmp_path / "blob")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    model = published(site, sources=("hub:owner/name:folder/weights.pt",))
    assert fetch(model, quiet=True).read_bytes() == WEIGHTS
    assert asked == [("owner/name", "folder/weights.pt")]


def generator_file(path=None) -> bytes:
    """A generator of 16 pixels in rosinality's naming, as bytes."""
    kernel = torch.tensor([1.0, 3.0, 3.0, 1.0]).outer(torch.tensor([1.0, 3.0, 3.0, 1.0])) / 16
    table = {"input.input": torch.randn(1, 8, 4, 4)}

    def convolution(name, inputs, outputs, size):
        table[f"{name}.conv.weight"] = torch.randn(1, outputs, inputs, size, size)
        table[f"{name}.conv.modulation.weight"] = torch.randn(inputs, 8)
        table[f"{name}.conv.modulation.bias"] = torch.ones(inputs)

    for i, name in enumerate(["conv1", *(f"convs.{i}" for i in range(4))]):
        convolution(name, 8, 8, 3)
        table[f"{name}.noise.weight"] = torch.zeros(1)
        table[f"{name}.activate.bias"] = torch.zeros(8)
        size = 4 * 2 ** ((i + 1) // 2)
        table[f"noises.noise_{i}"] = torch.randn(1, 1, size, size)
        if i % 2:
            table[f"{name}.conv.blur.kernel"] = kernel
    for i, name in enumerate(["to_rgb1", "to_rgbs.0", "to_rgbs.1"]):
        convolution(name, 8, 3, 1)
        table[f"{name}.bias"] = torch.zeros(1, 3, 1, 1)
        if i:
            table[f"{name}.upsample.kernel"] = kernel
    for i in (1, 2):
        table[f"style.{i}.weight"], table[f"style.{i}.bias"] = torch.randn(8, 8), torch.zeros(8)
    stream = io.BytesIO()
    torch.save({"g_ema": table, "latent_avg": torch.zeros(8)}, stream)
    return stream.getvalue()


@pytest.fixture
def known(site, monkeypatch):
    model = published(site, kind="generator")
    monkeypatch.setattr(downloads, "PUBLIC", (model,))
    monkeypatch.setattr(downloads, "find", lambda name: model)
    monkeypatch.setattr(public_models, "find", lambda name: model)
    return model


def test_a_pulled_model_is_used_by_its_name(site, cache, known):
    site.body = generator_file()
    folder = pull("test", quiet=True)
    assert load_config(folder)["card"]["licence"] == "none"
    assert registry.load_generator("test").config == StyleGAN2Config(16, 8, 8, (8, 8, 8), 2)
    assert sorted(leftovers(cache)) == ["config.json", "weights.safetensors"]
    assert pull("test", quiet=True) == folder
    assert len(site.ranges) == 1


def test_what_cannot_be_read_is_not_imported(known):
    with pytest.raises(CheckpointError):
        pull("test", quiet=True)
    assert downloads.pulled("test") is None
    with pytest.raises(ValueError, match="restyle models pull"):
        registry.folder_of("test")


def test_importing_keeps_the_numbers(tmp_path):
    (tmp_path / "generator.pt").write_bytes(generator_file())
    found = convert(tmp_path / "generator.pt", tmp_path / "native")
    assert isinstance(found, StyleGAN2)
    w = torch.randn(2, 8)
    native = registry.load_generator(tmp_path / "native")
    torch.testing.assert_close(
        native.synthesis(native.broadcast(w)), found.synthesis(found.broadcast(w)), rtol=0, atol=0
    )


def run(*arguments):
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return caught.value.code


def test_the_commands(site, known, tmp_path, capsys):
    site.body = generator_file()
    assert run("models", "pull", "test") == 0
    assert "licence none" in capsys.readouterr().out
    (tmp_path / "generator.pt").write_bytes(site.body)
    assert run("models", "import", tmp_path / "generator.pt", "--out", tmp_path / "native") == 0
    assert "holds a StyleGAN2" in capsys.readouterr().out
    assert load_config(tmp_path / "native")["kind"] == "generator"
    (tmp_path / "page.pt").write_bytes(PAGE)
    assert run("models", "import", tmp_path / "page.pt", "--out", tmp_path / "no") == 2
    assert "HTML" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_the_list_shows_what_can_be_pulled_and_on_what_terms(capsys):
    assert run("models", "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert {model.name for model in PUBLIC} <= {line.split()[0] for line in lines if line}
    (shown,) = [line for line in lines if line.startswith("moco-v2 ")]
    assert f"  {shown.split()[-1]}  CC BY-NC 4.0, non-commercial" in lines
    assert run("models", "pull", "moco") == 2
    assert "such as moco-v2" in capsys.readouterr().err


def test_public_models_are_well_formed():
    assert len({model.name for model in PUBLIC}) == len(PUBLIC)
    for model in PUBLIC:
        assert find(model.name) is model
        assert model.licence and model.about
        for source in model.sources:
            kind, _, rest = source.partition(":")
            assert kind in ("drive", "hub", "https")
            assert kind != "drive" or len(rest) == 33
    with pytest.raises(ValueError, match="restyle-psp-ffhq"):
        find("restyle-psp-fhq")


@pytest.mark.parametrize("model", PUBLIC, ids=lambda model: model.name)
def test_what_is_known_of_a_public_file_can_be_checked(model):
    assert model.sources and model.licence and find(model.name) is model
    for source in model.sources:
        kind, _, rest = source.partition(":")
        assert kind in ("drive", "hub", "https") and len(rest) > 20
    method, _, digest = (model.digest or "sha256:00000000").partition(":")
    assert len(digest) in (8, 2 * hashlib.new(method).digest_size) and int(digest, 16) >= 0


def test_a_failed_pull_is_three_lines(cache, monkeypatch, capsys):
    source = "http://127.0.0.1:9/weights.pt"
    model = PublicModel("test", "weights.pt", (source,), licence="MIT", about="a test")
    monkeypatch.setattr(public_models, "PUBLIC", (model,))
    assert run("models", "pull", "test") == 1
    failed, place, way = capsys.readouterr().err.splitlines()
    assert failed.startswith("restyle: test could not be downloaded")
    assert source in place and str(cache / "downloads/test/weights.pt") in way


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ("drive:abc", "https://drive.google.com/uc?id=abc"),
        ("hub:a/b:c/d.pt", "https://huggingface.co/a/b/resolve/main/c/d.pt"),
        ("https://example.org/a.pt", "https://example.org/a.pt"),
    ],
)
def test_files_have_addresses_for_browsers(source, address):
    model = PublicModel("test", "weights.pt", (source,), licence="MIT", about="a test")
    assert downloads.by_hand(model)[0] == [address]
