"""Render a room with Mitsuba 3: noisy light for the photograph, one centred ray a pixel for everything exact."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from multimae.data.sets.rooms import CLASSES
from multimae.rooms.frame_files import VIEWS_PER_ROOM
from multimae.rooms.render.camera import Camera, candidates, score, unlike
from multimae.rooms.render.filter import smooth_light
from multimae.rooms.render.mesh import Geometry, joined
from multimae.rooms.render.pieces import Part
from multimae.rooms.render.scene import Room, draw_room
from multimae.rooms.render.textures import Material

MAX_BOUNCES = 4
PROBE_WIDTH = 40
SPLITS = ("train", "test")


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """Hold one frame as it is stored: depth in millimetres along the optical axis, labels from 1, normals as bytes."""

    rgb: NDArray[np.uint8]
    depth: NDArray[np.uint16]
    semseg: NDArray[np.uint8]
    normal: NDArray[np.uint8]
    kind: str
    camera: Camera


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """Hold a room as the renderer sees it, lit and as bare reflectance.

    `labels[i]` is the class of shape i, counted from 1 as the renderer does; 0 is a ray that hits nothing.
    """

    kind: str
    scene: Any
    reflectance: Any
    labels: NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, eq=False)
class PixelHits:
    """Hold what the ray through the centre of each pixel hits."""

    depth_m: NDArray[np.float64]
    labels: NDArray[np.uint8]
    normals: NDArray[np.float64]
    position: NDArray[np.float64]


def render_room(
    *,
    seed: int,
    split: Literal["train", "test"],
    room: int,
    views: Sequence[int],
    width: int,
    height: int,
    samples: int,
) -> dict[int, Frame]:
    """Render some views of one room; depends on nothing but the arguments."""
    _mitsuba()
    origin = (seed, SPLITS.index(split), room)
    stage, cameras = _stage_with_views(origin, width=width, height=height)
    return {
        view: _photograph(stage, cameras[view], width=width, height=height, samples=samples, key=(*origin, view))
        for view in views
    }


def _mitsuba() -> Any:
    """Import Mitsuba in its scalar variant, the one that computes the same bits everywhere."""
    try:
        import mitsuba
    except ImportError as error:
        raise ModuleNotFoundError(
            "rendering rooms needs Mitsuba 3, which is not installed; run: pip install multimae[rooms]"
        ) from error
    if mitsuba.variant() != "scalar_rgb":
        mitsuba.set_variant("scalar_rgb")
    return mitsuba


def _stage_with_views(origin: tuple[int, int, int], *, width: int, height: int) -> tuple[Stage, list[Camera]]:
    """Draw rooms until one offers enough good views."""
    for attempt in range(20):
        rng = np.random.default_rng([*origin, attempt])
        room = draw_room(rng)
        stage = _stage(room)
        rated = []
        for camera in candidates(rng, room, count=40):
            seen = _look(stage, camera, width=PROBE_WIDTH, height=max(8, round(PROBE_WIDTH * height / width)))
            rated.append((score(labels=seen.labels, depth_m=seen.depth_m), camera))
        cameras = _best_views(rated)
        if len(cameras) == VIEWS_PER_ROOM:
            return stage, cameras
    raise RuntimeError(f"no room with {VIEWS_PER_ROOM} good views in 20 attempts for seed, split, room = {origin}")


def _best_views(rated: Sequence[tuple[float, Camera]]) -> list[Camera]:
    chosen: list[Camera] = []
    for points, camera in sorted(rated, key=lambda pair: -pair[0]):
        if points > 2.0 and len(chosen) < VIEWS_PER_ROOM and all(unlike(camera, other) for other in chosen):
            chosen.append(camera)
    return chosen


def _stage(room: Room) -> Stage:
    """Hand the room to Mitsuba, one mesh for each pair of class and material."""
    groups: dict[tuple[str, int], list[Part]] = {}
    for part in room.parts:
        groups.setdefault((part.label, id(part.material)), []).append(part)
    mitsuba = _mitsuba()
    lit: dict[str, Any] = {}
    bare: dict[str, Any] = {}
    surfaces: dict[int, Any] = {}
    labels = [0]
    for (label, material_id), parts in groups.items():
        material, geometry = parts[0].material, joined([part.geometry for part in parts])
        if material_id not in surfaces:
            surfaces[material_id] = mitsuba.load_dict(_surface(material))
        name = f"shape{len(lit):04d}"
        lamp = _emitter(material, scale=material.glow) if material.glow > 0 else None
        lit[name] = _mesh(name, geometry, bsdf=surfaces[material_id], emitter=lamp)
        bare[name] = _mesh(name, geometry, bsdf=None, emitter=_emitter(material, scale=material.glow or 1.0))
        labels.append(CLASSES.index(label) + 1)
    scenes = [mitsuba.load_dict({"type": "scene", **meshes}, parallel=False, optimize=False) for meshes in (lit, bare)]
    if [shape.id() for shape in scenes[0].shapes()] != list(lit):
        raise RuntimeError("Mitsuba reordered the shapes of a scene; labels cannot be told")
    return Stage(kind=room.kind, scene=scenes[0], reflectance=scenes[1], labels=np.array(labels, dtype=np.uint8))


def _mesh(name: str, geometry: Geometry, *, bsdf: Any, emitter: Any) -> Any:
    mitsuba = _mitsuba()
    properties = mitsuba.Properties()
    for key, value in (("bsdf", bsdf), ("emitter", emitter)):
        if value is not None:
            properties[key] = value
    mesh = mitsuba.Mesh(
        name,
        len(geometry.vertices),
        len(geometry.faces),
        props=properties,
        has_vertex_normals=True,
        has_vertex_texcoords=True,
    )
    buffers = mitsuba.traverse(mesh)
    buffers["vertex_positions"] = geometry.vertices.astype(np.float32).ravel()
    buffers["vertex_normals"] = geometry.normals.astype(np.float32).ravel()
    buffers["vertex_texcoords"] = geometry.uv.astype(np.float32).ravel()
    buffers["faces"] = geometry.faces.astype(np.uint32).ravel()
    buffers.update()
    return mesh


def _emitter(material: Material, *, scale: float) -> Any:
    return _mitsuba().load_dict({"type": "area", "radiance": _texture(material, scale=scale)})


def _surface(material: Material) -> dict[str, Any]:
    """Describe how a material reflects; both sides, since sheets have no inside."""
    inner: dict[str, Any]
    if material.gloss is None or material.glow > 0:
        inner = {"type": "diffuse", "reflectance": _texture(material, scale=1.0 if material.glow == 0 else 0.4)}
    else:
        inner = {"type": "roughplastic", "alpha": material.gloss, "diffuse_reflectance": _texture(material, scale=1.0)}
    return {"type": "twosided", "inner": inner}


def _texture(material: Material, *, scale: float) -> dict[str, Any]:
    mitsuba = _mitsuba()
    bitmap = material.bitmap * scale
    if bitmap.shape[:2] == (1, 1):
        return {"type": "rgb", "value": [float(channel) for channel in bitmap[0, 0]]}
    return {
        "type": "bitmap",
        "bitmap": mitsuba.Bitmap(np.ascontiguousarray(bitmap, dtype=np.float32)),
        "raw": True,
        "to_uv": mitsuba.ScalarTransform4f().scale([1 / material.metres, 1 / material.metres, 1.0]),
    }


def _sensor(camera: Camera, *, width: int, height: int, sampler: dict[str, Any]) -> Any:
    mitsuba = _mitsuba()
    film = {
        "type": "hdrfilm",
        "width": width,
        "height": height,
        "rfilter": {"type": "box"},
        "pixel_format": "rgb",
        "component_format": "float32",
    }
    pose = mitsuba.ScalarTransform4f().look_at(origin=camera.position, target=camera.target, up=[0.0, 0.0, 1.0])
    return mitsuba.load_dict(
        {
            "type": "perspective",
            "fov": camera.field_of_view,
            "fov_axis": "x",
            "near_clip": 0.01,
            "to_world": pose,
            "film": film,
            "sampler": sampler,
        }
    )


def _look(stage: Stage, camera: Camera, *, width: int, height: int) -> PixelHits:
    """Send one ray through the middle of each pixel; an average of several would invent labels at edges."""
    mitsuba = _mitsuba()
    sampler = {"type": "stratified", "sample_count": 1, "jitter": False}
    sensor = _sensor(camera, width=width, height=height, sampler=sampler)
    integrator = mitsuba.load_dict({"type": "aov", "aovs": "where:position,facing:sh_normal,what:shape_index"})
    image = mitsuba.render(stage.scene, sensor=sensor, integrator=integrator, spp=1, seed=0)
    position, normal, shape = np.split(np.array(image, dtype=np.float64)[..., -7:], [3, 6], axis=-1)
    index = np.rint(shape[..., 0]).astype(np.int64)
    if index.min() < 1:
        raise RuntimeError(f"{int((index < 1).sum())} of {index.size} rays left the room; its shell must be closed")
    axes = camera.axes()
    rays = position - np.array(camera.position)
    facing = np.where((rays * normal).sum(-1, keepdims=True) > 0, -normal, normal)
    return PixelHits(
        depth_m=-(rays @ axes[2]),
        labels=stage.labels[index],
        normals=facing @ axes.T,
        position=rays @ axes.T,
    )


def _photograph(
    stage: Stage, camera: Camera, *, width: int, height: int, samples: int, key: tuple[int, int, int, int]
) -> Frame:
    rng = np.random.default_rng(key)
    surfaces = _look(stage, camera, width=width, height=height)
    noise_seed = int(rng.integers(2**31))  # one for both, so that their rays agree on what share of an edge they see
    light, reflectance = (
        _sample(scene, camera, width=width, height=height, samples=samples, bounces=bounces, seed=noise_seed)
        for scene, bounces in ((stage.scene, MAX_BOUNCES), (stage.reflectance, 1))
    )
    clean = smooth_light(
        light=light,
        reflectance=reflectance,
        position=surfaces.position,
        normal=surfaces.normals,
        labels=surfaces.labels,
    )
    return Frame(
        rgb=_expose(clean, stops=float(rng.normal(0, 0.2))),
        depth=np.rint(surfaces.depth_m * 1000).astype(np.uint16),
        semseg=surfaces.labels,
        normal=np.rint((surfaces.normals + 1) * 127.5).astype(np.uint8),
        kind=stage.kind,
        camera=camera,
    )


def _sample(
    scene: Any, camera: Camera, *, width: int, height: int, samples: int, bounces: int, seed: int
) -> NDArray[np.float64]:
    mitsuba = _mitsuba()
    sensor = _sensor(camera, width=width, height=height, sampler={"type": "multijitter", "sample_count": samples})
    integrator = mitsuba.load_dict({"type": "path", "max_depth": bounces})
    image = mitsuba.render(scene, sensor=sensor, integrator=integrator, spp=samples, seed=seed)
    return np.array(image, dtype=np.float64)


def _expose(light: NDArray[np.float64], *, stops: float) -> NDArray[np.uint8]:
    """Develop as a camera does: balance most of the light's colour away, expose, roll off highlights, encode."""
    luminance = light @ np.array([0.2126, 0.7152, 0.0722])
    middle = float(np.exp(np.log(np.maximum(luminance, 1e-4)).mean()))
    ordinary = light[luminance < np.quantile(luminance, 0.97)].mean(axis=0)
    balance = (ordinary.mean() / np.maximum(ordinary, 1e-6)) ** 0.6
    exposed = light * balance * (0.30 * 2**stops / middle)
    rolled = exposed * (1 + exposed / 9.0) / (1 + exposed)
    linear = np.clip(rolled * 1.15, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(encoded * 255), dtype=np.uint8)
