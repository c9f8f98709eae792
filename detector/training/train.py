"""Labelled pages -> a model with its held-out figures.

Publishers are dealt into folds. The second stage is fitted on what it will see in use: first-stage scores of pages
whose publishers the first stage has not seen. The figures come from folds that neither stage has seen, with thresholds
chosen on the other folds: for each pair of folds there is a first stage fitted without both, which scores one for a
second stage that is judged on the other.
"""

from __future__ import annotations

import itertools
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import sklearn
from joblib import Parallel, delayed

from detector import __version__
from detector.classifier import EXCERPT_BLOCKS, Calibration, Classifier, HashedLinear, Networks
from detector.context import html_context, text_context
from detector.features import Batch, Bool, Float, Int, NgramSettings
from detector.model import Model
from detector.page import FLAGGED, KINDS
from detector.training.data import DataError, LabelledPage, data_hash
from detector.training.figures import kind_figures, score
from detector.training.fit import ASKS, Settings, fit_calibration, fit_linear, fit_networks, linear_scores
from detector.training.matrices import Corpus, read_corpus, structure_matrices, structure_of, text_matrix
from detector.training.words import LONG

Progress = Callable[[str, int, int], None]
"""Called with the name of the step, how much of it is done, and of how much."""

_PROSE = [KINDS.index(kind) for kind in ("editorial", "comment")]


@dataclass(frozen=True, slots=True)
class _Judged:
    """What second stages say of blocks of folds that they have not seen: ``probabilities``, (n_blocks, n_kinds), as yet
    without calibration; ``judged``, (n_blocks,), whether the block was seen at all."""

    probabilities: Float
    judged: Bool


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What a model says of pages of publishers that it has not seen, one entry a block.

    ``probabilities`` : (n_blocks, n_kinds).  ``judged`` : (n_blocks,), whether the block was seen at all.
    ``thresholds`` : (n_blocks,), each chosen on the other folds.
    """

    probabilities: Float
    judged: Bool
    thresholds: Float

    @property
    def scores(self) -> Float:
        """(n_blocks,) the probability that the block is donation or paywall."""
        scores: Float = self.probabilities[:, ASKS].sum(axis=1)
        return scores


@dataclass(frozen=True, slots=True)
class Trained:
    """A model, and for each fold the ids of its pages and a model that has seen none of its publishers."""

    model: Model
    folds: Sequence[tuple[frozenset[str], Model]]


def train(
    pages: Sequence[LabelledPage], settings: Settings, jobs: int = -1, progress: Progress = lambda *_: None
) -> Trained:
    """Fit a model and measure it on held-out publishers.

    Parameters
    ----------
    pages : sequence of LabelledPage
    settings : Settings
    jobs : int, default=-1
        Processes, -1 for one a core.
    progress : callable, optional

    Raises
    ------
    DataError
        There are fewer publishers than folds, or no donation or paywall block.
    """
    progress("reading", 0, 1)
    corpus = read_corpus(pages, jobs)
    _check(corpus, settings)
    folds = deal_folds(corpus.groups, settings)
    kinds = kinds_of_input(corpus, settings)
    first = _first_stages(corpus, folds, kinds, settings, jobs, progress)
    judged, networks = _second_stages(corpus, folds, first, kinds, settings, jobs, progress)
    held_out = {kind: _held_out(corpus, folds, result, settings) for kind, result in judged.items()}
    card = make_card(corpus, _by_input(corpus, held_out), settings)

    def model(out: tuple[int, ...], scored: Bool) -> Model:
        """The model that saw all but these folds, calibrated and with thresholds chosen on these held-out pages."""
        points = {
            kind: operating_point(corpus, result.probabilities, result.judged & scored[corpus.page_of], settings)
            for kind, result in judged.items()
        }
        linear = first.models[out]
        classifier = Classifier(
            linear["text"],
            linear.get("structure"),
            {kind: networks[kind, out] for kind in kinds},
            {kind: calibration for kind, (calibration, _) in points.items()},
        )
        return Model(classifier, {kind: threshold for kind, (_, threshold) in points.items()}, card)

    return Trained(
        model((), np.ones(len(folds), np.bool_)),
        [
            (frozenset(corpus.pages[page].id for page in np.flatnonzero(folds == fold)), model((fold,), folds != fold))
            for fold in range(settings.folds)
        ],
    )


def kinds_of_input(corpus: Corpus, settings: Settings) -> tuple[str, ...]:
    """The kinds of input to fit a second stage for; without enough publishers' HTML, excerpts alone."""
    publishers = len(np.unique(corpus.groups[corpus.has_html]))
    return ("html", "text", "excerpt") if publishers >= 2 * settings.folds else ("excerpt",)


