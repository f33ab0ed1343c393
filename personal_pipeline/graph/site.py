"""The asset of the tables in the browser."""

from collections.abc import Iterable

import dagster as dg

from personal_pipeline.graph.raw import DAILY, OWNER
from personal_pipeline.graph.telling import SITE, tell_site
from personal_pipeline.house import House
from personal_pipeline.site.tables import write_site
from personal_pipeline.troubles import told_without_values


def site_asset(tables: Iterable[str]) -> dg.AssetsDefinition:
    """The marts in SQLite, downstream of all of them."""
    shown = sorted(each for each in tables if each.startswith("marts/"))

    @dg.multi_asset(
        name="write_site",
        specs=[
            dg.AssetSpec(
                SITE,
                deps=[dg.AssetKey(name.split("/")) for name in shown],
                description=(
                    "The marts in SQLite, published/site.sqlite, which `personal-pipeline site` "
                    "shows in the browser; and the part of them that is shared with somebody. Only "
                    "partitions whose content changed are replaced."
                ),
                group_name="5_outputs",
                kinds={"sqlite"},
                owners=[OWNER],
                skippable=True,
                freshness_policy=DAILY,
            )
        ],
    )
    @told_without_values
    def write_site_now(  # type: ignore[no-untyped-def]
        context: dg.AssetExecutionContext, house: dg.ResourceParam[House]
    ):
        if written := write_site(house):
            tell_site(context, house, written)
        return
        yield

    return write_site_now
