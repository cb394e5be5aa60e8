"""Taskonomy's domains of a view (Zamir et al., CVPR 2018), from its exact surfaces and its photograph.

What each domain is follows the paper's supplement, which takes the three-dimensional ones from scanned meshes; what
code 65535 or 255 means is ours. Values lie in [0, 1] unless told otherwise; `codes` makes them integers as in
Taskonomy's files. The domains of a mirrored view are the mirrored domains.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from multimae.rooms.surfaces import WAYS, Array, Surfaces, Way, dot, first, second, sides, without_holes
from multimae.shapes import Float

Codes = NDArray[np.uint8] | NDArray[np.uint16]

UNITS_PER_METRE = 512
INVALID_DEPTH = 65535
LARGEST_CURVATURE = 20.0
"""Principal curvature, per metre, that is stored as code 255; minus as much as 1, flat as 128. Creases reach it."""
LARGEST_KEYPOINT2D, LARGEST_KEYPOINT3D = 0.12, 0.4
"""Responses that are stored as code 65535: about the largest in rooms."""
EDGE_SIGMA = 1.0
KEYPOINT_SIGMA = 1.2
"""Scale of SURF's first filter, 9 pixels wide (Bay et al., CVIU 2008)."""
SECOND_ORDER = ((0, 2), (1, 1), (2, 0))
GEOMETRY_SIGMA, SUPPORT_SIGMA = 1.0, 2.0
DEPTH_WEIGHT = 2.0
"""How much a break in log depth counts against a turn of the normal."""
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """Hold a photograph and the surfaces it shows, of which some may be unknown."""

    rgb: NDArray[np.uint8]
    surfaces: Surfaces


def codes(view: View) -> dict[str, Codes]:
    """Return every domain as it is stored; pixels that are not valid hold code 0, of depth 65535."""
    whole = replace(view, surfaces=without_holes(view.surfaces))
    stored: dict[str, Codes] = {name: _sixteen_bits(domain(whole)) for name, domain in SIXTEEN_BITS.items()}
    stored["principal_curvature"] = _curvature_codes(principal_curvature(whole))
    stored["reshading"] = np.rint(255 * reshading(whole)).astype(np.uint8)
    stored["depth_zbuffer"] = _depth_codes(whole.surfaces.depth_m)
    for name, array in stored.items():
        array[~view.surfaces.valid] = INVALID_DEPTH if name == "depth_zbuffer" else 0
    return stored


def principal_curvature(view: View) -> Float[Array, "height width 2"]:
    """Return the larger and the smaller principal curvature per metre: 1/r of a ball seen from outside, 0 of planes.

    They are the eigenvalues of dn/dp in the tangent plane, with dn taken to neighbours on which the surface goes on. A
    crease counts as a bend from one pixel to the next.
    """
    surfaces = view.surfaces
    (p_u, p_v), (n_u, n_v) = surfaces.tangents, _turns(surfaces)
    e, f, g = dot(p_u, p_u), dot(p_u, p_v), dot(p_v, p_v)
    bend_u, twist, bend_v = dot(n_u, p_u), (dot(n_u, p_v) + dot(n_v, p_u)) / 2, dot(n_v, p_v)
    area = e * g - f * f
    mean = (bend_u * g - 2 * twist * f + bend_v * e) / (2 * area)
    product = (bend_u * bend_v - twist * twist) / area
    apart = np.sqrt(np.maximum(mean * mean - product, 0.0))
    return np.stack([mean + apart, mean - apart], axis=-1)


def edge_texture(view: View) -> Float[Array, "height width"]:
    """Return the steepness of the smoothed photograph per pixel: Canny's edges before they are thinned."""
    return np.hypot(*_slopes(_grey(view.rgb), sigma=EDGE_SIGMA))


def edge_occlusion(view: View) -> Float[Array, "height width"]:
    """Return how much farther the surface behind is, on both sides of a break: 1 - near / far. Creases are none."""
    farther = [
        np.maximum(*sides(1 - np.exp(-np.abs(broken)), way=way))
        for broken, way in zip(view.surfaces.breaks, WAYS, strict=True)
    ]
    return np.maximum(*farther)