def deal_folds(groups: Int, settings: Settings) -> Int:
    """(n_pages,) the fold of each page; all pages of a publisher are in one."""
    count = groups.max() + 1
    dealt = np.random.default_rng(settings.seed).permutation(count) % settings.folds
    return dealt[groups]


def operating_point(
    corpus: Corpus, probabilities: Float, chosen: Bool, settings: Settings
) -> tuple[Calibration, float]:
    """The calibration of the chosen blocks, and the threshold of their calibrated scores (see `choose_threshold`)."""
    known = _as_scraped(corpus, chosen, settings) & (corpus.kinds >= 0)
    calibration = fit_calibration(probabilities[known], corpus.kinds[known])
    scores: Float = calibration.apply(probabilities)[:, ASKS].sum(axis=1)
    return calibration, choose_threshold(corpus, scores, chosen, settings)


def choose_threshold(corpus: Corpus, scores: Float, chosen: Bool, settings: Settings) -> float:
    """The lowest threshold at which no more of the words of editorial blocks is flagged than the settings allow."""
    prose = _as_scraped(corpus, chosen, settings) & np.isin(corpus.kinds, _PROSE)
    order = np.argsort(-scores[prose], kind="stable")
    lengths = corpus.lengths[prose][order]
    lost = np.cumsum(np.where(lengths >= LONG, lengths, 0)) / max(lengths.sum(), 1)
    allowed = int(np.searchsorted(lost, settings.editorial_loss, side="right"))
    if allowed == len(lost):
        return 0.5
    # A score equal to the threshold is flagged, so it must be above the first that is one too many.
    return float(np.nextafter(scores[prose][order][allowed], np.float32(1), dtype=np.float32))


def _as_scraped(corpus: Corpus, chosen: Bool, settings: Settings) -> Bool:
    """Of the chosen blocks those of pages with HTML, where there are enough: text written for training is not what is
    scraped, in its shares."""
    return chosen & corpus.has_html[corpus.page_of] if "html" in kinds_of_input(corpus, settings) else chosen


def make_card(corpus: Corpus, held_out: Mapping[str, HeldOut], settings: Settings) -> dict[str, Any]:
    """How the model was made and how good it is, as plain data.

    "figures" holds, by input kind and by labelled folder: {"figures": {name: [hits, total]}, "kinds": {kind: ...}}.
    """
    sources = sorted({page.source for page in corpus.pages})
    return {
        "version": __version__,
        "made with": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
        },
        "settings": asdict(settings),
        "data": {source: _data_summary(corpus, source) for source in sources},
        "figures": {
            kind: {source: _figures(corpus, result, _pages_of(corpus, kind, source)) for source in sources}
            for kind, result in held_out.items()
        },
    }


def _check(corpus: Corpus, settings: Settings) -> None:
    missing = [label for label in FLAGGED if KINDS.index(label) not in corpus.kinds]
    if missing:
        raise DataError(f"no block of any page is labelled {' or '.join(missing)}: there is nothing to learn")
    publishers = len(np.unique(corpus.groups))
    if publishers < 2 * settings.folds:
        raise DataError(f"{publishers} publishers are too few for {settings.folds} folds; label pages of more")


@dataclass(frozen=True, slots=True)
class _FirstStages:
    """First stages by the folds that they have not seen, and their scores on the blocks of those folds.

    ``scores[folds][part]`` : (n_blocks, n_kinds), zero outside of the folds.
    """

    models: Mapping[tuple[int, ...], Mapping[str, HashedLinear]]
    scores: Mapping[tuple[int, ...], Mapping[str, Float]]


def _first_stages(
    corpus: Corpus, folds: Int, kinds: Sequence[str], settings: Settings, jobs: int, progress: Progress
) -> _FirstStages:
    parts = {"text": ([text_matrix(corpus, settings.text)], settings.text)}
    if "html" in kinds:
        parts["structure"] = (structure_matrices(corpus, settings.structure), settings.structure)
    usable = {"text": np.ones(len(corpus.kinds), np.bool_), "structure": corpus.has_html[corpus.page_of]}
    block_folds = folds[corpus.page_of]
    publishers = corpus.groups[corpus.page_of]
    unseen: list[tuple[int, ...]] = [()]
    unseen += [(fold,) for fold in range(settings.folds)]
    unseen += list(itertools.combinations(range(settings.folds), 2))
    tasks = [(out, part) for out in unseen for part in parts]
    runs = Parallel(jobs, return_as="generator")(
        delayed(_fit_and_score)(
            *parts[part],
            np.flatnonzero(~np.isin(block_folds, out) & (corpus.kinds >= 0) & usable[part]),
            np.flatnonzero(np.isin(block_folds, out)),
            corpus.kinds,
            publishers,
            settings,
            keep=len(out) < 2,
        )
        for out, part in tasks
    )
    models: dict[tuple[int, ...], dict[str, HashedLinear]] = {}
    scores: dict[tuple[int, ...], dict[str, Float]] = {}
    for done, ((out, part), (model, rows, values)) in enumerate(zip(tasks, runs, strict=True), 1):
        if model:
            models.setdefault(out, {})[part] = model
        whole = np.zeros((len(corpus.kinds), len(KINDS)), np.float32)
        whole[rows] = values
        scores.setdefault(out, {})[part] = whole
        progress("first stage", done, len(tasks))
    return _FirstStages(models, scores)


