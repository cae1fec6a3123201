"""The official models that can be had: where they are published, and on what terms.

Addresses are those of the projects' own pages. Sizes and checksums are given where they are
published, or where independent copies agree; a file without is still checked for being what it
should be when it is imported.
"""

from dataclasses import dataclass
from typing import Any, Literal

RESTYLE = "MIT; the generator in it: NVIDIA Source Code License, non-commercial"
NVIDIA = "NVIDIA Source Code License, non-commercial"
_ADA = "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained"
_TORCH = "https://download.pytorch.org/models"
_LPIPS = (
    "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1"
)


@dataclass(frozen=True)
class PublicModel:
    """A published file.

    Attributes:
        name: What it is called here.
        file: What it is called there.
        sources: Where it is, the best place first: `drive:ID`, `hub:OWNER/NAME:FILE` or a URL.
        licence: On what terms.
        about: What it is.
        kind: "model" (generator and encoder), "generator", or "network" (used in training and
            evaluation, as the file it is).
        domain: Of a model's photographs, as `restyle.domains` calls it.
        needs: What else is needed to use it as it is meant.
        size: Bytes, where published.
        digest: Checksum or the beginning of one, as `sha256:333f7ec4`, where published.
    """

    name: str
    file: str
    sources: tuple[str, ...]
    licence: str
    about: str
    kind: Literal["model", "generator", "network"] = "model"
    domain: str = ""
    needs: str = ""
    size: int | None = None
    digest: str | None = None


_ALIGNED = "aligned faces (restyle align)"


def _restyle(method: str, data: str, about: str, drive: str, needs: str = "") -> PublicModel:
    return PublicModel(
        f"restyle-{method}-{data.replace('_encode', '').replace('_', '-')}",
        f"restyle_{method}_{data}.pt",
        (f"drive:{drive}",),
        RESTYLE,
        f"ReStyle over {method}, {about}",
        domain="" if " to " in about else about,
        needs=needs or (_ALIGNED if about == "faces" else ""),
    )


def _single(name: str, file: str, about: str, *sources: str, **facts: Any) -> PublicModel:
    return PublicModel(name, file, sources, RESTYLE, f"{about}, one step", **facts)


def _generator(data: str, about: str, drive: str, file: str = "") -> PublicModel:
    name = f"stylegan2-{data}"
    file, about = file or f"{name}-config-f.pt", f"StyleGAN2, {about}"
    return PublicModel(name, file, (f"drive:{drive}",), NVIDIA, about, "generator")


def _ada(data: str, about: str) -> PublicModel:
    source = (f"{_ADA}/{data}.pkl",)
    about = f"StyleGAN2, {about}"
    return PublicModel(f"stylegan2-ada-{data}", f"{data}.pkl", source, NVIDIA, about, "generator")


def _network(
    name: str, licence: str, about: str, *sources: str, file: str = "", **facts: Any
) -> PublicModel:
    file = file or sources[0].rpartition("/")[2]
    return PublicModel(name, file, sources, licence, about, "network", **facts)


