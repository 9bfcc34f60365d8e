"""The HTML report: what it says, what it draws, how large it is."""

import base64
import itertools
import json
import re
import struct
import subprocess
import sys
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
from html_contents import Contents
from shown_runs import empty_run, histogram, made_run, sick_findings, trained_run

from pynn.babysit.findings import Finding
from pynn.babysit.views import maps
from pynn.babysit.views.html import page
from pynn.babysit.views.reading import words
from pynn.report import charts, pixels
from pynn.report.page import delivered

FIVE_MEGABYTES = 5_000_000


def headings(text):
    return re.findall(r"<h3>(.*?)</h3>", text)


@pytest.fixture(scope="module")
def trained():
    return trained_run()


def test_page_of_a_real_run_tells_what_the_history_says(trained, tmp_path):
    path = tmp_path / "run.html"
    path.write_text("old")
    trained.to_html(path)
    outline = Contents(path.read_text(encoding="utf-8"))
    assert [file.name for file in tmp_path.iterdir()] == ["run.html"]
    assert f"validation accuracy {100 * trained.history['val_accuracy'][-1]:.1f}%" in outline.words
    assert f"steps {trained.stats.steps[-1]:,}" in outline.words
    for layer in trained.stats.layers:
        if trained.stats[layer]:
            assert layer in outline.words
    assert "Weights of the first layer 24 units, each with its 8 x 8 inputs" in outline.words
    assert trained.to_html(tmp_path / "same.html") is None
    assert (tmp_path / "same.html").stat().st_size > 50_000


def test_verdict_comes_first_and_findings_have_evidence_and_advice():
    run = made_run(findings=sick_findings())
    text = Contents(page(run)).words
    assert "✖ Learning rate too high The loss rose to 3.1 times its best" in text
    assert "What to do: Divide the learning rate by 3" in text
    assert "It is the likeliest cause; 1 more finding below." in text
    for finding in run.findings:
        assert words(finding.symptom) in text
        assert finding.evidence[1:] in text
        assert finding.advice[1:] in text
    order = [words(symptom) for symptom in ("lr_too_high", "dead_units", "zigzag")]
    assert headings(page(run))[:3] == order


def test_a_healthy_run_is_said_to_be_healthy_notes_or_not():
    assert "✓ No fault found" in Contents(page(made_run())).words
    noted = page(made_run(findings=sick_findings()[2:]))
    assert "✓ No fault found 1 note below, no fault claimed." in Contents(noted).words
    assert 'class="verdict good"' in noted


def test_nothing_watched_is_nothing_to_judge():
    text = Contents(page(empty_run())).words
    assert "Nothing to judge yet" in text
    assert "No fault" not in text


def test_page_asks_for_nothing_from_elsewhere_and_runs_no_script_but_its_own():
    text = page(made_run(findings=sick_findings()))
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", text)
    assert not re.search(r"https?:|@import|url\(", text)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text).group(1)
    assert policy.startswith("default-src 'none';")
    assert "'unsafe-inline'" not in policy.split("script-src")[1]


def test_what_the_user_named_is_text_never_markup():
    nasty = """<b>"x'&amp;</b></script><script>alert(1)</script>"""
    findings = [Finding("dead_units", nasty, 5, 9, "error", f"evidence {nasty}", f"advice {nasty}")]
    run = made_run(hidden=(f"1.{nasty}ReLU",), findings=findings)
    text = page(run, title=nasty)
    outline = Contents(text)
    assert "alert(1)" in outline.words
    assert "b" not in outline.tags
    scripts = [attributes for tag, attributes in outline.elements if tag == "script"]
    assert sum(not attributes for attributes in scripts) == 1
    for data in re.findall(r'<script type="application/json">(.*?)</script>', text):
        json.loads(data)


def test_half_of_a_surrogate_pair_in_a_title_does_not_stop_the_report(tmp_path):
    delivered(page(empty_run(), title="odd \ud800 title"), tmp_path / "run.html")
    assert "odd ? title" in (tmp_path / "run.html").read_text(encoding="utf-8")


