"""What a suite's table has of systems that `systems=` does not name: it keeps them, with their runs that are there."""

from transgan import files
from transgan.comparison.record import Record
from transgan.comparison.suite import Suite
from transgan.errors import UserError


def keep_others(suite: Suite) -> list[str]:
    """Takes the runs of the other systems of the table along, and trains none. -> the names of those systems.

    Raises UserError where the table has one of which no run is there as the suite trains it now.
    """
    header, *rows = files.read_csv(suite.folder / "comparison.csv") or [[]]
    place = header.index("system") if "system" in header else len(header)
    listed = {row[place] for row in rows if len(row) > place} - set(suite.systems)
    found, lost = list[str](), list[str]()
    for name in suite.config["systems"]:
        if name in listed:
            there = runs_of(suite, name)
            suite.beside += there
            (found if there else lost).append(name)
    if lost:
        raise UserError(
            f"{suite.folder} holds the table of {', '.join(lost)} too, whose runs are gone or were trained by other "
            "settings; give out=comparisons/NAME, or leave systems= out to train them anew"
        )
    return found


def runs_of(suite: Suite, name: str) -> list[Record]:
    """The runs of a system that were trained to their end by the commands that the suite would give."""
    alone = Suite(suite.config, suite.folder, [name])
    if set(alone.trained()) <= set(suite.trained()):  # it is like one that is trained now
        return alone.planned()
    for budget in alone.budgets:
        for names in (*alone.rounds(), None):
            for job in alone.missing(alone.jobs(budget, names)):
                alone.left_out[job.name] = None
    return alone.records()
