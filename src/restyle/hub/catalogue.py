"""The official models that can be had: where they are published, and on what terms.

Addresses are those of the projects' own pages. Sizes and checksums are given where they are
published, or where independent copies agree; a file without is still checked for being what it
should be when it is imported.
"""

from dataclasses import dataclass
from typing import Literal

RESTYLE = "MIT; the generator in it: NVIDIA Source Code License, non-commercial"
NVIDIA = "NVIDIA Source Code License, non-commercial"
_ADA = "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained"
_MOCO = "https://dl.fbaipublicfiles.com/moco/moco_checkpoints/moco_v2_800ep"
_TORCH = "https://download.pytorch.org/models"
_LPIPS = (
    "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1"
)
_HUB_E4E = "AIRI-Institute/HairFastGAN:pretrained_models/encoder4editing/e4e_ffhq_encode.pt"


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
    needs: str = ""
    size: int | None = None
    digest: str | None = None


def _restyle(method: str, data: str, shown: str, drive: str) -> PublicModel:
    return PublicModel(
        f"restyle-{method}-{data.replace('_encode', '').replace('_', '-')}",
        f"restyle_{method}_{data}.pt",
        (f"drive:{drive}",),
        RESTYLE,
        f"ReStyle over {method}, {shown}",
        needs=_ALIGNED if shown == "faces" else "",
    )


def _generator(name: str, file: str, about: str, source: str) -> PublicModel:
    return PublicModel(name, file, (source,), NVIDIA, f"StyleGAN2, {about}", "generator")


_ALIGNED = "aligned faces (restyle align)"

