"""Write a sample data set in the layout that a recipe reads: `python -m samples.make RECIPE DATA`."""

from __future__ import annotations

from pathlib import Path

import click

from .generators import generator, names


@click.command()
@click.argument("recipe", type=click.Choice(names()))
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--count", type=click.IntRange(1), help="Number of cases.  [default: that of the short training]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
def main(recipe: str, data: Path, count: int | None, seed: int) -> None:
    """Write generated cases for RECIPE to DATA."""
    module = generator(recipe)
    module.write(data, count or module.SHORT.count, seed)
    click.echo(f"wrote {data}; train on it: seg-train --recipe {recipe} {data}")


if __name__ == "__main__":
    main()
