"""The census: people of the American Community Survey read, modelled, drawn, balanced, and compared with.

Notebook 01 opens this wing. `read_pums` reads the Bureau's files (`download_pums` fetches them), `read_mapped` any
other microdata. `Population` is the model that personas are drawn from; `Records` draws real people. `distances`
measures how far a table of people is from the census; `diversity`, how different people are within groups.
"""

from . import balance, distances, diversity
from .download import download_pums
from .persons import read_mapped, read_pums
from .population import Population
from .records import WEIGHT, Records

__all__ = [
    "WEIGHT",
    "Population",
    "Records",
    "balance",
    "distances",
    "diversity",
    "download_pums",
    "read_mapped",
    "read_pums",
]