PUBLIC = (
    _restyle("psp", "ffhq_encode", "faces", "1sw6I2lRIB0MpuJkpc8F5BJiSZrc0hjfE"),
    _restyle("psp", "cars_encode", "cars", "1zJHqHRQ8NOnVohVVCGbeYMMr6PDhRpPR"),
    _restyle("psp", "church_encode", "churches", "1bcxx7mw-1z7dzbJI_z7oGpWG1oQAvMaD"),
    _restyle("psp", "afhq_wild_encode", "wild animals", "1GyFXVTNDUw3IIGHmGS71ChhJ1Rmslhk7"),
    _restyle(
        "psp",
        "toonify",
        "faces to toon",
        "1GtudVDig59d4HJ_8bGEniz5huaTSGO_0",
        needs="aligned faces, restyle-psp-ffhq (restyle bootstrap)",
    ),
    _restyle("e4e", "ffhq_encode", "faces", "1e2oXVeBPXMQoUoC_4TNwAWpOPpSEhE_e"),
    _restyle("e4e", "cars_encode", "cars", "1v6Yi-Yne6JX0Pyas6XPS83IzKKUvCe8r"),
    _restyle("e4e", "church_encode", "churches", "1sCRzbM1fGTgTbWO87jP_rxApw-tS0CH_"),
    _restyle("e4e", "afhq_wild_encode", "wild animals", "1HQlUPKirShHyL3kGnwVRjhfcb-j9s4V3"),
    _restyle("e4e", "horse_encode", "horses", "19_sUpTYtJmhSAolKLm3VgI-ptYqd-hgY"),
    _single(
        "psp-ffhq",
        "psp_ffhq_encode.pt",
        "pSp, faces",
        "drive:1bMTNWkh5LArlaWSc_wa8VKyq2V42T2z0",
        needs=_ALIGNED,
        digest="sha256:f786ac5cf18fcdbc5c57c9f3f12cbedca69381fbdf5694dd132294e3133749d7",
    ),
    _single(
        "psp-frontalization",
        "psp_ffhq_frontalization.pt",
        "pSp, faces to frontal faces",
        "drive:1_S4THAzXb-97DbpXmanjHtXRyKxqjARv",
        needs=_ALIGNED,
    ),
    _single(
        "e4e-ffhq",
        "e4e_ffhq_encode.pt",
        "e4e, faces",
        "drive:1cUv_reLE6k3604or78EranS7XzuVMWeO",
        "hub:AIRI-Institute/HairFastGAN:pretrained_models/encoder4editing/e4e_ffhq_encode.pt",
        needs=_ALIGNED,
        size=1_201_649_680,
        digest="sha256:2ace1d9a8c05c10a399bcd500b8dda118f759ff1aac89dbdab7435f2136a0999",
    ),
    *(
        _single(f"e4e-{data}", f"e4e_{data}_encode.pt", f"e4e, {about}", f"drive:{drive}")
        for data, about, drive in (
            ("cars", "cars", "17faPqBce2m1AQeLCLHUVXaDfxMRU2QcV"),
            ("horse", "horses", "1TkLLnuX86B_BMo2ocYD0kX9kWh53rUVX"),
            ("church", "churches", "1-L0ZdnQLwtdy6-A_Ccgq5uNJGTqE7qBa"),
        )
    ),
    _generator("ffhq", "faces, 1024 px", "1EM87UquaoQmk17Q8d5kYIAHqu0dkYqdT"),
    _generator("car", "cars, 512 px (384 rows shown)", "1UmMHHB3DU1trTB8_9Fjkck5ZwArnD81B"),
    _generator("church", "churches, 256 px", "1ZSZOFtw5wZfPhWEzHFB9LI__bikaHsn6"),
    _generator("horse", "horses, 256 px", "1bM7ms1tWCucnySjiS6-NNrPJGDkqQQWi"),
    _generator(
        "afhq-wild", "wild animals, 512 px", "1z6IVVaCJuFTksKwp1CM3emWOVHbrBip-", "afhqwild.pt"
    ),
    _generator(
        "toonify", "toon, 1024 px", "1r3XVCt_WYUKFZFxhNH-xO2dTtF6B5szu", "ffhq_cartoon_blended.pt"
    ),
    _ada("ffhq", "faces, 1024 px"),
    _ada("metfaces", "painted, 1024 px"),
    _ada("afhqcat", "cats, 512 px"),
    _ada("afhqdog", "dogs, 512 px"),
    _ada("afhqwild", "wild, 512 px"),
    _network(
        "ir-se50",
        "MIT",
        "face embedding (ArcFace): identity loss, start of face encoders",
        "drive:1KW7bjndL3QG3sxBbZxreGHigcCCpsDgn",
        file="model_ir_se50.pth",
        size=175_367_323,
        digest="sha256:a035c768259b98ab1ce0e646312f48b9e1e218197a0f80ac6765e88f8b6ddf28",
    ),
    _network(
        "curricularface",
        "MIT",
        "face embedding (IR-101): identity score",
        "drive:1f4IwVa2-Bn9vWLwB-bUwm53U_MlvinAj",
        file="CurricularFace_Backbone.pth",
    ),
    _network(
        "mtcnn",
        "MIT",
        "face detector (P-Net, R-Net, O-Net): identity score",
        "drive:1tJ7ih-wbCO6zc3JhI_1ZGjmwXKKaPlja",
        file="mtcnn.tar.gz",
        needs="to be unpacked: pnet.npy, rnet.npy, onet.npy",
    ),
    _network(
        "resnet34",
        "BSD 3-Clause",
        "ImageNet classifier: start of other encoders",
        f"{_TORCH}/resnet34-333f7ec4.pth",
        digest="sha256:333f7ec4",  # torchvision puts it into the name
    ),
    _network(
        "alexnet",
        "BSD 3-Clause",
        "ImageNet classifier: perceptual loss (LPIPS)",
        f"{_TORCH}/alexnet-owt-7be5be79.pth",
        size=244_408_911,
        digest="sha256:7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    ),
    _network(
        "vgg16",
        "BSD 3-Clause",
        "ImageNet classifier: perceptual loss (LPIPS)",
        f"{_TORCH}/vgg16-397923af.pth",
        digest="sha256:397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    ),
    _network(
        "lpips-alex",
        "BSD 2-Clause",
        "LPIPS 0.1: what AlexNet's channels count",
        f"{_LPIPS}/alex.pth",
        needs="alexnet",
        size=6_009,
        digest="sha256:df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
    ),
    _network(
        "lpips-vgg",
        "BSD 2-Clause",
        "LPIPS 0.1: what VGG-16's channels count",
        f"{_LPIPS}/vgg.pth",
        needs="vgg16",
        size=7_289,
        digest="sha256:a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
    ),
    _network(
        "clip-vit-b-32",
        "MIT",
        "text-image network (CLIP): edits by text",
        # OpenAI's weights in a file that holds nothing else.
        "hub:sentence-transformers/clip-ViT-B-32:0_CLIPModel/model.safetensors",
        file="model.safetensors",
        needs="clip-tokenizer, restyle[text]",
        size=605_157_884,
        digest="sha256:99d28a652e6ec46629ab7047a0ac82c69b1fe11e0ce672c43af65d3a9a3fc05d",
    ),
    _network(
        "clip-tokenizer",
        "MIT",
        "what splits texts into CLIP's tokens",
        "hub:openai/clip-vit-base-patch32:tokenizer.json",
        file="tokenizer.json",
        size=2_224_041,
    ),
    _network(
        "moco-v2",
        "CC BY-NC 4.0, non-commercial",
        "image features: similarity loss where there are no faces",
        "https://dl.fbaipublicfiles.com/moco/moco_checkpoints/moco_v2_800ep/"
        "moco_v2_800ep_pretrain.pth.tar",
        "drive:18rLcNGdteX5LwT7sv_F7HWr12HpVEzVe",
        digest="md5:a04e12f8",
    ),
)
"""Everything that `restyle models pull` knows."""


def photograph_models() -> dict[str, str]:
    """Return each domain of photographs, with the name of a ReStyle model for it."""
    first: dict[str, str] = {}
    for model in PUBLIC:
        if model.domain:
            first.setdefault(model.domain, model.name)
    return first


def find(name: str) -> PublicModel:
    """Look a public model up.

    Raises:
        ValueError: There is none of that name; the message names those that come close.
    """
    named = {model.name: model for model in PUBLIC}
    if name in named:
        return named[name]
    import difflib

    near = difflib.get_close_matches(name, named, n=3)
    hint = f"such as {', '.join(near)}" if near else "see restyle models list"
    raise ValueError(f"unknown model '{name}': expected a public one, {hint}")