def test_charts_are_those_that_the_run_has_figures_for():
    everything = headings(page(made_run()))
    assert {"Loss", "Accuracy", "Learning rate", "Update ratios", "Gradients", "Dead units"} <= set(everything)
    assert "Saturated outputs" not in everything
    regression = made_run(accuracy=False, validation=False)
    regression.stats.columns["lr"][:] = 0.1
    assert not {"Accuracy", "Learning rate"} & set(headings(page(regression)))
    assert "validation" not in Contents(page(regression)).words


def test_values_that_are_not_finite_are_left_out_and_counted():
    run = made_run(rows=60)
    run.stats.columns["loss"][30:] = np.nan
    run.stats.columns["loss"][29] = np.inf
    for layer in run.stats.layers:
        for column in run.stats[layer].values():
            column[40:] = np.inf
            column[35:40] = -np.inf
    run.snapshots[-1].activations["1.ReLU"] = SimpleNamespace(low=np.nan, high=np.inf, counts=np.zeros(40, np.int64))
    run.first_weights[:3] = [[np.nan], [np.inf], [-np.inf]]
    text = page(run)
    assert "31 of 60 values are not finite and left out." in Contents(text).words
    assert not re.search(r'd="[^"]*(nan|inf)', text)
    for data in re.findall(r'<script type="application/json">(.*?)</script>', text):
        json.loads(data, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@pytest.mark.parametrize(
    "values", [[0.0], [-1e308, 1e308], [1e308] * 3, [5e-324, 1e-310], [np.nan], [1e-30, 1e30, np.inf]]
)
def test_odd_losses_are_drawn(values):
    run = made_run(rows=len(values), steps=10, epochs=0, snapshots=1)
    run.stats.columns["loss"] = np.array(values)
    text = page(run)
    assert "Loss" in headings(text)
    assert not re.search(r'd="[^"]*(nan|inf)', text)


def test_many_layers_become_pictures_with_a_row_each_and_stay_small():
    run = made_run(
        hidden=tuple(f"{2 * depth + 1}.ReLU" for depth in range(100)),
        rows=2000,
        steps=1_000_000,
        units=512,
        snapshots=64,
    )
    text = page(run)
    assert len(text.encode()) < FIVE_MEGABYTES
    assert "Update ratios of 101 layers over steps" in text
    assert "layers are shown; the table below has all" in text
    assert text.count('<th scope="row" title=') == len(run.stats.layers) + len(run.history)


def test_a_long_run_stays_small():
    hidden = tuple(f"{2 * depth + 1}.ReLU" for depth in range(6))
    run = made_run(hidden=hidden, rows=2000, steps=1_000_000, units=1024, epochs=1000, snapshots=64, inputs=3072)
    assert len(page(run).encode()) < FIVE_MEGABYTES / 3


def test_one_unit_one_layer_one_step():
    run = made_run(hidden=("1.ReLU",), rows=1, steps=1, units=1, epochs=1, snapshots=1, inputs=1)
    outline = Contents(page(run))
    assert "1 input from the top, 1 unit from the left" in outline.words
    assert "Activity of units" in outline.words


def test_pictures_have_alternative_texts_and_charts_labels():
    outline = Contents(page(made_run(findings=sick_findings())))
    assert all(attributes["alt"] for tag, attributes in outline.elements if tag == "img")
    labels = [attributes["aria-label"] for tag, attributes in outline.elements if attributes.get("role") == "img"]
    assert any(label.startswith("Loss over steps, logarithmic: training ends at 0.") for label in labels)
    levels = [int(tag[1]) for tag, _ in outline.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_findings_are_marked_where_they_began_and_near_ones_share_a_label():
    findings = [
        Finding("lr_too_high", None, 1000, 1000, "error", "a", "b"),
        Finding("dead_units", "1.ReLU", 1040, 2000, "warning", "a", "b"),
        Finding("plateau", None, 3000, 3000, "info", "a", "b"),
    ]
    text = page(made_run(findings=findings))
    loss = text[text.index("<h3>Loss") : text.index("<h3>Accuracy")]
    labels = re.findall(r'<a class="(\w+)" href="#finding-(\d)" style="left:([\d.]+)%"[^>]*>([^<]+)<', loss)
    assert labels == [("error", "1", "25.0", "1,2"), ("info", "3", "75.0", "3")]
    for _, number, _, _ in labels:
        assert f'id="finding-{number}"' in text


# Charts


def test_extremes_keep_peaks_gaps_and_ends():
    values = np.zeros(10_000)
    values[1234], values[7777] = 9.0, -9.0
    values[5000:5200] = np.nan
    kept = charts.extremes(values, 100)
    assert {0, 1234, 7777, 9999} <= set(kept)
    assert np.isnan(values[kept]).any()
    assert len(kept) <= 102


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3, 7.5), (1e-9, 3e-9), (0.999, 1.001), (-1e300, 1e300), (5, 1e6)])
def test_ticks_are_few_round_and_in_range(low, high):
    ticks = charts.linear_ticks(low, high)
    assert 3 <= len(ticks) <= 7
    margin = 1e-9 * (high / 2 - low / 2)
    assert all(low - margin <= tick <= high + margin for tick in ticks)


