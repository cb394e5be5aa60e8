"""The page on which one chooses what a pre-training sees: made without torch, right in a real browser."""

import html
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reports.make import is_fresh, make_report
from reports.pages.reconstruction import FOLDER, Heading, read_index, render_page
from tests.made.chromium import dump_dom, take_screenshot
from tests.made.fake_suite import PRETRAINING, FakeSuite
from tests.made.pretrained import GRID, INPUTS, write_pretraining
from tests.made.tinydata import write_frames

ROOT = Path(__file__).parents[2]
HEADING = Heading(kind="a run", title="What it has learned", caveat="", facts={"Model": "tiny"})

# Runs behind the page's own script and writes what it found into the document.
PROBE = """
<script>
const $ = (selector) => document.querySelector(selector);
const found = {};
const canvasOf = (row, name) => $(`canvas[data-row="${row}"][data-sample="1"][data-column="${name}"]`);
const drawn = (row, name) => canvasOf(row, name).toDataURL();
function visiblePatches(name) {
  const { width, height } = canvasOf("visible", name);
  const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvasOf("visible", name), 0, 0);
  const places = [...Array(GRID).keys()].map((place) => (place + 0.5) * (width / GRID));
  return places.flatMap((y) => places.filter((x) => copy.getImageData(x, y, 1, 1).data[3] > 0)).length;
}
function note(step) {
  const texts = (selector) => [...document.querySelectorAll(selector)].map((element) => element.textContent);
  found[step] = {
    setting: $("#setting").textContent,
    hash: location.hash,
    patches: Object.fromEntries(INPUTS.map((name) => [name, visiblePatches(name)])),
    depth: drawn("prediction", "depth"),
    shares: texts("[data-share-of]"),
    pressed: texts("[aria-pressed=true]"),
  };
}
function move(selector, value) {
  $(selector).value = value;
  $(selector).dispatchEvent(new Event("input", { bubbles: true }));
}
const waiting = setInterval(() => {
  if (!document.documentElement.dataset.drawn) return;
  clearInterval(waiting);
  note("start");
  move("#number", 5); note("all tokens");
  move("#number", 0); note("fewest tokens");
  move("#number", 2);
  $("button[data-only=depth]").click(); note("depth only");
  move("#share-rgb", 1); note("a quarter of RGB");
  $("button[data-only='']").click(); note("even again");
  const before = drawn("prediction", "rgb");
  $("#pasted").click(); note("not pasted");
  found.pasting = { changed: drawn("prediction", "rgb") !== before };
  // A window cannot be narrower than 500 pixels here, but the page can; what scrolls by itself may be wider.
  Object.assign(document.body.style, { margin: 0, width: "400px" });
  const elements = [...document.querySelectorAll("body *")].filter((element) => !element.closest(".scroll table"));
  found.rightmost = Math.max(...elements.map((element) => element.getBoundingClientRect().right));
  const out = document.createElement("pre");
  out.id = "found";
  out.textContent = JSON.stringify(found);
  document.body.append(out);
}, 20);
</script>
"""


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pretraining")
    data = write_frames(folder / "data", num_train=1, num_test=3)
    return write_pretraining(folder / "run", data_root=data)


@pytest.fixture(scope="module")
def page(run_dir: Path) -> Path:
    path = run_dir / "page.html"
    path.write_text(rendered(run_dir), "utf-8")
    return path


def rendered(run_dir: Path, **changes: Any) -> str:
    index = read_index(run_dir)
    assert index is not None
    return render_page({**index, **changes}, folder=run_dir / FOLDER, heading=HEADING)


def probed(page: Path, address: str = "", **window: int) -> dict[str, Any]:
    """Return what the probe finds in the page."""
    script = PROBE.replace("GRID", str(GRID)).replace("INPUTS", json.dumps(INPUTS))
    with_probe = page.with_name("probed.html")
    with_probe.write_text(page.read_text("utf-8").replace("</body>", script + "</body>"), "utf-8")
    (text,) = re.findall(r'<pre id="found">(.*?)</pre>', dump_dom(with_probe, address, **window))
    return dict(json.loads(html.unescape(text)))


def test_a_report_has_a_page_for_every_finished_pretraining(tmp_path: Path, run_dir: Path) -> None:
    suite = FakeSuite(runs_dir=tmp_path)
    pretraining = suite.add(task="nyuv2-pretrain", checkpoint="scratch", inputs="rgb+depth+semseg", seed=0)
    suite.add(task="nyuv2-semseg", checkpoint="pretrain", inputs="rgb", seed=0)
    suite.finish()
    without = make_report(tmp_path, "nyuv2").html
    assert "reconstruction-" not in without.read_text("utf-8")

    (pretraining / FOLDER.parent).mkdir(exist_ok=True)
    (pretraining / FOLDER).symlink_to(run_dir / FOLDER)
    report = make_report(tmp_path, "nyuv2")
    name = f"reconstruction-{PRETRAINING}.html"
    assert f'href="{name.replace("+", "%2B")}"' in report.html.read_text("utf-8")
    assert PRETRAINING in (report.html.parent / name).read_text("utf-8")
    assert is_fresh(tmp_path, "nyuv2")
    (report.html.parent / name).unlink()
    assert not is_fresh(tmp_path, "nyuv2")