def _fit_and_score(
    matrices: Sequence[sp.csr_matrix],
    ngrams: NgramSettings,
    seen: Int,
    unseen: Int,
    kinds: Int,
    publishers: Int,
    settings: Settings,
    keep: bool,
) -> tuple[HashedLinear | None, Int, Float]:
    model = fit_linear([matrix[seen] for matrix in matrices], ngrams, kinds[seen], publishers[seen], settings)
    return model if keep else None, unseen, linear_scores(model, [matrix[unseen] for matrix in matrices])


def _second_stages(
    corpus: Corpus,
    folds: Int,
    first: _FirstStages,
    kinds: Sequence[str],
    settings: Settings,
    jobs: int,
    progress: Progress,
) -> tuple[dict[str, _Judged], dict[tuple[str, tuple[int, ...]], Networks]]:
    """What held-out blocks are judged to be, by input kind, and the networks by input kind and the folds not seen."""
    tasks: list[tuple[str, tuple[int, ...]]] = [
        (kind, out) for kind in kinds for out in ((), *((fold,) for fold in range(settings.folds)))
    ]
    runs = Parallel(jobs, return_as="generator", pre_dispatch="n_jobs")(
        delayed(_fit_and_judge)(*_second_stage_data(corpus, folds, first, kind, out, settings.seed), settings)
        for kind, out in tasks
    )
    fitted: dict[tuple[str, tuple[int, ...]], Networks] = {}
    shape = (len(corpus.kinds), len(KINDS))
    probabilities = {kind: np.zeros(shape, np.float32) for kind in kinds}
    judged = {kind: np.zeros(shape[0], np.bool_) for kind in kinds}
    for done, ((kind, out), (networks, rows, values)) in enumerate(zip(tasks, runs, strict=True), 1):
        fitted[kind, out] = networks
        probabilities[kind][rows], judged[kind][rows] = values, True
        progress("second stage", done, len(tasks))
    return {kind: _Judged(probabilities[kind], judged[kind]) for kind in kinds}, fitted


def _second_stage_data(
    corpus: Corpus, folds: Int, first: _FirstStages, kind: str, out: tuple[int, ...], seed: int
) -> tuple[Float, Int, Float, Int]:
    """What to fit on where none or one fold is held out (features, kinds), and that fold's features and blocks.

    The second stage of HTML sees all pages, that of whole texts real pages, that of excerpts all; both of bare text
    see real pages as an extractor might leave them too. Excerpts are judged on texts that are short, and on long ones
    as extracted.
    """
    learned: list[tuple[Float, Int]] = []
    judged: list[tuple[Float, Int]] = []
    for page in range(len(corpus.pages)):
        whole = np.arange(corpus.starts[page], corpus.starts[page + 1])
        is_real = bool(corpus.has_html[page])
        is_long = len(whole) >= EXCERPT_BLOCKS
        if kind == "text" and not is_real:
            continue
        part = whole[as_extracted(corpus.kinds[whole], corpus.lengths[whole], np.random.default_rng([seed, page]))]
        if int(folds[page]) not in out:
            views = [whole, part] if is_real and kind != "html" else [whole]
            for features, rows in (_view(corpus, folds, first, kind, out, page, view) for view in views if len(view)):
                known = corpus.kinds[rows] >= 0
                learned.append((features[known], rows[known]))
        elif kind == "excerpt":
            seen = part if is_long else whole
            judged += [_view(corpus, folds, first, kind, out, page, seen)] if len(seen) else []
        elif is_real and (kind == "html" or is_long):
            judged.append(_view(corpus, folds, first, kind, out, page, whole))
    features, rows = _joined(learned)
    return features, corpus.kinds[rows], *(_joined(judged) if judged else (features[:0], rows[:0]))


def _view(
    corpus: Corpus, folds: Int, first: _FirstStages, kind: str, out: tuple[int, ...], page: int, rows: Int
) -> tuple[Float, Int]:
    """What the second stage sees of these blocks of a page, by first stages that have not seen its publisher."""
    scores = first.scores[tuple(sorted({int(folds[page]), *out}))]
    cut = corpus.cuts[page]
    if kind == "html":
        return html_context(
            Batch.of(cut.texts), scores["text"][rows], structure_of(cut), scores["structure"][rows]
        ), rows
    texts = [cut.texts[row - corpus.starts[page]] for row in rows]
    return text_context(Batch.of(texts), scores["text"][rows]), rows


