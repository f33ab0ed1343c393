-- Repeated texts become enums, whose values are in text order: they sort and are stored as numbers.
-- An enum needs at least one value, if only the empty text.
create type type_name as enum (
    select '' as name union select "type" from heads where "type" is not null order by name
);
create type source_name as enum (
    select '' as name union select "sourceName" from heads where "sourceName" is not null order by name
);
create type source_version as enum (
    select '' as name union select "sourceVersion" from heads where "sourceVersion" is not null order by name
);
create type unit_name as enum (
    select '' as name union select unit from heads where unit is not null order by name
);
create type device_name as enum (
    select '' as name union select device from heads where device is not null order by name
);
create type offset_text as enum (
    select '' as name union select offsets from heads where offsets is not null order by name
);

create table numbered as
select
    head,
    cast("type" as type_name) as "type",
    cast("sourceName" as source_name) as "sourceName",
    cast("sourceVersion" as source_version) as "sourceVersion",
    cast(unit as unit_name) as unit,
    cast(device as device_name) as device,
    cast(offsets as offset_text) as offsets
from heads;

create view records as
select
    lines.month,
    numbered."type",
    numbered."sourceName",
    numbered."sourceVersion",
    numbered.unit,
    lines."value",
    lines.start_at,
    lines.end_at,
    lines.created_at,
    lines.metadata,
    lines.more,
    numbered.device,
    numbered.offsets
from lines
inner join numbered using (head);
