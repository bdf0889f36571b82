"""The page stands alone, escapes what it is given, and its plots are well-formed."""

from xml.etree import ElementTree as ET

from services.ml_worker.model import Compared, Cost, Repeats, Variant
from services.ml_worker.training import charts, report, tables
from services.ml_worker.training.metrics import Rates
from tests.unit.ml_worker.cards import complete_card

PICTURES = [
    charts.curves("ROC <1>", ("x", "y"), [("model", [(0, 0), (0.5, 1), (1, 1)])], diagonal=True),
    charts.against_strength("blur", (0.5, 1, 2), [("AUC", [1, 0.9, 0.7]), ("accuracy", [1, 0.8, 0.6])]),
    charts.confusion("at 0.5", Rates(tp=3, fp=1, tn=4, fn=0)),
]

REPEATS = Repeats(seeds=(0, 1), auc=(0.94, 0.96), by_epoch=(0.9, 0.95))
COMPARED = Compared(
    architecture="none",
    epochs=2,
    seeds=2,
    n=100,
    auc=0.95,
    auc_interval=(0.9, 0.98),
    files={Variant.FLOAT32: Cost(bytes=10_000_000, ms=8.0)},
    refused=("no int8 file",),
)


def test_every_picture_is_well_formed() -> None:
    for picture in PICTURES:
        assert ET.fromstring(picture).tag.endswith("svg")  # noqa: S314 - our own text


def test_the_page_needs_nothing_beside_it_and_escapes() -> None:
    rows: list[dict[str, object]] = [
        {"figure": "a <b>", "value": 0.5},
        {"figure": "interval", "value": (0.25, 0.75)},
    ]
    page = report.page("x & y", [report.heading("h"), report.table(rows), report.plots(PICTURES)])
    assert "x &amp; y" in page
    assert "a &lt;b&gt;" in page
    assert "0.2500 to 0.7500" in page
    assert "src=" not in page
    assert "href=" not in page


def test_tables_of_the_model_card() -> None:
    card = complete_card()
    row = (
        "| cross_validation | 100 (50) | 90 | 0.950 (0.900-0.980) | 0.900 | 0.950 (0.900-0.980)"
        " | 0.900 (0.800-0.950) | 0.030 | 0.080 | 0.100 | 0.950 |"
    )
    assert tables.metrics(card) == [row]
    assert tables.parity(card) == ["| testing | 100 | 0 | 0.050 | 0.0100 | 0.9500 | 0.9510 |"]
    assert {row.count("|") for row in (*tables.METRICS_HEAD, *tables.metrics(card))} == {12}


def test_tables_of_seeds_and_of_other_networks() -> None:
    card = complete_card(repeats={"cross_validation": REPEATS}, comparison=(COMPARED,))
    row = "| cross_validation | 0, 1 | 0.940, 0.960 | 0.950 | 0.014 | 0.900, 0.950 |"
    assert tables.repeats(card) == [row]
    row = "| none | 2 | 2 | 0.950 (0.900-0.980) | 10.0 MB, 8.0 ms | - | refused, 1 reasons |"
    assert tables.comparison(card) == [row]
    assert {row.count("|") for row in (*tables.REPEATS_HEAD, *tables.repeats(card))} == {7}
    assert {row.count("|") for row in (*tables.COMPARISON_HEAD, *tables.comparison(card))} == {8}