PUBLIC = (
    _restyle("psp", "ffhq_encode", "faces", "1sw6I2lRIB0MpuJkpc8F5BJiSZrc0hjfE"),
    _restyle("psp", "cars_encode", "cars", "1zJHqHRQ8NOnVohVVCGbeYMMr6PDhRpPR"),
    _restyle("psp", "church_encode", "churches", "1bcxx7mw-1z7dzbJI_z7oGpWG1oQAvMaD"),
    _restyle("psp", "afhq_wild_encode", "wild animals", "1GyFXVTNDUw3IIGHmGS71ChhJ1Rmslhk7"),
    PublicModel(
        "restyle-psp-toonify",
        "restyle_psp_toonify.pt",
        ("drive:1GtudVDig59d4HJ_8bGEniz5huaTSGO_0",),
        RESTYLE,
        "ReStyle over psp, faces to toon",
        needs="aligned faces, restyle-psp-ffhq (restyle bootstrap)",
    ),
    _restyle("e4e", "ffhq_encode", "faces", "1e2oXVeBPXMQoUoC_4TNwAWpOPpSEhE_e"),
    _restyle("e4e", "cars_encode", "cars", "1v6Yi-Yne6JX0Pyas6XPS83IzKKUvCe8r"),
    _restyle("e4e", "church_encode", "churches", "1sCRzbM1fGTgTbWO87jP_rxApw-tS0CH_"),
    _restyle("e4e", "afhq_wild_encode", "wild animals", "1HQlUPKirShHyL3kGnwVRjhfcb-j9s4V3"),
    _restyle("e4e", "horse_encode", "horses", "19_sUpTYtJmhSAolKLm3VgI-ptYqd-hgY"),
    PublicModel(
        "psp-ffhq",
        "psp_ffhq_encode.pt",
        ("drive:1bMTNWkh5LArlaWSc_wa8VKyq2V42T2z0",),
        RESTYLE,
        "pSp, faces, one step",
        needs=_ALIGNED,
        digest="sha256:f786ac5cf18fcdbc5c57c9f3f12cbedca69381fbdf5694dd132294e3133749d7",
    ),
    PublicModel(
        "psp-frontalization",
        "psp_ffhq_frontalization.pt",
        ("drive:1_S4THAzXb-97DbpXmanjHtXRyKxqjARv",),
        RESTYLE,
        "pSp, faces to frontal faces, one step",
        needs=_ALIGNED,
    ),
    PublicModel(
        "e4e-ffhq",
        "e4e_ffhq_encode.pt",
        ("drive:1cUv_reLE6k3604or78EranS7XzuVMWeO", f"hub:{_HUB_E4E}"),
        RESTYLE,
        "e4e, faces, one step",
        needs=_ALIGNED,
        size=1_201_649_680,
        digest="sha256:2ace1d9a8c05c10a399bcd500b8dda118f759ff1aac89dbdab7435f2136a0999",
    ),
    PublicModel(
        "e4e-cars",
        "e4e_cars_encode.pt",
        ("drive:17faPqBce2m1AQeLCLHUVXaDfxMRU2QcV",),
        RESTYLE,
        "e4e, cars, one step",
    ),
    PublicModel(
        "e4e-horse",
        "e4e_horse_encode.pt",
        ("drive:1TkLLnuX86B_BMo2ocYD0kX9kWh53rUVX",),
        RESTYLE,
        "e4e, horses, one step",
    ),
    PublicModel(
        "e4e-church",
        "e4e_church_encode.pt",
        ("drive:1-L0ZdnQLwtdy6-A_Ccgq5uNJGTqE7qBa",),
        RESTYLE,
        "e4e, churches, one step",
    ),
    _generator(
        "stylegan2-ffhq",
        "stylegan2-ffhq-config-f.pt",
        "faces, 1024 px",
        "drive:1EM87UquaoQmk17Q8d5kYIAHqu0dkYqdT",
    ),
    _generator(
        "stylegan2-car",
        "stylegan2-car-config-f.pt",
        "cars, 512 px (384 rows shown)",
        "drive:1UmMHHB3DU1trTB8_9Fjkck5ZwArnD81B",
    ),
    _generator(
        "stylegan2-church",
        "stylegan2-church-config-f.pt",
        "churches, 256 px",
        "drive:1ZSZOFtw5wZfPhWEzHFB9LI__bikaHsn6",
    ),
    _generator(
        "stylegan2-horse",
        "stylegan2-horse-config-f.pt",
        "horses, 256 px",
        "drive:1bM7ms1tWCucnySjiS6-NNrPJGDkqQQWi",
    ),
    _generator(
        "stylegan2-afhq-wild",
        "afhqwild.pt",
        "wild animals, 512 px",
        "drive:1z6IVVaCJuFTksKwp1CM3emWOVHbrBip-",
    ),
    _generator(
        "stylegan2-toonify",
        "ffhq_cartoon_blended.pt",
        "toon, 1024 px",
        "drive:1r3XVCt_WYUKFZFxhNH-xO2dTtF6B5szu",
    ),
    _generator("stylegan2-ada-ffhq", "ffhq.pkl", "faces, 1024 px", f"{_ADA}/ffhq.pkl"),
    _generator(
        "stylegan2-ada-metfaces", "metfaces.pkl", "painted, 1024 px", f"{_ADA}/metfaces.pkl"
    ),
    _generator("stylegan2-ada-afhqcat", "afhqcat.pkl", "cats, 512 px", f"{_ADA}/afhqcat.pkl"),
    _generator("stylegan2-ada-afhqdog", "afhqdog.pkl", "dogs, 512 px", f"{_ADA}/afhqdog.pkl"),
    _generator("stylegan2-ada-afhqwild", "afhqwild.pkl", "wild, 512 px", f"{_ADA}/afhqwild.pkl"),
    PublicModel(
        "ir-se50",
        "model_ir_se50.pth",
        ("drive:1KW7bjndL3QG3sxBbZxreGHigcCCpsDgn",),
        "MIT",
        "face embedding (ArcFace): identity loss, start of face encoders",
        "network",
        size=175_367_323,
        digest="sha256:a035c768259b98ab1ce0e646312f48b9e1e218197a0f80ac6765e88f8b6ddf28",
    ),
    PublicModel(
        "curricularface",
        "CurricularFace_Backbone.pth",
        ("drive:1f4IwVa2-Bn9vWLwB-bUwm53U_MlvinAj",),
        "MIT",
        "face embedding (IR-101): identity score",
        "network",
    ),
    PublicModel(
        "mtcnn",
        "mtcnn.tar.gz",
        ("drive:1tJ7ih-wbCO6zc3JhI_1ZGjmwXKKaPlja",),
        "MIT",
        "face detector (P-Net, R-Net, O-Net): identity score",
        "network",
        needs="to be unpacked: pnet.npy, rnet.npy, onet.npy",
    ),
    PublicModel(
        "resnet34",
        "resnet34-333f7ec4.pth",
        (f"{_TORCH}/resnet34-333f7ec4.pth",),
        "BSD 3-Clause",
        "ImageNet classifier: start of other encoders",
        "network",
        digest="sha256:333f7ec4",  # torchvision puts it into the name
    ),
    PublicModel(
        "alexnet",
        "alexnet-owt-7be5be79.pth",
        (f"{_TORCH}/alexnet-owt-7be5be79.pth",),
        "BSD 3-Clause",
        "ImageNet classifier: perceptual loss (LPIPS)",
        "network",
        size=244_408_911,
        digest="sha256:7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    ),
    PublicModel(
        "vgg16",
        "vgg16-397923af.pth",
        (f"{_TORCH}/vgg16-397923af.pth",),
        "BSD 3-Clause",
        "ImageNet classifier: perceptual loss (LPIPS)",
        "network",
        digest="sha256:397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    ),
    PublicModel(
        "lpips-alex",
        "alex.pth",
        (f"{_LPIPS}/alex.pth",),
        "BSD 2-Clause",
        "LPIPS 0.1: what AlexNet's channels count",
        "network",
        needs="alexnet",
        size=6_009,
        digest="sha256:df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
    ),
    PublicModel(
        "lpips-vgg",
        "vgg.pth",
        (f"{_LPIPS}/vgg.pth",),
        "BSD 2-Clause",
        "LPIPS 0.1: what VGG-16's channels count",
        "network",
        needs="vgg16",
        size=7_289,
        digest="sha256:a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
    ),
    PublicModel(
        "moco-v2",
        "moco_v2_800ep_pretrain.pth.tar",
        (f"{_MOCO}/moco_v2_800ep_pretrain.pth.tar", "drive:18rLcNGdteX5LwT7sv_F7HWr12HpVEzVe"),
        "CC BY-NC 4.0, non-commercial",
        "image features: similarity loss where there are no faces",
        "network",
        digest="md5:a04e12f8",
    ),
)
"""Everything that `restyle models pull` knows."""


def find(name: str) -> PublicModel:
    """Look a public model up.

    Raises:
        ValueError: There is none of that name; the message names those that come close.
    """
    for model in PUBLIC:
        if model.name == name:
            return model
    import difflib

    near = difflib.get_close_matches(name, [model.name for model in PUBLIC], n=3)
    hint = f"such as {', '.join(near)}" if near else "see restyle models list"
    raise ValueError(f"unknown model '{name}': expected a public one, {hint}")
