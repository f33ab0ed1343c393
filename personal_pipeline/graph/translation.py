"""What dagster-dbt makes of dbt's manifest: the asset of each model, and the check of each test.

Importing dagster-dbt imports dbt and an SQL parser, two seconds of a core and 80 MB in the code
server and in every run. So it is asked once after each change of the SQL, and its answer is kept
beside the manifest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster import TableSchema
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings


class Translator(DagsterDbtTranslator):
    """Assets are grouped by area, except those of one source; owners are in the meta."""

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """The group of a model, numbered as the data flows."""
        match dbt_resource_props["fqn"]:
            case [_, "staging", *_]:
                return "3_typed_rows"
            case [_, "marts", area, *_]:
                return f"4_{area}"
            case [_, stage, *_]:
                return f"5_{stage}"
        raise ValueError(f"{dbt_resource_props['unique_id']}: expected it in a folder of models/")

    def get_tags(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, str]:
        """The tags of a model; a staging model has that of its source, like the raw streams."""
        tags = super().get_tags(dbt_resource_props)
        match dbt_resource_props["fqn"]:
            case [_, "staging", source, *_]:
                return {**tags, "source": source}
        return tags

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        """The owner of a model."""
        return [str(dbt_resource_props["config"]["meta"].get("owner", "team:owner"))]


def translate(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What dagster-dbt says of every model, by name, and of every test, to be kept as JSON."""
    translator = Translator(DagsterDbtTranslatorSettings(enable_asset_checks=True))
    models, checks = {}, []
    for uid, node in manifest["nodes"].items():
        if node["resource_type"] == "model" and node["config"]["materialized"] != "ephemeral":
            spec = translator.get_asset_spec(manifest, uid, None)
            schema: TableSchema | None = spec.metadata.get("dagster/column_schema")
            columns = schema.columns if schema else []  # none are declared
            models[node["name"]] = {
                "description": spec.description,
                "group_name": spec.group_name,
                "owners": spec.owners,
                "kinds": sorted(spec.kinds),
                "tags": {name: value for name, value in spec.tags.items() if "/" not in name},
                "table_name": spec.metadata["dagster/table_name"],
                "columns": [[each.name, each.type, each.description] for each in columns],
            }
        elif node["resource_type"] == "test" and node["attached_node"]:
            tested = translator.get_asset_spec(manifest, node["attached_node"], None)
            check = translator.get_asset_check_spec(tested, manifest, uid, None)
            if check is not None:
                deps = sorted("/".join(each.asset_key.path) for each in check.additional_deps)
                checks.append(
                    {
                        "name": check.name,
                        "asset": "/".join(check.asset_key.path),
                        "additional_deps": deps,
                        "blocking": check.blocking,
                    }
                )
    return {"models": models, "checks": checks}