def test_the_page_needs_no_torch_and_nothing_but_itself(run_dir: Path, page: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from reports.pages.reconstruction import Heading, FOLDER, read_index, render_page
run_dir = Path({str(run_dir)!r})
heading = Heading(kind="", title="", caveat="", facts={{}})
page = render_page(read_index(run_dir), folder=run_dir / FOLDER, heading=heading)
print(len(page) > 10_000, "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["True", "False"]
    text = page.read_text("utf-8")
    assert set(re.findall(r"https?://[^\"')\s]*", text)) <= {"http://www.w3.org/2000/svg"}, "a name, not an address"
    assert re.findall(r'(?:href|src)="(?!data:)([^"]*)"', text) == []
    assert len(text) < 5_000_000


def test_what_beats_the_best_constant_is_said(run_dir: Path) -> None:
    scores = {
        "num_images": 80,
        "constant": {"rgb": 1.0, "depth": 0.8, "norm_rgb": 1.0},
        "masked": {"rgb": 0.5, "depth": 0.4, "norm_rgb": 0.9},
        "alone": {"rgb": {"depth": 0.6}, "depth": {"rgb": 1.25, "norm_rgb": None}},
    }
    text = re.sub(r"\s+", " ", rendered(run_dir, cross_modal=scores))
    assert "Better than the best constant: depth from RGB (−25 %). Not better: RGB from depth (+25 %)." in text
    assert re.search(r'<td class="worse"><span class="number">1.250</span> <span class="note">\+25 %</span>', text)
    assert "diverged" in text
    assert "80 test images of NYU Depth v2" in text


def test_an_index_of_another_schema_is_left_alone(tmp_path: Path) -> None:
    assert read_index(tmp_path) is None
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / "index.json").write_text('{"schema": 2}')
    assert read_index(tmp_path) is None


def test_the_controls_choose_what_is_drawn(page: Path) -> None:
    """48 tokens, numbers 2, 5, 8, 16, 24, 48; the model was trained with 8."""
    found = probed(page)
    start, everything, fewest = (found[step] for step in ("start", "all tokens", "fewest tokens"))
    assert start["setting"] == "8 of 48 tokens visible: 3 RGB, 3 depth, 2 semseg"
    assert start["patches"] == {"rgb": 3, "depth": 3, "semseg": 2}
    assert start["pressed"] == ["even"]
    assert everything["setting"] == "48 of 48 tokens visible: 16 RGB (all), 16 depth (all), 16 semseg (all)"
    assert everything["patches"] == dict.fromkeys(INPUTS, 16)
    assert sum(fewest["patches"].values()) == 2
    assert fewest["hash"] == "#tokens=2&rgb=33&depth=33&semseg=33"

    alone, quarter = found["depth only"], found["a quarter of RGB"]
    assert (alone["patches"], alone["pressed"]) == ({"rgb": 0, "depth": 8, "semseg": 0}, ["depth only"])
    assert (quarter["patches"], quarter["pressed"]) == ({"rgb": 2, "depth": 6, "semseg": 0}, [])
    assert quarter["shares"] == ["25 %", "75 %", "0 %"]
    assert len({found[step]["depth"] for step in ("start", "all tokens", "depth only", "a quarter of RGB")}) == 4
    assert found["even again"] == start | {"hash": "#tokens=8&rgb=33&depth=33&semseg=33"}
    assert found["pasting"]["changed"]
    assert found["not pasted"]["hash"].endswith("&pasted=no")


def test_an_address_is_a_setting(page: Path) -> None:
    asked = probed(page, "#tokens=16&rgb=0&depth=100&semseg=0")["start"]
    assert asked["setting"] == "16 of 48 tokens visible: 0 RGB, 16 depth (all), 0 semseg"
    beyond = probed(page, "#tokens=9000&rgb=90&depth=5&pasted=no")["start"]
    assert beyond["setting"] == "16 of 48 tokens visible: 16 RGB (all), 0 depth, 0 semseg; there are no more to show"
    assert asked["depth"] != beyond["depth"]


def test_a_narrow_window_needs_no_scrolling_sideways(page: Path) -> None:
    assert probed(page, width=500)["rightmost"] <= 400


def test_the_pictures_are_there_to_be_seen(page: Path, tmp_path: Path) -> None:
    """Screenshots of two settings differ where predictions are, and nothing else moves."""
    shots = []
    for number, address in enumerate(("#tokens=2", "#tokens=48")):
        shot = tmp_path / f"{number}.png"
        take_screenshot(page, address, to=shot, height=1700)
        with Image.open(shot) as opened:
            shots.append(np.asarray(opened.convert("RGB")).astype(int))
    changed = np.abs(shots[0] - shots[1]).max(axis=2) > 30
    assert changed.mean() > 0.05
    assert not changed[:150].any(), "the heading stays"
    grey = np.ptp(shots[1], axis=2) < 8
    assert (~grey).mean() > 0.1, "colours of pictures and labels"
