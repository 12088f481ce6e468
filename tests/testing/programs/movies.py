"""Command that lists movies, which a configuration has it find in a CSV file or in a database."""

import csv
import sqlite3
from contextlib import closing
from pathlib import Path

from dependency_injector import containers, providers
from dependency_injector.wiring import Provide, inject


class Movie:
    def __init__(self, title: str, year: int, director: str) -> None:
        self.title, self.year, self.director = title, int(year), director


class CsvFinder:
    def __init__(self, new_movie, path: str, delimiter: str) -> None:
        self.new_movie, self.path, self.delimiter = new_movie, path, delimiter

    def find_all(self) -> list[Movie]:
        with Path(self.path).open(newline="") as file:
            return [self.new_movie(*row) for row in csv.reader(file, delimiter=self.delimiter)]


class SqliteFinder:
    def __init__(self, new_movie, path: str) -> None:
        self.new_movie, self.path = new_movie, path

    def find_all(self) -> list[Movie]:
        with closing(sqlite3.connect(self.path)) as database:
            rows = database.execute("SELECT title, year, director FROM movies").fetchall()
        return [self.new_movie(*row) for row in rows]


class Lister:
    def __init__(self, finder: CsvFinder | SqliteFinder) -> None:
        self.finder = finder

    def directed_by(self, director: str) -> list[str]:
        return [each.title for each in self.finder.find_all() if each.director == director]

    def released_in(self, year: int) -> list[str]:
        return [each.title for each in self.finder.find_all() if each.year == year]


class Container(containers.DeclarativeContainer):
    config = providers.Configuration(strict=True)
    movie = providers.Factory(Movie)
    csv_finder = providers.Singleton(
        CsvFinder,
        new_movie=movie.provider,
        path=config.finder.csv.path,
        delimiter=config.finder.csv.delimiter,
    )
    sqlite_finder = providers.Singleton(
        SqliteFinder, new_movie=movie.provider, path=config.finder.sqlite.path
    )
    finder = providers.Selector(config.finder.type, csv=csv_finder, sqlite=sqlite_finder)
    lister = providers.Factory(Lister, finder=finder)


@inject
def main(director: str, lister: Lister = Provide[Container.lister]) -> str:
    return ", ".join(lister.directed_by(director)) or "none"