@pytest.mark.parametrize(("low", "high"), [(-1, 0), (-8, 3), (-300, 300), (0.30, 0.35), (-320, -319), (307.9, 308.2)])
def test_logarithmic_ticks_are_in_range(low, high):
    ticks = charts.log_ticks(low, high)
    assert 1 <= len(ticks) <= 7
    assert all(low - 1e-3 <= np.log10(value) <= high + 1e-3 for value, _ in ticks)


def test_a_curve_has_its_highest_value_at_the_top():
    chart = charts.Chart("c", [charts.Series("s", np.arange(3), np.array([0.0, 10.0, 5.0]), "s0")])
    drawn = re.search(r'class="line s0" d="M0 (\d+) 500 (\d+) 1000 (\d+)"', chart.html())
    bottom, top, middle = map(int, drawn.groups())
    assert top < middle < bottom
    assert middle == pytest.approx((top + bottom) / 2, abs=1)


def test_readings_are_the_values_at_their_steps():
    chart = charts.Chart("c", [charts.Series("s", np.array([1, 5]), np.array([0.25, np.nan]), "s0")], "share")
    data = json.loads(re.search(r"json\">(.*?)</script>", chart.html()).group(1))
    curves = [["s", "s0", [1, 5], ["25.0%", "-"]]]
    assert data == {"first": 1, "last": 5, "x": "step", "ticks": [], "curves": curves}


def test_an_axis_can_count_something_else_and_name_what_is_counted():
    series = [charts.Series("s", np.array([0, 1]), np.array([1.0, 2.0]), "s0")]
    text = charts.Chart("c", series, x="rate", ticks=["0.1", "<1>"]).html()
    assert "<span>rate 0.1</span><span>&lt;1&gt;</span>" in text
    assert "c over rate: s ends at 2" in text
    data = json.loads(re.search(r"json\">(.*?)</script>", text).group(1))
    assert (data["x"], data["ticks"]) == ("rate", ["0.1", "<1>"])


# Pictures


