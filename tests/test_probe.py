"""The probe: views of pictures, the network and its graph, fitting, and that its files fail closed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from vivant.engines.kinds import load_student
from vivant.guardrails.envelope import GuardFileError
from vivant.guardrails.guard import Guard
from vivant.guardrails.guard_file import GuardFile, write_guard_file
from vivant.guardrails.pictures import PicturesError, Still, Views, pasted, read_folder
from vivant.guardrails.probe import Probe
from vivant.guardrails.spoil import WAYS
from vivant.runtime.frames import Controls, Judgement, Latent

SIZE = (128, 128)
CONTROLS = Controls(strength=0.1, styles={"ink": 1.0})
RNG = np.random.default_rng


def room(seed: int) -> np.ndarray:
    """A grey picture with soft shapes in it: nothing in it is red."""
    rng = RNG(seed)
    frame = np.full((160, 160, 3), rng.uniform(60, 190), np.float32)
    for _ in range(8):
        centre, radius = tuple(map(int, rng.integers(10, 150, 2))), int(rng.integers(6, 40))
        cv2.circle(frame, centre, radius, tuple([float(rng.uniform(20, 230))] * 3), -1)
    return cv2.GaussianBlur(frame, (0, 0), 2).astype(np.uint8)


def disc() -> tuple[np.ndarray, np.ndarray]:
    """A red disc with a white bar, and its alpha."""
    pixels, alpha = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.uint8)
    pixels[:] = (230, 20, 20)
    pixels[26:38, 8:56] = 255
    cv2.circle(alpha, (32, 32), 30, 255, -1)
    return pixels, alpha


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    for index in range(40):
        (root / "approved").mkdir(exist_ok=True)
        cv2.imwrite(str(root / "approved" / f"{index:02d}.png"), room(index))
    (root / "forbidden" / "disc").mkdir(parents=True)
    pixels, alpha = disc()
    cv2.imwrite(str(root / "forbidden" / "disc" / "disc.png"), np.dstack([pixels[..., ::-1], alpha]))
    return root


@pytest.fixture(scope="module")
def fit(folders: Path, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    torch.set_num_threads(1)
    from vivant.guardrails.probe_fit import Plan, fit_probe

    out = tmp_path_factory.mktemp("fit") / "probe.npz"
    with load_student("null", "null", "float", SIZE, 1) as student:
        found = fit_probe(
            student,
            read_folder(folders / "approved"),
            read_folder(folders / "forbidden"),
            out,
            Plan(views=240, epochs=5, folds=1, false_hold_rate=0.02, degenerate=False),
        )
        yield found, out, student


def test_a_folder_is_read_by_kind_and_transparency_makes_a_cut_out(folders: Path) -> None:
    approved, forbidden = read_folder(folders / "approved"), read_folder(folders / "forbidden")
    assert [(name, len(stills)) for name, stills in approved.items()] == [("approved", 40)]
    (still,) = forbidden["disc"]
    assert still.alpha is not None
    assert tuple(still.pixels[10, 32]) == (230, 20, 20), "red first"
    assert approved["approved"][0].alpha is None


@pytest.mark.parametrize("what", ["no folder", "an empty one", "no picture"])
def test_folders_that_are_of_no_use_are_one_clear_error(tmp_path: Path, what: str) -> None:
    if what != "no folder":
        (tmp_path / "kind").mkdir()
    if what == "no picture":
        (tmp_path / "kind" / "broken.png").write_text("not a picture")
    with pytest.raises(
        PicturesError, match=r"no folder|no picture or film in kind|cannot be read as a picture"
    ):
        read_folder(tmp_path / "absent" if what == "no folder" else tmp_path)


def test_cut_outs_lie_wholly_inside_at_every_scale_and_rotation() -> None:
    pixels, alpha = disc()
    ground = np.full((96, 128, 3), 128, np.uint8)
    widths = []
    for index in range(300):
        changed = (pasted(ground, pixels, alpha, RNG(index)).astype(int) - ground).any(2)
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        widths.append(max(np.ptp(rows), np.ptp(columns)) + 1)
        area = changed.sum() / (np.pi / 4 * widths[-1] ** 2)
        assert 0.85 < area < 1.2, "a whole disc, nothing cut off"
    assert min(widths) < 0.16 * 96
    assert max(widths) > 0.6 * 96


def test_views_are_the_same_for_the_same_seed_and_differ_otherwise() -> None:
    stills = [Still("a", room(1)), Still("b", room(2))]
    views = Views(stills, stills, SIZE)
    assert np.array_equal(views.view(0, RNG(5)), views.view(0, RNG(5)))
    assert not np.array_equal(views.view(0, RNG(5)), views.view(0, RNG(6)))
    assert views.decoy(0, RNG(5)).shape == (128, 128, 3)


@pytest.mark.torch
@pytest.mark.parametrize("guided", [True, False])
def test_the_graph_says_what_the_network_says_at_every_size(guided: bool) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from vivant.guardrails.probe_net import ProbeNet, graph_of

    torch.manual_seed(0)
    net = ProbeNet(4, guided, 2)
    for norm in net.norms:
        norm.running_mean.uniform_(-0.2, 0.2)
        norm.running_var.uniform_(0.5, 2.0)
    net.eval()
    probe = Probe(graph_of(net), ("a", "b"), np.zeros(2, np.float32), guided)
    for size in (8, 16, 20):
        code = RNG(size).standard_normal((1, 4, size, size)).astype(np.float32)
        guide = RNG(size).uniform(size=(1, 1, 4 * size, 4 * size)).astype(np.float32) if guided else None
        with torch.no_grad():
            wanted = net(torch.from_numpy(code), None if guide is None else torch.from_numpy(guide)).numpy()
        assert np.allclose(probe.logits(Latent(code, guide)), wanted[0], atol=1e-4)


@pytest.mark.torch
def test_it_finds_what_it_was_fitted_to_and_lets_the_rest_pass(fit) -> None:  # type: ignore[no-untyped-def]
    _, out, student = fit
    sha256 = hashlib.sha256(out.read_bytes()).hexdigest()
    guard = Guard([GuardFile(out, sha256).load(student.hash)], limit_ms=60_000)
    pixels, alpha = disc()
    held = {"new rooms": 0, "with the disc": 0}
    for index in range(100):
        ground = cv2.resize(room(1000 + index), SIZE)
        for what, frame in (
            ("new rooms", ground),
            ("with the disc", pasted(ground, pixels, alpha, RNG(index))),
        ):
            verdict = guard.judge(student.denoise(student.encode(frame), CONTROLS), CONTROLS)
            held[what] += not verdict.admits
            if what == "with the disc" and not verdict.admits:
                assert verdict.reason == "looks like disc"
    assert held["with the disc"] >= 90, held
    assert held["new rooms"] <= 6, held


@pytest.mark.torch
def test_its_card_says_to_what_it_was_fitted_and_what_was_found(fit) -> None:  # type: ignore[no-untyped-def]
    found, _, student = fit
    assert found.card["student"]["hash"] == student.hash
    assert found.card["pictures"]["forbidden"] == {"disc": 1}
    rates = found.card["cross_validated"]
    assert 30 < rates["true_hold"]["disc"]["of"] < 70, "a fifth"
    assert rates["true_hold"]["disc"]["interval_95"][0] > 0.5
    assert rates["false_hold"]["rate"] <= 0.03
    assert {(one.kind, one.forbidden) for one in found.near} == {("disc", True), ("disc", False)}


@pytest.mark.torch
def test_its_sheet_can_be_looked_at(fit, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from vivant.runtime.guard_sheet import guard_sheet

    guard_sheet(fit[0], "probe", tmp_path / "probe.png")
    drawn = cv2.imread(str(tmp_path / "probe.png"))
    assert drawn.shape[1] == 1400
    assert drawn.std() > 5


@pytest.mark.torch
@pytest.mark.parametrize(
    "wrong", ["hash", "short hash", "student", "missing", "kind", "cut off", "threshold", "graph"]
)
def test_a_file_that_is_not_right_closes_the_guard(fit, wrong: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    _, out, student = fit
    path, hash_of = tmp_path / "probe.npz", student.hash
    path.write_bytes(out.read_bytes())
    kept = GuardFile(out, hashlib.sha256(out.read_bytes()).hexdigest()).read()
    own = {name: kept[name] for name in kept if name not in ("kind", "student")}
    if wrong == "kind":
        write_guard_file(path, "prophecy", student.hash, own)
    elif wrong == "threshold":
        write_guard_file(path, "probe", student.hash, own | {"thresholds": np.array([np.nan])})
    elif wrong == "graph":
        write_guard_file(path, "probe", student.hash, own | {"graph": np.zeros(9, np.uint8)})
    elif wrong == "cut off":
        path.write_bytes(out.read_bytes()[:500])
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    if wrong == "missing":
        path.unlink()
    sha256 = {"hash": "0" * 64, "short hash": sha256[:6]}.get(wrong, sha256)
    file = GuardFile(path, sha256)
    with pytest.raises(GuardFileError, match=r"probe\.npz"):
        file.load("another" if wrong == "student" else hash_of)
    guard = Guard.load(
        *student.guard_file, more=(file,), student="another" if wrong == "student" else hash_of
    )
    latent = student.denoise(student.encode(cv2.resize(room(3), SIZE)), CONTROLS)
    verdict = guard.judge(latent, CONTROLS)
    assert verdict.judgement is Judgement.HOLD
    assert guard.counts["guard.closed"] == 1


@pytest.mark.torch
def test_a_latent_of_another_shape_or_with_a_nan_is_held(fit) -> None:  # type: ignore[no-untyped-def]
    _, out, student = fit
    probe = GuardFile(out, hashlib.sha256(out.read_bytes()).hexdigest()).load(student.hash)
    latent = student.denoise(student.encode(cv2.resize(room(3), SIZE)), CONTROLS)
    code, guide = latent.code.copy(), latent.guide.copy()
    spoiled = code.copy()
    spoiled[0, 3, 5, 5] = np.nan
    for wrong in (
        Latent(code[:, :8], guide),
        Latent(code, None),
        Latent(spoiled, guide),
        Latent(code[0], guide),
    ):
        assert not Guard([probe]).judge(wrong, CONTROLS).admits


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_spoiling_leaves_a_well_formed_latent_that_is_another(way: str) -> None:
    code = RNG(0).standard_normal((1, 6, 12, 12)).astype(np.float32)
    found = WAYS[way](code, RNG(1))
    assert found.shape == code.shape
    assert found.dtype == np.float32
    assert np.abs(found - code).mean() > 0.3


@pytest.mark.torch
def test_spoiled_latents_are_found_without_a_single_forbidden_picture(folders: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    torch.set_num_threads(1)
    from vivant.guardrails.probe_fit import Plan, fit_probe

    with load_student("null", "null", "float", SIZE, 1) as student:
        found = fit_probe(
            student,
            read_folder(folders / "approved"),
            {},
            tmp_path / "probe.npz",
            Plan(views=256, epochs=4, folds=2, false_hold_rate=0.02),
        )
    assert found.kinds == ("degenerate",)
    rates = found.card["cross_validated"]
    assert rates["true_hold"]["degenerate"]["rate"] > 0.3, "by chance it would be as many as of the approved"
    assert rates["false_hold"]["rate"] <= 0.04


def test_thresholds_are_met_on_new_numbers_of_the_same_tail() -> None:
    pytest.importorskip("torch")
    from vivant.guardrails.probe_fit import interval, thresholds_of

    numbers = RNG(0).exponential(size=(3000, 2)).astype(np.float32)
    thresholds = thresholds_of(numbers, 1e-3)
    fresh = RNG(1).exponential(size=(400_000, 2))
    assert 2e-4 < (fresh > thresholds).any(1).mean() < 2e-3
    low, high = interval(0, 3000)
    assert low == pytest.approx(0.0, abs=1e-12)
    assert high == pytest.approx(0.00128, abs=2e-4)


@pytest.mark.torch
def test_one_fold_fits_once_and_judges_by_the_pictures_kept_apart() -> None:
    pytest.importorskip("torch")
    from vivant.guardrails.probe_fit import Latents, Plan, cross_validated

    rng, told = RNG(1), list[str]()
    origins = np.repeat(np.arange(75), 2)
    codes, guides = rng.standard_normal((150, 4, 8, 8)), rng.random((150, 1, 32, 32))
    labels = (np.arange(150) % 3 == 0)[:, None]
    thumbs = [np.full((1, 1, 3), index, np.uint8) for index in range(150)]
    latents = Latents(codes.astype(np.float16), guides.astype(np.float16), labels, origins, thumbs)
    judged, logits, net = cross_validated(
        latents, 1, Plan(folds=1, epochs=1), lambda what, share: told.append(what)
    )
    assert set(told) == {"fitting, part 1 of 1"}
    assert 10 <= len(logits) == len(judged.labels) == len(judged.thumbs) < 75
    assert len(set(judged.origins)) == len(logits) / 2, "both views of a picture are on one side"
    rows = [int(thumb[0, 0, 0]) for thumb in judged.thumbs]
    assert np.array_equal(judged.labels, labels[rows]) and np.array_equal(judged.origins, origins[rows])
    assert not net.training


def test_each_kind_is_shown_from_its_own_smallest_size_upward() -> None:
    from vivant.guardrails.probe_fit import Plan, views

    pixels, alpha = disc()
    approved = {"approved": [Still("grey", np.full((96, 96, 3), 128, np.uint8))]}
    forbidden = {name: [Still(name, pixels, alpha)] for name in ("small", "large")}
    plan = Plan(views=120, smallest_of={"large": 0.5}, degenerate=False)
    least = [1.0, 1.0]
    for seen, kind, _ in views((96, 96), approved, forbidden, plan):
        if kind >= 0:
            red = (seen[..., 0].astype(int) - seen[..., 1]) > 60
            least[kind] = min(least[kind], float(np.sqrt(red.mean())))
    assert least[0] < 0.2 < 0.35 < least[1]


@pytest.mark.torch
def test_a_place_that_is_unsure_costs_nothing_and_a_wrong_one_does() -> None:
    torch = pytest.importorskip("torch")
    from vivant.guardrails.fresh_views import UNSURE
    from vivant.guardrails.probe_net import lost_places

    cells = torch.zeros(1, 1, 4, 4)
    cells[0, 0, 0, 0], cells[0, 0, 0, 3] = 1, UNSURE
    right = torch.full((1, 1, 4, 4), -9.0)
    right[0, 0, 0, 0] = 9.0
    unsure, wrong = right.clone(), right.clone()
    unsure[0, 0, 0, 3], wrong[0, 0, 3, 3] = 9.0, 9.0
    assert float(lost_places(right, cells)) < 1e-3
    assert float(lost_places(unsure, cells)) == pytest.approx(float(lost_places(right, cells)))
    assert float(lost_places(wrong, cells)) > 1.0
    coarse = torch.tensor([[[[9.0, -9.0], [-9.0, -9.0]]]])
    assert float(lost_places(coarse, cells)) < 1e-3, "a place of a coarser map answers for four"


@pytest.mark.torch
def test_approved_latents_that_looked_forbidden_are_gone_through_more_often() -> None:
    torch = pytest.importorskip("torch")
    from vivant.guardrails.probe_net import Stock

    labels = (np.arange(40) >= 20)[:, None]
    stock = Stock(np.zeros((40, 1)), None, labels, np.arange(40), RNG(0))
    stock.mind(np.arange(40), torch.where(torch.arange(40) % 10 == 3, 9.0, -9.0)[:, None])
    drawn = stock.drawn(4000)
    assert (drawn == 3).sum() > 10 * (drawn == 4).sum()
    assert (drawn == 23).sum() < 2 * (drawn == 4).sum(), "a forbidden one is meant to look so"
    assert stock.drawn(400, approved=True).max() < 20


@pytest.mark.torch
def test_of_what_is_pasted_into_a_guide_the_code_says_nothing() -> None:
    torch = pytest.importorskip("torch")
    from vivant.guardrails.probe_net import ProbeNet

    net = ProbeNet(4, True, 2).eval()
    guide = torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        one, other = (
            net.mapped(net.seen(code, guide)) for code in (torch.zeros(1, 4, 8, 8), torch.ones(1, 4, 8, 8))
        )
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
