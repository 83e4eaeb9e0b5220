#!/usr/bin/env python3
"""Makes the data of `reviews.json` and `temperatures.json`, all of it invented: needs NumPy.

    python3 configs/data/make_data.py
"""

from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
WORDS = 13  # in a review, padded with 0
HOURS, AHEAD = 24, 6

SUBJECTS = "film story plot cast music camera ending dialogue".split()
GOOD = "good great lovely clever moving funny".split()
BAD = "bad poor dull weak silly boring".split()
OTHERS = "the a was is not never and but very rather i found felt".split()
NUMBERS = {word: number for number, word in enumerate(SUBJECTS + GOOD + BAD + OTHERS, start=1)}


def review(draw):
    """A sentence and whether it is praise: what counts is what comes last, and `not` turns it round."""
    clauses = []
    for _ in range(draw.integers(1, 3)):
        praise = bool(draw.integers(2))
        denied = draw.uniform() < 0.4
        word = draw.choice(GOOD if praise != denied else BAD)
        verb = draw.choice(["was", "is"]) + draw.choice([" not", " never"]) * denied
        strength = draw.choice([" very", " rather", ""])
        clauses.append(f"the {draw.choice(SUBJECTS)} {verb}{strength} {word}")
    text = " but ".join(clauses).split()
    return [NUMBERS[word] for word in text[:WORDS]], praise


def reviews(draw, rows):
    x, y = np.zeros((rows, WORDS), np.uint8), np.zeros(rows, np.uint8)
    for row in range(rows):
        numbers, y[row] = review(draw)
        x[row, : len(numbers)] = numbers
    return x, y


def temperatures(draw, rows):
    """A day's curve, the weather of the week and the noise of a thermometer, in degrees Celsius; each row
    is 24 hours (x) and the 6 after them (y)."""
    hours = np.arange(rows * 5 + HOURS + AHEAD)
    weather = np.zeros(len(hours))
    for hour in hours[1:]:
        weather[hour] = 0.98 * weather[hour - 1] + draw.normal() * 0.3
    series = 12 + 6 * np.sin(2 * np.pi * (hours - 9) / 24) + 2 * weather + draw.normal(size=len(hours)) * 0.3
    windows = np.stack([series[row * 5 :][: HOURS + AHEAD] for row in range(rows)]).astype(np.float32)
    return windows[:, :HOURS, None], windows[:, HOURS:]


def main():
    draw = np.random.default_rng(2026)
    for name, make, rows in [
        ("reviews_train", reviews, 1000),
        ("reviews_test", reviews, 300),
        ("temperatures_train", temperatures, 400),
        ("temperatures_test", temperatures, 120),
    ]:
        x, y = make(draw, rows)
        np.save(HERE / f"{name}_x.npy", x)
        np.save(HERE / f"{name}_y.npy", y)


if __name__ == "__main__":
    main()
