"""Use trained models: generate and translate images."""

from ganvas.inference.generate import draw, drawn_at_once, walk, walk_between, walk_over, write_each
from ganvas.inference.lettering import lettered
from ganvas.inference.translate import Done, FileTranslation, Translator, lacks_memory, read_styles, translate_files

__all__ = [
    "Done",
    "FileTranslation",
    "Translator",
    "draw",
    "drawn_at_once",
    "lacks_memory",
    "lettered",
    "read_styles",
    "translate_files",
    "walk",
    "walk_between",
    "walk_over",
    "write_each",
]