def _joined(views: Sequence[tuple[Float, Int]]) -> tuple[Float, Int]:
    return np.concatenate([features for features, _ in views]), np.concatenate([rows for _, rows in views])


def as_extracted(kinds: Int, lengths: Int, random: np.random.Generator) -> Int:
    """Which blocks of a page an extractor might leave: the article, most asks, and of the rest a few at random.

    Bare text is mostly what an extractor made of a page, so the second stage of bare text is fitted on such texts too.
    Comments stay, by half, on every other page; of asks shorter than five words one in two stays; of the rest up to
    three in ten.
    """
    chance = np.full(len(kinds), random.uniform(0, 0.3))
    chance[kinds == KINDS.index("editorial")] = 1
    chance[kinds == KINDS.index("comment")] = random.choice([0, 0.5])
    asks = np.isin(kinds, ASKS)
    chance[asks] = np.where(lengths[asks] >= LONG, 1, 0.5)
    return np.flatnonzero(random.random(len(kinds)) < chance)


def _fit_and_judge(
    features: Float, kinds: Int, judged: Float, rows: Int, settings: Settings
) -> tuple[Networks, Int, Float]:
    networks = fit_networks(features, kinds, settings)
    return networks, rows, networks.probabilities(judged)


def _held_out(corpus: Corpus, folds: Int, result: _Judged, settings: Settings) -> HeldOut:
    """Each fold calibrated, and its threshold chosen, on the other folds."""
    probabilities = np.zeros_like(result.probabilities)
    thresholds = np.zeros(len(probabilities), np.float32)
    of_block = folds[corpus.page_of]
    for fold in range(settings.folds):
        others, own = result.judged & (of_block != fold), of_block == fold
        calibration, threshold = operating_point(corpus, result.probabilities, others, settings)
        probabilities[own], thresholds[own] = calibration.apply(result.probabilities[own]), threshold
    return HeldOut(probabilities, result.judged, thresholds)


def _by_input(corpus: Corpus, held_out: Mapping[str, HeldOut]) -> dict[str, HeldOut]:
    """Held-out results of HTML and of bare text, whose long pages are judged as whole texts and others as excerpts."""
    if "text" not in held_out:
        return {"text": held_out["excerpt"]}
    is_long = (np.diff(corpus.starts) >= EXCERPT_BLOCKS)[corpus.page_of] & corpus.has_html[corpus.page_of]
    whole, excerpt = held_out["text"], held_out["excerpt"]
    text = HeldOut(
        np.where(is_long[:, None], whole.probabilities, excerpt.probabilities),
        np.where(is_long, whole.judged, excerpt.judged),
        np.where(is_long, whole.thresholds, excerpt.thresholds),
    )
    return {"html": held_out["html"], "text": text}


def _pages_of(corpus: Corpus, kind: str, source: str | None = None) -> Bool:
    """(n_pages,) which pages can be judged as this kind of input, of one labelled folder or of all."""
    pages = corpus.has_html if kind == "html" else np.ones(len(corpus.pages), np.bool_)
    if source is not None:
        pages = pages & np.array([page.source == source for page in corpus.pages])
    return pages


def _figures(corpus: Corpus, result: HeldOut, pages: Bool) -> dict[str, Any]:
    flagged = {}
    for page in np.flatnonzero(pages):
        rows = np.arange(corpus.starts[page], corpus.starts[page + 1])
        rows = rows[result.scores[rows] >= result.thresholds[rows]]
        best = result.probabilities[rows][:, ASKS].argmax(axis=1)
        texts = corpus.cuts[page].texts
        flagged[corpus.pages[page].id] = [
            (texts[row - corpus.starts[page]], FLAGGED[label]) for row, label in zip(rows, best, strict=True)
        ]
    chosen = pages[corpus.page_of]
    return {
        "figures": {
            name: [figure.hits, figure.total]
            for name, figure in score([corpus.pages[page] for page in np.flatnonzero(pages)], flagged).items()
        },
        "kinds": {
            kind: asdict(figures)
            for kind, figures in kind_figures(corpus.kinds[chosen], result.probabilities[chosen].argmax(axis=1)).items()
        },
    }


def _data_summary(corpus: Corpus, source: str) -> dict[str, Any]:
    chosen = np.flatnonzero(_pages_of(corpus, "text", source))
    pages = [corpus.pages[page] for page in chosen]
    return {
        "hash": data_hash(corpus.page_hash(int(page)) for page in chosen),
        "pages": len(pages),
        "publishers": len({page.group for page in pages}),
        "languages": len({page.lang for page in pages}),
        "blocks": sum(len(corpus.cuts[page].texts) for page in chosen),
    }
