"""What people say of machines, weighed before it may train a model."""

from models.labels.book import LabelBook, book_of
from models.labels.label import Label, Source, label_of
from models.labels.noise import looks_wrong, noise_share
from models.labels.quarantine import QuarantinePolicy, Release, Seen, Weighed, weigh
from models.labels.work_orders import WorkOrders, read_posted_orders, read_work_orders, revised

__all__ = [
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