def decoded(content):
    """Return header and rows of a PNG whose rows are not filtered."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(content):
        length, name = struct.unpack(">I4s", content[at : at + 8])
        body = content[at + 8 : at + 8 + length]
        assert struct.unpack(">I", content[at + 8 + length : at + 12 + length])[0] == zlib.crc32(name + body)
        chunks[name.decode()] = body
        at += 12 + length
    width, height, depth, kind = struct.unpack(">2I2B", chunks["IHDR"][:10])
    rows = np.frombuffer(zlib.decompress(chunks["IDAT"]), np.uint8).reshape(height, -1)
    assert depth == 8
    assert not rows[:, 0].any()
    return kind, rows[:, 1:].reshape((height, width) if kind == 3 else (height, width, 3)), chunks


def test_png_holds_the_pixels(rng):
    indices = rng.integers(0, 256, (5, 7), dtype=np.uint8)
    kind, pixels_read, chunks = decoded(pixels.png(indices, pixels.two_sided()))
    assert kind == 3
    np.testing.assert_array_equal(pixels_read, indices)
    assert (len(chunks["PLTE"]), len(chunks["tRNS"])) == (768, 256)
    colours = rng.integers(0, 256, (4, 3, 3), dtype=np.uint8)
    kind, pixels_read, _ = decoded(pixels.png(colours))
    assert kind == 2
    np.testing.assert_array_equal(pixels_read, colours)
    uri = pixels.data_uri(b"\x00\xff")
    assert base64.b64decode(uri.partition(",")[2]) == b"\x00\xff"


def test_palettes_have_256_entries_and_nothing_is_transparent():
    for palette in (pixels.ramp(), pixels.two_sided(), pixels.activity()):
        assert palette.shape == (256, 4)
        assert palette[0, 3] == 0
    assert pixels.two_sided()[128, 3] == 0


def test_histogram_map_has_a_column_per_moment_and_high_values_at_the_top():
    low, high = histogram(np.full(50, 1.0), 0.0, 10.0), histogram(np.full(50, 9.0), 0.0, 10.0)
    picture = maps.histogram_map([10, 20], [low, high], (0, 40))
    image = picture.image
    width = image.shape[1]
    assert not image[:, : width // 4].any()  # nothing was seen before step 10
    first, second = (np.flatnonzero(image[:, width * step // 40]).mean() for step in (15, 39))
    assert second < len(image) / 2 < first


def test_histograms_of_very_different_width_share_one_picture():
    spread = [np.linspace(-width, width, 400) for width in (1e-6, 1.0, 1e6)]
    picture = maps.histogram_map([1, 2, 3], [histogram(values) for values in spread], (1, 3))
    reach = [np.ptp(np.flatnonzero(picture.image[:, column] > 20)) for column in (0, 80, 159)]
    assert 2 <= reach[0] < reach[1] < reach[2]
    assert [text for _, text in picture.ticks][1] == "0"


def test_outputs_that_start_at_0_keep_a_linear_scale():
    values = np.linspace(-1.0, 1.0, 400)
    zero = SimpleNamespace(low=0.0, high=0.0, counts=400 * np.eye(1, 40, 0, dtype=np.int64)[0])
    picture = maps.histogram_map([0, 1], [zero, histogram(values)], (0, 2))
    assert (picture.image[:, -1] > 200).all()  # equally many values in each row


def test_histograms_of_one_value_or_none():
    one = SimpleNamespace(low=0.5, high=0.5, counts=np.eye(1, 40, 0, dtype=np.int64)[0])
    assert maps.histogram_map([1], [one], (1, 1)).image.any()
    nothing = SimpleNamespace(low=0.0, high=0.0, counts=np.zeros(40, np.int64))
    assert maps.histogram_map([1], [nothing], (1, 1)) is None
    assert maps.histogram_map([], [], (0, 0)) is None


def test_activity_map_shows_dead_units_in_a_colour_of_their_own_at_the_bottom():
    shares = [np.array([0.0, 0.5, 1.0]), np.array([0.2, 0.0, 0.9])]
    image = maps.activity_map([1, 2], shares, (1, 2)).image
    assert image[2, -1] == 1
    assert image[1, 0] == 1
    assert image[0].min() > 100


def test_dead_units_of_a_wide_layer_survive_the_reduction():
    share = np.full(1000, 0.5)
    share[::10] = 0
    image = maps.activity_map([1], [share], (1, 9)).image
    assert (image == 1).mean() == pytest.approx(0.1, abs=0.02)


def test_weight_tiles_show_each_unit_as_an_image():
    weights = np.zeros((6, 2), np.float32)
    weights[4, 1] = -3
    weights[5, 1] = 1
    image = maps.weight_tiles(weights, (1, 2, 3)).image
    assert image.shape == (2, 7)
    blank, second = image[:, :3], image[:, 4:]
    assert (blank == 128).all()
    assert second[1, 1] == 1
    assert second[1, 2] > 128


def test_weights_of_colour_images_keep_their_channels():
    weights = np.zeros((12, 1), np.float32)
    weights[4:8] = 1  # green
    image = maps.weight_tiles(weights, (3, 2, 2)).image
    assert image.shape == (2, 2, 3)
    assert (image[..., 1] == 255).all()
    assert (image[..., [0, 2]] == 128).all()


def test_a_report_loads_neither_matplotlib_nor_tensorboard(tmp_path):
    code = """
import sys, pynn
x, y = pynn.datasets.blobs(seed=0)
trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(2, 3)), pynn.CrossEntropyLoss(), pynn.SGD(0.1))
monitor = pynn.Monitor(on_problem="silent")
trainer.fit(x, y, epochs=1, callbacks=[monitor])
monitor.to_html(sys.argv[1])
assert not {"matplotlib", "tensorboardX", "rich.live"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code, str(tmp_path / "run.html")], check=True)
