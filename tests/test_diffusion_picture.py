"""A picture as a prompt: embedded once at the build, kept with the student, and painted by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install '.[diffusion]'")
pytest.importorskip("diffusers", reason="needs diffusers")
pytest.importorskip("transformers", reason="needs transformers")
import cv2  # noqa: E402
import tiny_diffusion as tiny  # noqa: E402
from tiny_diffusion import one_thread  # noqa: E402, F401  # an autouse fixture

from vivant.engines.card import Card  # noqa: E402
from vivant.engines.contract import EngineError  # noqa: E402
from vivant.engines.diffusion.build import Wanted  # noqa: E402
from vivant.engines.diffusion.folder import write_student  # noqa: E402
from vivant.engines.diffusion.picture import embed_picture  # noqa: E402
from vivant.engines.diffusion.wishes import IMAGE_SCALE  # noqa: E402
from vivant.engines.kinds import load_student  # noqa: E402
from vivant.runtime.frames import Controls  # noqa: E402

pytestmark = pytest.mark.torch
SIZE = (64, 64)
LENGTH = 20  # of an embedding


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_image_encoder(tmp_path_factory.mktemp("vision"))


def drawn(path: Path, seed: int) -> Path:
    colours = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), np.uint8)
    cv2.imwrite(str(path), cv2.resize(colours, (60, 40), interpolation=cv2.INTER_NEAREST))
    return path


def test_an_embedding_is_what_a_pipeline_of_diffusers_takes_of_the_picture(
    encoder: Path, tmp_path: Path
) -> None:
    from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

    picture = drawn(tmp_path / "a.png", 1)
    model = CLIPVisionModelWithProjection.from_pretrained(encoder)
    square = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    pixels = square(cv2.imread(str(picture))[..., ::-1].copy(), return_tensors="pt").pixel_values
    with torch.no_grad():
        wanted = model(pixels).image_embeds.numpy()
    made = embed_picture(picture, encoder, LENGTH)
    assert made.shape == (1, 1, LENGTH) and made.dtype == np.float32
    np.testing.assert_allclose(made[0], wanted, rtol=1e-5, atol=1e-6)


def test_what_is_no_picture_no_encoder_or_one_of_another_length_is_refused(
    encoder: Path, tmp_path: Path
) -> None:
    picture = drawn(tmp_path / "a.png", 1)
    with pytest.raises(EngineError, match="gives 20 numbers of a picture, and the image prompt takes 1024"):
        embed_picture(picture, encoder, 1024)
    with pytest.raises(EngineError, match="no image encoder"):
        embed_picture(picture, tmp_path, LENGTH)
    (tmp_path / "b.png").write_text("words")
    with pytest.raises(EngineError, match="no picture that can be read"):
        embed_picture(tmp_path / "b.png", encoder, LENGTH)


def test_a_student_paints_by_the_picture_that_it_was_built_with(encoder: Path, tmp_path: Path) -> None:
    pipeline = tiny.pipeline()
    pipeline.save_pretrained(tmp_path / "model")
    adapter = tiny.write_image_prompt(tmp_path / "ip.safetensors", pipeline.unet, image=LENGTH)
    frames = [np.full((*SIZE, 3), 40 * (i % 6), np.uint8) for i in range(8)]
    found = []
    for name in ("one", "other"):
        picture = drawn(tmp_path / f"{name}.png", len(found))
        wanted = Wanted(rank=0, image_prompt=adapter, image=picture, image_encoder=encoder)
        folder = write_student(
            tmp_path / "model", tmp_path / name, wanted, frames, lambda latents, path: path.write_bytes(b"g"),
            kinds=("float",),
        )  # fmt: skip
        card = Card.read(folder)
        with load_student(folder, "onnxruntime", "float", SIZE, 1) as student:
            codes = []
            for scale in (0.0, 1.0):
                controls = Controls(strength=0.8, numbers={IMAGE_SCALE: scale})
                codes.append(student.denoise(student.encode(frames[1]), controls).code.copy())
        found.append((card.hash, *codes))
    assert found[0][0] != found[1][0]
    np.testing.assert_array_equal(found[0][1], found[1][1])
    assert np.abs(found[0][2] - found[1][2]).max() > 1e-3
    (tmp_path / "one" / "image.safetensors").unlink()
    with pytest.raises(EngineError, match=r"image\.safetensors, but it cannot be read"):
        load_student(tmp_path / "one", "onnxruntime", "float", SIZE, 1)


def test_an_image_prompt_without_a_picture_is_not_built(tmp_path: Path) -> None:
    pipeline = tiny.pipeline()
    pipeline.save_pretrained(tmp_path / "model")
    adapter = tiny.write_image_prompt(tmp_path / "ip.safetensors", pipeline.unet, image=LENGTH)
    with pytest.raises(EngineError, match="wants a picture"):
        write_student(tmp_path / "model", tmp_path / "out", Wanted(rank=0, image_prompt=adapter), [], print)
