"""language: which of five languages a text is in, from the words that it uses.

The graph is a table with one row per word and one score per language in it; a text scores the sum over its words.
"""

from itertools import product
from pathlib import Path

import numpy as np
from onnx import ModelProto, helper
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from builders.artifact import Array, Built, accuracy, model_of, write
from builders.language_texts import SENTENCES

# StringSplit came with opset 20. It pads each text to the longest one, so `maxsplit` keeps one long text from blowing
# up its batch: of a longer text the first 63 words count, and the rest is one unknown word.
HEADER = '<ir_version: 9, opset_import: ["": 20, "ai.onnx.ml": 4]>'

# A word of the table has a row above 0. Row 0 is all zeros: for unknown words, and for the padding of shorter texts.
GRAPH = """language (string[batch] text) => (string[batch] label, float[batch,5] probabilities)
<int64[1] over_words = {1}>
{
    words, word_counts = StringSplit <maxsplit = 63> (text)
    rows = ai.onnx.ml.LabelEncoder <default_int64 = 0> (words)
    word_scores = Gather (table, rows)
    scores = ReduceSum <keepdims = 0> (word_scores, over_words)
    best = ArgMax <axis = 1, keepdims = 0> (scores)
    label = Gather (names, best)
    probabilities = Softmax <axis = 1> (scores)
}"""

PUNCTUATION = '.,;:!?¿¡"()'


def build(root: Path) -> list[Built]:
    """Train on 70 % of the sentences, write version 1 and measure it on the other 30 %."""
    texts = [text for sentences in SENTENCES.values() for text in sentences]
    languages = [language for language, sentences in SENTENCES.items() for _ in sentences]
    train, test, train_languages, test_languages = train_test_split(texts, languages, test_size=0.3, stratify=languages, random_state=7)
    counter = CountVectorizer(tokenizer=words_of, token_pattern=None, lowercase=False)
    # Without an intercept, a text of unknown words only is as likely in each language.
    regression = LogisticRegression(C=10.0, fit_intercept=False, max_iter=1000)
    regression.fit(counter.fit_transform(train), train_languages)
    path = write(root, "language", 1, to_onnx(counter.get_feature_names_out().tolist(), regression))
    return [Built(path, accuracy(path, "label", np.array(test, dtype=object), np.array(test_languages)))]


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case and without the punctuation around them."""
    return [word for part in text.lower().split() if (word := part.strip(PUNCTUATION))]


def to_onnx(vocabulary: list[str], regression: LogisticRegression) -> ModelProto:
    """Return the trained classifier as a graph of standard operators."""
    zeros = np.zeros((1, len(regression.classes_)))
    weights: dict[str, Array] = {
        "table": np.concatenate([zeros, regression.coef_.T]).astype(np.float32),
        "names": regression.classes_.astype(object),
    }
    model = model_of(GRAPH, weights, HEADER)
    rows = {spelling: row for row, word in enumerate(vocabulary, start=1) for spelling in spellings(word)}
    (encoder,) = (node for node in model.graph.node if node.op_type == "LabelEncoder")
    encoder.attribute.append(helper.make_attribute("keys_strings", list(rows)))
    encoder.attribute.append(helper.make_attribute("values_int64s", list(rows.values())))
    return model


def spellings(word: str) -> list[str]:
    """Return the ways in which a text may write the word.

    The table holds them all, because ONNX's own StringNormalizer needs a locale that small containers do not have.
    """
    forms = (word, word.capitalize(), word.upper())
    closed = [form + end for form, end in product(forms, ("", ".", ",", "!", "?"))]
    return [*closed, "¿" + word.capitalize(), "¡" + word.capitalize()]
