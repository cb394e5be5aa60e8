"""Which Python package a database needs, and whether it is here."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

PACKAGES: Mapping[str, str] = MappingProxyType(
    {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}
)
"""What to install for a module that talks to a database, where its name is another."""


def missing_package(address: "URL") -> str | None:
    """Return what has to be installed to talk to a database; None where nothing has to be."""
    try:
        address.get_dialect().import_dbapi()
    except ModuleNotFoundError as error:
        return PACKAGES.get(str(error.name), str(error.name))
    return None
