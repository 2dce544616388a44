"""What people say of machines, weighed before it may train a model."""

from models.labels.book import LabelBook, book_of
from models.labels.label import FAULT, Label, Source, label_of
from models.labels.noise import looks_wrong, noise_share
from models.labels.quarantine import QuarantinePolicy, Release, Seen, Weighed, weigh
from models.labels.work_orders import COLUMN_NAMES, WorkOrders, read_posted_orders, read_work_orders, revised

__all__ = [
    "COLUMN_NAMES",
    "FAULT",
    "Label",
    "LabelBook",
    "QuarantinePolicy",
    "Release",
    "Seen",
    "Source",
    "Weighed",
    "WorkOrders",
    "book_of",
    "label_of",
    "looks_wrong",
    "noise_share",
    "read_posted_orders",
    "read_work_orders",
    "revised",
    "weigh",
]