def keypoints2d(view: View) -> Float[Array, "height width"]:
    """Return the response of SURF: how much the photograph bends in two directions at once.

    It is the root of the determinant of the Hessian, its sign aside, so that it grows with contrast, not with its
    square; a blur bridges where the sign changes.
    """
    grey = _grey(view.rgb)
    xx, xy, yy = (gaussian_filter(grey, KEYPOINT_SIGMA, order=order, mode="nearest") for order in SECOND_ORDER)
    determinant = gaussian_filter(np.abs(xx * yy - xy * xy), KEYPOINT_SIGMA, mode="nearest")
    return np.minimum(KEYPOINT_SIGMA**2 * np.sqrt(determinant) / LARGEST_KEYPOINT2D, 1.0)


def keypoints3d(view: View) -> Float[Array, "height width"]:
    """Return how much the surface changes in two directions at once, as points of NARF do (Steder et al., ICRA 2011).

    It is the root of the smaller eigenvalue of the structure tensor of normals and of breaks in depth: 0 on planes,
    along straight creases and along straight outlines.
    """
    surfaces = view.surfaces
    n_u, n_v = _slopes(surfaces.normal, sigma=GEOMETRY_SIGMA)
    z_u, z_v = (DEPTH_WEIGHT * slope for slope in _broken_slopes(surfaces, sigma=GEOMETRY_SIGMA))
    products = (dot(n_u, n_u) + z_u * z_u, dot(n_u, n_v) + z_u * z_v, dot(n_v, n_v) + z_v * z_v)
    uu, uv, vv = (gaussian_filter(part, SUPPORT_SIGMA, mode="nearest") for part in products)
    smaller = (uu + vv) / 2 - np.hypot((uu - vv) / 2, uv)
    return np.minimum(np.sqrt(np.maximum(smaller, 0.0)) / LARGEST_KEYPOINT3D, 1.0)


def reshading(view: View) -> Float[Array, "height width"]:
    """Return how bright a white, matt surface is in the light of a lamp at the camera: the cosine of its slant."""
    return np.maximum(view.surfaces.cosine, 0.0)


SIXTEEN_BITS: Mapping[str, Callable[[View], Array]] = MappingProxyType(
    {
        "edge_texture": edge_texture,
        "edge_occlusion": edge_occlusion,
        "keypoints2d": keypoints2d,
        "keypoints3d": keypoints3d,
    }
)


def _sixteen_bits(values: Float[Array, "height width"]) -> Codes:
    return np.asarray(np.rint(65535 * np.minimum(values, 1.0)), dtype=np.uint16)


def _curvature_codes(curvature: Float[Array, "height width 2"]) -> Codes:
    """Store both curvatures as red and green, 0 as 128; blue is unused."""
    stored = np.zeros((*curvature.shape[:2], 3), dtype=np.uint8)
    stored[..., :2] = np.rint(128 + 127 * np.clip(curvature / LARGEST_CURVATURE, -1, 1))
    return stored


def _depth_codes(depth_m: Float[Array, "height width"]) -> Codes:
    return np.asarray(np.rint(np.minimum(depth_m * UNITS_PER_METRE, INVALID_DEPTH - 1)), dtype=np.uint16)


def _turns(surfaces: Surfaces) -> tuple[Array, Array]:
    """Return how the normal turns from pixel to pixel, on average over those sides on which the surface goes on."""
    across, down = (
        _mean(second(surfaces.normal, way=way) - first(surfaces.normal, way=way), weights=there[..., None], way=way)
        for there, way in zip(surfaces.goes_on, WAYS, strict=True)
    )
    return across, down


def _mean(between: Array, *, weights: NDArray[np.bool_], way: Way) -> Array:
    total = np.add(*sides(between * weights, way=way))
    return np.asarray(total / np.maximum(np.add(*sides(weights.astype(np.float64), way=way)), 1), dtype=np.float64)


def _slopes(map_: Float[Array, "height width ..."], *, sigma: float) -> tuple[Array, Array]:
    """Return the change per pixel across and down of the smoothed map."""
    across, down = (
        gaussian_filter(map_, sigma, order=order, mode="nearest", axes=(0, 1)) for order in ((0, 1), (1, 0))
    )
    return across, down


def _broken_slopes(surfaces: Surfaces, *, sigma: float) -> tuple[Array, Array]:
    """Return the slopes that smoothed log depth has from breaks alone."""
    across, down = (
        gaussian_filter(np.add(*sides(broken, way=way)) / 2, sigma, mode="nearest")
        for broken, way in zip(surfaces.breaks, WAYS, strict=True)
    )
    return across, down


def _grey(rgb: NDArray[np.uint8]) -> Float[Array, "height width"]:
    return np.asarray(rgb @ np.array(LUMA) / 255, dtype=np.float64)
