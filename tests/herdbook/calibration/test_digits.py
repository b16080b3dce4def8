import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from herdbook.calibration import vae
from herdbook.calibration.digits import Pictures, Ruler, checks_of, read_pictures
from herdbook.calibration.sheet import sheet
from herdbook.errors import FileError, ParamsError


@pytest.fixture(scope="module")
def human():
    return read_pictures(None).draw(300, np.random.Generator(np.random.PCG64(0)))


@pytest.fixture(scope="module")
def ruler(human):
    return Ruler(human)


def written(path, pixels, labels=None):
    labels = list(range(len(pixels))) if labels is None else labels
    pq.write_table(pa.table({"pixels": pa.array(pixels, pa.list_(pa.float64())), "label": pa.array(labels, pa.int64())}), path)
    return str(path)


def measures(replace, accumulate, num_classes=9.0):
    course = {"replace": np.array([0.8, replace]), "accumulate": np.array([0.8, accumulate])}
    return {"spread": course, "coverage": course, "num_classes": dict.fromkeys(course, np.array([num_classes, 1.0]))}


def test_the_default_pictures_are_handwritten_digits_between_paper_and_ink():
    pictures = read_pictures(None)
    assert (pictures.pixels.shape, pictures.side) == ((1797, 64), 8)
    assert (pictures.pixels.min(), pictures.pixels.max()) == (0, 1)
    assert set(pictures.labels) == set(range(10))


def test_pictures_are_read_from_parquet_and_scaled_to_their_brightest_pixel(tmp_path):
    found = read_pictures(written(tmp_path / "a.parquet", [[0, 1, 2, 4], [4, 4, 0, 0]], [7, 3]))
    assert found.pixels.tolist() == [[0, 0.25, 0.5, 1], [1, 1, 0, 0]]
    assert (found.labels.tolist(), found.side) == ([7, 3], 2)


@pytest.mark.parametrize(
    ("pixels", "labels", "message"),
    [
        ([[1, 2, 3, 4], [1]], [0, 1], "as many in every row"),
        ([[1, 2, 3]], [0], "those of a square"),
        ([[]], [0], "those of a square"),
        ([], [], "as many in every row"),
        ([None], [0], "those of a square"),
        ([[1, -1, 0, 0]], [0], "from 0 on"),
        ([[0, 0, 0, 0]], [0], "not all 0"),
        ([[1, math.nan, 0, 0]], [0], "from 0 on"),
        ([[1, 0, 0, 0]], [None], "every row have a label"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, pixels, labels, message):
    with pytest.raises(FileError, match=message):
        read_pictures(written(tmp_path / "a.parquet", pixels, labels))


def test_a_file_without_the_columns_is_refused(tmp_path):
    pq.write_table(pa.table({"image": [1]}), tmp_path / "a.parquet")
    with pytest.raises(FileError, match="no column 'pixels'"):
        read_pictures(str(tmp_path / "a.parquet"))


def test_more_rows_than_pictures_are_refused(human):
    with pytest.raises(ParamsError, match=r"calibrate\.digits\.num_rows is 301, but there are 300 pictures"):
        human.draw(301, np.random.default_rng(0))


def test_human_pictures_measure_as_themselves(human, ruler):
    assert ruler.spread(human.pixels) == pytest.approx(1)
    assert ruler.coverage(human.pixels) == 1
    assert ruler.num_classes(human.pixels) == pytest.approx(10, abs=0.2)


def test_one_picture_over_and_over_has_no_spread_and_one_class(human, ruler):
    merged = np.repeat(human.pixels[:1], 50, axis=0)
    assert ruler.spread(merged) == pytest.approx(0, abs=1e-9)
    assert ruler.num_classes(merged) == 1
    assert 1 / 300 <= ruler.coverage(merged) < 0.2


def test_the_effective_number_of_classes_is_e_to_the_entropy(human, ruler):
    chosen = [np.flatnonzero(ruler.classifier.predict(human.pixels) == label)[0] for label in (0, 1)]
    assert ruler.num_classes(human.pixels[[chosen[0], chosen[0], chosen[1], chosen[1]]]) == pytest.approx(2)


def test_coverage_counts_pictures_that_have_one_within_their_fifth_neighbour():
    line = Pictures(np.arange(7, dtype=np.float32)[:, None], np.arange(7) % 2)
    # radii of 0..6 to the fifth nearest other: 5, 4, 3, 3, 3, 4, 5; from 8.5 only 6 (2.5 away) and 5 (3.5) and 4 (4.5 > 3) are asked
    assert Ruler(line).coverage(np.array([[8.5]], dtype=np.float32)) == pytest.approx(2 / 7)


@pytest.mark.parametrize(
    ("found", "failed"),
    [
        (measures(replace=0.08, accumulate=0.4), []),
        (measures(replace=0.6, accumulate=0.75), ["replace: share of the founder's spread", "replace: share of the founder's coverage"]),
        (
            measures(replace=0.08, accumulate=0.2),
            ["accumulate: share of the founder's spread", "accumulate: share of the founder's coverage"],
        ),
        (measures(replace=0.08, accumulate=0.4, num_classes=7.0), ["founder: effective number of classes"]),
    ],
)
def test_digits_must_merge_under_replace_and_far_more_slowly_under_accumulate(found, failed):
    checks = checks_of(found, 10)
    assert [check.what.split(" that")[0] for check in checks if not check.passed] == failed


def test_an_autoencoder_that_says_a_half_of_everything_pays_a_bit_a_pixel():
    model = vae.VAE(64, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        loss = model.loss(torch.rand((5, 64), generator=torch.Generator().manual_seed(1)), torch.Generator().manual_seed(2))
    assert float(loss) == pytest.approx(64 * math.log(2))


def test_the_divergence_is_that_of_two_gaussians():
    # the encoder says mean 1 and variance 1 of each of 8 latents: 8 * 1/2 nats beside the pixels
    model = vae.VAE(4, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.encode[2].bias[:8] = 1
        loss = model.loss(torch.zeros((3, 4)), torch.Generator().manual_seed(2))
    assert float(loss) == pytest.approx(4 * math.log(2) + 4)


def test_training_lowers_the_loss_and_the_same_generator_gives_the_same_pictures(human):
    def made(steps):
        generator = torch.Generator().manual_seed(0)
        model = vae.fit(human.pixels, steps, generator)
        with torch.no_grad():
            loss = float(model.loss(torch.from_numpy(human.pixels), torch.Generator().manual_seed(1)))
        return loss, vae.sample(model, 10, generator)

    (first, _), (last, pictures), (_, again) = made(1), made(60), made(60)
    assert last < first - 5
    assert np.array_equal(pictures, again)
    assert pictures.shape == (10, 64)
    assert (pictures > 0).all()
    assert (pictures < 1).all()


def test_a_sheet_is_a_png_whose_bytes_depend_on_the_pictures_alone(human):
    def drawn(pixels):
        return sheet(pixels, {"replace": [human.pixels] * 8, "accumulate": [human.pixels] * 8}, human.side)

    assert drawn(human.pixels).startswith(b"\x89PNG\r\n\x1a\n")
    assert drawn(human.pixels) == drawn(human.pixels)
    assert drawn(human.pixels) != drawn(human.pixels[::-1])
