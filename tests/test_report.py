"""The report: every number is there, no name does harm, the same bytes each time, and damage is one line."""

import json
import re
import shutil
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
import result_folders as made

from ganvas.errors import DataError, GanvasError
from ganvas.report import figures, write_report, write_study
from ganvas.report.results import Score, Value, read_results

VOID = {"meta", "link", "img", "input", "br"}


class Page(HTMLParser):
    """A page's tags with their attributes, and its text; refuses tags that are closed in another order."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.text, self.open = [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)

    @property
    def words(self):
        """All text as one line, as a reader sees it."""
        return re.sub(r"\s+", " ", " ".join(self.text))

    def all(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    metrics = made.write_pairs(folder)
    write_report(folder)
    return folder, metrics, Page(folder / "index.html"), (folder / "report.md").read_text()


def test_all_numbers_are_shown(pairs):
    _, metrics, page, text = pairs
    for score in metrics["scores"]:
        for value in score["values"].values():
            for number in filter(None, value.values()):
                assert f"{number:{score['digits']}}" in page.words
                assert f"{number:{score['digits']}}" in text
        for difference in score["differences"]:
            assert re.sub(r"\s+", " ", difference["verdict"]) in page.words
    for fact in ("54.4 M", "12,345", "217.3", "41.3", "2,000 steps", "n = 12", "0.125"):
        assert fact in page.words


def test_the_rest_is_told_too(pairs):
    _, metrics, page, text = pairs
    for words in (metrics["title"], *metrics["baselines"].values(), "rounding", "8 bits", "2.6 <x>", *metrics["notes"]):
        assert words in page.words
    for image in metrics["images"]:
        for why in image["why"]:
            assert why in page.words
            assert re.sub(r"([|<>$])", r"\\\1", why) in text


def test_only_sure_winners_are_marked(pairs):
    _, metrics, page, text = pairs
    sure = sum(score["winner"] is not None for score in metrics["scores"])
    assert sum("best" in (cell.get("class") or "") for cell in page.all("td")) == sure
    assert len(re.findall(r"\| \*\*[\d.]+\*\*", text)) == sure


def test_names_do_no_harm(pairs):
    folder, _, page, text = pairs
    assert made.SCRIPT in page.words
    assert made.PIPES in page.words
    assert made.MODELS[1] in page.words
    assert len(page.all("script")) == 2
    assert not page.all("b") + page.all("i")
    assert json.loads(page_data(folder))["measures"] == ["SSIM", "PSNR", "MAE"]
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert {len(re.split(r"(?<!\\)\|", row)) for row in rows} == {10}
    assert r"\<script\>" in text
    assert not re.search(r"(?<!\\)<", text)


def page_data(folder):
    return re.search(r'<script type="application/json" id="each">(.*?)</script>', (folder / "index.html").read_text())[
        1
    ]


def test_names_that_are_no_text(tmp_path):
    metrics = made.write_pairs(tmp_path)
    strange = "bell\x07 \ufffd"  # the name of a file that is not UTF-8, as an evaluation writes it
    metrics["images"][0]["name"] = strange
    metrics["models"][0]["name"] = strange
    metrics["scores"] = [metrics["scores"][3]]
    metrics["scores"][0]["values"] = {strange: {"value": 4.5}}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    write_report(tmp_path)
    drawing = re.search(r"<svg.*?</svg>", (tmp_path / "index.html").read_text(), re.DOTALL)[0]
    assert "bell\ufffd \ufffd" in "".join(ET.fromstring(drawing).itertext())


def test_every_image_has_its_own_scores(pairs):
    folder, metrics, _, _ = pairs
    each = json.loads(page_data(folder))["images"]
    rows = (folder / "metrics.csv").read_text().splitlines()
    first = dict(zip(rows[0].split(","), rows[4].split(","), strict=True))  # image 3
    assert each["3"]["pix2pix"][:2] == [f"{float(first['pix2pix SSIM']):.4f}", f"{float(first['pix2pix PSNR']):.2f} dB"]
    assert set(each) == {str(image["number"]) for image in metrics["images"]}


def test_nothing_comes_from_elsewhere(pairs):
    folder, _, page, _ = pairs
    places = [at for _, tag in page.tags for key, at in tag.items() if key in ("src", "href", "srcset") and at]
    assert not [at for at in places if re.match(r"([a-z]+:)?//", at)]
    assert "url(http" not in (folder / "index.html").read_text()
    assert "@import" not in (folder / "index.html").read_text()
    for image in page.all("img"):
        if "src" in image:
            assert (folder / image["src"].replace("%20", " ").replace("%23", "#")).is_file()
            assert image["alt"]


def test_identifiers_are_its_own_and_links_end_somewhere(pairs):
    _, _, page, _ = pairs
    names = [tag["id"] for _, tag in page.tags if "id" in tag]
    assert len(names) == len(set(names))
    inner = [at[1:] for _, tag in page.tags for key, at in tag.items() if key.endswith("href") and at.startswith("#")]
    clips = [re.search(r"url\(#(.*)\)", tag["clip-path"])[1] for _, tag in page.tags if "clip-path" in tag]
    assert inner
    assert clips
    assert set(inner + clips) <= set(names)


def test_figures_take_their_colours_from_the_page(pairs):
    folder, _, _, _ = pairs
    content = (folder / "index.html").read_text()
    drawings = re.findall(r"<svg.*?</svg>", content, re.DOTALL)
    assert len(drawings) == 3 * 2 + 1
    for drawing in drawings:
        assert made.MODELS[1] in "".join(ET.fromstring(drawing).itertext())
        assert not re.search(r"#[0-9a-f]{6}\b|font-family", drawing)
    style = re.search(r"<style>(.*?)</style>", content, re.DOTALL)[1]
    assert set(re.findall(r"var\(--([a-z0-9-]+)\)", "".join(drawings))) <= set(re.findall(r"--([a-z0-9-]+):", style))


def test_the_same_bytes_each_time(pairs):
    folder, _, _, _ = pairs
    before = [path.read_bytes() for path in (folder / "index.html", folder / "report.md")]
    assert [path.read_bytes() for path in write_report(folder)] == before


def test_a_page_with_its_images_inside_goes_alone(pairs, tmp_path):
    folder, metrics, _, _ = pairs
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    write_report(copy, inside=True)
    page = Page(copy / "index.html")
    sources = [image["src"] for image in page.all("img") if "src" in image]
    assert len(sources) == 4 * len(metrics["images"])
    links = [link["href"] for link in page.all("a")]
    assert all(at.startswith(("data:", "#")) for at in sources + links)


@pytest.mark.parametrize("kind", ["unpaired", "style"])
def test_without_targets_intervals_or_differences(kind, tmp_path):
    metrics = made.write_pairs(tmp_path)
    metrics |= {"kind": kind, "models": metrics["models"][:1], "columns": ["input", "pix2pix"], "notes": []}
    for score in metrics["scores"]:
        score |= {"winner": None, "differences": [], "n": None}
        score["values"] = {"pix2pix": {"value": score["values"]["pix2pix"]["value"], "low": None, "high": None}}
    metrics["scores"][0]["values"]["pix2pix"]["value"] = None
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    (tmp_path / "timing.json").unlink()
    write_report(tmp_path)
    page = Page(tmp_path / "index.html")
    assert "significantly better" not in page.words
    assert "None" not in page.words + (tmp_path / "report.md").read_text()
    assert f"{metrics['scores'][1]['values']['pix2pix']['value']:.2f}" in page.words
    assert len(page.all("svg")) == 3


def test_models_that_draw(tmp_path):
    metrics = made.write_drawn(tmp_path)
    write_report(tmp_path)
    page = Page(tmp_path / "index.html")
    assert "12.35 11.90 to 12.80" in page.words
    assert len(page.all("svg")) == 3
    assert {image["alt"] for image in page.all("img")} == {"samples", "nearest"}
    for digit, count in metrics["classes"]["cgan"].items():
        assert f"{digit} {count}" in (tmp_path / "report.md").read_text()


def test_saves_of_a_run_are_a_curve(tmp_path):
    metrics = made.write_pairs(tmp_path)
    model = metrics["models"][0]
    metrics["models"] = [model | {"name": f"step {step:,}", "step": step} for step in (500, 1000, 2000)]
    score = metrics["scores"][0] | {"winner": None, "differences": []}
    score["values"] = {f"step {step:,}": {"value": value} for step, value in ((500, 0.5), (1000, 0.9), (2000, 0.8))}
    score["values"]["input"] = {"value": 0.4}
    metrics |= {"scores": [score], "images": []}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    write_report(tmp_path)
    page = (tmp_path / "index.html").read_text()
    assert page.count('id="curve-0-figure_1"') == 1
    points = re.search(
        r'd="M ([\d.]+) ([\d.]+)\s+L ([\d.]+) ([\d.]+)\s+L ([\d.]+) ([\d.]+)\s*"[^>]*stroke: var\(--model-0', page
    )
    x, y = ([float(point) for point in points.groups()[start::2]] for start in range(2))
    assert (x[2] - x[0]) / (x[1] - x[0]) == pytest.approx(3, abs=1e-3)
    assert y[1] < y[2] < y[0]  # higher is higher up
    assert (y[0] - y[1]) / (y[0] - y[2]) == pytest.approx(4 / 3, abs=1e-3)


def test_what_is_known_of_models_and_checkerboards_is_told(tmp_path):
    metrics = made.write_pairs(tmp_path)
    metrics["models"][0] |= {"learned": "no: another folder", "mode": "batch norm of training"}
    metrics["checkerboards"] = {"pix2pix": {"2": 1.2345, "4": 70.0}, "input": {"2": 0.9}}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    write_report(tmp_path)
    for words in (Page(tmp_path / "index.html").words, (tmp_path / "report.md").read_text()):
        assert "no: another folder" in words
        assert "batch norm of training" in words
    assert "pix2pix 1.23 70 input 0.9 –" in Page(tmp_path / "index.html").words


def test_verdicts_between_models_come_first(tmp_path):
    metrics = made.write_pairs(tmp_path)
    score, names = metrics["scores"][0], [*made.MODELS, "input", "mean image"]
    metrics["baselines"]["mean image"] = "the same answer to all"
    metrics["scores"][0]["values"]["mean image"] = {"value": -99.0}
    known = score["differences"][0]
    score["differences"] = [
        known | {"first": first, "second": second, "verdict": f"{first} against {second}"}
        for first in made.MODELS
        for second in names[names.index(first) + 1 :]
    ]
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    write_report(tmp_path)
    page = Page(tmp_path / "index.html")
    top, below = page.words.split("Score by score")
    assert f"pix2pix against {made.MODELS[1]}" in top
    assert "pix2pix against input" in top
    assert "mean image against" not in top + below
    assert "against mean image" not in top
    assert f"{made.MODELS[1]} against mean image" in below
    assert "-99.0" in top
    assert "−80" not in below  # nor does it squeeze the figure


def test_many_verdicts_are_folded_away(tmp_path):
    metrics = made.write_pairs(tmp_path)
    score = metrics["scores"][0]
    score["differences"] = [score["differences"][0] | {"verdict": f"verdict {number}"} for number in range(4)]
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    write_report(tmp_path)
    words = Page(tmp_path / "index.html").words
    assert "pix2pix is significantly better than the others" in words
    assert words.index("verdict 3") > words.index("Score by score")


def test_a_thousand_images_make_a_small_figure():
    each = {"pix2pix": [0.5 + number / 4000 for number in range(1000)]}
    score = Score("SSIM", {"pix2pix": Value(0.62)})
    few = figures.distribution(score, {"pix2pix": each["pix2pix"][:200]}, {"pix2pix": "model-0"}, name="a")
    many = figures.distribution(score, each, {"pix2pix": "model-0"}, name="a")
    assert len(many) < 1.1 * len(few)


def test_a_figure_shows_each_image_where_its_score_is():
    score = Score("SSIM", {"pix2pix": Value(0.5)})
    values = [(number / 99) ** 2 for number in range(100)]
    drawing = figures.distribution(score, {"pix2pix": values}, {"pix2pix": "model-0"}, name="a")
    dots = re.search(r'd="([^"]*)"[^>]*stroke: var\(--model-0\)', drawing)[1]
    across = [float(x) for x, _ in re.findall(r"M ([\d.]+) ([\d.]+)\s+L \1 \2", dots)]
    assert len(across) == 100
    assert [(x - across[0]) / (across[-1] - across[0]) for x in across] == pytest.approx(values, abs=1e-3)


DAMAGE = {
    "no JSON": (lambda metrics: "{", "not JSON"),
    "not a number": (lambda metrics: json.dumps(metrics).replace("0.125", "NaN"), "NaN"),
    "a list": (lambda metrics: "[]", "expected keys and values"),
    "no scores": (lambda metrics: json.dumps({**metrics, "scores": None}), "scores is null, expected a list"),
    "another kind": (lambda metrics: json.dumps({**metrics, "kind": "videos"}), "kind videos"),
    "a word": (
        lambda metrics: json.dumps(metrics).replace("61.2345", '"61"'),
        "scores[3].values[...].value is text, expected a number",
    ),
    "digits": (lambda metrics: json.dumps(metrics).replace('".4f"', '".999999999f"'), "digits are"),
    "elsewhere": (lambda metrics: json.dumps(metrics).replace("grid.png", "../../grid.png"), "within the folder"),
    "no image": (lambda metrics: json.dumps(metrics).replace("grid.png", "else.png"), "else.png: is missing"),
    "no name": (
        lambda metrics: json.dumps({key: metrics[key] for key in metrics if key != "title"}),
        "title is missing",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_one_line(damage, pairs, tmp_path):
    folder, metrics, _, _ = pairs
    shutil.copytree(folder, tmp_path / "copy")
    make, expected = DAMAGE[damage]
    (tmp_path / "copy" / "metrics.json").write_text(make(metrics))
    with pytest.raises(DataError) as caught:
        write_report(tmp_path / "copy")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_and_broken_files_are_one_line(pairs, tmp_path):
    folder, _, _, _ = pairs
    with pytest.raises(DataError, match=r"metrics\.json: cannot be read"):
        write_report(tmp_path)
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / "grid.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"grid\.png: is no PNG"):
        write_report(tmp_path / "copy")
    shutil.copy(folder / "grid.png", tmp_path / "copy")
    (tmp_path / "copy" / "metrics.csv").write_text("image,name,pix2pix SSIM\n1,a,much\n")
    with pytest.raises(GanvasError, match=r"metrics\.csv: is damaged"):
        write_report(tmp_path / "copy")
    (tmp_path / "copy" / "metrics.csv").unlink()
    with pytest.raises(GanvasError, match=r"metrics\.csv: cannot be read"):
        write_report(tmp_path / "copy")


def test_answers_that_nobody_announced_are_shown(tmp_path):
    metrics = made.write_pairs(tmp_path)
    metrics["scores"][3]["values"]["targets"] = {"value": 0.4567}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    assert read_results(tmp_path).answers == [*made.MODELS, made.BASELINE, "targets"]
    write_report(tmp_path)
    assert "0.46" in Page(tmp_path / "index.html").words


def test_of_what_should_be_near_a_value_no_method_is_the_best_and_none_is_unsure(tmp_path):
    study = made.write_study(tmp_path)
    study["scores"][1]["better"] = "near 1"
    (tmp_path / "study.json").write_text(json.dumps(study), encoding="utf-8")
    write_study(tmp_path)
    assert "| **pix2pix** | – |" in (tmp_path / "report.md").read_text()


def test_a_study_over_its_reports(tmp_path):
    study = made.write_study(tmp_path)
    write_study(tmp_path)
    page, text = Page(tmp_path / "index.html"), (tmp_path / "report.md").read_text()
    for words in (
        "0.8123",
        "± 0.0043",
        "24.50",
        "not sure",
        *study["unfinished"],
        *study["notes"],
        study["title"],
        "monet|<u>",
        study["tasks"][0]["verdicts"][0],
        "1,840",
        "one was stopped",
        "10 minutes each",
    ):
        assert words in page.words
    assert r"monet\|\<u\>" in text
    assert "| **pix2pix** | not sure |" in text
    links = [link["href"] for link in page.all("a")]
    assert {"colour/seed%200/index.html", "colour/seed%201/index.html"} <= set(links)
    images = [image["src"] for image in page.all("img")]
    assert len(images) == 4
    for place in [*images, *re.findall(r"!\[.*?\]\((.*?)\)", text)]:
        assert (tmp_path / place.replace("%20", " ").replace("%23", "#")).is_file()
    before = (tmp_path / "index.html").read_bytes()
    write_study(tmp_path)
    assert (tmp_path / "index.html").read_bytes() == before
    write_study(tmp_path, inside=True)
    assert all(image["src"].startswith("data:") for image in Page(tmp_path / "index.html").all("img"))


def test_a_study_that_points_elsewhere_or_lacks_a_report(tmp_path):
    study = made.write_study(tmp_path)
    shutil.rmtree(tmp_path / "colour" / "seed 0")
    with pytest.raises(DataError, match=r"metrics\.json: cannot be read"):
        write_study(tmp_path)
    study["tasks"][0]["reports"][0]["folder"] = "../elsewhere"
    (tmp_path / "study.json").write_text(json.dumps(study))
    with pytest.raises(DataError, match="not a folder within the study"):
        write_study(tmp_path)
