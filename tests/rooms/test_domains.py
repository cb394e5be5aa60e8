"""Taskonomy's domains of surfaces that can be written down: planes, balls, pipes, boxes; and of printed patterns."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from multimae.rooms import domains
from multimae.rooms.domains import View, codes
from multimae.rooms.focal_length import focal_length
from multimae.rooms.surfaces import Surfaces, rays, without_holes
from multimae.tables.modalities import MODALITIES

Array = NDArray[np.float64]
Hit = tuple[Array, Array]

HEIGHT, WIDTH, FOCAL = 90, 120, 100.0
RAYS = rays(HEIGHT, WIDTH, focal=FOCAL)
GREY = np.full((HEIGHT, WIDTH, 3), 128, dtype=np.uint8)
SLANTED = (0.5, 0.3, 1.0)


def plane(*, at: float, normal: tuple[float, float, float] = (0.0, 0.0, 1.0)) -> Hit:
    """Return depth and normals of a plane that crosses the optical axis `at` metres away."""
    unit = np.array(normal) / np.linalg.norm(normal)
    return -at * unit[2] / (RAYS @ unit), np.broadcast_to(unit, RAYS.shape)


def quadric(*, centre: tuple[float, float, float], radius: float, axes: tuple[float, float, float]) -> Hit:
    """Return depth and normals of a ball, or with an axis of 0 of a pipe along it; depth is inf where rays miss."""
    weights, middle = np.array(axes), np.array(centre)
    a, b = (RAYS**2 * weights).sum(-1), (RAYS * middle * weights).sum(-1)
    inside = b * b - a * ((middle**2 * weights).sum() - radius**2)
    depth = np.where(inside > 0, (b - np.sqrt(np.maximum(inside, 0))) / a, np.inf)
    return depth, weights * (RAYS * np.where(inside > 0, depth, 0)[..., None] - middle) / radius


def cube(*, corner: tuple[float, float, float]) -> Hit:
    """Return the faces of a cube that points at the camera with a corner: a ray enters where it meets the last."""
    wide, thin, half, to_camera = np.sqrt([2 / 3, 1 / 6, 1 / 2, 1 / 3])
    faces = np.array([[wide, 0, to_camera], [-thin, half, to_camera], [-thin, -half, to_camera]])
    hits = [((np.array(corner) @ face) / (RAYS @ face), np.broadcast_to(face, RAYS.shape)) for face in faces]
    return nearest(*hits, farthest=True)


def nearest(*hits: Hit, farthest: bool = False) -> Hit:
    depths = np.stack([depth for depth, _ in hits])
    index = depths.argmax(0) if farthest else depths.argmin(0)
    normals = np.stack([normal for _, normal in hits])
    return np.take_along_axis(depths, index[None], 0)[0], np.take_along_axis(normals, index[None, ..., None], 0)[0]


def view_of(hit: Hit, *, rgb: NDArray[np.uint8] = GREY, valid: NDArray[np.bool_] | None = None) -> View:
    depth_m, normal = hit
    everywhere = np.ones(depth_m.shape, dtype=bool) if valid is None else valid
    return View(rgb=rgb, surfaces=Surfaces(depth_m=depth_m, normal=normal.copy(), valid=everywhere, focal=FOCAL))


def stored(hit: Hit) -> Hit:
    """Round depth and normals as their files do."""
    depth, normal = np.rint(hit[0] * 1000) / 1000, np.rint((hit[1] + 1) * 127.5) / 127.5 - 1
    return depth, normal / np.linalg.norm(normal, axis=-1, keepdims=True)


def checkerboard(*, square: int) -> NDArray[np.uint8]:
    rows, columns = np.arange(HEIGHT)[:, None] // square, np.arange(WIDTH) // square
    return np.repeat(((rows + columns) % 2 * 255).astype(np.uint8)[..., None], 3, axis=2)


def room() -> View:
    """Return a view of a bit of everything: planes, a ball, a picture on the wall and a hole in the depth."""
    ball = quadric(centre=(0.3, 0.2, -2.0), radius=0.4, axes=(1, 1, 1))
    walls = nearest(plane(at=4.0, normal=SLANTED), plane(at=3.0, normal=(-0.8, 0.1, 1.0)))
    valid = np.ones((HEIGHT, WIDTH), dtype=bool)
    valid[10:14, 20:29] = False
    return view_of(nearest(ball, walls), rgb=checkerboard(square=7), valid=valid)


@pytest.mark.parametrize("normal", [(0.0, 0.0, 1.0), SLANTED])
def test_a_plane_is_flat_whole_and_without_points(normal: tuple[float, float, float]) -> None:
    view = view_of(stored(plane(at=3.0, normal=normal)))
    assert np.abs(domains.principal_curvature(view)).max() == 0
    assert domains.edge_occlusion(view).max() == 0
    assert domains.keypoints3d(view).max() < 1e-6


@pytest.mark.parametrize("radius", [0.3, 0.8])
def test_a_ball_has_both_curvatures_and_a_pipe_one(radius: float) -> None:
    for axes, wanted in (((1, 1, 1), (1 / radius, 1 / radius)), ((0, 1, 1), (1 / radius, 0.0))):
        hit = quadric(centre=(0.0, 0.0, -2.5), radius=radius, axes=axes)
        holed = view_of(hit, valid=np.isfinite(hit[0]))
        view = replace(holed, surfaces=without_holes(holed.surfaces))
        steep = view.surfaces.cosine < 0.6
        found = domains.principal_curvature(view)[view.surfaces.valid & ~steep]
        assert np.abs(np.median(found, axis=0) - wanted).max() < 0.01 / radius
        assert np.abs(found - wanted).max() < 0.1 / radius


def test_a_hollow_has_curvatures_below_zero() -> None:
    inside = 2.0 / np.linalg.norm(RAYS, axis=-1)
    found = domains.principal_curvature(view_of((inside, -RAYS * inside[..., None] / 2.0)))
    assert np.abs(found + 0.5).max() < 0.02


def test_rounding_to_the_files_codes_moves_curvature_by_less_than_two_codes() -> None:
    hit = quadric(centre=(0.0, 0.0, -2.5), radius=0.8, axes=(1, 1, 1))
    valid = np.isfinite(hit[0])
    whole = (np.where(valid, hit[0], 1.0), hit[1] + ~valid[..., None])
    exact, rounded = (codes(view_of(h, valid=valid))["principal_curvature"].astype(int) for h in (whole, stored(whole)))
    seen = valid & (view_of(whole).surfaces.cosine > 0.6)
    assert np.quantile(np.abs(exact - rounded)[seen], 0.95) <= 2


def test_occlusion_edges_lie_between_planes_of_different_depth_and_not_along_creases() -> None:
    near, far = plane(at=2.0), plane(at=4.0)
    left = (np.arange(WIDTH) < 50)[None, :].repeat(HEIGHT, 0)
    step = (np.where(left, near[0], far[0]), near[1])
    edge = domains.edge_occlusion(view_of(step))
    assert edge[:, [49, 50]].min() == pytest.approx(0.5, abs=0.01)
    edge[:, [49, 50]] = 0
    assert edge.max() == 0
    crease = nearest(plane(at=3.0, normal=(0.9, 0.0, 1.0)), plane(at=3.2, normal=(-0.7, 0.2, 1.0)), farthest=True)
    assert len({tuple(normal) for normal in crease[1].reshape(-1, 3)}) == 2
    assert domains.edge_occlusion(view_of(stored(crease))).max() == 0
    assert np.abs(domains.principal_curvature(view_of(crease))).max() > domains.LARGEST_CURVATURE / 2


def test_a_ball_before_a_wall_is_outlined_and_smooth_inside() -> None:
    ball = quadric(centre=(0.0, 0.0, -2.0), radius=0.4, axes=(1, 1, 1))
    edge = domains.edge_occlusion(view_of(stored(nearest(ball, plane(at=4.0)))))
    inside = np.isfinite(ball[0])
    outline = inside & ~np.roll(inside, 1, axis=1)
    assert edge[outline].min() > 0.4
    away = ~(inside ^ np.roll(inside, 1, 0)) & ~(inside ^ np.roll(inside, -1, 0))
    away &= ~(inside ^ np.roll(inside, 1, 1)) & ~(inside ^ np.roll(inside, -1, 1))
    assert edge[away].max() < 0.02


def test_texture_edges_see_what_is_printed_on_a_wall_and_nothing_else_does() -> None:
    view = view_of(plane(at=2.0), rgb=checkerboard(square=15))
    edge = domains.edge_texture(view)
    assert edge[7, 14:16].min() == pytest.approx(0.35, abs=0.05)
    assert edge[7, 7] < 0.001
    assert domains.edge_occlusion(view).max() == domains.keypoints3d(view).max() == 0
    assert domains.edge_texture(view_of(nearest(plane(at=2.0), plane(at=3.0, normal=SLANTED)))).max() == 0


def test_points_of_the_image_are_at_corners_not_along_edges() -> None:
    points = domains.keypoints2d(view_of(plane(at=2.0), rgb=checkerboard(square=15)))
    assert points[29:31, 29:31].min() > 0.9
    assert points[22, 29] < 0.05
    assert points[22, 22] < 0.001


def test_points_of_the_surface_are_at_a_cubes_corner_more_than_on_its_edges_and_not_on_its_faces() -> None:
    depth, normal = cube(corner=(0.0, 0.0, -2.0))
    points = domains.keypoints3d(view_of((depth, normal)))
    row, column = np.unravel_index(points.argmax(), points.shape)
    assert abs(row - (HEIGHT - 1) / 2) < 3
    assert abs(column - (WIDTH - 1) / 2) < 3
    assert points.max() > 0.5
    far = np.hypot(*np.mgrid[-44.5:45, -59.5:60]) > 15
    bends = np.abs(np.diff(normal, axis=1, append=normal[:, -1:])).max(-1) > 0.1
    assert bends[far].sum() > 40
    assert points[far & bends].max() < 0.35 * points.max()
    assert np.median(points[far & ~bends]) < 1e-6


def test_reshading_of_a_wall_is_bright_in_the_middle_and_falls_with_the_angle() -> None:
    shade = domains.reshading(view_of(plane(at=2.0)))
    assert shade[44:46, 59:61].min() > 0.9999
    assert (np.diff(shade[45, 60:]) < 0).all()
    assert shade[45, -1] == pytest.approx(np.cos(np.arctan(59.5 / FOCAL)), abs=1e-4)
    assert domains.reshading(view_of(plane(at=9.0, normal=SLANTED))).max() > shade[44, 59] - 0.01


@pytest.mark.parametrize("turned", [np.fliplr, np.flipud])
def test_the_domains_of_a_mirrored_view_are_the_mirrored_domains(turned: Callable[[Array], Array]) -> None:
    view = room()
    sign = np.array([-1.0, 1.0, 1.0] if turned is np.fliplr else [1.0, -1.0, 1.0])
    surfaces = Surfaces(
        depth_m=turned(view.surfaces.depth_m),
        normal=turned(view.surfaces.normal) * sign,
        valid=turned(view.surfaces.valid),
        focal=FOCAL,
    )
    known = turned(view.surfaces.valid)
    for name, mirrored in codes(View(rgb=turned(view.rgb), surfaces=surfaces)).items():
        wanted = turned(codes(view)[name])
        assert wanted[known].std() > 0
        # What fills a hole is the nearest surface, of which two may be as near; and the last bit may round either way.
        assert (np.abs(mirrored.astype(int) - wanted)[known] > 1).mean() < 0.01, name


def test_codes_are_those_of_taskonomys_files() -> None:
    view = room()
    kept = codes(view)
    assert set(kept) == {name for name, item in MODALITIES.items() if item.kind == "domain"}
    for name, map_ in kept.items():
        assert map_.dtype == (np.uint8 if MODALITIES[name].full_scale == 255 else np.uint16), name
        assert map_.shape == ((HEIGHT, WIDTH, 3) if name == "principal_curvature" else (HEIGHT, WIDTH)), name
        hole = map_[~view.surfaces.valid]
        assert (hole == (65535 if name == "depth_zbuffer" else 0)).all(), name
    flat = codes(view_of(plane(at=2.5)))
    assert (flat["depth_zbuffer"] == 1280).all()
    assert (flat["principal_curvature"] == (128, 128, 0)).all()
    assert flat["reshading"].max() == 255


def test_a_view_that_shows_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no pixel of this view is valid; leave"):
        codes(view_of(plane(at=2.0), valid=np.zeros((HEIGHT, WIDTH), dtype=bool)))


def test_the_focal_length_follows_from_planes_even_with_holes_and_a_ball() -> None:
    view = room()
    depth, normal = stored((view.surfaces.depth_m, view.surfaces.normal))
    depth[~view.surfaces.valid] = 0
    found = focal_length(depth_m=depth, normal=normal, valid=view.surfaces.valid)
    assert found == pytest.approx(FOCAL, rel=0.02)
    exact = focal_length(depth_m=view.surfaces.depth_m, normal=view.surfaces.normal, valid=view.surfaces.valid)
    assert exact == pytest.approx(FOCAL, rel=1e-6)


def test_the_focal_length_of_a_wall_seen_straight_cannot_be_told() -> None:
    depth, normal = plane(at=2.0)
    with pytest.raises(ValueError, match="no plane in this view is seen at a slant"):
        focal_length(depth_m=depth, normal=normal.copy(), valid=depth > 0)
