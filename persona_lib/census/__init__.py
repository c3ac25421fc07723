"""The census: read, model, draw, balance and compare people of the American Community Survey, or of another census.

Notebook 01 opens this wing. `download_pums` fetches the Bureau's files and `read_pums` reads them; `read_mapped` reads
any other microdata. `Population` is the model that personas are drawn from; `Records` draws real people. `balance`
chooses people whose margins match the census. `margins` has the tables that the Bureau publishes, rakes weights to them
and compares people with them. `distances` measures how far people are from the sample that the model was fitted to,
`held_out` how far from people whom nothing was fitted to, and `diversity` how much they differ in and between groups.
"""

from . import balance, distances, diversity, held_out, margins
from .download import download_pums
from .persons import read_mapped, read_pums
from .population import Population
from .records import Records

__all__ = [
    "Population",
    "Records",
    "balance",
    "distances",
    "diversity",
    "download_pums",
    "held_out",
    "margins",
    "read_mapped",
    "read_pums",
]
